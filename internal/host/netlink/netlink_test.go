package netlink_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"lockstep/internal/host/netlink"
	"lockstep/internal/testing/lab"
)

func open(t *testing.T, ns *lab.NS) (h *netlink.Handle) {
	t.Helper()
	if err := ns.Do(func() (err error) { h, err = netlink.Open(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// wired is a namespace with wan0 192.0.2.1/24.
func wired(t *testing.T) (*lab.NS, *netlink.Handle) {
	a, b := lab.NewNS(t, "a"), lab.NewNS(t, "b")
	lab.Link(a, "wan0", b, "wan0")
	a.IP("address add 192.0.2.1/24 dev wan0")
	return a, open(t, a)
}

func TestRoutesReadBackAsTheyWereWritten(t *testing.T) {
	_, h := wired(t)
	for _, r := range []netlink.Route{
		{Table: 254, Kind: netlink.Unicast, Prefix: netip.MustParsePrefix("10.2.0.0/24"), Device: "wan0", Proto: 76},
		{Table: 254, Kind: netlink.Unicast, Prefix: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.9"), Device: "wan0", Metric: 9, Proto: 76, MTU: 1300},
		{Table: 254, Kind: netlink.Blackhole, Prefix: netip.MustParsePrefix("10.2.0.0/24"), Metric: 0xfffffff0, Proto: 76},
		{Table: 7777, Kind: netlink.Unreachable, Prefix: netip.MustParsePrefix("0.0.0.0/0"), Proto: 76},
		{Table: 7777, Kind: netlink.Unicast, Prefix: netip.MustParsePrefix("10.3.0.0/16"), Via: netip.MustParseAddr("203.0.113.1"), Device: "wan0", OnLink: true, Proto: 76},
	} {
		if err := h.AddRoute(r); err != nil {
			t.Fatal(err)
		}
		if err := h.AddRoute(r); !errors.Is(err, unix.EEXIST) {
			t.Errorf("%v twice: %v, want EEXIST", r, err)
		}
		rs, err := h.Routes(r.Table)
		if err != nil || !slices.Contains(rs, r) {
			t.Errorf("%+v is not among %+v, %v", r, rs, err)
		}
		for range 2 { // the second finds it gone
			if err := h.DeleteRoute(r); err != nil {
				t.Error(err)
			}
		}
		if rs, _ := h.Routes(r.Table); slices.Contains(rs, r) {
			t.Errorf("%v was not deleted", r)
		}
	}
}

func TestRulesReadBackAsTheyWereWritten(t *testing.T) {
	_, h := wired(t)
	rules := []netlink.Rule{
		{Priority: 10, Mark: 0x4c53, Table: 7777, Proto: 76},
		{Priority: 11, Mark: 0x4c53, Table: netlink.MainTable, AvoidGroup: 9, Proto: 76},
		{Priority: 12, Mark: 0x4c53, Refuse: true, Proto: 76},
	}
	for _, r := range rules {
		for range 2 { // the second finds it there
			if err := h.AddRule(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := h.Rules(76)
	if err != nil || !slices.Equal(got, rules) {
		t.Errorf("rules %v, %v; want %v", got, err, rules)
	}
	for _, r := range append(rules, rules...) {
		if err := h.DeleteRule(r); err != nil {
			t.Error(err)
		}
	}
	if got, _ := h.Rules(76); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestLookupTellsThePathOrThatThereIsNone(t *testing.T) {
	ns, h := wired(t)
	to := netip.MustParseAddr("192.0.2.2")
	p, err := h.Lookup(to, netip.Addr{}, 0)
	if want := (netlink.Path{Device: "wan0", Source: netip.MustParseAddr("192.0.2.1"), MTU: 1500}); err != nil || p != want {
		t.Errorf("%+v, %v; want %+v", p, err, want)
	}
	if p, err := h.Lookup(netip.MustParseAddr("192.0.2.1"), netip.Addr{}, 0); err != nil || !p.Local {
		t.Errorf("our own address: %+v, %v", p, err)
	}
	ns.IP("route add 192.0.2.2/32 dev wan0 mtu 1280")
	if p, _ := h.Lookup(to, netip.Addr{}, 0); p.MTU != 1280 {
		t.Errorf("MTU %d of a route with one of its own", p.MTU)
	}
	ns.IP("route add blackhole 203.0.113.0/24")
	ns.IP("route add unreachable 198.51.100.0/24")
	for _, dst := range []string{"203.0.113.1", "198.51.100.1", "10.0.0.1"} {
		if p, err := h.Lookup(netip.MustParseAddr(dst), netip.Addr{}, 0); !errors.Is(err, netlink.ErrUnreachable) {
			t.Errorf("%s: %+v, %v; want ErrUnreachable", dst, p, err)
		}
	}
}

func TestAddressIsTheOnlyOneAfterSetAddress(t *testing.T) {
	_, h := wired(t)
	for _, want := range []string{"172.16.0.1/30", "172.16.0.5/30", "172.16.0.5/30"} {
		if err := h.SetAddress("wan0", netip.MustParsePrefix(want)); err != nil {
			t.Fatal(err)
		}
		as, err := h.Addresses("wan0")
		as = slices.DeleteFunc(as, func(a netlink.Address) bool { return a.Prefix.Addr().Is6() })
		if err != nil || len(as) != 1 || as[0].Prefix.String() != want || as[0].Link != "wan0" {
			t.Errorf("addresses %v, %v; want %s", as, err, want)
		}
	}
	if err := h.SetAddress("wan0", netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	if as, _ := h.Addresses("wan0"); slices.ContainsFunc(as, func(a netlink.Address) bool { return a.Prefix.Addr().Is4() }) {
		t.Errorf("left: %v", as)
	}
}

func TestMissingInterfaceIsErrNoLink(t *testing.T) {
	_, h := wired(t)
	_, err := h.Link("nope0")
	_, err2 := h.Addresses("nope0")
	for _, err := range []error{err, err2, h.SetMTU("nope0", 1400), h.AddRoute(netlink.Route{Kind: netlink.Unicast, Prefix: netip.MustParsePrefix("10.0.0.0/8"), Device: "nope0"})} {
		if !errors.Is(err, netlink.ErrNoLink) {
			t.Errorf("got %v", err)
		}
	}
	if err := h.DeleteRoute(netlink.Route{Kind: netlink.Unicast, Prefix: netip.MustParsePrefix("10.0.0.0/8"), Device: "nope0"}); err != nil {
		t.Errorf("a route of an interface that is gone: %v", err)
	}
}
