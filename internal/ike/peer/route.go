package peer

import (
	"crypto/sha256"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/wire/isakmp"
)

// digest stands for a whole message.
type digest [sha256.Size]byte

// IsFirst says that a message is a request that opens an IKE SA (RFC 7296 §1.2).
func IsFirst(h isakmp.Header) bool {
	return h.Exchange == isakmp.IKESAInit && !h.Response() && h.FromInitiator() && h.SPIr == 0 && h.SPIi != 0
}

// Repeats says that an IKE_SA_INIT request has made an IKE SA already that is still here; such a request is known by
// the whole message, not by its SPI or address (RFC 7296 §2.1).
func (p *Peer) Repeats(msg []byte) bool { return p.begunBy(sha256.Sum256(msg)) != nil }

func (p *Peer) begunBy(d digest) *session {
	for _, s := range p.sessions {
		if !s.initiator && s.first == d {
			return s
		}
	}
	return nil
}

// Reflects says that an IKE_SA_INIT request is our own, come back.
func (p *Peer) Reflects(h isakmp.Header) bool {
	s := p.claims[h.SPIi]
	return s != nil && s.initiator
}

// datagram hands a message to the machine that claimed our SPI in it, or begins an IKE SA.
func (p *Peer) datagram(d ike.Datagram) {
	h, err := isakmp.ParseHeader(d.Bytes)
	if err != nil {
		p.drop(reason.IKEMalformed)
		return
	}
	if IsFirst(h) {
		p.first(d, h)
		return
	}
	s := p.claims[h.ReceiverSPI()]
	if s == nil {
		p.drop(reason.IKEUnknownSPI)
		return
	}
	p.feed(s, d)
}

// first answers an IKE_SA_INIT request.
func (p *Peer) first(d ike.Datagram, h isakmp.Header) {
	id := digest(sha256.Sum256(d.Bytes))
	if s := p.begunBy(id); s != nil {
		p.feed(s, d)
		return
	}
	switch {
	case p.Reflects(h):
		p.drop(reason.IKEReflected)
	case p.stopped:
		p.drop(reason.IKENoPolicy)
	case p.HalfOpen() >= maxHalfOpen || !p.room():
		p.drop(reason.IKEHalfOpenLimit)
	default:
		p.respond(d, h, id)
	}
}

func (p *Peer) respond(d ike.Datagram, h isakmp.Header, id digest) {
	s := newSession(p.now, false)
	s.spii, s.first = h.SPIi, id
	p.sessions = append(p.sessions, s)
	p.guard(s, func() (effects []ike.Effect) {
		s.m, effects = p.opt.Maker.Respond(p.now, p.start(s, d), d)
		return effects
	})
	if !s.closed {
		p.yieldTo(s)
	}
}

// room makes room for one more session at the cost of one that only answers retransmissions.
func (p *Peer) room() bool {
	if len(p.sessions) < maxSessions {
		return true
	}
	for _, s := range p.sessions {
		if s.dead {
			p.retire(s, ike.NoIKE, "made room")
			return true
		}
	}
	return false
}
