package engine

import (
	"lockstep/internal/ike"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// datagram routes a message on the loop.
func (s *shard) datagram(d ike.Datagram, m mail) {
	if peer.IsFirst(m.header) {
		s.first(d, m)
		return
	}
	en := s.claims[m.header.ReceiverSPI()]
	if en == nil {
		s.e.drop(unclaimed(m.header))
		return
	}
	s.step(en, d)
}

// first is the gate for messages that would begin an IKE SA: the source has a peer, the message is fresh, the half-open
// table has room, and from a threshold on the sender shows that it is where it says (RFC 7296 §2.6).
func (s *shard) first(d ike.Datagram, m mail) {
	now := s.e.opt.Now()
	en := s.callee(d)
	switch {
	case s.reflects(m):
		s.e.drop(reason.IKEReflected)
	case en == nil || s.stopping:
		s.e.drop(reason.IKENoPolicy)
	case en.p.Repeats(d.Bytes):
		s.step(en, d)
	case now.Sub(m.at) > staleAfter:
		s.e.drop(reason.IKEStaleInit)
	case s.e.halfOpen.Load() >= int64(s.e.opt.HalfOpen):
		s.e.drop(reason.IKEHalfOpenLimit)
	case s.e.suspicious(en) && !s.showsCookie(d):
	default:
		s.step(en, d)
	}
}

// reflects says that the message is our own IKE_SA_INIT request.
func (s *shard) reflects(m mail) bool {
	en := s.claims[m.header.SPIi]
	return en != nil && en.p.Reflects(m.header)
}

// callee is the peer that a first message is for, nil if the configuration has changed meanwhile. Where several tunnels
// have the same two addresses, the first is asked.
func (s *shard) callee(d ike.Datagram) *entry {
	for _, p := range s.e.candidates(d) {
		if en := s.peers[sa.Owner(p.ID)]; en != nil {
			return en
		}
	}
	return nil
}

// suspicious says that a cookie is due: from the configured number of half-open IKE SAs on, in all, or a few of one peer,
// so that a forger cannot keep the real one out.
func (e *Engine) suspicious(en *entry) bool {
	return e.halfOpen.Load() >= int64(e.cookieThreshold(e.plan.Load().config)) || en.p.HalfOpen() >= cookiesPerPeer
}

func (e *Engine) cookieThreshold(c *policy.Config) int {
	if c.CookieChallenge > 0 {
		return c.CookieChallenge
	}
	return e.opt.HalfOpen / 2
}

// showsCookie says that the message holds a good cookie; else one is sent, and nothing is kept.
func (s *shard) showsCookie(d ike.Datagram) bool {
	ok, reply := s.e.jar.Check(d.Bytes, d.Remote, s.e.opt.Now())
	switch {
	case ok:
	case reply == nil:
		s.e.drop(reason.IKEMalformed)
	default:
		s.e.opt.Send(send(d.Local, d.Remote, reply))
		s.e.drop(reason.IKECookieSent)
	}
	return ok
}
