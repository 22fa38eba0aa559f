package sa

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"

	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

// Egress is which child a tunnel sends on: the most specific that carries the packet, of equals the newest, which is the
// one that was made last, not installed last. Only children with both halves are in it (D32). Readers take a snapshot; the
// table alone writes.
type Egress struct{ children atomic.Pointer[[]*Outbound] }

func newEgress() *Egress {
	e := &Egress{}
	e.children.Store(&[]*Outbound{})
	return e
}

// Up reports that the tunnel has a working child: its line protocol.
func (e *Egress) Up() bool { return len(*e.children.Load()) > 0 }

// Pick chooses the child for a packet, nil if none carries it. It neither locks nor allocates.
func (e *Egress) Pick(p *ip.Packet) *Outbound {
	for _, o := range *e.children.Load() {
		if o.wide4 && p.Version == 4 || o.wide6 && p.Version == 6 || permits(o.TSLocal, o.TSRemote, p) {
			return o
		}
	}
	return nil
}

// add puts o before what is as specific as it and no younger: the newest is sent on. A child that waited long for its
// outbound half, until its peer had restarted and made another, does not take over again.
func (e *Egress) add(o *Outbound) {
	next := append([]*Outbound{o}, *e.children.Load()...)
	slices.SortStableFunc(next, func(a, b *Outbound) int {
		return cmp.Or(cmp.Compare(specificity(b.TSRemote), specificity(a.TSRemote)),
			cmp.Compare(specificity(b.TSLocal), specificity(a.TSLocal)), b.Created.Compare(a.Created))
	})
	e.children.Store(&next)
}

func (e *Egress) remove(o *Outbound) {
	next := slices.DeleteFunc(slices.Clone(*e.children.Load()), func(x *Outbound) bool { return x == o })
	e.children.Store(&next)
}

// specificity is that of the widest selector: leading address bits that are fixed, then ports, then protocol.
func specificity(ts []ike2.Selector) int {
	least := 1 << 16
	for _, s := range ts {
		n := 4 * commonBits(s)
		if !s.AnyPort() {
			n += 2
		}
		if s.Protocol != 0 {
			n++
		}
		least = min(least, n)
	}
	return least
}

func commonBits(s ike2.Selector) int {
	a, b := s.Start.AsSlice(), s.End.AsSlice()
	for i := range min(len(a), len(b)) {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * len(a)
}
