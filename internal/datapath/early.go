package datapath

import (
	"sync"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// maxInjected bounds the packets that wait for their second chance.
const maxInjected = 4096

// earlyQueue is the packets that came before their SA and can be opened now, with the loop that opens them.
type earlyQueue struct {
	w    *worker
	r    *receiver
	wake chan struct{} // one slot
	stop chan struct{}
	once sync.Once

	mu      sync.Mutex
	waiting []sa.Early // guarded by mu
}

func (q *earlyQueue) init(w *worker) {
	q.w, q.r = w, &receiver{worker: w}
	q.r.out.init(w)
	q.wake, q.stop = make(chan struct{}, 1), make(chan struct{})
}

// Close ends the loop.
func (q *earlyQueue) Close() error {
	q.once.Do(func() { close(q.stop) })
	return nil
}

func (q *earlyQueue) put(early []sa.Early) {
	q.mu.Lock()
	n := min(len(early), maxInjected-len(q.waiting))
	q.waiting = append(q.waiting, early[:n]...)
	q.mu.Unlock()
	for _, e := range early[n:] {
		q.w.drops.Drop(reason.LarvalOverflow, len(e.Packet))
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// lost spreads octets evenly: their sum is what counts.
func (q *earlyQueue) lost(packets, octets int) {
	for i := range packets {
		share := octets / (packets - i)
		octets -= share
		q.w.drops.Drop(reason.LarvalTimeout, share)
	}
}

func (q *earlyQueue) loop() {
	for {
		select {
		case <-q.stop:
			return
		case <-q.wake:
			q.w.turn(q.round)
		}
	}
}

func (q *earlyQueue) round() {
	q.mu.Lock()
	list := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	q.r.age = 0
	for _, e := range list {
		q.r.run = Run{Local: e.Local, Remote: e.Remote, Encap: e.Encap, Buf: e.Packet}
		q.r.process()
	}
	q.r.out.flush()
}
