package gateway

import (
	"context"
	"net/netip"

	"lockstep/internal/datapath"
	"lockstep/internal/policy"
	"lockstep/internal/steer"
)

// World is the machine that a gateway runs on: its sockets, tunnel devices and routes. Host is the real one; stories
// bring one of their own. The gateway calls it from one goroutine at a time, none of which carries packets or messages:
// it may take its time.
type World interface {
	// Wires opens the sockets. The gateway closes them.
	Wires() ([]Wire, error)
	// Open makes or adopts the device of a tunnel. The gateway closes it, or removes it when the tunnel goes.
	Open(t *policy.Tunnel) (Device, error)
	// Addresses are all addresses of ours: ESP for another one is in transit.
	Addresses() ([]netip.Addr, error)
	// Source is our outer address for a tunnel.
	Source(t *policy.Tunnel) (netip.Addr, error)
	// Apply makes addresses, routes, twins and rules those of cfg. Errors do not undo what could be done.
	Apply(cfg *policy.Config) error
	// Refresh looks at the host again after it changed.
	Refresh() error
	// SetLine tells that the line protocol of a tunnel changed: its routes come or go.
	SetLine(unit int, up bool) error
	// SetEncapsulation tells what the newest child of a tunnel costs.
	SetEncapsulation(unit int, e steer.Encapsulation) error
	// MTU is that of the tunnel's device now; 0: not known.
	MTU(t *policy.Tunnel) int
	// Underlay is the way of a tunnel's outer packets.
	Underlay(t *policy.Tunnel) steer.Underlay
	// Changes receives when Refresh is due; it ends with ctx.
	Changes(ctx context.Context) (<-chan struct{}, error)
	// Close leaves the host as it is: that is what keeps a stopped gateway from leaking.
	Close() error
}

// Wire is a socket with the local address and port that it serves: UDP 500, UDP 4500, or port 0 for protocol 50. An
// unspecified address stands for all of ours.
type Wire struct {
	datapath.Wire
	Local netip.AddrPort
}

// Device is the inside of a tunnel, with its line.
type Device interface {
	datapath.Device
	// SetCarrier follows the line protocol.
	SetCarrier(up bool) error
	// Remove closes the device for good.
	Remove() error
}
