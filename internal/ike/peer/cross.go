package peer

import (
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// Both ends may call at once (protocol.md D10):
//
//	A ── INIT ──►◄── INIT ── B      each answers the other's call, and holds its own back:
//	A ◄─ resp ──  ── resp ─► B      the one with the lower SPIi, which would lose, for up to 5 s,
//	A ◄─ AUTH ────────────── B      the other not at all if the peer is known to have this rule.
//	A ── resp ─────────────► B      A's own call is given up when B's child works.
//
// If both came to IKE_AUTH, the SA whose initiator has the lower SPIi loses. Its own initiator alone deletes it, once the
// winner is proven. Nobody deletes what the other has initiated.

// yieldTo pauses a call of ours that has not sent IKE_AUTH, for the peer's own call is being answered.
func (p *Peer) yieldTo(theirs *session) {
	for _, ours := range p.sessions {
		if !ours.begun() || !ours.initiator || ours.authSent || ours.hadPause {
			continue
		}
		pause := pauseLoser
		if ours.spii > theirs.spii {
			pause = pauseWinner
		}
		ours.hadPause, ours.pauseEnd, ours.yieldsTo = true, p.now.Add(pause), theirs
	}
}

// settlePauses ends pauses that have lost their sense: the peer's call came to nothing, or ours wins and the peer is
// known to hold its own back.
func (p *Peer) settlePauses() {
	for _, ours := range p.all() {
		if !ours.paused() {
			continue
		}
		theirs := ours.yieldsTo
		if theirs.closed || ours.spii > theirs.spii && theirs.m.Status().PeerLockstep {
			p.resume(ours)
		}
	}
}

// hold keeps an input for the end of the pause. Of messages there are few; a Done is never lost.
func (p *Peer) hold(s *session, in ike.Input) {
	if _, message := in.(ike.Datagram); message && len(s.held) >= maxHeld {
		p.drop(reason.IKEMailboxFull)
		return
	}
	s.held = append(s.held, in)
}

// forget drops what was held back for a session that ends.
func (p *Peer) forget(s *session) {
	for _, in := range s.held {
		if _, message := in.(ike.Datagram); message {
			p.drop(reason.IKEUnexpected)
		}
	}
	s.pauseEnd, s.held, s.yieldsTo = time.Time{}, nil, nil
}

// resume ends a pause and delivers what came meanwhile.
func (p *Peer) resume(s *session) {
	held := s.held
	s.pauseEnd, s.held, s.yieldsTo = time.Time{}, nil, nil
	for _, in := range held {
		p.feed(s, in)
	}
}

// giveWay gives up calls of ours that have come no further than IKE_SA_INIT: s has what they were for.
func (p *Peer) giveWay(s *session) {
	for _, o := range p.all() {
		if o != s && o.begun() && o.initiator && !o.authSent {
			o.gaveWay = "the peer's own call came first"
			p.forget(o)
			p.tell(o, ike.VerbDiscard, sa.TombCollisionLoser, o.gaveWay)
		}
	}
}

// crossed says that two IKE SAs were made at the same time, one by each end.
func crossed(a, b *session) bool {
	return a.initiator != b.initiator && !a.began.After(b.upAt) && !b.began.After(a.upAt)
}

// crossings are our own IKE SAs that crossed with one of the peer's.
func (p *Peer) crossings(theirs *session) (ours []*session) {
	for _, o := range p.sessions {
		if o != theirs && o.live() && !o.leaving && o.initiator && o.ids == theirs.ids && crossed(o, theirs) {
			ours = append(ours, o)
		}
	}
	return ours
}

// outdone is an IKE SA of ours that may go once s is proven, and why; nil if there is none.
func (p *Peer) outdone(s *session) (*session, sa.TombReason, string) {
	for _, o := range p.crossings(s) {
		if o.spii < s.spii {
			return o, sa.TombCollisionLoser, "crossing calls"
		}
	}
	for _, o := range s.instead {
		if o.live() && !o.leaving {
			return o, sa.TombReauth, "reauthenticated"
		}
	}
	return nil, 0, ""
}

// decide is called whenever a child works: if an SA of ours lost a crossing, or was to be replaced, the other one is to be
// proven. The peer, if it initiated it, may not have our answer to its IKE_AUTH yet: only if nothing comes over it by itself
// it is asked. Where ours won, the peer may not know the rule.
func (p *Peer) decide() {
	for _, s := range p.sessions {
		if !s.live() || !s.childUp {
			continue
		}
		if o, _, _ := p.outdone(s); o != nil && !s.proving {
			s.proving, s.proveAt = true, p.now.Add(proofWait)
		}
		for _, ours := range p.crossings(s) {
			if ours.spii > s.spii && ours.concedeAt.IsZero() && !s.m.Status().PeerLockstep {
				ours.concedeAt = p.now.Add(concede + p.jitter(concede/2))
			}
		}
	}
}

// concede gives up our own IKE SA that won a crossing, where the peer has kept its own all the same: two would be rekeyed for
// ever. The peer's may not be touched (protocol.md D10). It is asked first: the INITIAL_CONTACT that we said before its call
// arrived has made some peers forget it.
func (p *Peer) concede(ours *session) {
	ours.concedeAt = time.Time{}
	theirs := p.kept(ours)
	if theirs == nil {
		return
	}
	p.ask(theirs, p.mine(ike.Command{Verb: ike.VerbLiveness, Why: "crossing calls"}, func(o ike.Outcome) {
		if o.Result != ike.OK {
			return
		}
		p.later(func() {
			if ours.live() && !ours.leaving && p.kept(ours) != nil {
				ours.leaving = true
				p.tell(ours, ike.VerbClearIKE, sa.TombCollisionLoser, "crossing calls, and the peer keeps its own")
			}
		})
	}))
}

// kept is the peer's own IKE SA beside ours of a crossing; nil if there is none.
func (p *Peer) kept(ours *session) *session {
	for _, theirs := range p.sessions {
		if theirs.live() && theirs.childUp && slices.Contains(p.crossings(theirs), ours) {
			return theirs
		}
	}
	return nil
}

func (p *Peer) prove(s *session) {
	s.proveAt = time.Time{}
	o, _, why := p.outdone(s)
	if !s.live() || o == nil {
		return
	}
	p.ask(s, p.mine(ike.Command{Verb: ike.VerbLiveness, Why: why}, func(o ike.Outcome) {
		if o.Result == ike.OK {
			p.later(func() { p.proven(s) })
		}
	}))
}

// proven: traffic or a message came over s, so the peer has it and its child; what it stands for may go.
func (p *Peer) proven(s *session) {
	if !s.live() || !s.childUp || !p.movedOver(s) {
		return
	}
	for o, cause, why := p.outdone(s); o != nil; o, cause, why = p.outdone(s) {
		o.leaving = true
		p.tell(o, ike.VerbClearIKE, cause, why)
	}
}
