// Package stray remembers, for one packet worker, the flows that sent ESP on an SPI without an SA, and hands them to the
// healer. It is a table of fixed size: whoever sends whatever, no memory is taken and nothing is logged. Peers that we
// know have a pool of their own, which strangers cannot push them out of (protocol.md §2.8 rule 7).
package stray

import (
	"net/netip"
	"time"

	"lockstep/internal/sa"
)

const (
	poolSize = 4096 // entries of each pool, a power of two
	probes   = 8    // places where an entry may be
	// BatchSize bounds what is handed over at once.
	BatchSize = 64
)

// Key names a flow: an incident is kept by it (protocol.md §1.3).
type Key struct {
	Src, Dst netip.Addr
	Proto    uint8 // 50, also in UDP
	SPI      sa.SPI
}

// Stray is what was seen of a flow.
type Stray struct {
	Key
	SrcPort, DstPort uint16 // of the last packet; 0 for protocol 50
	Encap            sa.Encap
	First, Last      time.Time
	Count, Octets    uint64 // since First
	MinLen           int    // shortest packet, octets from the SPI on
}

type entry struct {
	Stray
	fresh bool // seen since it was handed over
	queue bool // stands in the list of what to hand over
}

// pool keeps what a search reads apart from the entries, which are four cache lines each: a flood of SPIs then costs the
// eight neighbours in tag and last, and one entry.
type pool struct {
	tag     [poolSize]uint32 // hash of the entry's key, never 0; 0: free
	last    [poolSize]int64  // Unix nanoseconds of its last packet
	entries [poolSize]entry
}

// Batch is a hand-over. The receiver gives it back with Recycle.
type Batch struct {
	Strays []Stray
	// Evicted counts flows that were forgotten before they were handed over, since the last batch.
	Evicted uint64
}

// Table belongs to one worker: Note and Flush are its alone. The healer receives from Batches.
type Table struct {
	known, strangers pool
	due              []*entry // fresh entries, in order of arrival
	evicted          uint64
	out              chan *Batch // one slot
	free             chan *Batch
}

// New makes an empty table of about 1 MiB.
func New() *Table {
	t := &Table{due: make([]*entry, 0, 2*poolSize), out: make(chan *Batch, 1), free: make(chan *Batch, 2)}
	for range cap(t.free) {
		t.free <- &Batch{Strays: make([]Stray, 0, BatchSize)}
	}
	return t
}

// Note counts one packet of n octets, from the SPI on. known says that the source is a peer of ours.
func (t *Table) Note(k Key, srcPort, dstPort uint16, encap sa.Encap, n int, known bool, now time.Time) {
	from := &t.strangers
	if known {
		from = &t.known
	}
	e, found := t.place(from, k, now)
	if !found {
		*e = entry{Stray: Stray{Key: k, Encap: encap, First: now, MinLen: n}, queue: e.queue}
	}
	e.SrcPort, e.DstPort, e.Encap, e.Last = srcPort, dstPort, encap, now
	e.Count++
	e.Octets += uint64(n)
	e.MinLen = min(e.MinLen, n)
	e.fresh = true
	if !e.queue {
		e.queue = true
		t.due = append(t.due, e)
	}
}

// place finds the flow's entry or one to use for it: a free one, else the one longest silent.
func (t *Table) place(from *pool, k Key, now time.Time) (e *entry, found bool) {
	h := hash(k)
	tag, room := h|1, uint32(poolSize)
	for i := range uint32(probes) {
		at := (h + i) % poolSize
		switch {
		case from.tag[at] == tag && from.entries[at].Key == k:
			from.last[at] = now.UnixNano()
			return &from.entries[at], true
		case room == poolSize:
			room = at
		case from.tag[room] == 0:
		case from.tag[at] == 0, from.last[at] < from.last[room]:
			room = at
		}
	}
	e = &from.entries[room]
	if from.tag[room] != 0 && e.fresh {
		t.evicted++
		e.fresh = false
	}
	from.tag[room], from.last[room] = tag, now.UnixNano()
	return e, false
}

// hash mixes what differs between flows; collisions cost a probe, never a wrong answer.
func hash(k Key) uint32 {
	a, b := k.Src.As16(), k.Dst.As16()
	h := uint32(k.SPI) ^ uint32(k.Proto)<<24
	for i := 0; i < 16; i += 4 {
		h = (h ^ (uint32(a[i])<<24 | uint32(a[i+1])<<16 | uint32(a[i+2])<<8 | uint32(a[i+3]))) * 0x9E3779B1
		h = (h ^ (uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3]))) * 0x85EBCA77
		h ^= h >> 15
	}
	return h
}

// Flush hands over what was noted, as far as the healer has taken the last batch; what does not fit stays until the
// next call. It never waits. A worker calls it after each run of packets.
func (t *Table) Flush() {
	if len(t.due) == 0 || len(t.out) > 0 {
		return
	}
	var b *Batch
	select {
	case b = <-t.free:
	default:
		return // the healer still holds both
	}
	b.Strays, b.Evicted = b.Strays[:0], t.evicted
	t.evicted = 0
	n := min(len(t.due), BatchSize)
	for _, e := range t.due[:n] {
		e.queue = false
		if e.fresh {
			e.fresh = false
			b.Strays = append(b.Strays, e.Stray)
		}
	}
	t.due = t.due[:copy(t.due, t.due[n:])]
	t.out <- b // the slot is empty, and we alone fill it
}

// Pending reports that a Flush has something left to hand over.
func (t *Table) Pending() bool { return len(t.due) > 0 }

// Batches is where the healer receives.
func (t *Table) Batches() <-chan *Batch { return t.out }

// Recycle gives a batch back to the worker.
func (t *Table) Recycle(b *Batch) {
	select {
	case t.free <- b:
	default: // not one of ours
	}
}
