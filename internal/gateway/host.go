package gateway

import (
	"context"
	"fmt"
	"net/netip"

	"lockstep/internal/datapath/tunio"
	"lockstep/internal/datapath/udpio"
	"lockstep/internal/host"
	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
	"lockstep/internal/steer"
)

// Host is the World of a real gateway: sockets, TUN interfaces and routes in the network namespace of the thread that
// made it.
type Host struct {
	steer *steer.Steer
	net   *netlink.Handle
}

var _ World = (*Host)(nil)

// NewHost opens the host's network. It changes nothing yet.
func NewHost() (*Host, error) {
	forSteer, err := netlink.Open()
	if err != nil {
		return nil, err
	}
	own, err := netlink.Open()
	if err != nil {
		forSteer.Close()
		return nil, err
	}
	return &Host{steer: steer.New(forSteer, steer.Options{Mark: host.OuterMark}), net: own}, nil
}

// Wires opens UDP 500, UDP 4500 and protocol 50 on every address.
func (h *Host) Wires() ([]Wire, error) {
	s, err := udpio.Listen(udpio.Options{Mark: host.OuterMark})
	if err != nil {
		return nil, err
	}
	any4 := netip.IPv4Unspecified()
	wires := []Wire{{s.IKE, s.IKE.Local()}, {s.NATT, s.NATT.Local()}}
	if s.ESP != nil {
		wires = append(wires, Wire{s.ESP, netip.AddrPortFrom(any4, 0)})
	}
	return wires, nil
}

// Open makes the TUN, or adopts the one that a former gateway left.
func (h *Host) Open(t *policy.Tunnel) (Device, error) {
	adopt, err := h.steer.MayAdopt(t.Device())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	d, err := tunio.Open(tunio.Options{Name: t.Device(), Persist: true, Adopt: adopt})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	return d, nil
}

// Addresses lists those of all interfaces.
func (h *Host) Addresses() ([]netip.Addr, error) {
	as, err := h.net.Addresses("")
	out := make([]netip.Addr, 0, len(as))
	for _, a := range as {
		out = append(out, a.Prefix.Addr())
	}
	return out, err
}

// Source implements World.
func (h *Host) Source(t *policy.Tunnel) (netip.Addr, error) { return h.steer.Source(t) }

// Apply implements World.
func (h *Host) Apply(cfg *policy.Config) error { return h.steer.Apply(cfg) }

// Refresh implements World.
func (h *Host) Refresh() error { return h.steer.Refresh() }

// SetLine implements World.
func (h *Host) SetLine(unit int, up bool) error { return h.steer.SetLine(unit, up) }

// SetEncapsulation implements World.
func (h *Host) SetEncapsulation(unit int, e steer.Encapsulation) error {
	return h.steer.SetEncapsulation(unit, e)
}

// MTU implements World.
func (h *Host) MTU(t *policy.Tunnel) int { return h.steer.MTU(t) }

// Underlay implements World.
func (h *Host) Underlay(t *policy.Tunnel) steer.Underlay { return h.steer.Underlay(t) }

// Changes implements World.
func (h *Host) Changes(ctx context.Context) (<-chan struct{}, error) { return h.net.Watch(ctx) }

// Close implements World.
func (h *Host) Close() error {
	h.steer.Close()
	h.net.Close()
	return nil
}
