package steer

import (
	"fmt"
	"net/netip"
	"slices"

	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
	"lockstep/internal/suite"
)

const (
	proto = 76         // of our routes and rules: an RTPROT number that nobody in iproute2's list has
	alias = "lockstep" // of our interfaces

	tunnelGroup   = 0x4c53 // interface group of the TUNs, for suppress_ifgroup
	underlayTable = 0x4c53

	// twinMetric loses against every route that an operator or a routing daemon would write.
	twinMetric = 0xfffffff0

	// Before the rules of other programs (those of strongSwan and wg-quick start at 220 and 32764) and behind the local
	// table's 0.
	ruleUnderlay = 76
	ruleMain     = 77
	ruleRefuse   = 78
)

// rules keep packets with the mark out of the tunnels, in order of priority.
func rules(mark uint32) []netlink.Rule {
	return []netlink.Rule{
		{Priority: ruleUnderlay, Mark: mark, Table: underlayTable, Proto: proto},
		{Priority: ruleMain, Mark: mark, Table: netlink.MainTable, AvoidGroup: tunnelGroup, Proto: proto},
		{Priority: ruleRefuse, Mark: mark, Refuse: true, Proto: proto},
	}
}

// routes is what the main table should hold of ours: the twins, and the unicast routes while lines are up.
type routes struct {
	twins   []netlink.Route
	unicast []netlink.Route
}

// planRoutes derives the main table's routes. up tells whose line protocol is up.
func planRoutes(cfg *policy.Config, up func(unit int) bool) routes {
	var out routes
	twin := func(p netip.Prefix) {
		t := netlink.Route{Kind: netlink.Blackhole, Prefix: p, Metric: twinMetric, Proto: proto}
		if !slices.Contains(out.twins, t) {
			out.twins = append(out.twins, t)
		}
	}
	for _, t := range cfg.Tunnels {
		if t.Address.IsValid() {
			twin(t.Address.Masked()) // behind the kernel's connected route
		}
	}
	for _, r := range cfg.Routes {
		t := tunnelOf(cfg, r)
		if t == nil {
			out.unicast = append(out.unicast, netlink.Route{Kind: netlink.Unicast, Prefix: r.Prefix.Masked(), Via: r.Via, Metric: metric(r.Distance), Proto: proto})
			continue
		}
		for _, p := range halves(r) {
			twin(p)
			if up(t.Unit) && !t.Shutdown {
				out.unicast = append(out.unicast, netlink.Route{Kind: netlink.Unicast, Prefix: p, Device: t.Device(), Metric: metric(r.Distance), Proto: proto})
			}
		}
	}
	return out
}

// tunnelOf is the tunnel that r leads into, by its interface or by a next hop in the tunnel's subnet; nil: none.
func tunnelOf(cfg *policy.Config, r policy.Route) *policy.Tunnel {
	for _, t := range cfg.Tunnels {
		if r.Tunnel >= 0 && t.Unit == r.Tunnel || r.Tunnel < 0 && t.Address.IsValid() && t.Address.Contains(r.Via) {
			return t
		}
	}
	return nil
}

// halves splits a default route of distance 1 in two, so that it is more specific than the host's own default route.
// One with a greater distance is a floating static, which must lose against that.
func halves(r policy.Route) []netip.Prefix {
	p := r.Prefix.Masked()
	if p.Bits() > 0 || r.Distance > 1 {
		return []netip.Prefix{p}
	}
	return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}
}

// metric maps an administrative distance (1..255): the best one to the kernel's best metric, 0.
func metric(distance int) uint32 {
	if distance <= 1 {
		return 0
	}
	return uint32(distance)
}

// planUnderlay selects from the main table what may carry outer packets to the peers: every route that covers one of
// them and does not lead into a tunnel. Of a multipath route the first hop is taken.
func planUnderlay(main []netlink.Route, tunnels map[string]bool, peers []netip.Addr) []netlink.Route {
	var out []netlink.Route
	for _, r := range main {
		ourTwin := r.Proto == proto && r.Kind == netlink.Blackhole
		if ourTwin || tunnels[r.Device] || !slices.ContainsFunc(peers, r.Prefix.Contains) {
			continue
		}
		same := func(o netlink.Route) bool { return o.Prefix == r.Prefix && o.Metric == r.Metric }
		if slices.ContainsFunc(out, same) {
			continue
		}
		r.Table, r.Proto = underlayTable, proto
		r.OnLink = r.Via.IsValid() // the connected route that reaches the next hop is not in this table
		out = append(out, r)
	}
	return out
}

// Encapsulation is how the packets of a child SA are wrapped.
type Encapsulation struct {
	UDP    bool // RFC 3948
	Cipher suite.Cipher
}

// worst is assumed while nothing is negotiated: AES-CBC with HMAC-SHA2-384 in UDP.
var worst = Encapsulation{UDP: true, Cipher: suite.Cipher{Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA384}}

// InnerMTU is the largest inner packet whose outer packet fits a path MTU (protocol.md §6.3), for tunnel mode over
// IPv4, or IPv6 where v6; 0: none fits.
func (e Encapsulation) InnerMTU(path int, v6 bool) int {
	outer := 20
	if v6 {
		outer = 40
	}
	if e.UDP {
		outer += 8
	}
	return e.Cipher.MaxPayload(path - outer)
}

// unsupported lists what a configuration asks of the host that cannot be done.
func unsupported(cfg *policy.Config) error {
	for _, r := range cfg.Routes {
		if !r.Prefix.Addr().Is4() {
			return fmt.Errorf("ip route %s: only IPv4 routes are supported", r.Prefix)
		}
	}
	return nil
}
