package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const second = "interface Tunnel1\n tunnel source wan0\n tunnel mode ipsec ipv4\n tunnel destination 192.0.2.3\n tunnel protection ipsec profile VTI\nip route"

func TestDiffNamesWhatAReloadWouldDo(t *testing.T) {
	both := []string{"ip route", second, " peer site-b", " peer site-c\n  address 192.0.2.3\n  pre-shared-key battery-staple\n peer site-b"}
	load := func(edit ...string) Difference {
		t.Helper()
		before, ds := Load("before", edited(t, both...))
		if before == nil {
			t.Fatal(ds)
		}
		after, ds := Load("after", edited(t, append(append([]string(nil), both...), edit...)...))
		if after == nil {
			t.Fatal(ds)
		}
		return Diff(before, after)
	}
	all := []string{"Tunnel0", "Tunnel1"}
	for name, c := range map[string]struct {
		edit []string
		want Difference
	}{
		"nothing":          {nil, Difference{Untouched: all}},
		"other names":      {[]string{"crypto ikev2 proposal P1", "crypto ikev2 proposal P2", " proposal P1\ncrypto", " proposal P2\ncrypto"}, Difference{Untouched: all}},
		"key of one":       {[]string{"correct-horse", "another-horse"}, Difference{Untouched: []string{"Tunnel1"}, Changed: []Change{{"Tunnel0", []string{"pre-shared-key"}, true}}}},
		"destination":      {[]string{"destination 192.0.2.3", "destination 192.0.2.2", "source wan0\n tunnel mode ipsec ipv4\n tunnel destination 192.0.2.2", "source wan1\n tunnel mode ipsec ipv4\n tunnel destination 192.0.2.2"}, Difference{Changed: []Change{{"Tunnel0", []string{"tunnel source"}, true}, {"Tunnel1", []string{"tunnel destination", "pre-shared-key"}, true}}}},
		"description":      {[]string{" ip address", " description x\n ip address"}, Difference{Untouched: []string{"Tunnel1"}, Changed: []Change{{"Tunnel0", []string{"description"}, false}}}},
		"dpd":              {[]string{" dpd 10 2 on-demand\n", ""}, Difference{Changed: []Change{{"Tunnel0", []string{"dpd"}, false}, {"Tunnel1", []string{"dpd"}, false}}}},
		"hostname, routes": {[]string{"hostname site-a", "hostname s", "ip route 10.2.0.0", "ip route 10.3.0.0"}, Difference{Untouched: all, Global: []string{"hostname", "ip route"}}},
	} {
		if d := cmp.Diff(c.want, load(c.edit...)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	one, _ := Load("one", example(t, "svti-ikev2-a.conf"))
	two, _ := Load("two", edited(t, both...))
	if d := Diff(one, two); !cmp.Equal(d, Difference{Added: []string{"Tunnel1"}, Untouched: []string{"Tunnel0"}}) {
		t.Errorf("added: %+v", d)
	}
	if d := Diff(two, one); !cmp.Equal(d, Difference{Removed: []string{"Tunnel1"}, Untouched: []string{"Tunnel0"}}) {
		t.Errorf("removed: %+v", d)
	}
	if d := Diff(nil, one); !cmp.Equal(d.Added, []string{"Tunnel0"}) {
		t.Errorf("first: %+v", d)
	}
}

// The text of a tunnel always names its protection; a policy that is made without text may have a tunnel that is shut down
// and has none.
func TestProtectionThatComesOrGoesIsAChange(t *testing.T) {
	const source = " tunnel source wan0\n"
	with, ds := Load("with", edited(t, source, source+" shutdown\n"))
	if with == nil || len(with.Peers) != 1 {
		t.Fatal(ds)
	}
	without := *with
	without.Peers = nil
	want := Difference{Changed: []Change{{"Tunnel0", []string{"tunnel protection"}, true}}}
	for name, got := range map[string]Difference{"goes": Diff(with, &without), "comes": Diff(&without, with)} {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
