package peer

import (
	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// wait is what becomes of the Outcome of a command that the Peer gave.
type wait struct {
	ref  uint64 // of the command from outside that it serves; 0: none
	then func(ike.Outcome)
}

// command routes one wish: to the IKE SA it concerns, to all of them, or it begins one.
func (p *Peer) command(c ike.Command) {
	switch c.Verb {
	case ike.VerbInitiate:
		p.initiate(c)
	case ike.VerbReauth:
		p.reauthenticate(c)
	case ike.VerbDeleteSPI, ike.VerbRekeySPI, ike.VerbNotifySPI, ike.VerbLiveness:
		p.toOwner(c)
	case ike.VerbRekeyChild, ike.VerbClearChild:
		if c.SPI != 0 {
			p.toOwner(c)
			return
		}
		p.toAll(c, (*session).live, ike.NoIKE, "no IKE SA")
	case ike.VerbRekeyIKE:
		p.toAll(c, (*session).live, ike.NoIKE, "no IKE SA")
	case ike.VerbClearIKE, ike.VerbDiscard:
		p.toAll(c, (*session).counts, ike.OK, "no IKE SA")
	case ike.VerbShutdown:
		p.stopped = true
		p.toAll(c, (*session).counts, ike.OK, "no IKE SA")
	case ike.VerbKickLarval:
		p.kick(c)
	default:
		p.outcome(c, ike.InternalFailed, "unknown command")
	}
}

// counts says that there is something to end.
func (s *session) counts() bool { return !s.dead && !s.closed }

// toOwner hands a command about an SPI to the live IKE SA that has or had it, else to the newest.
func (p *Peer) toOwner(c ike.Command) {
	s := p.owners[c.SPI]
	if s == nil || !s.live() {
		s = p.newest()
	}
	if s == nil {
		p.outcome(c, ike.NoIKE, "no IKE SA")
		return
	}
	p.ask(s, c)
}

// kick goes to the IKE SA that offered the SPI.
func (p *Peer) kick(c ike.Command) {
	for _, s := range p.all() {
		if s.larval[c.SPI] {
			p.ask(s, c)
			return
		}
	}
	p.outcome(c, ike.Moot, "the SPI is not larval")
}

// ask gives a command to one machine and notes that it owes an Outcome.
func (p *Peer) ask(s *session, c ike.Command) {
	if s.closed {
		p.outcomeOf(c, ike.NoIKE, "the IKE SA is closed")
		return
	}
	if c.Ref != 0 {
		s.asked[c.Ref] = c
	}
	p.feed(s, c)
}

// toAll gives a command to every session that fits; its one Outcome comes with the last of theirs and is the worst.
func (p *Peer) toAll(c ike.Command, fits func(*session) bool, none ike.Result, detail string) {
	var to []*session
	for _, s := range p.sessions {
		if fits(s) {
			to = append(to, s)
		}
	}
	if len(to) == 0 {
		p.outcome(c, none, detail)
		return
	}
	if len(to) == 1 || c.Ref == 0 {
		for _, s := range to {
			p.ask(s, c)
		}
		return
	}
	total := ike.Outcome{Ref: c.Ref, Verb: c.Verb, Owner: p.Owner(), Result: ike.OK}
	left := len(to)
	for _, s := range to {
		p.ask(s, p.mine(c, func(o ike.Outcome) {
			total.RoundTrips = max(total.RoundTrips, o.RoundTrips)
			if o.Result != ike.OK && o.Result != ike.Moot {
				total.Result, total.Detail = o.Result, o.Detail
			}
			if left--; left == 0 {
				p.emit(total)
			}
		}))
	}
}

// mine is c under a reference of our own; its Outcome goes to then and not outside.
func (p *Peer) mine(c ike.Command, then func(ike.Outcome)) ike.Command {
	p.lastRef++
	outside := c.Ref
	c.Ref = internalRef | p.lastRef
	p.waits[c.Ref] = wait{outside, then}
	return c
}

// answered takes the Outcome of a machine: one for each command, none for those that it was not given (duty 8).
func (p *Peer) answered(s *session, o ike.Outcome) {
	if _, ok := s.asked[o.Ref]; !ok {
		return
	}
	delete(s.asked, o.Ref)
	if s.gaveWay != "" && o.Result != ike.OK {
		o.Result, o.Detail = ike.OK, s.gaveWay
	}
	w, internal := p.waits[o.Ref]
	if !internal {
		p.emit(o)
		return
	}
	delete(p.waits, o.Ref)
	if w.then != nil {
		w.then(o)
	}
}

// initiate begins an IKE SA for a command, single flight.
func (p *Peer) initiate(c ike.Command) {
	switch live := p.newest(); {
	case p.stopped:
		p.outcome(c, ike.NotInitiable, "the tunnel is shut down")
	case live != nil:
		p.ask(live, c)
	case p.starting() != nil:
		p.outcome(c, ike.Busy, "an IKE SA is being made")
	case !p.policy.Initiate:
		p.outcome(c, ike.NotInitiable, "responder-only")
	default:
		p.call(c)
	}
}

// call begins an IKE SA, in the place of others or of none. The command ends with it.
func (p *Peer) call(c ike.Command, instead ...*session) {
	local, ok := p.opt.Source(p.policy.Tunnel)
	if !ok || !p.policy.Remote.IsValid() {
		p.outcomeOf(c, ike.NotInitiable, "no address to call from or to")
		return
	}
	if !p.room() {
		p.outcomeOf(c, ike.Busy, "too many IKE SAs with this peer")
		return
	}
	s := newSession(p.now, true)
	s.instead = instead
	p.sessions = append(p.sessions, s)
	if c.Ref != 0 {
		s.asked[c.Ref] = c
	}
	d := ike.Datagram{Local: ikePort(local), Remote: ikePort(p.policy.Remote)}
	p.guard(s, func() (effects []ike.Effect) {
		s.m, effects = p.opt.Maker.Initiate(p.now, p.start(s, d), c)
		return effects
	})
}

// outcomeOf ends a command that no machine was given, ours or not.
func (p *Peer) outcomeOf(c ike.Command, r ike.Result, detail string) {
	if w, internal := p.waits[c.Ref]; internal {
		delete(p.waits, c.Ref)
		w.then(ike.Outcome{Ref: c.Ref, Verb: c.Verb, Owner: p.Owner(), Result: r, Detail: detail})
		return
	}
	p.outcome(c, r, detail)
}

// acquire: traffic found no child. An IKE SA that is there makes one; else it is as if start-up had been waiting for it.
func (p *Peer) acquire(a ike.Acquire) {
	if s := p.newest(); s != nil {
		p.feed(s, a)
		return
	}
	p.acquireBoot()
}

// outsideRef is the reference that the world knows a command by.
func (p *Peer) outsideRef(ref uint64) uint64 {
	if w, internal := p.waits[ref]; internal {
		return w.ref
	}
	if ref&internalRef != 0 {
		return 0
	}
	return ref
}

func (p *Peer) tell(s *session, verb ike.Verb, cause sa.TombReason, why string) {
	p.ask(s, ike.Command{Verb: verb, Cause: cause, Why: why})
}
