package datapath

import (
	"net/netip"
	"time"

	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// Options wires a Plane to the rest of the gateway. Functions are called from packet loops: they return at once and never
// block. All but Table may be nil.
type Options struct {
	Table *sa.Table
	// IKE gets each IKE message without its marker, as a copy that it may keep.
	IKE func(local, remote netip.AddrPort, msg []byte)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Early is told of an SPI on which a packet came before its SA was installed (K5 of protocol.md §1.2): the exchange
	// should be hurried.
	Early func(sa.SPI)
	// Acquire is told of a packet that no child carries: at most AcquirePerSecond times a second and tunnel.
	Acquire func(unit int, p ip.Packet)
	// Known reports that an address is a configured peer's. Its strays have a pool of their own, which strangers cannot
	// push them out of (protocol.md §2.8 rule 7). nil: nobody is known.
	Known func(remote netip.Addr) bool
	// Ours reports that an address is ours; ESP for another one is in transit. nil: every address is.
	Ours func(local netip.Addr) bool
	// Recursive is told of a tunnel whose own outer packets come back into a tunnel.
	Recursive func(unit int)
	// Gone is told of a tunnel whose device was deleted on the host; its loop has ended. Packets for it are dropped until it has
	// another: RemoveTunnel, AddTunnel.
	Gone func(unit int)
	// Failed is told of errors of wires and devices, and of panics: each loop at most once a second.
	Failed func(loop string, err error)
	// AcquirePerSecond; 0: 10.
	AcquirePerSecond int
}

// TunnelOptions describe one tunnel.
type TunnelOptions struct {
	// MTU in octets of inner packets; 0: not checked.
	MTU int
	// AdjustMSS is the most that TCP SYNs may ask for, in both directions; 0: off.
	AdjustMSS int
	// Address4 and Address6 are where our ICMP errors come from; zero: the address that the packet was going to.
	Address4, Address6 netip.Addr
}

// Stray is one hand-over of a flow of ESP packets without an SA, as one loop counted it.
type Stray struct {
	Worker        int            // whose count it is
	Src, Dst      netip.AddrPort // of the last packet; ports 0 for protocol 50
	SPI           sa.SPI
	Encap         sa.Encap
	First, Last   time.Time
	Count, Octets uint64 // since First: a loop that forgets a flow begins with another First
	MinLen        int    // shortest packet, octets from the SPI on
}
