package ikev2

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// What a notify in the clear may cost (protocol.md §2.3, §2.8 rule 9).
const (
	hintGap      = 10 * time.Second // between two of one IKE SA that are taken up
	hintAge      = 2 * time.Second  // a younger child may still be on its way into the peer's data plane
	flowingFor   = 2 * time.Second  // notes of traffic are a second apart: this old, packets came within the last second
	talkedWithin = 10 * time.Second // an exchange this recent says that the IKE SA is in step
)

// hint takes an INVALID_SPI in the clear. It changes nothing (RFC 7296 §2.21.4): the peer is asked whether it lives, unless
// something is being asked anyway, and only its authentic answer leads on, to a rekey of the child.
func (m *machine) hint(h ike.Hint) {
	c := m.childIn(h.In)
	switch {
	case !m.up(), c == nil, !c.live(), !c.hasOut, c.spec.Out != h.Out, !c.sendsTo(h.Remote):
		return
	case m.now.Sub(c.spec.Created) < hintAge:
		return
	case !m.hintedAt.IsZero() && m.now.Sub(m.hintedAt) < hintGap:
		return
	case m.now.Sub(c.heard) < flowingFor && m.now.Sub(m.talked) < talkedWithin:
		return // in step, whoever says otherwise
	}
	m.hintedAt, c.doubted = m.now, true
	m.debugf("Unprotected INVALID_SPI for %v: checking that the peer is alive", h.Out)
	m.askNow()
}

// sendsTo says that packets of c go to remote; protocol 50 has no ports.
func (c *child) sendsTo(remote netip.AddrPort) bool {
	if c.spec.Encap == sa.EncapNone {
		return c.spec.Remote.Addr().Unmap() == remote.Addr().Unmap()
	}
	return c.spec.Remote == remote
}

// askNow wants an answer of the peer soon: a request that is out, or about to go, will do.
func (m *machine) askNow() {
	switch {
	case m.cur.active != nil:
		m.cur.send.Hasten(m.now, m.tune.Probe)
	case len(m.queue) == 0:
		m.enqueue(&livenessTask{schedule: m.tune.Probe})
	}
}

// probeDoubted goes on from hints once the peer has answered anything: its IKE SA lives, so only the child may be lost.
func (m *machine) probeDoubted() {
	for _, c := range append([]*child(nil), m.children...) {
		if c.doubted {
			c.doubted = false
			m.probeByRekey(c)
		}
	}
}

// disowned takes an INVALID_IKE_SPI in the clear, which has the SPIs and the Message ID of our outstanding request and is not
// its answer: that request is transmitted on, at most sooner (RFC 7296 §2.21.4).
func (m *machine) disowned(s *ikeSA, d ike.Datagram, why reason.Drop) {
	if why != reason.IKEUnauthenticated || !m.hintedAt.IsZero() && m.now.Sub(m.hintedAt) < hintGap || m.now.Sub(m.heard) < flowingFor {
		return
	}
	msg, err := ike2.Parse(d.Bytes)
	if err != nil || ike2.FindNotify(msg.Payloads, ike2.InvalidIKESPI) == nil {
		return
	}
	m.hintedAt = m.now
	m.debugf("Unprotected INVALID_IKE_SPI: asking sooner whether the peer is alive")
	s.send.Hasten(m.now, m.tune.Probe)
}
