package datapath

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/datapath/stray"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// Pauses of a loop whose wire or device fails again and again.
const (
	firstPause = time.Millisecond
	mostPause  = time.Second
)

// held is an SA that a loop holds: an *sa.Inbound or an *sa.Outbound.
type held interface {
	Hold()
	LetGo()
}

// worker is what all loops have. Its loop alone uses it, the strays excepted.
type worker struct {
	p      *Plane
	id     int
	name   string
	drops  *counters.Worker
	holds  held   // to be let go after a panic
	reset  func() // gives up what is half done, after a panic; nil: nothing
	failed time.Time

	mu     sync.Mutex   // taken once a row of strays, never in the steady state
	strays *stray.Table // guarded by mu
}

// worker makes the common part of one more loop. Those of ended loops stay: their counts do.
func (p *Plane) worker(name string) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &worker{p: p, id: len(p.workers), name: name, drops: counters.NewSet(1)[0]}
	p.workers = append(p.workers[:len(p.workers):len(p.workers)], w)
	return w
}

// turn runs one round of a loop. A panic ends the round and what it had in hand; the loop lives.
func (w *worker) turn(round func()) {
	defer func() {
		e := recover()
		if e == nil {
			return
		}
		if w.holds != nil {
			w.holds.LetGo()
			w.holds = nil
		}
		if w.reset != nil {
			w.reset()
		}
		w.p.panics.Add(1)
		w.drops.Drop(reason.PathPanic, 0)
		w.report(fmt.Errorf("internal error: %v", e))
	}()
	round()
}

// hold takes an SA for a row.
func (w *worker) hold(x held) {
	x.Hold()
	w.holds = x
}

func (w *worker) letGo() {
	w.holds.LetGo()
	w.holds = nil
}

// letGoIfHeld is for defer: a panic may have let go already.
func (w *worker) letGoIfHeld() {
	if w.holds != nil {
		w.letGo()
	}
}

// closed says that we closed the wire or device ourselves.
func closed(err error) bool { return errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) }

// report tells of an error, at most once a second. What is in flight when a wire or device is closed is none.
func (w *worker) report(err error) {
	if w.p.opt.Failed == nil || closed(err) {
		return
	}
	now := w.p.opt.Now()
	if !w.failed.IsZero() && now.Sub(w.failed) < time.Second {
		return
	}
	w.failed = now
	w.p.opt.Failed(w.name, err)
}

// again judges an error of a blocking read: false ends the loop. Others are reported and waited out, longer each time in
// a row.
func (w *worker) again(err error, pause *time.Duration) bool {
	if closed(err) {
		return false
	}
	w.report(err)
	if errors.Is(err, ErrGone) {
		return false
	}
	*pause = min(max(*pause*2, firstPause), mostPause)
	time.Sleep(*pause)
	return true
}

// stray notes packets on an SPI without an SA.
func (w *worker) stray(r *Run, spi sa.SPI, packets [][]byte, now time.Time) {
	known := w.p.opt.Known != nil && w.p.opt.Known(r.Remote.Addr())
	k := stray.Key{Src: r.Remote.Addr(), Dst: r.Local.Addr(), Proto: 50, SPI: spi}
	w.mu.Lock()
	if w.strays == nil {
		w.strays = stray.New() // once in a loop's life, and not for loops without strays: it has 1 MiB
	}
	for _, pkt := range packets {
		w.strays.Note(k, r.Remote.Port(), r.Local.Port(), r.Encap, len(pkt), known, now)
	}
	w.mu.Unlock()
	select {
	case w.p.wake <- struct{}{}:
	default:
	}
}

// takeStrays is called by the healer.
func (w *worker) takeStrays(buf []Stray) []Stray {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.strays != nil && w.strays.Pending() {
		w.strays.Flush()
		b := <-w.strays.Batches() // Flush filled the slot: it is emptied here alone
		for i := range b.Strays {
			s := &b.Strays[i]
			buf = append(buf, Stray{Worker: w.id, Src: netip.AddrPortFrom(s.Src, s.SrcPort), Dst: netip.AddrPortFrom(s.Dst, s.DstPort),
				SPI: s.SPI, Encap: s.Encap, First: s.First, Last: s.Last, Count: s.Count, Octets: s.Octets, MinLen: s.MinLen})
		}
		w.strays.Recycle(b)
	}
	return buf
}
