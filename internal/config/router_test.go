package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestARoutersConfigurationLoadsAndEveryLineIsAccountedFor(t *testing.T) {
	text, err := os.ReadFile("testdata/router.conf")
	if err != nil {
		t.Fatal(err)
	}
	cfg, ds := Load("router.conf", text)
	if cfg == nil {
		t.Fatal(ds)
	}
	if len(cfg.Peers) != 1 || cfg.Hostname != "R1" || len(cfg.Routes) != 1 || cfg.Logging.Buffered != 100000 {
		t.Errorf("%+v", cfg)
	}
	reported := map[int]bool{}
	for _, d := range ds {
		if d.Severity != Ignored {
			t.Error(d)
		}
		reported[d.Line] = true
	}
	// What is applied is what a second load of the written form has; each other line must be reported.
	tree, _ := Parse("router.conf", text)
	used := map[int]bool{}
	var walk func(*Node)
	walk = func(n *Node) {
		for _, k := range n.kids {
			used[k.Line] = true
			walk(k)
		}
	}
	walk(&tree.root)
	banner := false
	for i, l := range strings.Split(string(text), "\n") {
		body := strings.TrimSpace(l)
		if strings.Contains(l, "^C") {
			banner = !banner
			continue
		}
		if body == "" || body[0] == '!' || body == "end" || banner {
			continue
		}
		if reported[i+1] == used[i+1] {
			t.Errorf("line %d %q: reported %v, applied %v", i+1, l, reported[i+1], used[i+1])
		}
	}
}

func TestIndentationOnlyMattersAroundUnknownSections(t *testing.T) {
	text := string(example(t, "svti-ikev2-a.conf"))
	want, _ := Load("f", []byte(text))
	flat := strings.ReplaceAll(strings.ReplaceAll(text, "\n  ", "\n"), "\n ", "\n")
	deep := strings.ReplaceAll(text, "\n", "\n\t ")
	shouted := strings.ReplaceAll(strings.ReplaceAll(text, "crypto", "CRYPTO"), "\n", "\r\n")
	between := strings.ReplaceAll(text, "interface Tunnel0", "interface wan0\n ip address 192.0.2.1 255.255.255.0\nip nat inside source list 1 interface wan0\ninterface Tunnel0")
	for name, s := range map[string]string{"flat": flat, "deep": deep, "shouted": shouted, "between": between, "bom": "\xef\xbb\xbf" + text} {
		got, ds := Load("f", []byte(s))
		if got == nil {
			t.Errorf("%s: %v", name, ds)
			continue
		}
		if d := Diff(want, got); len(d.Untouched) != 1 || d.Changed != nil || d.Added != nil || d.Removed != nil || d.Global != nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestNoFormsTakeLinesOut(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"single":               {"hostname a\nno hostname\n", ""},
		"with another value":   {"crypto ikev2 dpd 10 2 periodic\nno crypto ikev2 dpd\n", ""},
		"section":              {"crypto ikev2 keyring K\n peer a\n  address 192.0.2.1\nno crypto ikev2 keyring K\n", ""},
		"other section":        {"crypto ikev2 keyring K\nno crypto ikev2 keyring L\n", "crypto ikev2 keyring K\n"},
		"one of many":          {"logging host 192.0.2.1\nlogging host 192.0.2.2\nno logging host 192.0.2.1\n", "logging host 192.0.2.2\n"},
		"by its beginning":     {"ip route 10.0.0.0 255.0.0.0 Tunnel1 5\nip route 10.0.0.0 255.0.0.0 Tunnel11\nno ip route 10.0.0.0 255.0.0.0 Tunnel1\n", "ip route 10.0.0.0 255.0.0.0 Tunnel11\n"},
		"on by default":        {"no crypto recovery extended\n", "no crypto recovery extended\n"},
		"on by default, again": {"no crypto recovery extended\ncrypto recovery extended\n", "crypto recovery extended\n"},
		"default of it":        {"no crypto recovery extended\ndefault crypto recovery extended\n", ""},
		"default of a value":   {"hostname a\ndefault hostname\n", ""},
		"replaced":             {"hostname a\nhostname b\n", "hostname b\n"},
		"in a section":         {"crypto ikev2 proposal P\n group 14\n no group\n prf sha256\n group 19 20\n", "crypto ikev2 proposal P\n prf sha256\n group 19 20\n"},
		"section met again":    {"crypto ikev2 proposal P\n group 14\nhostname a\ncrypto ikev2 proposal P\n prf sha256\n", "hostname a\n!\ncrypto ikev2 proposal P\n prf sha256\n group 14\n"},
		"exit and end":         {"crypto ikev2 keyring K\n peer a\n  exit\n peer b\nend\nhostname a\n", "hostname a\n!\ncrypto ikev2 keyring K\n peer a\n peer b\n"},
	} {
		tree, ds := Parse("f", []byte(c.text))
		if len(ds) != 0 {
			t.Errorf("%s: %v", name, ds)
		}
		want := "!\n" + c.want
		if c.want == "" {
			want = ""
		}
		if got := strings.TrimSuffix(Running(tree, true), "!\nend\n"); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	_, ds := Load("f", []byte(strings.Repeat("crypto nonsense\n", 5000)))
	if len(ds) > maxDiagnostics+1 {
		t.Errorf("%d findings", len(ds))
	}
	if cfg, ds := Load("f", []byte(strings.Repeat("! x\n", maxText/4+1))); cfg != nil || len(ds) != 1 {
		t.Errorf("a file that is too long: %v", ds)
	}
	if cfg, ds := Load("f", []byte("hostname "+strings.Repeat("x", maxLine))); cfg != nil || len(ds) != 1 || ds[0].Line != 1 {
		t.Errorf("a line that is too long: %v", ds)
	}
}

// many is a configuration of n tunnels, each with its own profile, key and route.
func many(n int) string {
	var b strings.Builder
	b.WriteString("crypto ikev2 proposal P1\n encryption aes-gcm-256\n prf sha384\n group 19\ncrypto ikev2 policy POL\n proposal P1\ncrypto ipsec transform-set TS esp-gcm 256\n")
	b.WriteString("crypto ikev2 keyring KR\n")
	for i := range n {
		fmt.Fprintf(&b, " peer p%d\n  address 10.%d.%d.1\n  pre-shared-key key-%d\n", i, i/250, i%250, i)
	}
	for i := range n {
		fmt.Fprintf(&b, "crypto ikev2 profile I%d\n match identity remote address 10.%d.%d.1 255.255.255.255\n authentication local pre-share\n authentication remote pre-share\n keyring local KR\n", i, i/250, i%250)
		fmt.Fprintf(&b, "crypto ipsec profile V%d\n set transform-set TS\n set ikev2-profile I%d\n", i, i)
		fmt.Fprintf(&b, "interface Tunnel%d\n ip address 172.%d.%d.1 255.255.255.252\n tunnel source wan0\n tunnel destination 10.%d.%d.1\n tunnel mode ipsec ipv4\n tunnel protection ipsec profile V%d\n", i, 16+i/250, i%250, i/250, i%250, i)
		fmt.Fprintf(&b, "ip route 192.%d.%d.0 255.255.255.0 Tunnel%d\n", i/250, i%250, i)
	}
	return b.String()
}

func TestAThousandTunnelsLoadWithoutQuadraticTime(t *testing.T) {
	const n = 1000
	begin := time.Now()
	cfg, ds := Load("f", []byte(many(n)))
	if cfg == nil || len(cfg.Peers) != n || len(cfg.Routes) != n || len(ds) != 0 {
		t.Fatal(ds)
	}
	took := time.Since(begin)
	t.Logf("%d tunnels in %v", n, took)
	if took > 20*time.Second { // far from the usual: a loaded machine must not fail it, quadratic growth must
		t.Errorf("%v", took)
	}
}

func BenchmarkLoadThousandTunnels(b *testing.B) {
	text := []byte(many(1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if cfg, _ := Load("f", text); cfg == nil {
			b.Fatal("refused")
		}
	}
}
