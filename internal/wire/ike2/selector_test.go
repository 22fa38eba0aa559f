package ike2

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestSelectorFromPrefix(t *testing.T) {
	for in, want := range map[string]Selector{
		"10.1.2.3/24":     sel(0, 0, 65535, "10.1.2.0", "10.1.2.255"),
		"0.0.0.0/0":       sel(0, 0, 65535, "0.0.0.0", "255.255.255.255"),
		"192.0.2.1/32":    sel(0, 0, 65535, "192.0.2.1", "192.0.2.1"),
		"10.128.0.0/9":    sel(0, 0, 65535, "10.128.0.0", "10.255.255.255"),
		"2001:db8::1/61":  sel(0, 0, 65535, "2001:db8::", "2001:db8:0:7:ffff:ffff:ffff:ffff"),
		"::/0":            sel(0, 0, 65535, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
		"2001:db8::1/128": sel(0, 0, 65535, "2001:db8::1", "2001:db8::1"),
	} {
		p := netip.MustParsePrefix(in)
		got := SelectorFromPrefix(p)
		if got != want {
			t.Errorf("%s is %v, want %v", in, got, want)
		}
		if back, ok := got.Prefix(); back != p.Masked() || !ok {
			t.Errorf("%s comes back as %v, %v", in, back, ok)
		}
	}
	if p, ok := SelectorFromRange(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")).Prefix(); ok {
		t.Errorf("a range that is no prefix is %v", p)
	}
}

func TestSelectorString(t *testing.T) {
	for want, s := range map[string]Selector{
		"10.1.0.0-10.1.0.255":                    sel(0, 0, 65535, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[udp/500-510]":       sel(17, 500, 510, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[tcp/any]":           sel(6, 0, 65535, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[tcp/22]":            sel(6, 22, 22, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[icmp/2048]":         sel(1, 2048, 2048, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[gre/any]":           sel(47, 0, 65535, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[132/opaque]":        sel(132, 65535, 0, "10.1.0.0", "10.1.0.255"),
		"10.1.0.0-10.1.0.255[any/1-2]":           sel(0, 1, 2, "10.1.0.0", "10.1.0.255"),
		"2001:db8::-2001:db8::ff[ipv6-icmp/any]": sel(58, 0, 65535, "2001:db8::", "2001:db8::ff"),
	} {
		if got := s.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestSelectorIntersect(t *testing.T) {
	lan := sel(0, 0, 65535, "10.1.0.0", "10.1.0.255")
	for name, c := range map[string]struct {
		a, b, want Selector
		ok         bool
	}{
		"any and a network":        {sel(0, 0, 65535, "0.0.0.0", "255.255.255.255"), lan, lan, true},
		"overlapping addresses":    {lan, sel(0, 0, 65535, "10.1.0.128", "10.1.1.10"), sel(0, 0, 65535, "10.1.0.128", "10.1.0.255"), true},
		"one address in common":    {lan, sel(0, 0, 65535, "10.1.0.255", "10.1.1.10"), sel(0, 0, 65535, "10.1.0.255", "10.1.0.255"), true},
		"none in common":           {lan, sel(0, 0, 65535, "10.1.1.0", "10.1.1.10"), Selector{}, false},
		"other family":             {lan, sel(0, 0, 65535, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Selector{}, false},
		"any protocol":             {lan, sel(6, 22, 22, "10.1.0.0", "10.1.0.255"), sel(6, 22, 22, "10.1.0.0", "10.1.0.255"), true},
		"two protocols":            {sel(17, 0, 65535, "10.1.0.0", "10.1.0.255"), sel(6, 0, 65535, "10.1.0.0", "10.1.0.255"), Selector{}, false},
		"overlapping ports":        {sel(6, 10, 30, "10.1.0.0", "10.1.0.255"), sel(6, 20, 40, "10.1.0.0", "10.1.0.255"), sel(6, 20, 30, "10.1.0.0", "10.1.0.255"), true},
		"ports apart":              {sel(6, 10, 20, "10.1.0.0", "10.1.0.255"), sel(6, 21, 40, "10.1.0.0", "10.1.0.255"), Selector{}, false},
		"opaque in any":            {lan, sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), true},
		"opaque and opaque":        {sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), true},
		"opaque and nearly any":    {sel(6, 1, 65535, "10.1.0.0", "10.1.0.255"), sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), Selector{}, false},
		"opaque and its end ports": {sel(6, 65535, 65535, "10.1.0.0", "10.1.0.255"), sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), Selector{}, false},
	} {
		for _, pair := range [][2]Selector{{c.a, c.b}, {c.b, c.a}} {
			if got, ok := pair[0].Intersect(pair[1]); got != c.want || ok != c.ok {
				t.Errorf("%s: %v, %v, want %v, %v", name, got, ok, c.want, c.ok)
			}
		}
	}
}

func TestSelectorContains(t *testing.T) {
	lan := sel(0, 0, 65535, "10.1.0.0", "10.1.0.255")
	for name, c := range map[string]struct {
		a, b     Selector
		contains bool
	}{
		"itself":           {lan, lan, true},
		"a host":           {lan, sel(0, 0, 65535, "10.1.0.7", "10.1.0.7"), true},
		"a protocol":       {lan, sel(17, 0, 65535, "10.1.0.0", "10.1.0.255"), true},
		"any protocol":     {sel(17, 0, 65535, "10.1.0.0", "10.1.0.255"), lan, false},
		"one address more": {lan, sel(0, 0, 65535, "10.1.0.0", "10.1.1.0"), false},
		"opaque in any":    {lan, sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), true},
		"any in opaque":    {sel(6, 65535, 0, "10.1.0.0", "10.1.0.255"), sel(6, 0, 65535, "10.1.0.0", "10.1.0.255"), false},
		"a port":           {sel(6, 10, 20, "10.1.0.0", "10.1.0.255"), sel(6, 20, 20, "10.1.0.0", "10.1.0.255"), true},
		"a port beyond":    {sel(6, 10, 20, "10.1.0.0", "10.1.0.255"), sel(6, 20, 21, "10.1.0.0", "10.1.0.255"), false},
	} {
		if got := c.a.Contains(c.b); got != c.contains {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !lan.ContainsAddr(netip.MustParseAddr("10.1.0.255")) || lan.ContainsAddr(netip.MustParseAddr("10.1.1.0")) || lan.ContainsAddr(netip.MustParseAddr("::1")) {
		t.Error("addresses")
	}
}

func TestSelectorMatch(t *testing.T) {
	s := sel(17, 500, 510, "10.1.0.0", "10.1.0.255")
	in, out := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.1")
	for name, c := range map[string]bool{
		"inside":         s.Match(in, 17, 510),
		"other address":  !s.Match(out, 17, 510),
		"other protocol": !s.Match(in, 6, 510),
		"other port":     !s.Match(in, 17, 511),
		"opaque":         !sel(17, 65535, 0, "10.1.0.0", "10.1.0.255").Match(in, 17, 65535),
	} {
		if !c {
			t.Error(name)
		}
	}
}

func genSelector(t *rapid.T, label string) Selector {
	base := rapid.SampledFrom([][4]byte{{10, 0, 0, 0}, {10, 0, 0, 4}}).Draw(t, label)
	start := netip.AddrFrom4(base)
	end := start
	for range rapid.IntRange(0, 5).Draw(t, label+" width") {
		end = end.Next()
	}
	s := Selector{Protocol: rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, label+" protocol"), Start: start, End: end}
	ports := rapid.SampledFrom([][2]uint16{{0, 65535}, {65535, 0}, {1, 3}, {3, 5}, {65535, 65535}}).Draw(t, label+" ports")
	s.StartPort, s.EndPort = ports[0], ports[1]
	return s
}

// The algebra agrees with sets: a packet is in the intersection exactly if it is in both.
func TestSelectorAlgebraAgreesWithSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genSelector(t, "a"), genSelector(t, "b")
		both, ok := a.Intersect(b)
		for addr := netip.MustParseAddr("10.0.0.0"); addr != netip.MustParseAddr("10.0.0.12"); addr = addr.Next() {
			for _, proto := range []uint8{6, 17, 50} {
				for _, port := range []uint16{0, 1, 3, 5, 65535} {
					if want := a.Match(addr, proto, port) && b.Match(addr, proto, port); want != (ok && both.Match(addr, proto, port)) {
						t.Fatalf("%v and %v give %v: %v %d %d", a, b, both, addr, proto, port)
					}
				}
			}
		}
		if ok && (!a.Contains(both) || !b.Contains(both)) {
			t.Fatalf("%v and %v do not contain %v", a, b, both)
		}
		if mirror, ok2 := b.Intersect(a); mirror != both || ok2 != ok {
			t.Fatalf("%v and %v: %v one way, %v the other", a, b, both, mirror)
		}
		if !a.Contains(a) {
			t.Fatalf("%v does not contain itself", a)
		}
	})
}
