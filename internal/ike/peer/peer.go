package peer

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// Bounds and times of one peer.
const (
	maxHalfOpen = 4                      // IKE SAs that the peer began and has not authenticated
	maxUp       = 4                      // authenticated IKE SAs; the oldest makes room
	maxSessions = 16                     // all, with those that only answer retransmissions
	maxOwned    = 512                    // inbound SPIs whose IKE SA is remembered
	maxHeld     = 8                      // messages held back for an IKE SA that pauses
	pauseLoser  = 5 * time.Second        // we call, so do they, and our SA would lose (protocol.md §2.6)
	pauseWinner = 500 * time.Millisecond // the same, our SA would win, and the peer may not know our rule
	proofWait   = 2 * time.Second        // who takes over may prove itself; then it is asked
	concede     = 30 * time.Second       // the peer keeps what lost a crossing, and does not know our rule: ours goes
	childBy     = 5 * time.Second        // a new IKE SA should have its child by then
	flapping    = 10 * time.Second       // an IKE SA that lived less counts as a failed attempt
	firstPause  = time.Second            // between attempts to begin an IKE SA; doubles (protocol.md §2.6 Backoff)
	mostPause   = 300 * time.Second
	authPause   = 60 * time.Second // least pause after AUTHENTICATION_FAILED
	againWithin = 250 * time.Millisecond
)

// internalRef marks references of commands that a Peer gives of its own accord.
const internalRef = uint64(1) << 63

// Start is what a new machine is made of.
type Start struct {
	Env            ike.Env
	Peer           *policy.Peer
	Local, Remote  netip.AddrPort
	InitialContact func() bool // asked when the first IKE_AUTH message of ours is built
	Quirks         *ike.Quirks // of the peer; shared by its machines
}

// Maker makes machines. Respond is given an IKE_SA_INIT request; one that comes to nothing ends in Closed at once.
type Maker interface {
	Initiate(now time.Time, s Start, cmd ike.Command) (ike.Machine, []ike.Effect)
	Respond(now time.Time, s Start, first ike.Datagram) (ike.Machine, []ike.Effect)
}

// Options are what a Peer needs besides its policy.
type Options struct {
	Env   ike.Env
	Maker Maker
	// Source is our address for this peer, false while it has none; nil: Tunnel.Source.
	Source func(*policy.Tunnel) (netip.Addr, bool)
	// Frozen: nothing is begun on our own accord, neither at start-up nor for traffic. Commands still work.
	Frozen bool
	// Restored says that IKE SAs of this pair may come back from a store: INITIAL_CONTACT would be untrue.
	Restored bool
}

// Peer is one identity pair. Its runner serialises its use.
type Peer struct {
	policy *policy.Peer
	opt    Options
	now    time.Time // of the Step under way
	out    []ike.Effect
	todo   []func() // what effects of a machine lead to, once they are all out

	sessions []*session // in order of their beginning
	claims   map[isakmp.SPI]*session
	barriers map[ike.EffectID]*session
	owners   map[sa.SPI]*session // by inbound SPI, also of children that are gone
	ownOrder []sa.SPI            // keys of owners, oldest first

	waits   map[uint64]wait // by internal reference
	lastRef uint64
	boot    boot
	stopped bool
	quirks  ike.Quirks // written by the machines
}

// New makes the Peer of one policy. Nothing is begun before Begin, a command, traffic or a call.
func New(p *policy.Peer, o Options) *Peer {
	if o.Source == nil {
		o.Source = func(t *policy.Tunnel) (netip.Addr, bool) { return t.Source, t.Source.IsValid() }
	}
	return &Peer{policy: p, opt: o, claims: map[isakmp.SPI]*session{}, barriers: map[ike.EffectID]*session{},
		owners: map[sa.SPI]*session{}, waits: map[uint64]wait{}}
}

// Policy is what the Peer was made with, or the last Update gave.
func (p *Peer) Policy() *policy.Peer { return p.policy }

// Owner is the peer's number.
func (p *Peer) Owner() sa.Owner { return sa.Owner(p.policy.ID) }

// Step gives the Peer one input; the effects are to be run in order (duties of package ike).
func (p *Peer) Step(now time.Time, in ike.Input) []ike.Effect {
	p.now = now
	switch in := in.(type) {
	case ike.Datagram:
		p.datagram(in)
	case ike.Tick:
		p.tick()
	case ike.Done:
		if s := p.barriers[in.ID]; s != nil {
			delete(p.barriers, in.ID)
			p.feed(s, in)
		}
	case ike.Command:
		p.command(in)
	case ike.Traffic:
		if s := p.owners[in.SPI]; s != nil {
			p.feed(s, in)
		}
	case ike.Hint:
		if s := p.owners[in.In]; s != nil {
			p.feed(s, in)
		}
	case ike.Acquire:
		p.acquire(in)
	}
	return p.flush()
}

// flush does what the effects so far lead to, and returns all.
func (p *Peer) flush() []ike.Effect {
	p.followUp()
	p.settlePauses()
	p.followUp()
	p.settleBoot()
	out := p.out
	p.out = nil
	return out
}

func (p *Peer) followUp() {
	for len(p.todo) > 0 {
		next := p.todo[0]
		p.todo = p.todo[1:]
		next()
	}
}

// Deadline is when a Tick is wanted; zero: never.
func (p *Peer) Deadline() time.Time {
	d := p.boot.next
	for _, s := range p.sessions {
		switch {
		case s.closed:
		case s.paused():
			d = earlier(d, s.pauseEnd)
		default:
			d = earlier(d, earlier(s.m.Deadline(), earlier(s.contactBy, earlier(s.proveAt, s.concedeAt))))
		}
	}
	return d
}

func (p *Peer) tick() {
	for _, s := range p.all() {
		switch {
		case s.closed:
		case s.paused():
			if due(p.now, s.pauseEnd) {
				p.resume(s)
			}
		case due(p.now, s.m.Deadline()):
			p.feed(s, ike.Tick{})
		}
		if due(p.now, s.contactBy) {
			p.childless(s)
		}
		if due(p.now, s.proveAt) {
			p.prove(s)
		}
		if due(p.now, s.concedeAt) {
			p.concede(s)
		}
	}
	p.tickBoot()
}

// Status lists the IKE SAs, the oldest first; those that only answer retransmissions are left out.
func (p *Peer) Status() []ike.Status {
	var out []ike.Status
	for _, s := range p.sessions {
		if !s.dead && !s.closed {
			out = append(out, s.m.Status())
		}
	}
	return out
}

// Quirks are the faults that the peer has shown, whether or not an IKE SA is up.
func (p *Peer) Quirks() ike.Quirks { return p.quirks }

// HalfOpen counts the IKE SAs that somebody at the peer's address began and has not authenticated.
func (p *Peer) HalfOpen() int {
	n := 0
	for _, s := range p.sessions {
		if s.begun() && !s.initiator {
			n++
		}
	}
	return n
}

// Quiet says that nothing is left that the peer should hear of.
func (p *Peer) Quiet() bool {
	for _, s := range p.sessions {
		if s.up && !s.dead && !s.closed || s.begun() && s.initiator {
			return false
		}
	}
	return true
}

// all is a copy of the sessions to range over while they change.
func (p *Peer) all() []*session { return append([]*session(nil), p.sessions...) }

// newest is the youngest authenticated IKE SA, nil if there is none.
func (p *Peer) newest() *session {
	var best *session
	for _, s := range p.sessions {
		if s.live() && (best == nil || !s.upAt.Before(best.upAt)) {
			best = s
		}
	}
	return best
}

// starting is the IKE SA that we began and that is not up yet, nil if there is none.
func (p *Peer) starting() *session {
	for _, s := range p.sessions {
		if s.begun() && s.initiator {
			return s
		}
	}
	return nil
}

func (p *Peer) emit(e ike.Effect)    { p.out = append(p.out, e) }
func (p *Peer) drop(why reason.Drop) { p.emit(ike.Dropped{Why: why}) }

func (p *Peer) outcome(c ike.Command, r ike.Result, detail string) {
	if c.Ref != 0 {
		p.emit(ike.Outcome{Ref: c.Ref, Verb: c.Verb, Owner: p.Owner(), Result: r, Detail: detail})
	}
}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says that a time has come, and is not "never".
func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Empty says that no machine is left, not even one that answers retransmissions.
func (p *Peer) Empty() bool { return len(p.sessions) == 0 }
