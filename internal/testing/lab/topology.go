package lab

import (
	"net/netip"
	"testing"
)

// Addresses of the lab, those of examples/svti-ikev2-a.conf.
var (
	AddrA  = netip.MustParseAddr("192.0.2.1") // gateway A, outer
	AddrB  = netip.MustParseAddr("192.0.2.2")
	AddrR  = netip.MustParseAddr("198.51.100.1") // the router, on both sides
	AddrHA = netip.MustParseAddr("10.1.0.2")     // host behind A
	AddrHB = netip.MustParseAddr("10.2.0.2")
	LanA   = netip.MustParsePrefix("10.1.0.0/24")
	LanB   = netip.MustParsePrefix("10.2.0.0/24")
)

// Lab is two sites and the network between them:
//
//	HA 10.1.0.2 ── lan0 A wan0 ── a0 R b0 ── wan0 B lan0 ── HB 10.2.0.2
//	                   192.0.2.1  198.51.100.1  192.0.2.2
//
// The gateways have /32 addresses and a default route to R: nothing is on their link, as on a real access line, and the
// default route is one that an inner packet could leak through.
type Lab struct {
	HA, A, R, B, HB *NS
}

// New builds the lab; it goes with the test. R drops nothing and knows no route to the inner networks, but forwards a
// leaked packet no further than its watchers.
func New(t testing.TB) *Lab {
	t.Helper()
	l := &Lab{HA: NewNS(t, "HA"), A: NewNS(t, "A"), R: NewNS(t, "R"), B: NewNS(t, "B"), HB: NewNS(t, "HB")}
	Link(l.HA, "eth0", l.A, "lan0")
	Link(l.HB, "eth0", l.B, "lan0")
	Link(l.A, "wan0", l.R, "a0")
	Link(l.B, "wan0", l.R, "b0")
	for _, n := range []*NS{l.A, l.R, l.B} {
		n.Sysctl("net.ipv4.ip_forward", "1")
		n.Sysctl("net.ipv4.conf.all.rp_filter", "0")
		n.Sysctl("net.ipv4.conf.default.rp_filter", "0")
	}
	for _, side := range []struct {
		host, gw    *NS
		net, rIface string
		outer       netip.Addr
	}{{l.HA, l.A, "10.1.0", "a0", AddrA}, {l.HB, l.B, "10.2.0", "b0", AddrB}} {
		side.host.IP("address add " + side.net + ".2/24 dev eth0")
		side.host.IP("route add default via " + side.net + ".1")
		side.gw.IP("address add " + side.net + ".1/24 dev lan0")
		side.gw.IP("address add " + side.outer.String() + "/32 dev wan0")
		side.gw.IP("route add default via " + AddrR.String() + " dev wan0 onlink")
		side.gw.Sysctl("net.ipv4.conf.wan0.rp_filter", "0")
		l.R.IP("address add " + AddrR.String() + "/32 dev " + side.rIface)
		// One datagram a frame, as on a real wire: a veth passes on runs of datagrams (UDP_SEGMENT) as one, and so would captures.
		side.gw.IP("link set dev wan0 gso_max_segs 1")
		l.R.IP("link set dev " + side.rIface + " gso_max_segs 1")
		l.R.IP("route add " + side.outer.String() + "/32 dev " + side.rIface)
	}
	return l
}

// Gateway is the namespace of side "A" or "B"; Host the one behind it.
func (l *Lab) Gateway(side string) *NS {
	if side == "B" {
		return l.B
	}
	return l.A
}

// Outer is the outer address of a side.
func Outer(side string) netip.Addr {
	if side == "B" {
		return AddrB
	}
	return AddrA
}
