package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"lockstep/internal/gateway"
	"lockstep/internal/policy"
	"lockstep/internal/steer"
	"lockstep/internal/story/relay"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

// pathMTU is that of the network that the relay stands for.
const pathMTU = 1500

// world is the machine under one gateway of a story, from one start to the next crash: sockets of the relay, devices in
// memory, and a routing table in which a tunnel's routes follow its line, as they do on a host.
type world struct {
	net      *relay.Network
	own      []netip.Addr
	received func(pkt []byte)        // a packet came out of a tunnel
	hide     atomic.Int32            // see wire
	screens  []func(datagram) []byte // see wire; set before the gateway starts

	mu      sync.Mutex
	config  *policy.Config              // guarded by mu
	devices map[int]*device             // guarded by mu: by tunnel unit
	lines   map[int]bool                // guarded by mu: those that are up
	costs   map[int]steer.Encapsulation // guarded by mu
}

var _ gateway.World = (*world)(nil)

func newWorld(n *relay.Network, cfg *policy.Config) *world {
	return &world{net: n, own: addressesOf(cfg), config: cfg, received: func([]byte) {},
		devices: map[int]*device{}, lines: map[int]bool{}, costs: map[int]steer.Encapsulation{}}
}

// addressesOf lists the outer addresses that a configuration speaks of.
func addressesOf(cfg *policy.Config) []netip.Addr {
	var out []netip.Addr
	for _, t := range cfg.Tunnels {
		if t.Source.IsValid() && !slices.Contains(out, t.Source) {
			out = append(out, t.Source)
		}
	}
	return out
}

// Wires implements gateway.World: UDP 500 and 4500 of each address.
func (w *world) Wires() ([]gateway.Wire, error) {
	var out []gateway.Wire
	for _, a := range w.own {
		for _, port := range []uint16{isakmp.Port, isakmp.PortNAT} {
			p, err := w.net.Attach(netip.AddrPortFrom(a, port))
			if err != nil {
				for _, x := range out {
					err = errors.Join(err, x.Close())
				}
				return nil, err
			}
			out = append(out, gateway.Wire{Wire: &wire{p, &w.hide, &w.screens}, Local: p.Addr()})
		}
	}
	return out, nil
}

// Open implements gateway.World.
func (w *world) Open(t *policy.Tunnel) (gateway.Device, error) {
	d := newDevice(w.received)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.devices[t.Unit] = d
	return d, nil
}

// screen puts a look at every datagram between the gateway and its sockets.
func (w *world) screen(f func(datagram) []byte) { w.screens = append(w.screens, f) }

// Addresses implements gateway.World.
func (w *world) Addresses() ([]netip.Addr, error) { return w.own, nil }

// Source implements gateway.World.
func (w *world) Source(t *policy.Tunnel) (netip.Addr, error) {
	if !t.Source.IsValid() {
		return netip.Addr{}, fmt.Errorf("%s: a story has no interface %s: write `tunnel source` with an address", t.Name(), t.SourceIF)
	}
	return t.Source, nil
}

// Apply implements gateway.World.
func (w *world) Apply(cfg *policy.Config) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config = cfg
	return nil
}

// Refresh implements gateway.World.
func (w *world) Refresh() error { return nil }

// SetLine implements gateway.World.
func (w *world) SetLine(unit int, up bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[unit] = up
	return nil
}

// up says that every tunnel's line is.
func (w *world) up() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.config.Tunnels {
		if !w.lines[t.Unit] {
			return false
		}
	}
	return true
}

// SetEncapsulation implements gateway.World.
func (w *world) SetEncapsulation(unit int, e steer.Encapsulation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.costs[unit] = e
	return nil
}

// MTU implements gateway.World.
func (w *world) MTU(t *policy.Tunnel) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.costs[t.Unit]
	if t.MTU != 0 || !known {
		return t.MTU
	}
	return e.InnerMTU(pathMTU, t.Destination.Is6())
}

// Underlay implements gateway.World.
func (w *world) Underlay(t *policy.Tunnel) steer.Underlay {
	src, err := w.Source(t)
	return steer.Underlay{Device: "relay", Source: src, MTU: pathMTU, Err: err}
}

// Changes implements gateway.World: a story's host does not change.
func (w *world) Changes(context.Context) (<-chan struct{}, error) { return nil, nil }

// Close implements gateway.World.
func (w *world) Close() error { return nil }

// forward routes a packet of a host behind the gateway; false: there is no way, because no route leads into a tunnel
// whose line is up, or the gateway is gone.
func (w *world) forward(pkt []byte) bool {
	p, flaw := ip.Parse(pkt)
	if flaw != ip.NoFlaw {
		return false
	}
	w.mu.Lock()
	d := w.route(p.Dst)
	w.mu.Unlock()
	return d != nil && d.inject(pkt)
}

// route is the device behind the most specific route that is there. Callers hold mu.
func (w *world) route(dst netip.Addr) *device {
	var best *device
	bits := -1
	for _, r := range w.config.Routes {
		if r.Tunnel >= 0 && w.lines[r.Tunnel] && r.Prefix.Contains(dst) && r.Prefix.Bits() > bits {
			best, bits = w.devices[r.Tunnel], r.Prefix.Bits()
		}
	}
	return best
}
