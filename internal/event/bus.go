package event

import (
	"sync"
	"sync/atomic"
)

// Bus hands every record to every subscriber. Publish never waits: what a subscriber has no room for is counted, and is
// lost for that one alone. The zero value is ready.
type Bus struct {
	mu   sync.RWMutex
	subs map[*Subscription]bool // guarded by mu
}

// Subscription is one listener's queue.
type Subscription struct {
	bus     *Bus
	records chan Record
	lost    atomic.Uint64
}

// Subscribe begins to listen; size records may wait (at least one).
func (b *Bus) Subscribe(size int) *Subscription {
	s := &Subscription{bus: b, records: make(chan Record, max(size, 1))}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[*Subscription]bool{}
	}
	b.subs[s] = true
	return s
}

// Publish gives r to everybody. Its Attrs are shared: nobody may change them.
func (b *Bus) Publish(r Record) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.subs {
		select {
		case s.records <- r:
		default:
			s.lost.Add(1)
		}
	}
}

// Records is where the listener receives; it is never closed.
func (s *Subscription) Records() <-chan Record { return s.records }

// Lost counts records that found no room.
func (s *Subscription) Lost() uint64 { return s.lost.Load() }

// Close ends the subscription; what waits may still be received.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subs, s)
}
