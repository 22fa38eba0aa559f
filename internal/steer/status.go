package steer

import (
	"errors"
	"fmt"
	"net/netip"

	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
)

// minMTU is the least that an IPv4 link may have (RFC 791 §3.2).
const minMTU = 68

// Underlay is the way of a tunnel's outer packets.
type Underlay struct {
	Device string
	Via    netip.Addr // zero: the peer is on the link
	Source netip.Addr
	MTU    int // of the path
	// Recursive: the only way to the peer leads into a tunnel. The caller reports %TUN-5-RECURDOWN and holds the line
	// protocol down until it changes.
	Recursive bool
	// Err says why there is no way; nil otherwise.
	Err error
}

// Underlay tells how outer packets of t travel now.
func (s *Steer) Underlay(t *policy.Tunnel) Underlay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.way(t)
}

func (s *Steer) way(t *policy.Tunnel) Underlay {
	src, err := s.source(t)
	if err != nil {
		return Underlay{Err: err}
	}
	p, err := s.h.Lookup(t.Destination, src, s.mark)
	if err == nil {
		return Underlay{Device: p.Device, Via: p.Via, Source: src, MTU: p.MTU}
	}
	u := Underlay{Source: src, Err: err}
	if !errors.Is(err, netlink.ErrUnreachable) {
		return u
	}
	u.Err = fmt.Errorf("%s: no route to tunnel destination %s: add one outside the tunnels (`ip route add`)", t.Name(), t.Destination)
	tunnels, err := s.tunnels()
	if err != nil {
		return u
	}
	if plain, err := s.h.Lookup(t.Destination, netip.Addr{}, 0); err == nil && tunnels[plain.Device] {
		u.Recursive = true
		u.Err = fmt.Errorf("%s: the only route to tunnel destination %s leads into %s: add a route to it outside the tunnels", t.Name(), t.Destination, plain.Device)
	}
	return u
}

// mtus sets the MTU of each TUN: `ip mtu`, or what the path and the encapsulation leave.
func (s *Steer) mtus() error {
	var errs []error
	for _, t := range s.cfg.Tunnels {
		l, err := s.h.Link(t.Device())
		if err != nil {
			continue // interfaces has reported it
		}
		mtu := t.MTU
		if mtu == 0 {
			w := s.way(t)
			if w.Err != nil {
				continue // keep the last one
			}
			mtu = s.cost(t.Unit).InnerMTU(w.MTU, t.Destination.Is6())
		}
		if mtu < minMTU {
			errs = append(errs, fmt.Errorf("%s: a path MTU leaves %d octets for inner packets, IPv4 needs %d", t.Name(), mtu, minMTU))
			continue
		}
		if l.MTU != mtu {
			errs = append(errs, s.h.SetMTU(l.Name, mtu))
		}
	}
	return errors.Join(errs...)
}

func (s *Steer) cost(unit int) Encapsulation {
	if e, ok := s.costs[unit]; ok {
		return e
	}
	return worst
}

// MTU is the present MTU of a tunnel's interface; 0: there is none.
func (s *Steer) MTU(t *policy.Tunnel) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.h.Link(t.Device())
	if err != nil {
		return 0
	}
	return l.MTU
}

// Inventory lists in words what is on the host of ours, in the order in which Uninstall removes it.
func (s *Steer) Inventory() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sweep(false, true)
}

// Uninstall removes everything of ours from the host, interfaces and all, and lists it. From the last twin on the host's
// own routes decide where the packets go, and may carry them in the clear; keepTwins leaves those.
func (s *Steer) Uninstall(keepTwins bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.lines = &policy.Config{}, map[int]bool{}
	return s.sweep(true, !keepTwins)
}

// sweep visits everything of ours: routes into tunnels, interfaces, rules, the underlay table, twins.
func (s *Steer) sweep(remove, twins bool) (gone []string, err error) {
	var errs []error
	step := func(what string, f func() error) {
		gone = append(gone, what)
		if remove {
			errs = append(errs, f())
		}
	}
	main, err := s.ours(netlink.MainTable)
	errs = append(errs, err)
	routes := func(rs []netlink.Route, pick func(netlink.Route) bool) {
		for _, r := range rs {
			if pick(r) {
				step("route "+r.String(), func() error { return s.h.DeleteRoute(r) })
			}
		}
	}
	twin := func(r netlink.Route) bool { return r.Kind == netlink.Blackhole }
	routes(main, func(r netlink.Route) bool { return !twin(r) })
	links, err := s.h.Links()
	errs = append(errs, err)
	for _, l := range links {
		if l.Alias == alias && l.TUN {
			step("interface "+l.Name, func() error { return s.h.DeleteLink(l.Name) })
		}
	}
	have, err := s.h.Rules(proto)
	errs = append(errs, err)
	for _, r := range have {
		step("rule "+r.String(), func() error { return s.h.DeleteRule(r) })
	}
	under, err := s.ours(underlayTable)
	errs = append(errs, err)
	routes(under, func(netlink.Route) bool { return true })
	if twins {
		routes(main, twin)
	}
	return gone, errors.Join(errs...)
}
