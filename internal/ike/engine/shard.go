package engine

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// shard is one event loop.
type shard struct {
	e     *Engine
	index int
	mail  chan mail
	wake  chan struct{} // one slot: urgent has something
	quiet chan struct{} // closed when a shutdown has nothing more to wait for

	mu   sync.Mutex
	jobs []func() // guarded by mu: urgent work

	// Owned by the loop (before Run: by New).
	peers    map[sa.Owner]*entry
	entries  []*entry // peers, and those that are leaving
	claims   map[isakmp.SPI]*entry
	timers   timers
	leaving  int // entries that the configuration has no more
	stopping bool
}

// mail is one input from outside.
type mail struct {
	owner  sa.Owner // not for Datagram
	in     ike.Input
	header isakmp.Header // of a Datagram
	at     time.Time     // a Datagram's arrival
}

func newShard(e *Engine, i int) *shard {
	return &shard{e: e, index: i, mail: make(chan mail, e.opt.Mailbox), wake: make(chan struct{}, 1), quiet: make(chan struct{}),
		peers: map[sa.Owner]*entry{}, claims: map[isakmp.SPI]*entry{}}
}

// offerFirst is offer for first messages, which need no key to be made: they leave room for the others.
func (s *shard) offerFirst(m mail) bool {
	if 4*len(s.mail) >= 3*cap(s.mail) {
		return s.e.drop(reason.IKEMailboxFull)
	}
	return s.offer(m)
}

// offer puts m into the mailbox, or counts that it is full.
func (s *shard) offer(m mail) bool {
	select {
	case s.mail <- m:
		return true
	default:
		return s.e.drop(reason.IKEMailboxFull)
	}
}

// urgent runs job on the loop, before what is in the mailbox. It is for the engine itself: the number of jobs is bounded
// by open barriers and by callers that wait.
func (s *shard) urgent(job func()) {
	s.mu.Lock()
	s.jobs = append(s.jobs, job)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shard) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.rearm(timer)
		select {
		case <-s.e.killed.Done():
			s.refuseMail()
			return
		case <-s.wake:
		case m := <-s.mail:
			s.doUrgent() // select picks at random: what is urgent goes first all the same
			s.handle(m)
		case <-timer.C:
		}
		s.doUrgent()
		s.tick()
		s.settle()
	}
}

// rearm sets the timer to the earliest deadline.
func (s *shard) rearm(timer *time.Timer) {
	wait := time.Hour
	if len(s.timers) > 0 {
		wait = max(0, s.timers[0].deadline.Sub(s.e.opt.Now()))
	}
	timer.Reset(wait)
}

func (s *shard) doUrgent() {
	for s.e.killed.Err() == nil {
		s.mu.Lock()
		jobs := s.jobs
		s.jobs = nil
		s.mu.Unlock()
		if len(jobs) == 0 {
			return
		}
		for _, job := range jobs {
			job()
		}
	}
}

// tick steps every peer whose deadline has come. One that is due again at once waits a moment: no machine makes the
// loop spin.
func (s *shard) tick() {
	now := s.e.opt.Now()
	for len(s.timers) > 0 && !s.timers[0].deadline.After(now) {
		en := s.timers[0]
		s.step(en, ike.Tick{})
		if en.index >= 0 && !en.deadline.After(now) {
			s.timers.set(en, now.Add(breath))
		}
	}
}

// handle takes one input from the mailbox.
func (s *shard) handle(m mail) {
	if d, ok := m.in.(ike.Datagram); ok {
		s.datagram(d, m)
		return
	}
	en := s.peers[m.owner]
	if en == nil || s.stopping {
		s.refuse(m)
		return
	}
	s.step(en, m.in)
}

// refuse ends a command that nobody can take any more (duty 8).
func (s *shard) refuse(m mail) {
	if c, ok := m.in.(ike.Command); ok && c.Ref != 0 {
		s.e.opt.Outcomes(ike.Outcome{Ref: c.Ref, Verb: c.Verb, Owner: m.owner, Result: ike.NoIKE, Detail: "the peer is gone"})
	}
}

func (s *shard) refuseMail() {
	for {
		select {
		case m := <-s.mail:
			s.refuse(m)
		default:
			return
		}
	}
}

// add makes a peer of this shard.
func (s *shard) add(p *policy.Peer, frozen bool) *entry {
	en := &entry{index: -1, p: peer.New(p, peer.Options{Env: s.env(), Maker: s.maker(), Source: s.e.opt.Source, Frozen: frozen,
		Restored: s.e.opt.Restored})}
	s.peers[en.p.Owner()] = en
	s.entries = append(s.entries, en)
	return en
}

// leave ends a peer that the configuration has no more: its IKE SAs are deleted, then it is forgotten.
func (s *shard) leave(o sa.Owner) {
	en := s.peers[o]
	if en == nil {
		return
	}
	delete(s.peers, o)
	en.leaving = true
	s.leaving++
	s.step(en, ike.Command{Verb: ike.VerbShutdown, Why: "removed from the configuration"})
}

func (s *shard) begin(within time.Duration) {
	for _, en := range slices.Clone(s.entries) {
		if en.leaving || s.stopping {
			continue
		}
		delay := time.Duration(0)
		if within > 0 {
			delay = rand.N(within)
		}
		s.took(en, en.p.Begin(s.e.opt.Now(), delay))
	}
}

func (s *shard) freeze(frozen bool) {
	for _, en := range s.entries {
		s.took(en, en.p.Freeze(s.e.opt.Now(), frozen))
	}
}

func (s *shard) shutdown() {
	s.stopping = true
	for _, en := range slices.Clone(s.entries) {
		s.step(en, ike.Command{Verb: ike.VerbShutdown, Why: "the gateway stops"})
	}
}

func (s *shard) status() []ike.Status {
	var out []ike.Status
	for _, en := range s.entries {
		out = append(out, en.p.Status()...)
	}
	return out
}

func (s *shard) quirks() map[sa.Owner]ike.Quirks {
	out := map[sa.Owner]ike.Quirks{}
	for _, en := range s.entries {
		if q := en.p.Quirks(); q != (ike.Quirks{}) {
			out[en.p.Owner()] = q
		}
	}
	return out
}

// settle forgets peers that have left, and tells Stop when nothing is left to wait for.
func (s *shard) settle() {
	if s.stopping {
		if !slices.ContainsFunc(s.entries, func(en *entry) bool { return !en.idle() }) {
			closeOnce(s.quiet)
		}
		return
	}
	if s.leaving == 0 {
		return
	}
	s.entries = slices.DeleteFunc(s.entries, func(en *entry) bool {
		gone := en.leaving && en.idle() && en.p.Empty()
		if gone {
			s.leaving--
			s.timers.drop(en)
		}
		return gone
	})
}

func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// timers is a heap of entries by deadline; those without one are not in it.
type timers []*entry

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].deadline.Before(t[j].deadline) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	en := x.(*entry)
	en.index = len(*t)
	*t = append(*t, en)
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := len(*t) - 1
	en := (*t)[last]
	en.index = -1
	(*t)[last] = nil
	*t = (*t)[:last]
	return en
}

func (t *timers) drop(en *entry) {
	if en.index >= 0 {
		heap.Remove(t, en.index)
	}
}

// set moves an entry to its peer's present deadline.
func (t *timers) set(en *entry, deadline time.Time) {
	switch {
	case deadline.IsZero():
		t.drop(en)
	case en.index < 0:
		en.deadline = deadline
		heap.Push(t, en)
	default:
		en.deadline = deadline
		heap.Fix(t, en.index)
	}
}
