package runner

import (
	"sync"

	"lockstep/internal/recovery"
)

const (
	maxNotices = 4096
	maxInputs  = 8192 // notices and everything else
)

// queue carries inputs from any goroutine to the runner, in order. It never waits. Notices may fill half of it, so that
// the ends of orders always find room.
type queue struct {
	wake chan struct{}

	mu      sync.Mutex
	waiting []recovery.Input // guarded by mu
	lost    uint64           // guarded by mu
}

func (q *queue) put(in recovery.Input, bound int) bool {
	q.mu.Lock()
	ok := len(q.waiting) < bound
	if ok {
		q.waiting = append(q.waiting, in)
	} else {
		q.lost++
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return ok
}

func (q *queue) take(buf []recovery.Input) []recovery.Input {
	q.mu.Lock()
	defer q.mu.Unlock()
	buf = append(buf, q.waiting...)
	clear(q.waiting)
	q.waiting = q.waiting[:0]
	return buf
}

func (q *queue) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
