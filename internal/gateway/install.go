package gateway

import (
	"net/netip"
	"sync"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
	"lockstep/internal/steer"
	"lockstep/internal/suite"
)

// installer stands between the IKE engine and the SA database, and notes what the rest of the gateway must know of a
// child: where its peer is, what it costs, and, if that was asked for, its keys. Any goroutine may call it.
type installer struct {
	engine.Installer
	g *Gateway

	mu       sync.Mutex
	children map[sa.SPI]placed           // guarded by mu: installed ones, by inbound SPI
	at       map[endpoint]seat           // guarded by mu: where authenticated peers are
	costs    map[int]steer.Encapsulation // guarded by mu: of each tunnel's newest child
}

// endpoint is a pair of outer addresses, ports 0 for protocol 50.
type endpoint struct{ local, remote netip.AddrPort }

// seat is who is at an endpoint, with how many children.
type seat struct {
	owner    sa.Owner
	children int
}

// placed is what is remembered of one child.
type placed struct {
	owner         sa.Owner
	tunnel        int
	at            endpoint
	out           sa.SPI
	local, remote netip.AddrPort
	encap         sa.Encap
	cipher        suite.Cipher
}

func newInstaller(g *Gateway, to engine.Installer) *installer {
	return &installer{Installer: to, g: g, children: map[sa.SPI]placed{}, at: map[endpoint]seat{}, costs: map[int]steer.Encapsulation{}}
}

func endpointOf(local, remote netip.AddrPort, encap sa.Encap) endpoint {
	if encap == sa.EncapNone {
		local, remote = netip.AddrPortFrom(local.Addr(), 0), netip.AddrPortFrom(remote.Addr(), 0)
	}
	return endpoint{netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())}
}

// Install implements engine.Installer.
func (i *installer) Install(c sa.Child, h sa.Half, now time.Time) error {
	if err := i.Installer.Install(c, h, now); err != nil {
		return err
	}
	i.note(c, h)
	i.g.installed(c, h, now)
	return nil
}

func (i *installer) note(c sa.Child, h sa.Half) {
	at := endpointOf(c.Local, c.Remote, c.Encap)
	i.mu.Lock()
	defer i.mu.Unlock()
	if h&sa.InboundHalf != 0 {
		i.children[c.In] = placed{c.Owner, c.Tunnel, at, c.Out, c.Local, c.Remote, c.Encap, c.Cipher}
		i.take(at, c.Owner)
	}
	if h&sa.OutboundHalf != 0 {
		i.costs[c.Tunnel] = steer.Encapsulation{UDP: c.Encap == sa.EncapUDP, Cipher: c.Cipher}
	}
}

// Remove implements engine.Installer.
func (i *installer) Remove(in, out sa.SPI, o sa.Owner, h sa.Half, why sa.TombReason, now time.Time) {
	i.Installer.Remove(in, out, o, h, why, now)
	if h&sa.OutboundHalf != 0 {
		i.g.lines.changed() // before anything is heard of the child: while its Delete is out, only that half is gone
	}
	if h&sa.InboundHalf == 0 {
		return
	}
	i.mu.Lock()
	c, known := i.children[in]
	if known && c.owner == o {
		delete(i.children, in)
		i.vacate(c.at)
	}
	i.mu.Unlock()
	if known && c.owner == o {
		i.g.removed(in, c, why, now)
	}
}

// take puts one more child at an endpoint; the last owner counts. Callers hold mu.
func (i *installer) take(at endpoint, o sa.Owner) { i.at[at] = seat{o, i.at[at].children + 1} }

// vacate takes one away. Callers hold mu.
func (i *installer) vacate(at endpoint) {
	s := i.at[at]
	if s.children--; s.children <= 0 {
		delete(i.at, at)
		return
	}
	i.at[at] = s
}

// moved follows the peer of one child.
func (i *installer) moved(m ike.Moved) {
	i.g.table.Move(m.In, m.Owner, m.Local, m.Remote)
	i.mu.Lock()
	defer i.mu.Unlock()
	c, known := i.children[m.In]
	if !known || c.owner != m.Owner {
		return
	}
	i.vacate(c.at)
	c.local, c.remote, c.at = m.Local, m.Remote, endpointOf(m.Local, m.Remote, c.encap)
	i.take(c.at, c.owner)
	i.children[m.In] = c
}

// ownerAt finds the authenticated peer at an endpoint.
func (i *installer) ownerAt(local, remote netip.AddrPort, encap sa.Encap) (sa.Owner, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s, ok := i.at[endpointOf(local, remote, encap)]
	return s.owner, ok
}

// cost is what the newest child of a tunnel costs; false: it never had one.
func (i *installer) cost(unit int) (steer.Encapsulation, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	e, ok := i.costs[unit]
	return e, ok
}
