// Package counters counts what packet workers discard, by reason. A worker adds to its own Worker without meeting
// another; a reader adds all workers up. Counters are never rate limited: one bad packet is one count.
package counters

import (
	"sync/atomic"

	"lockstep/internal/reason"
)

// cacheLine keeps two workers from sharing one.
const cacheLine = 128

// Worker is the counters of one packet loop, which alone writes them.
type Worker struct {
	_       [cacheLine]byte
	packets [reason.Count]atomic.Uint64
	octets  [reason.Count]atomic.Uint64
	_       [cacheLine]byte
}

// Drop counts one packet of that many octets. A value outside the closed set counts as nothing.
func (w *Worker) Drop(why reason.Drop, octets int) {
	if why == reason.None || int(why) >= reason.Count {
		return
	}
	w.packets[why].Add(1)
	w.octets[why].Add(uint64(octets))
}

// Totals is what was discarded by reason.
type Totals struct {
	Packets, Octets [reason.Count]uint64
}

// Set is the workers of one gateway; it is made once and not changed.
type Set []*Worker

// NewSet makes counters for n workers.
func NewSet(n int) Set {
	s := make(Set, n)
	for i := range s {
		s[i] = new(Worker)
	}
	return s
}

// Totals adds the workers up. Packets and octets of one reason may differ by what is being counted at the moment.
func (s Set) Totals() Totals {
	var t Totals
	for _, w := range s {
		for i := range t.Packets {
			t.Packets[i] += w.packets[i].Load()
			t.Octets[i] += w.octets[i].Load()
		}
	}
	return t
}
