package runner

import (
	"net/netip"
	"sync"
	"time"

	"lockstep/internal/sa"
)

// Stray is one hand-over of a flow of ESP packets without an SA, as a packet worker counted it.
type Stray struct {
	Worker        int            // whose count it is
	Src, Dst      netip.AddrPort // of the last packet; ports 0 for protocol 50
	SPI           sa.SPI
	Encap         sa.Encap
	First, Last   time.Time
	Count, Octets uint64 // since First: a worker that forgets a flow begins with another First
	MinLen        int    // shortest packet, octets from the SPI on
}

// Source is where strays come from. A Feed is one.
type Source interface {
	// TakeStrays appends what has not been taken yet.
	TakeStrays(buf []Stray) []Stray
	// StrayWake receives when there is something to take; one slot, never closed.
	StrayWake() <-chan struct{}
}

// maxFed bounds what waits in a Feed.
const maxFed = 8192

// Feed carries strays from any number of workers to the runner. Put never waits: what finds no room is counted, and its
// flow's next hand-over, whose counts include it, makes good for it.
type Feed struct {
	wake chan struct{}

	mu      sync.Mutex
	waiting []Stray // guarded by mu
	lost    uint64  // guarded by mu
}

// NewFeed makes an empty feed.
func NewFeed() *Feed { return &Feed{wake: make(chan struct{}, 1)} }

// Put hands strays over; the slice stays the caller's.
func (f *Feed) Put(strays ...Stray) {
	f.mu.Lock()
	n := min(len(strays), maxFed-len(f.waiting))
	f.waiting = append(f.waiting, strays[:n]...)
	f.lost += uint64(len(strays) - n)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// TakeStrays empties the feed.
func (f *Feed) TakeStrays(buf []Stray) []Stray {
	f.mu.Lock()
	defer f.mu.Unlock()
	buf = append(buf, f.waiting...)
	f.waiting = f.waiting[:0]
	return buf
}

// StrayWake receives after a Put.
func (f *Feed) StrayWake() <-chan struct{} { return f.wake }

// Lost counts strays that found no room.
func (f *Feed) Lost() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// maxTallies bounds the memory of counts that were taken.
const maxTallies = 65536

type tallyKey struct {
	worker   int
	src, dst netip.Addr
	spi      sa.SPI
}

type tally struct {
	first         time.Time
	last          time.Time
	count, octets uint64
}

// tallies turns counts since a flow's first packet into counts since the last hand-over.
type tallies struct {
	seen  map[tallyKey]tally
	swept time.Time
}

func (t *tallies) since(s Stray) (count, octets uint64) {
	if t.seen == nil {
		t.seen = map[tallyKey]tally{}
	}
	k := tallyKey{s.Worker, s.Src.Addr(), s.Dst.Addr(), s.SPI}
	old, known := t.seen[k]
	if !known && len(t.seen) >= maxTallies && !t.makeRoom(s.Last) {
		return 1, uint64(max(s.MinLen, 0)) // at least that much
	}
	t.seen[k] = tally{s.First, s.Last, s.Count, s.Octets}
	if !known || !old.first.Equal(s.First) || s.Count < old.count {
		return s.Count, s.Octets
	}
	return s.Count - old.count, s.Octets - old.octets
}

// makeRoom forgets flows that have been silent for a minute. It looks at most every ten seconds: a flood must not make
// each of its packets cost a walk through the table.
func (t *tallies) makeRoom(now time.Time) bool {
	if now.Sub(t.swept) < 10*time.Second {
		return false
	}
	t.swept = now
	for k, v := range t.seen {
		if now.Sub(v.last) >= time.Minute {
			delete(t.seen, k)
		}
	}
	return len(t.seen) < maxTallies
}
