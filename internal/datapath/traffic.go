package datapath

import (
	"sync/atomic"
	"time"
)

// Traffic is what one direction of a tunnel carried since its device was added. It only grows: SAs come and go beneath.
type Traffic struct {
	Packets, Octets uint64 // inner packets that reached the device, or the wire
	// Dropped packets: outbound, those that the device gave and no wire took; inbound, those that came on an SA of the tunnel
	// and did not reach the device. Why is in Plane.Drops.
	Dropped uint64
	Last    time.Time // of Packets; zero: none yet
}

// Traffic is what a tunnel carried; ok is false where it has no device.
func (p *Plane) Traffic(unit int) (in, out Traffic, ok bool) {
	t := (*p.tunnels.Load())[unit]
	if t == nil {
		return Traffic{}, Traffic{}, false
	}
	return t.in.load(), t.out.load(), true
}

// tally counts one direction of a tunnel. Any loop may add to it, and does so once a run.
type tally struct {
	packets, octets, dropped atomic.Uint64
	last                     atomic.Int64 // Unix nanoseconds; 0: never
}

// tallied is what one loop has counted and not yet added.
type tallied struct {
	of                       *tunnel // nil: nothing
	packets, octets, dropped int
}

// add counts packets that were carried at a time, or dropped.
func (c *tally) add(packets, octets, dropped int, at time.Time) {
	if dropped > 0 {
		c.dropped.Add(uint64(dropped))
	}
	if packets == 0 {
		return
	}
	c.packets.Add(uint64(packets))
	c.octets.Add(uint64(octets))
	for ns := at.UnixNano(); ; {
		last := c.last.Load()
		if ns <= last || c.last.CompareAndSwap(last, ns) {
			return // another loop may have a later one
		}
	}
}

func (c *tally) load() Traffic {
	t := Traffic{Packets: c.packets.Load(), Octets: c.octets.Load(), Dropped: c.dropped.Load()}
	if ns := c.last.Load(); ns != 0 {
		t.Last = time.Unix(0, ns)
	}
	return t
}
