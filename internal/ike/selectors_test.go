package ike

import (
	"net/netip"
	"slices"
	"testing"

	"lockstep/internal/wire/ike2"
)

func sel(s ...string) []ike2.Selector {
	var out []ike2.Selector
	for _, p := range s {
		out = append(out, ike2.SelectorFromPrefix(netip.MustParsePrefix(p)))
	}
	return out
}

func TestNarrowing(t *testing.T) {
	packet := ike2.Selector{Protocol: 17, StartPort: 53, EndPort: 53, Start: netip.MustParseAddr("10.1.2.3"), End: netip.MustParseAddr("10.1.2.3")}
	for name, c := range map[string]struct{ offered, allowed, want []ike2.Selector }{
		"any to any":          {AnyIPv4(), AnyIPv4(), AnyIPv4()},
		"to ours":             {AnyIPv4(), sel("10.1.0.0/16"), sel("10.1.0.0/16")},
		"to theirs":           {sel("10.1.2.0/24"), sel("10.1.0.0/16"), sel("10.1.2.0/24")},
		"nothing in common":   {sel("10.1.0.0/24"), sel("10.2.0.0/16"), nil},
		"other family":        {sel("2001:db8::/32"), AnyIPv4(), nil},
		"several":             {sel("10.1.0.0/24", "10.9.0.0/24"), sel("10.0.0.0/13", "10.9.0.0/28"), sel("10.1.0.0/24", "10.9.0.0/28")},
		"packet in front":     {append([]ike2.Selector{packet}, AnyIPv4()...), AnyIPv4(), AnyIPv4()},
		"packet, narrow rest": {append([]ike2.Selector{packet}, sel("10.7.0.0/16")...), sel("10.1.0.0/16"), []ike2.Selector{packet}},
		"duplicates":          {sel("10.1.0.0/24", "10.1.0.0/24"), AnyIPv4(), sel("10.1.0.0/24")},
		"nothing offered":     {nil, AnyIPv4(), nil},
	} {
		got := Narrow(c.offered, c.allowed)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if len(got) > 0 && (!Within(got, c.offered) || !Within(got, c.allowed)) {
			t.Errorf("%s: the result is no subset", name)
		}
	}
}

func TestNarrowingIsBounded(t *testing.T) {
	var many []ike2.Selector
	for i := range 200 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
		many = append(many, ike2.SelectorFromRange(a, a))
	}
	if n := len(Narrow(many, AnyIPv4())); n != MaxSelectors {
		t.Errorf("%d selectors", n)
	}
	if Within(many, AnyIPv4()) {
		t.Error("an answer of 200 selectors is accepted")
	}
}

func TestWithinAndCovers(t *testing.T) {
	if Within(nil, AnyIPv4()) {
		t.Error("an empty answer is accepted")
	}
	if Within(AnyIPv4(), sel("10.0.0.0/8")) || !Within(sel("10.1.0.0/24"), sel("9.0.0.0/8", "10.0.0.0/8")) {
		t.Error("subset")
	}
	if !Covers(nil, nil) || !Covers(AnyIPv4(), nil) || Covers(nil, AnyIPv4()) || !Covers(AnyIPv4(), sel("10.0.0.0/8")) {
		t.Error("covers")
	}
}
