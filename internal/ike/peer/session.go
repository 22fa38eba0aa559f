package peer

import (
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// session is one machine and what its Peer knows of it.
type session struct {
	m         ike.Machine
	initiator bool
	began     time.Time  // its IKE_SA_INIT was made or arrived
	spii      isakmp.SPI // of its initiator, as it was begun
	first     digest     // the request that began it; zero if we are the initiator
	claims    map[isakmp.SPI]bool
	larval    map[sa.SPI]bool       // inbound SPIs reserved and not installed
	children  map[sa.SPI]ike.Remove // installed halves, by inbound SPI, in the form of their removal
	asked     map[uint64]ike.Command
	gaveWay   string // why its commands end well although it ends: another IKE SA came up instead

	authSent bool // initiator: IKE_AUTH is out
	up       bool
	upAt     time.Time
	childUp  bool // it had a working child
	dead     bool // was up, and is down
	closed   bool

	ids       [2]policy.Identity // ours and the peer's, authenticated
	contact   bool               // the peer said INITIAL_CONTACT with it
	contactBy time.Time          // up, and its child is awaited
	instead   []*session         // which it is to replace
	moveBy    time.Time          // by then it has all the children of these, or goes without
	leaving   bool               // another stands for it, its Delete is under way
	proving   bool               // others wait for proof that this one works
	proveAt   time.Time          // when it is asked for
	concedeAt time.Time          // when it loses a crossing that it has won

	pauseEnd time.Time // holds its inputs back until then
	hadPause bool      // once is enough: a forger must not hold us up
	yieldsTo *session  // the peer's call for which it pauses
	held     []ike.Input
}

func (s *session) live() bool   { return s.up && !s.dead && !s.closed }
func (s *session) begun() bool  { return !s.up && !s.dead && !s.closed }
func (s *session) paused() bool { return !s.pauseEnd.IsZero() }

func newSession(now time.Time, initiator bool) *session {
	return &session{initiator: initiator, began: now, claims: map[isakmp.SPI]bool{}, larval: map[sa.SPI]bool{},
		children: map[sa.SPI]ike.Remove{}, asked: map[uint64]ike.Command{}}
}

// start is what the machine of s is made of. The larval SPIs that it takes are noted, so that they can be given back
// should it fail.
func (p *Peer) start(s *session, d ike.Datagram) Start {
	env := p.opt.Env
	alloc := env.AllocSPI
	env.AllocSPI = func(o sa.Owner) (sa.SPI, error) {
		spi, err := alloc(o)
		if err == nil {
			s.larval[spi] = true
		}
		return spi, err
	}
	return Start{Env: env, Peer: p.policy, Local: d.Local, Remote: d.Remote, InitialContact: func() bool { return p.firstContact(s) },
		Quirks: &p.quirks}
}

// feed steps one machine. One that pauses gets nothing but commands, which end the pause.
func (p *Peer) feed(s *session, in ike.Input) {
	if s.closed {
		return
	}
	if s.paused() {
		if _, ok := in.(ike.Command); !ok {
			p.hold(s, in)
			return
		}
		p.resume(s)
	}
	p.guard(s, func() []ike.Effect { return s.m.Step(p.now, in) })
}

// guard runs a Step and takes its effects. A panic ends this machine alone (duty 10).
func (p *Peer) guard(s *session, step func() []ike.Effect) {
	effects, failure := attempt(step)
	for _, e := range effects {
		p.take(s, e)
	}
	if failure != nil {
		p.bury(s, failure)
	}
}

// broken is a panic with the place where it happened.
type broken struct {
	what  any
	stack string
}

func attempt(step func() []ike.Effect) (effects []ike.Effect, failure *broken) {
	defer func() {
		if r := recover(); r != nil {
			effects, failure = nil, &broken{r, string(debug.Stack())}
		}
	}()
	return step(), nil
}

// bury closes a machine that failed: nothing of it stays in the data plane, and whoever waits is told.
func (p *Peer) bury(s *session, failure *broken) {
	p.drop(reason.IKEPanic)
	p.emit(ike.Report{Event: event.IKEInternalError(p.policy.Remote, p.policy.Name(), failure.what, failure.stack)})
	for _, spi := range slices.Sorted(maps.Keys(s.children)) {
		c := s.children[spi]
		c.Half, c.Why = sa.BothHalves, sa.TombIKEDeleted
		p.emit(c)
		p.emit(ike.Notice{Kind: ike.ChildDown, Owner: c.Owner, At: p.now, In: c.In, Out: c.Out, Cause: c.Why})
	}
	for _, spi := range slices.Sorted(maps.Keys(s.larval)) {
		p.emit(ike.Release{SPI: spi})
	}
	if s.live() {
		p.backOff(ike.InternalFailed)
		p.emit(ike.Notice{Kind: ike.IKEDown, Owner: p.Owner(), At: p.now, Initiator: s.initiator, Cause: sa.TombIKEDeleted})
	}
	p.retire(s, ike.InternalFailed, "internal error")
}

// take looks at one effect of s on its way out.
func (p *Peer) take(s *session, e ike.Effect) {
	switch v := e.(type) {
	case ike.Persist:
		p.barriers[v.ID] = s
	case ike.Compute:
		p.barriers[v.ID] = s
	case ike.Install:
		p.barriers[v.ID] = s
		p.own(s, v.Child)
	case ike.Remove:
		if v.Half&sa.InboundHalf != 0 {
			delete(s.children, v.In)
			delete(s.larval, v.In)
		}
	case ike.Release:
		delete(s.larval, v.SPI)
	case ike.Claim:
		s.claims[v.SPI], p.claims[v.SPI] = true, s
		if s.initiator && s.spii == 0 {
			s.spii = v.SPI
		}
	case ike.Disclaim:
		delete(s.claims, v.SPI)
		delete(p.claims, v.SPI)
	case ike.Outcome:
		p.answered(s, v)
		return
	case ike.Notice:
		if v.Kind == ike.ReauthDue {
			p.later(func() { p.reauthenticate(ike.Command{Verb: ike.VerbReauth, Why: "the peer asks for it"}) })
			return
		}
		p.emit(p.noticed(s, v))
		return
	case ike.Closed:
		p.retire(s, ike.NoIKE, v.Why)
		return
	}
	p.emit(e)
}

// own notes that an inbound SPI belongs to s, for good: what concerns it travels under the IKE SA that made it (RFC
// 7296 §1.4). The oldest are forgotten.
func (p *Peer) own(s *session, c sa.Child) {
	delete(s.larval, c.In)
	s.children[c.In] = ike.Remove{In: c.In, Out: c.Out, Owner: c.Owner}
	if _, known := p.owners[c.In]; !known {
		p.ownOrder = append(p.ownOrder, c.In)
	}
	p.owners[c.In] = s
	for len(p.ownOrder) > maxOwned {
		delete(p.owners, p.ownOrder[0])
		p.ownOrder = p.ownOrder[1:]
	}
}

// retire is the end of a session: it is stepped no more, and what it still held is let go (duties 8 and 9).
func (p *Peer) retire(s *session, r ike.Result, why string) {
	if s.closed {
		return
	}
	s.closed = true
	p.forget(s)
	for _, spi := range slices.Sorted(maps.Keys(s.claims)) {
		delete(p.claims, spi)
		p.emit(ike.Disclaim{SPI: spi})
	}
	for _, ref := range slices.Sorted(maps.Keys(s.asked)) {
		p.answered(s, ike.Outcome{Ref: ref, Verb: s.asked[ref].Verb, Owner: p.Owner(), Result: r, Detail: why})
	}
	for id, of := range p.barriers {
		if of == s {
			delete(p.barriers, id)
		}
	}
	p.ownOrder = slices.DeleteFunc(p.ownOrder, func(spi sa.SPI) bool {
		gone := p.owners[spi] == s
		if gone {
			delete(p.owners, spi)
		}
		return gone
	})
	p.sessions = slices.DeleteFunc(p.sessions, func(o *session) bool { return o == s })
	s.instead = nil
	for _, o := range p.sessions {
		o.instead = slices.DeleteFunc(o.instead, func(x *session) bool { return x == s })
	}
	p.emit(ike.Closed{Why: why})
}

// Abandon closes every IKE SA after a panic in the Peer itself, of which what says what.
func (p *Peer) Abandon(now time.Time, what any) []ike.Effect {
	p.now, p.todo = now, nil
	failure := &broken{what, string(debug.Stack())}
	for _, s := range p.all() {
		p.bury(s, failure)
	}
	p.boot.pause = firstPause
	return p.flush()
}
