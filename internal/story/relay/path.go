package relay

import (
	"container/heap"
	"context"
	"time"
)

// Fate is what becomes of one datagram on the path. The zero value: it arrives once, after the delay of the path.
type Fate struct {
	Lost   bool
	Extra  time.Duration // on top of the delay: what is sent later may overtake it
	Copies int           // that arrive besides it
}

// maxCopies bounds what a rule can make of one datagram.
const maxCopies = 8

// Rule sets what decides over each datagram, in the order in which they enter the path; nil: all arrive.
func (n *Network) Rule(rule func(Packet) Fate) {
	if rule == nil {
		n.rule.Store(nil)
		return
	}
	n.rule.Store(&rule)
}

func (n *Network) fate(pkt Packet) Fate {
	if rule := n.rule.Load(); rule != nil {
		return (*rule)(pkt)
	}
	return Fate{}
}

// Hold keeps every datagram from arriving until release is called.
func (n *Network) Hold() (release func()) {
	n.gate.Lock()
	return n.gate.Unlock
}

// queued is a datagram under way.
type queued struct {
	due time.Time
	seq uint64 // of equal times the first entered arrives first
	pkt Packet
}

// underway is a heap of them: the next to arrive is first.
type underway []queued

func (u underway) Len() int { return len(u) }
func (u underway) Less(i, j int) bool {
	if u[i].due.Equal(u[j].due) {
		return u[i].seq < u[j].seq
	}
	return u[i].due.Before(u[j].due)
}
func (u underway) Swap(i, j int) { u[i], u[j] = u[j], u[i] }
func (u *underway) Push(x any)   { *u = append(*u, x.(queued)) }
func (u *underway) Pop() any {
	last := len(*u) - 1
	x := (*u)[last]
	*u = (*u)[:last]
	return x
}

// Run delivers datagrams until ctx ends.
func (n *Network) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var all underway
	var seq uint64
	for {
		var next <-chan time.Time
		if len(all) > 0 {
			timer.Reset(time.Until(all[0].due))
			next = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case q := <-n.queue:
			if len(all) >= maxQueued {
				n.overflow.Add(1)
				continue
			}
			q.seq, seq = seq, seq+1
			heap.Push(&all, q)
		case <-next:
			q := heap.Pop(&all).(queued)
			n.late.Store(max(n.late.Load(), int64(time.Since(q.due)))) // Run alone writes, but for the reset
			n.gate.Lock()
			n.deliver(q.pkt)
			n.gate.Unlock()
		}
	}
}
