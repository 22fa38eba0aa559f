package spi

import (
	"fmt"
	"time"
)

// Verdict says whose an SPI is that no SA knows.
type Verdict uint8

const (
	// NeverOurs: this gateway did not issue it, or so long ago that no SA can still use it. A random SPI is wrongly
	// taken for Issued with a chance of (SPIs that could still live) / 2^32.
	NeverOurs Verdict = iota
	// Issued by this gateway, and an SA with it could still live.
	Issued
	// CannotTell: the identity is younger than the longest-lived SA that an identity before it could have made.
	CannotTell
)

func (v Verdict) String() string {
	switch v {
	case NeverOurs:
		return "never ours"
	case Issued:
		return "issued by us"
	case CannotTell:
		return "cannot tell"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Ours judges an SPI that arrived and has no SA. It takes a few microseconds and belongs in the healer, not in the drop
// path.
func (id *Identity) Ours(spi uint32, now time.Time) Verdict {
	id.mu.Lock()
	defer id.mu.Unlock()
	if _, ok := id.originOf(spi, now); ok {
		return Issued
	}
	// The file's creation time decides, not Fresh: a restart does not bring back what the first loss took.
	if now.Before(id.rec.created.Add(id.memory)) {
		return CannotTell
	}
	return NeverOurs
}

// EarlierRun tells whether an SPI of ours was issued before this start of the gateway; known is false where Ours does not
// say Issued. An SPI that was leased before this start and never given out counts as earlier: no SA has it, and the file
// does not know where in its last block a run ended. The cost is that of Ours.
func (id *Identity) EarlierRun(spi uint32, now time.Time) (earlier, known bool) {
	id.mu.Lock()
	defer id.mu.Unlock()
	at, ok := id.originOf(spi, now)
	if !ok {
		return false, false
	}
	return at.before(id.began), true
}

// origin is the moment at which an SPI was issued, in the only clock that survives a crash: the counter.
type origin struct {
	epoch   uint32
	counter uint64
}

func (o origin) before(other origin) bool {
	if o.epoch != other.epoch {
		return o.epoch < other.epoch
	}
	return o.counter < other.counter
}

// originOf finds where an SPI that could still live was issued, false if it was not issued here. Callers hold mu.
func (id *Identity) originOf(spi uint32, now time.Time) (origin, bool) {
	for i := range id.keys {
		if !id.issued(i, spi, now) {
			continue
		}
		e := &id.rec.epochs[i]
		counter, _ := e.counterOf(id.keys[i].decrypt(spi))
		return origin{e.number, counter}, true
	}
	return origin{}, false
}

// issued reports that epoch i gave out spi, and recently enough that it could still live. Callers hold mu.
func (id *Identity) issued(i int, spi uint32, now time.Time) bool {
	if spi < reserved {
		return false
	}
	e := &id.rec.epochs[i]
	counter, mine := e.counterOf(id.keys[i].decrypt(spi))
	end := e.lease
	if i == 0 {
		// Behind the running counter nothing was issued yet; a start before this one may have used up to its lease, and
		// next began there.
		end = id.next
	}
	return mine && counter >= e.oldest(now.Add(-id.memory)) && counter < end
}

// oldest is the first counter that may have been issued at or after the given time.
func (e *epoch) oldest(since time.Time) uint64 {
	first := uint64(reserved)
	for _, m := range e.marks {
		if !m.at.After(since) {
			first = max(first, m.counter)
		}
	}
	return first
}
