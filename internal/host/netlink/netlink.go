// Package netlink reads and changes the links, addresses, routes and rules of one network namespace (IPv4; addresses of
// both families). It is the only importer of the netlink library, and knows nothing of tunnels: what should be there
// is internal/steer's to say.
//
// A Handle keeps the namespace of the thread that opened it; it may be used from anywhere, by one goroutine at a time.
package netlink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	lib "github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrNoLink says that an interface does not exist.
var ErrNoLink = errors.New("no such interface")

const addrGenModeNone = 1 // IN6_ADDR_GEN_MODE_NONE

// Handle is a netlink socket in one namespace.
type Handle struct {
	h  *lib.Handle
	ns netns.NsHandle
}

// Open makes a Handle for the namespace of the calling thread.
func Open() (*Handle, error) {
	// Both must see the same thread's namespace.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	h, err := lib.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &Handle{h: h, ns: ns}, nil
}

// Close releases the sockets.
func (h *Handle) Close() {
	h.h.Close()
	h.ns.Close()
}

// Link is what is known of an interface.
type Link struct {
	Index   int
	Name    string
	MTU     int
	Up      bool // administratively
	Running bool // up, with carrier
	TUN     bool
	Group   uint32
	Alias   string
}

// Links lists the interfaces.
func (h *Handle) Links() ([]Link, error) {
	ls, err := steady(h.h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	out := make([]Link, len(ls))
	for i, l := range ls {
		out[i] = linkOf(l)
	}
	return out, nil
}

// Link finds one interface by name; ErrNoLink.
func (h *Handle) Link(name string) (Link, error) {
	l, err := h.byName(name)
	if err != nil {
		return Link{}, err
	}
	return linkOf(l), nil
}

func (h *Handle) byName(name string) (lib.Link, error) {
	l, err := h.h.LinkByName(name)
	if errors.As(err, &lib.LinkNotFoundError{}) {
		return nil, fmt.Errorf("interface %s: %w", name, ErrNoLink)
	}
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", name, err)
	}
	return l, nil
}

func linkOf(l lib.Link) Link {
	a := l.Attrs()
	return Link{Index: a.Index, Name: a.Name, MTU: a.MTU, Up: a.RawFlags&unix.IFF_UP != 0,
		Running: a.RawFlags&unix.IFF_RUNNING != 0, TUN: l.Type() == "tuntap" || l.Type() == "tun", Group: a.Group, Alias: a.Alias}
}

// SetUp brings an interface up or down.
func (h *Handle) SetUp(name string, up bool) error {
	return h.change(name, "bring up or down", func(l lib.Link) error {
		if up {
			return h.h.LinkSetUp(l)
		}
		return h.h.LinkSetDown(l)
	})
}

// SetMTU sets it in octets.
func (h *Handle) SetMTU(name string, mtu int) error {
	return h.change(name, "set the MTU", func(l lib.Link) error { return h.h.LinkSetMTU(l, mtu) })
}

// SetGroup puts the interface into a group that rules can name.
func (h *Handle) SetGroup(name string, group uint32) error {
	return h.change(name, "set the group", func(l lib.Link) error { return h.h.LinkSetGroup(l, int(group)) })
}

// SetAlias writes the text that `ip link` shows as alias.
func (h *Handle) SetAlias(name, alias string) error {
	return h.change(name, "set the alias", func(l lib.Link) error { return h.h.LinkSetAlias(l, alias) })
}

// SetNoIPv6LinkLocal keeps the kernel from giving the interface a link-local address and from soliciting routers on it.
func (h *Handle) SetNoIPv6LinkLocal(name string) error {
	return h.change(name, "set the address mode", func(l lib.Link) error {
		err := h.h.LinkSetIP6AddrGenMode(l, addrGenModeNone)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			return nil // no IPv6 here
		}
		return err
	})
}

// DeleteLink removes an interface.
func (h *Handle) DeleteLink(name string) error {
	return h.change(name, "delete", h.h.LinkDel)
}

func (h *Handle) change(name, what string, f func(lib.Link) error) error {
	l, err := h.byName(name)
	if err != nil {
		return err
	}
	if err := f(l); err != nil {
		return fmt.Errorf("%s of interface %s: %w", what, name, permission(err))
	}
	return nil
}

// permission adds the remedy where the kernel refuses for want of a capability.
func permission(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: run as root or grant CAP_NET_ADMIN", err)
	}
	return err
}

// Address is one address of an interface with its prefix.
type Address struct {
	Link   string
	Prefix netip.Prefix // the address itself, not masked
}

// Addresses lists the addresses of one interface, or of all ("").
func (h *Handle) Addresses(name string) ([]Address, error) {
	var l lib.Link
	if name != "" {
		var err error
		if l, err = h.byName(name); err != nil {
			return nil, err
		}
	}
	as, err := steady(func() ([]lib.Addr, error) { return h.h.AddrList(l, lib.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	names, err := h.names()
	if err != nil {
		return nil, err
	}
	var out []Address
	for _, a := range as {
		if p, ok := prefixOf(a.IPNet); ok {
			out = append(out, Address{names[a.LinkIndex], p})
		}
	}
	return out, nil
}

func (h *Handle) names() (map[int]string, error) {
	ls, err := h.Links()
	out := make(map[int]string, len(ls))
	for _, l := range ls {
		out[l.Index] = l.Name
	}
	return out, err
}

// SetAddress makes p the only IPv4 address of the interface; the zero prefix removes all of them.
func (h *Handle) SetAddress(name string, p netip.Prefix) error {
	have, err := h.Addresses(name)
	if err != nil {
		return err
	}
	return h.change(name, "set the address", func(l lib.Link) error {
		found := false
		for _, a := range have {
			switch {
			case a.Prefix == p:
				found = true
			case a.Prefix.Addr().Is4():
				if err := h.h.AddrDel(l, &lib.Addr{IPNet: netOf(a.Prefix)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
					return err
				}
			}
		}
		if found || !p.IsValid() {
			return nil
		}
		return h.h.AddrAdd(l, &lib.Addr{IPNet: netOf(p)})
	})
}

// steady repeats a dump that the kernel interrupted because the table changed under it.
func steady[T any](dump func() ([]T, error)) ([]T, error) {
	for range 5 {
		out, err := dump()
		if !errors.Is(err, lib.ErrDumpInterrupted) {
			return out, err
		}
	}
	return dump()
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	if a = a.Unmap(); ok && len(n.Mask) == net.IPv6len && a.Is4() {
		ones -= 96
	}
	return netip.PrefixFrom(a, ones), ok
}

func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
