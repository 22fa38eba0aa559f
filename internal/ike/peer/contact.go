package peer

import (
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// shared says that several hosts may go by an identity at once, as members of a group do: INITIAL_CONTACT is neither said
// for it nor heard (RFC 7296 §2.4 "MUST NOT"; protocol.md D26).
func shared(id policy.Identity) bool { return id.Kind == policy.IDKeyID }

// firstContact says whether INITIAL_CONTACT would be true in the first IKE_AUTH message of s: we hold no other IKE SA of
// this pair and may get none back, and the peer is not making one itself (RFC 7296 §2.4; protocol.md §2.6).
func (p *Peer) firstContact(s *session) bool {
	if p.opt.Restored || p.policy.IKE != nil && shared(p.policy.IKE.Local) {
		return false
	}
	for _, o := range p.sessions {
		if o != s && (o.live() || o.begun() && !(o.initiator && s.initiator)) {
			return false
		}
	}
	return true
}

// noticed learns from a notice of s, and gives it as the world shall see it.
func (p *Peer) noticed(s *session, n ike.Notice) ike.Notice {
	n.ByCommand = p.outsideRef(n.ByCommand)
	switch n.Kind {
	case ike.ExchangeStarted:
		s.authSent = s.authSent || s.initiator && n.Exchange == isakmp.IKEAuth
	case ike.IKEUp:
		s.up, s.upAt, s.contactBy = true, p.now, p.now.Add(childBy)
		s.ids = [2]policy.Identity{n.LocalID, n.RemoteID}
		said := n.InitialContact || p.policy.IKE != nil && p.policy.IKE.InitialContactForce
		s.contact = said && !shared(n.RemoteID)
		n.InitialContact = s.contact
		p.later(func() { p.arrived(s) })
	case ike.IKEDown:
		s.dead, s.contactBy = true, time.Time{}
		p.down(s, n.Cause)
	case ike.ChildUp:
		p.later(func() { p.childWorks(s) })
	case ike.FirstInboundOK, ike.PeerAlive:
		p.later(func() { p.proven(s) })
	}
	return n
}

func (p *Peer) later(do func()) { p.todo = append(p.todo, do) }

// arrived makes room for an IKE SA that came up: the oldest beyond the bound go.
func (p *Peer) arrived(s *session) {
	var live []*session
	for _, o := range p.sessions {
		if o.live() && o != s {
			live = append(live, o)
		}
	}
	for len(live) >= maxUp {
		p.tell(live[0], ike.VerbClearIKE, sa.TombReauth, "too many IKE SAs with one peer")
		live = live[1:]
	}
}

// childWorks: the new IKE SA carries traffic, so that older ones may be judged.
func (p *Peer) childWorks(s *session) {
	if !s.live() {
		return
	}
	if !s.childUp {
		s.childUp, s.contactBy = true, time.Time{}
		if s.contact {
			p.discardOlder(s)
		}
		p.doubtOlder(s)
		p.giveWay(s)
		p.moveOver(s)
	}
	p.decide()
}

// childless: s is up, and no child came with it. The older ones are doubted all the same; if it was to replace them, it is of
// no use.
func (p *Peer) childless(s *session) {
	s.contactBy = time.Time{}
	if len(s.instead) > 0 {
		p.tell(s, ike.VerbClearIKE, sa.TombReauth, "no child came with it")
		return
	}
	p.doubtOlder(s)
}

// older are the IKE SAs of the same authenticated identity pair, and so of one profile, that were up before s was begun: the
// same address alone says nothing (protocol.md D26, D35).
func (p *Peer) older(s *session) (out []*session) {
	for _, o := range p.sessions {
		if o != s && o.live() && o.ids == s.ids && o.upAt.Before(s.began) {
			out = append(out, o)
		}
	}
	return out
}

// discardOlder: the peer has said that it knows no other IKE SA (RFC 7296 §2.4). What it made after it sent this
// IKE_SA_INIT is not meant: two that start at once must not kill each other's new SA (protocol.md §2.6).
func (p *Peer) discardOlder(s *session) {
	for _, o := range p.older(s) {
		if o.live() {
			p.tell(o, ike.VerbDiscard, sa.TombInitialContact, "the peer said INITIAL_CONTACT")
		}
	}
}

// doubtOlder: a known peer made a new IKE SA and said nothing of the old ones. Perhaps it has lost them: each is asked,
// and ends when there is no answer. Those that we replace ourselves are asked nothing.
func (p *Peer) doubtOlder(s *session) {
	for _, o := range p.older(s) {
		if o.live() && !slices.Contains(s.instead, o) {
			p.tell(o, ike.VerbLiveness, 0, "the peer has a new IKE SA")
		}
	}
}
