package peer

import (
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
	s.pauseEnd, s.held = time.Time{}, nil
}

// resume ends a pause and delivers what came meanwhile.
func (p *Peer) resume(s *session) {
	held := s.held
	s.pauseEnd, s.held = time.Time{}, nil
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

// lost is the crossing that ours lost against winner, nil if there is none.
func (p *Peer) lost(winner *session) *session {
	for _, o := range p.sessions {
		if o != winner && o.live() && !o.leaving && o.initiator && crossed(o, winner) && o.spii < winner.spii {
			return o
		}
	}
	return nil
}

// decide is called whenever a child works: if an SA of ours lost a crossing, the winner is to be proven. The peer, who
// initiated it, may not have our answer to its IKE_AUTH yet: only if nothing comes over it by itself it is asked.
func (p *Peer) decide() {
	for _, winner := range p.sessions {
		if winner.live() && winner.childUp && !winner.proving && p.lost(winner) != nil {
			winner.proving, winner.proveAt = true, p.now.Add(proofWait)
		}
	}
}

func (p *Peer) prove(winner *session) {
	winner.proveAt = time.Time{}
	if !winner.live() || p.lost(winner) == nil {
		return
	}
	p.ask(winner, p.mine(ike.Command{Verb: ike.VerbLiveness, Why: "crossing calls"}, func(o ike.Outcome) {
		if o.Result == ike.OK {
			p.later(func() { p.proven(winner) })
		}
	}))
}

// proven: traffic or a message came over s, so the peer has it and its child; what lost against it may go.
func (p *Peer) proven(s *session) {
	if !s.live() || !s.childUp {
		return
	}
	if loser := p.lost(s); loser != nil {
		loser.leaving = true
		p.tell(loser, ike.VerbClearIKE, sa.TombCollisionLoser, "crossing calls")
	}
}
