package ikev2

import (
	"slices"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// respondInformational answers INFORMATIONAL (RFC 7296 §1.4). An empty one, or one with nothing that we know, gets an
// empty answer: that is the liveness check.
func (m *machine) respondInformational(s *ikeSA, ps []ike2.Payload) {
	if ike2.FindNotify(ps, ike2.AuthenticationFailed) != nil {
		// The peer could not verify us in IKE_AUTH, and tells by the only message it has left (RFC 7296 §2.21.2).
		m.report(m.peerRefusedUs())
		m.respond(s, isakmp.Informational, nil)
		m.end(ending{cause: sa.TombIKEDeleted, result: ike.AuthFailed, why: ike2.AuthenticationFailed.String(), linger: true})
		return
	}
	deletes := ike2.All[*ike2.Delete](ps)
	if slices.ContainsFunc(deletes, func(d *ike2.Delete) bool { return d.Protocol == ike2.ProtoIKE }) {
		m.respondDeleteIKE(s)
		return
	}
	m.authLifetime(ps)
	var paired []uint32
	for _, d := range deletes {
		if d.Protocol == ike2.ProtoESP {
			paired = append(paired, m.deletedByPeer(s, d.SPIs)...)
		}
	}
	for _, n := range ike2.AllNotify(ps, ike2.InvalidSPI) {
		if spi, ok := n.OffendingSPI(); ok {
			m.invalidSPI(sa.SPI(spi))
		}
	}
	var answer []ike2.Payload
	if len(paired) > 0 {
		answer = []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: paired}}
	}
	m.respond(s, isakmp.Informational, answer)
}

// respondDeleteIKE: the peer closes the IKE SA (RFC 7296 §1.4.1). What we wanted of it is forgotten (§2.25.2).
func (m *machine) respondDeleteIKE(s *ikeSA) {
	m.respond(s, isakmp.Informational, nil)
	switch {
	case s == m.cur && s.theirsIs != nil:
		// The peer finished its rekey while ours was outstanding: its new SA it is (RFC 7296 §2.8.2).
		if t, ok := s.active.(*rekeyIKETask); !ok || !t.answered {
			m.abandon(s, ike.OK, "rekeyed by the peer")
		}
		m.adopt(s.theirsIs)
		m.linger(s)
	case s != m.cur:
		m.abandon(s, ike.OK, "replaced")
		m.linger(s)
	default:
		m.end(ending{cause: sa.TombIKEDeleted, result: ike.Refused, why: "deleted by the peer", linger: true})
	}
}

// linger keeps a closed IKE SA that is not the current one for repetitions of the peer's last request.
func (m *machine) linger(s *ikeSA) {
	s.phase = over
	s.send.GiveUp() // RFC 7296 §2.8.2, §2.25.2: the peer will not answer here any more
	s.goneBy = m.now.Add(m.tune.Linger)
}

// deletedByPeer takes the children out whose outbound SPIs the peer deletes, and gives the inbound ones for the answer
// (RFC 7296 §1.4.1): not of those for which our own Delete is out, of which the outgoing half goes now. An unknown SPI is no
// error.
func (m *machine) deletedByPeer(s *ikeSA, spis []uint32) (paired []uint32) {
	for _, spi := range spis {
		c := m.childOut(sa.SPI(spi))
		switch {
		case c == nil:
			m.debugf("Peer deletes %v, which we do not have", sa.SPI(spi))
			if m.creating(s) && len(m.doomed) < maxDoomed {
				m.doomed = append(m.doomed, sa.SPI(spi))
			}
		case c.said:
			m.stopSending(c, c.why)
		default:
			paired = append(paired, uint32(c.spec.In))
			m.tooEarly(c)
			m.gone(c)
		}
	}
	return paired
}

// stopSending takes the outgoing half out; the incoming one goes with the answer to our own Delete.
func (m *machine) stopSending(c *child, why sa.TombReason) {
	if !c.hasOut {
		return
	}
	c.hasOut = false
	m.emit(ike.Remove{In: c.spec.In, Out: c.spec.Out, Owner: m.owner(), Half: sa.OutboundHalf, Why: why})
}

// lostTo says that the peer deletes the child of its own rekey because ours stays, perhaps before we have its answer
// (RFC 7296 §2.8.1).
func (m *machine) lostTo(c *child) bool {
	o := c.old
	return o != nil && o.rival == c && o.live() && (o.heir != nil && o.heir != c || m.rekeying(o))
}

// gone ends a child that the peer deletes. If the peer has made another in its place, we send on that from now on.
func (m *machine) gone(c *child) {
	next := c.rival
	if next == nil || next.isLoser {
		next = c.heir
	}
	switch {
	case c.isLoser || m.lostTo(c):
		m.remove(c, sa.TombCollisionLoser)
	case next != nil && next.live():
		m.switchTo(next, 0, func(bool) {})
		m.toGrace(c)
	default:
		m.remove(c, sa.TombPeerDeleted)
		m.wantAfter(sa.TombPeerDeleted)
	}
}
