package netlink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	lib "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// MainTable is the table that `ip route` shows.
const MainTable = unix.RT_TABLE_MAIN

// ErrUnreachable says that no route leads to an address.
var ErrUnreachable = errors.New("no route")

// Kind is what a route does with its packets.
type Kind uint8

const (
	Unicast     Kind = unix.RTN_UNICAST
	Local       Kind = unix.RTN_LOCAL
	Blackhole   Kind = unix.RTN_BLACKHOLE
	Unreachable Kind = unix.RTN_UNREACHABLE
)

// Route is one IPv4 route. It is comparable.
type Route struct {
	Table  int // 0: MainTable
	Kind   Kind
	Prefix netip.Prefix
	Device string     // empty for Blackhole and Unreachable
	Via    netip.Addr // zero: directly
	OnLink bool       // Via is reached on Device although no route says so
	Source netip.Addr // preferred
	Metric uint32
	Proto  uint8 // who put it there
	MTU    int   // 0: the device's
}

func (r Route) String() string {
	s := r.Prefix.String()
	switch r.Kind {
	case Blackhole:
		s = "blackhole " + s
	case Unreachable:
		s = "unreachable " + s
	}
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Device != "" {
		s += " dev " + r.Device
	}
	if r.Table != 0 && r.Table != MainTable {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	if r.Metric != 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	return s
}

// Routes lists the unicast, blackhole and unreachable routes of a table. A multipath route appears once for each of
// its hops.
func (h *Handle) Routes(table int) ([]Route, error) {
	rs, err := steady(func() ([]lib.Route, error) {
		return h.h.RouteListFiltered(lib.FAMILY_V4, &lib.Route{Table: table}, lib.RT_FILTER_TABLE)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // a table that never had a route
	}
	if err != nil {
		return nil, fmt.Errorf("list the routes of table %d: %w", table, err)
	}
	names, err := h.names()
	if err != nil {
		return nil, err
	}
	var out []Route
	for _, r := range rs {
		out = append(out, routesOf(r, names)...)
	}
	return out, nil
}

func routesOf(r lib.Route, names map[int]string) []Route {
	p, ok := prefixOf(r.Dst)
	if !ok {
		p = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	one := Route{Table: r.Table, Kind: Kind(r.Type), Prefix: p, Device: names[r.LinkIndex], Via: addrOf(r.Gw),
		OnLink: r.Flags&unix.RTNH_F_ONLINK != 0, Source: addrOf(r.Src), Metric: uint32(r.Priority), Proto: uint8(r.Protocol), MTU: r.MTU}
	if one.Kind == Blackhole || one.Kind == Unreachable {
		one.Device = ""
	}
	if len(r.MultiPath) == 0 {
		return []Route{one}
	}
	var out []Route
	for _, hop := range r.MultiPath {
		o := one
		o.Device, o.Via, o.OnLink = names[hop.LinkIndex], addrOf(hop.Gw), hop.Flags&unix.RTNH_F_ONLINK != 0
		out = append(out, o)
	}
	return out
}

// AddRoute adds r. A route with the same table, prefix and metric is an error that is unix.EEXIST.
func (h *Handle) AddRoute(r Route) error {
	lr, err := h.route(r)
	if err != nil {
		return err
	}
	if err := h.h.RouteAdd(lr); err != nil {
		return fmt.Errorf("add route %s: %w", r, permission(err))
	}
	return nil
}

// DeleteRoute removes r; one that is gone already is no error.
func (h *Handle) DeleteRoute(r Route) error {
	lr, err := h.route(r)
	if errors.Is(err, ErrNoLink) {
		return nil // the kernel removed it with its interface
	}
	if err != nil {
		return err
	}
	if err := h.h.RouteDel(lr); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("delete route %s: %w", r, permission(err))
	}
	return nil
}

func (h *Handle) route(r Route) (*lib.Route, error) {
	out := &lib.Route{Table: r.Table, Type: int(r.Kind), Dst: netOf(r.Prefix.Masked()), Priority: int(r.Metric),
		Protocol: lib.RouteProtocol(r.Proto), MTU: r.MTU, Scope: unix.RT_SCOPE_UNIVERSE}
	if out.Table == 0 {
		out.Table = MainTable
	}
	if r.Device != "" {
		l, err := h.byName(r.Device)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r, err)
		}
		out.LinkIndex = l.Attrs().Index
		out.Scope = unix.RT_SCOPE_LINK
	}
	if r.Via.IsValid() {
		out.Gw = net.IP(r.Via.AsSlice())
		out.Scope = unix.RT_SCOPE_UNIVERSE
	}
	if r.OnLink {
		out.Flags |= unix.RTNH_F_ONLINK
	}
	if r.Source.IsValid() {
		out.Src = r.Source.AsSlice()
	}
	return out, nil
}

// Path is where the kernel would send a packet.
type Path struct {
	Device string
	Via    netip.Addr // zero: the destination is on the link
	Source netip.Addr
	MTU    int  // of the path as far as the kernel knows: learnt from ICMP, set on the route, or the device's
	Local  bool // the destination is an address of this host
}

// Lookup asks the kernel for the way to dst. mark is that of the packet, src its source (zero: not chosen yet).
// ErrUnreachable.
func (h *Handle) Lookup(dst netip.Addr, src netip.Addr, mark uint32) (Path, error) {
	o := &lib.RouteGetOptions{Mark: mark}
	if src.IsValid() {
		o.SrcAddr = src.AsSlice()
	}
	rs, err := h.h.RouteGetWithOptions(dst.AsSlice(), o)
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EACCES),
		errors.Is(err, unix.ESRCH), err == nil && len(rs) == 0:
		return Path{}, fmt.Errorf("%s: %w", dst, ErrUnreachable)
	case errors.Is(err, unix.EINVAL):
		// The kernel's answer for a blackhole route, and for a source that is not ours.
		return Path{}, fmt.Errorf("%s from %s: %w: blackhole, or the source is not of this host", dst, src, ErrUnreachable)
	case err != nil:
		return Path{}, fmt.Errorf("look up the route to %s: %w", dst, err)
	}
	l, err := h.h.LinkByIndex(rs[0].LinkIndex)
	if err != nil {
		return Path{}, fmt.Errorf("find the interface to %s: %w", dst, err)
	}
	p := Path{Device: l.Attrs().Name, Via: addrOf(rs[0].Gw), Source: addrOf(rs[0].Src), MTU: rs[0].MTU, Local: rs[0].Type == unix.RTN_LOCAL}
	if p.MTU == 0 {
		p.MTU = l.Attrs().MTU
	}
	return p, nil
}
