package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
)

// Options are fixed for the life of a Steer.
type Options struct {
	Mark uint32 // of the outer sockets: host.OuterMark
}

// Steer keeps one network namespace as one configuration wants it. Its methods may be called from any goroutine.
type Steer struct {
	mark uint32

	mu    sync.Mutex
	h     *netlink.Handle // guarded by mu, as all below
	cfg   *policy.Config
	lines map[int]bool          // unit → line protocol is up
	costs map[int]Encapsulation // unit → negotiated
}

// New makes a Steer over an open handle, which it owns from then on. It changes nothing yet.
func New(h *netlink.Handle, o Options) *Steer {
	return &Steer{mark: o.Mark, h: h, cfg: &policy.Config{}, lines: map[int]bool{}, costs: map[int]Encapsulation{}}
}

// Close releases the handle and leaves the host as it is: that is what keeps a stopped gateway from leaking.
func (s *Steer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h.Close()
}

// MayAdopt reports whether an interface of the name exists and was left by a gateway. It is an error that one exists
// which is something else.
func (s *Steer) MayAdopt(device string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.h.Link(device)
	switch {
	case errors.Is(err, netlink.ErrNoLink):
		return false, nil
	case err != nil:
		return false, err
	case l.Alias != alias || !l.TUN:
		return false, fmt.Errorf("interface %s exists and is not ours: remove it with `ip link delete %s`, or use another tunnel number", device, device)
	}
	return true, nil
}

// Source is the local outer address of a tunnel: `tunnel source`, or the first IPv4 address of that interface.
func (s *Steer) Source(t *policy.Tunnel) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source(t)
}

func (s *Steer) source(t *policy.Tunnel) (netip.Addr, error) {
	as, err := s.h.Addresses(t.SourceIF)
	if errors.Is(err, netlink.ErrNoLink) {
		return netip.Addr{}, fmt.Errorf("%s: tunnel source %s: no such interface: correct the name (`ip link` lists them)", t.Name(), t.SourceIF)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range as {
		if t.SourceIF == "" && a.Prefix.Addr() == t.Source || t.SourceIF != "" && a.Prefix.Addr().Is4() {
			return a.Prefix.Addr(), nil
		}
	}
	if t.SourceIF != "" {
		return netip.Addr{}, fmt.Errorf("%s: tunnel source %s: the interface has no IPv4 address: add one (`ip address add`)", t.Name(), t.SourceIF)
	}
	return netip.Addr{}, fmt.Errorf("%s: tunnel source %s: the address is not on this host: add it to an interface, or correct the line", t.Name(), t.Source)
}

// Apply makes the host what cfg wants: twins, rules and underlay first, then interfaces, then tunnel routes; what cfg no
// longer wants goes last. The TUN interfaces of cfg are expected to exist (one that does not is left out, its twins are
// there). Errors do not stop it: the rest is applied, and all are returned.
func (s *Steer) Apply(cfg *policy.Config) error {
	if err := unsupported(cfg); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
	return s.reconcile()
}

// Refresh applies the configuration again, after the host's links, addresses or routes changed, or the path MTU may have.
func (s *Steer) Refresh() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reconcile()
}

// SetLine tells that a tunnel's line protocol went up or down: its routes come or go, its twins stay.
func (s *Steer) SetLine(unit int, up bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[unit] == up {
		return nil
	}
	s.lines[unit] = up
	return s.reconcile()
}

// SetEncapsulation tells what the tunnel's newest child SA costs; the interface's MTU follows.
func (s *Steer) SetEncapsulation(unit int, e Encapsulation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.costs[unit] == e {
		return nil
	}
	s.costs[unit] = e
	return s.reconcile()
}

func (s *Steer) reconcile() error {
	want := planRoutes(s.cfg, func(unit int) bool { return s.lines[unit] })
	var errs []error
	note := func(err error) { errs = append(errs, err) }

	have, err := s.ours(netlink.MainTable)
	if err != nil {
		return err
	}
	note(s.add(have, want.twins))
	note(s.setRules())
	note(s.interfaces())
	note(s.underlay())
	note(s.mtus()) // needs the underlay
	note(s.add(have, s.existing(want.unicast)))
	note(s.remove(have, append(want.unicast, want.twins...)))
	return errors.Join(errs...)
}

// ours lists the routes of a table that we put there.
func (s *Steer) ours(table int) ([]netlink.Route, error) {
	all, err := s.h.Routes(table)
	if err != nil {
		return nil, err
	}
	var out []netlink.Route
	for _, r := range all {
		if r.Proto == proto {
			out = append(out, r)
		}
	}
	return out, nil
}

// same reports whether the kernel's have is the want that was asked for: what want leaves open (the device of a next
// hop) the kernel filled in.
func same(have, want netlink.Route) bool {
	if want.Device == "" && want.Kind == netlink.Unicast {
		have.Device = ""
	}
	if want.Table == 0 {
		want.Table = netlink.MainTable
	}
	return have == want
}

func key(a, b netlink.Route) bool { return a.Prefix == b.Prefix && a.Metric == b.Metric }

// add adds what is wanted and not there.
func (s *Steer) add(have, want []netlink.Route) error {
	var errs []error
next:
	for _, w := range want {
		for _, h := range have {
			if same(h, w) {
				continue next
			}
			if key(h, w) { // ours, changed
				errs = append(errs, s.h.DeleteRoute(h))
			}
		}
		err := s.h.AddRoute(w)
		if errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("route %s: another program's route to the same prefix is in the way and would carry its packets in the clear: remove it (`ip route show %s`)", w, w.Prefix)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// remove removes what is there and not wanted, unicast routes before twins.
func (s *Steer) remove(have, want []netlink.Route) error {
	var errs []error
	for _, kind := range []netlink.Kind{netlink.Unicast, netlink.Unreachable, netlink.Blackhole} {
	next:
		for _, h := range have {
			if h.Kind != kind {
				continue
			}
			for _, w := range want {
				if same(h, w) || key(h, w) { // a changed one was replaced
					continue next
				}
			}
			errs = append(errs, s.h.DeleteRoute(h))
		}
	}
	return errors.Join(errs...)
}

func (s *Steer) setRules() error {
	have, err := s.h.Rules(proto)
	if err != nil {
		return err
	}
	want := rules(s.mark)
	var errs []error
	for _, w := range want {
		if !contains(have, w) {
			errs = append(errs, s.h.AddRule(w))
		}
	}
	for _, h := range have {
		if !contains(want, h) {
			errs = append(errs, s.h.DeleteRule(h))
		}
	}
	return errors.Join(errs...)
}

func contains[T comparable](s []T, v T) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}

// interfaces brings the TUNs that exist up, with their address and our signs.
func (s *Steer) interfaces() error {
	var errs []error
	for _, t := range s.cfg.Tunnels {
		l, err := s.h.Link(t.Device())
		if errors.Is(err, netlink.ErrNoLink) {
			continue
		}
		errs = append(errs, err)
		if err != nil {
			continue
		}
		do := func(needed bool, f func() error) {
			if needed {
				errs = append(errs, f())
			}
		}
		// The group first: from then on no outer packet enters, whatever routes follow.
		do(l.Group != tunnelGroup, func() error { return s.h.SetGroup(l.Name, tunnelGroup) })
		do(l.Alias != alias, func() error { return s.h.SetAlias(l.Name, alias) })
		do(!l.Up, func() error { return s.h.SetNoIPv6LinkLocal(l.Name) })
		do(true, func() error { return s.h.SetAddress(l.Name, t.Address) })
		do(l.Up == t.Shutdown, func() error { return s.h.SetUp(l.Name, !t.Shutdown) })
	}
	return errors.Join(errs...)
}

// existing leaves out routes of interfaces that do not exist or are down.
func (s *Steer) existing(rs []netlink.Route) []netlink.Route {
	var out []netlink.Route
	for _, r := range rs {
		if r.Device != "" {
			if l, err := s.h.Link(r.Device); err != nil || !l.Up {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func (s *Steer) underlay() error {
	main, err := s.h.Routes(netlink.MainTable)
	if err != nil {
		return err
	}
	tunnels, err := s.tunnels()
	if err != nil {
		return err
	}
	var peers []netip.Addr
	for _, t := range s.cfg.Tunnels {
		peers = append(peers, t.Destination)
	}
	want := planUnderlay(main, tunnels, peers)
	have, err := s.ours(underlayTable)
	if err != nil {
		return err
	}
	return errors.Join(s.add(have, want), s.remove(have, want))
}

// tunnels names the interfaces that outer packets must not take.
func (s *Steer) tunnels() (map[string]bool, error) {
	ls, err := s.h.Links()
	out := map[string]bool{}
	for _, l := range ls {
		if l.Group == tunnelGroup {
			out[l.Name] = true
		}
	}
	return out, err
}
