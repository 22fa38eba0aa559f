package runner

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// Options wire a Runner. Functions are called from its goroutine; they must not block.
type Options struct {
	Config *policy.Config
	Strays Source
	Table  Table
	// Post hands a command to the IKE engine; false: it was not taken.
	Post func(sa.Owner, ike.Command) bool

	Identity Identity // nil: whose an SPI is cannot be told (K12)
	// LiveOwner finds the owner of a live IKE SA with these endpoints, ports being those of the ESP packet (0 for protocol
	// 50); nil: the configuration alone decides.
	LiveOwner func(local, remote netip.AddrPort, encap sa.Encap) (sa.Owner, bool)
	// EarlierRun says whether an SPI of ours was issued before this start, as far as the identity tells; nil: never.
	EarlierRun func(sa.SPI) (earlier, known bool)
	// Received counts the packets verified on all SAs of an owner; it is asked while an incident is open. nil: only first
	// packets on new SAs prove a healing.
	Received func(sa.Owner) uint64
	Events   func(event.Record) // nil: nobody listens

	Now  func() time.Time // nil: time.Now
	Rand io.Reader        // nil: crypto/rand; jitter of pauses
}

const (
	publishEvery = 100 * time.Millisecond // where only counts changed
	pollEvery    = 250 * time.Millisecond // of Received
)

// Runner is made by New and works while Run does.
type Runner struct {
	opt    Options
	queue  queue
	asks   chan func() // run by the loop
	config atomic.Pointer[policy.Config]
	shown  atomic.Pointer[snapshot]
	late   atomic.Uint64
	unsent atomic.Uint64

	// Owned by Run.
	engine    *recovery.Engine
	tallies   tallies
	strays    []Stray
	inputs    []recovery.Input
	pending   []recovery.Input // ends of orders that could not be posted
	received  map[sa.Owner]uint64
	polled    time.Time
	published time.Time
	revision  uint64
	news      bool // a Report since the last publication
}

type snapshot struct {
	incidents []recovery.Incident
	standings []recovery.Standing
}

// New makes a Runner that starts with an empty history.
func New(o Options) *Runner {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Events == nil {
		o.Events = func(event.Record) {}
	}
	if o.Config == nil {
		o.Config = &policy.Config{}
	}
	r := &Runner{opt: o, queue: queue{wake: make(chan struct{}, 1)}, asks: make(chan func()), received: map[sa.Owner]uint64{}}
	r.config.Store(o.Config)
	r.engine = recovery.New(recovery.Options{Settings: recovery.SettingsOf(o.Config), Jitter: r.jitter, Started: o.Now()})
	r.publish(o.Now())
	return r
}

func (r *Runner) jitter(most time.Duration) time.Duration {
	var b [8]byte
	if most <= 0 {
		return 0
	}
	if _, err := io.ReadFull(r.opt.Rand, b[:]); err != nil {
		return most / 2
	}
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(most))
}

// Run works until ctx ends.
func (r *Runner) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := r.opt.Now()
		r.work(now)
		if d, ok := r.next(now); ok {
			timer.Reset(d)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-r.opt.Strays.StrayWake():
		case <-r.queue.wake:
		case <-timer.C:
		case ask := <-r.asks:
			ask()
		}
	}
}

// work takes in whatever has come: facts about peers before packets, so that packets are judged by the newest.
func (r *Runner) work(now time.Time) {
	r.inputs = r.queue.take(r.inputs[:0])
	for _, in := range r.inputs {
		r.step(now, in)
	}
	clear(r.inputs)
	r.strays = r.opt.Strays.TakeStrays(r.strays[:0])
	for _, s := range r.strays {
		r.stray(now, s)
	}
	r.poll(now)
	r.step(now, recovery.Tick{})
	if rev := r.engine.Revision(); r.news || rev != r.revision && now.Sub(r.published) >= publishEvery {
		r.publish(now)
	}
}

func (r *Runner) stray(now time.Time, s Stray) {
	ev, ok := r.classify(s, now)
	if !ok {
		r.late.Add(1)
		return
	}
	rec := event.RecvdPktInvSPI(s.Last, s.Dst.Addr(), s.Src.Addr(), uint32(s.SPI))
	rec.Packets = ev.Packets()
	r.opt.Events(rec)
	r.step(now, ev)
}

// step feeds the engine and carries out what it wants.
func (r *Runner) step(now time.Time, in recovery.Input) {
	r.do(r.engine.Step(now, in))
	for len(r.pending) > 0 {
		in, r.pending = r.pending[0], r.pending[1:]
		r.do(r.engine.Step(now, in))
	}
}

func (r *Runner) do(actions []recovery.Action) {
	for _, a := range actions {
		switch v := a.(type) {
		case recovery.Order:
			if !r.opt.Post(v.Owner, v.Command) {
				r.unsent.Add(1)
				r.pending = append(r.pending, recovery.Ended{Outcome: ike.Outcome{Ref: v.Command.Ref, Verb: v.Command.Verb,
					Owner: v.Owner, Result: ike.Busy, Detail: "the mailbox of the IKE engine is full"}})
			}
		case recovery.Report:
			r.news = true
			r.announce(v)
		}
	}
}

func (r *Runner) announce(v recovery.Report) {
	i := v.Incident
	switch v.Kind {
	case recovery.Acting:
		r.opt.Events(event.RecoveryStarted(v.At, v.Peer, v.Remote, uint32(i.Key.SPI), v.What, v.Why))
	case recovery.Healed:
		r.opt.Events(event.RecoveryHealed(v.At, v.Peer, v.Remote, i.HealTime(), i.RoundTrips, i.Lost, string(i.Healer), i.Cause))
	case recovery.GaveUp:
		r.opt.Events(event.RecoveryGaveUp(v.At, v.Peer, v.Remote, v.Why))
	case recovery.Recurring:
		r.opt.Events(event.RecoveryRecurring(v.At, v.Peer, v.Remote, v.What, v.Why, v.Causes[0].Here, v.Causes[0].There))
	case recovery.OneWayMarked:
		r.opt.Events(event.RecoveryOneWay(v.At, v.Peer, v.Remote, v.Why, v.Next))
	default:
		r.opt.Events(event.RecoveryDebug(v.At, v.Peer, v.Remote, i.ID, v.What, v.Why))
	}
}

// poll looks for packets on SAs that are older than an open incident.
func (r *Runner) poll(now time.Time) {
	if r.opt.Received == nil || now.Sub(r.polled) < pollEvery {
		return
	}
	r.polled = now
	unhealed := r.engine.Unhealed()
	for o := range r.received {
		if !contains(unhealed, o) {
			delete(r.received, o)
		}
	}
	for _, o := range unhealed {
		n := r.opt.Received(o)
		before, asked := r.received[o]
		r.received[o] = n
		if asked && n > before {
			r.step(now, recovery.Inbound{Owner: o, At: now})
		}
	}
}

func contains(s []sa.Owner, o sa.Owner) bool {
	for _, other := range s {
		if other == o {
			return true
		}
	}
	return false
}

// next is when the loop has to turn without being woken.
func (r *Runner) next(now time.Time) (time.Duration, bool) {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if d := r.engine.Deadline(); !d.IsZero() {
		sooner(d)
	}
	if r.engine.Revision() != r.revision {
		sooner(r.published.Add(publishEvery))
	}
	if r.opt.Received != nil && len(r.engine.Unhealed()) > 0 {
		sooner(r.polled.Add(pollEvery))
	}
	return max(at.Sub(now), 0), !at.IsZero()
}

func (r *Runner) publish(now time.Time) {
	r.shown.Store(&snapshot{r.engine.Incidents(), r.engine.Standings()})
	r.published, r.revision, r.news = now, r.engine.Revision(), false
}
