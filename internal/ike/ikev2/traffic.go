package ikev2

import (
	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// traffic takes a note of the data plane about one child.
func (m *machine) traffic(t ike.Traffic) {
	c := m.childIn(t.SPI)
	if c == nil || !m.up() {
		return
	}
	switch t.Kind {
	case ike.FirstInbound:
		m.firstOn(c)
	case ike.Inbound:
		if !c.proven { // its first note was lost: the mailbox was full
			m.firstOn(c)
			return
		}
		m.hearOn(c)
	case ike.SoftBytes, ike.SoftPackets, ike.SeqHigh:
		m.rekeyChild(c, nil)
	case ike.HardBytes:
		m.hardVolume(c)
	case ike.EndpointMoved:
		m.hearOn(c)
		m.moveTo(m.path.local, t.Remote)
	case ike.ReplayStuck:
		m.replaysOn(c, t.Value)
	case ike.Outbound:
		c.spokeEver = true
		m.spokeOn(c)
		// RFC 7296 §2.4: traffic that goes out while nothing comes in asks whether the peer lives.
		if m.now.Sub(m.heard) >= m.worry() {
			m.probe()
		}
	}
}

// firstOn takes the first sign that packets come on c.
func (m *machine) firstOn(c *child) {
	c.proven = true
	// First of all: that the children before are heard of, too, is only what follows from it.
	m.notice(ike.Notice{Kind: ike.FirstInboundOK, In: c.spec.In, Out: c.spec.Out})
	m.hearOn(c)
	m.provesFF(c)
	if c.state == receiving && !c.isLoser {
		m.switchTo(c, 0, func(bool) {}) // RFC 7296 §2.8: the initiator is ready
	}
}

// hardVolume: the data plane has stopped the SA. A rekey that is under way is let finish; it deletes the old SA itself
// (protocol.md D13).
func (m *machine) hardVolume(c *child) {
	if c.successor() != nil || m.rekeying(c) {
		return
	}
	m.expired(c, sa.TombExpiredVolume)
}

// rekeying says that a rekey of c is outstanding or waits for its turn.
func (m *machine) rekeying(c *child) bool {
	for _, t := range append([]task{m.cur.active}, m.queue...) {
		if t, ok := t.(*createTask); ok && t.wish.old == c {
			return true
		}
	}
	return false
}

// invalidSPI takes a protected INVALID_SPI: the peer has no SA for packets of ours. By itself it changes nothing (RFC 7296
// §2.21.4); the child is probed by a rekey, which an honest peer answers with CHILD_SA_NOT_FOUND if it is lost.
func (m *machine) invalidSPI(spi sa.SPI) {
	c := m.childOut(spi)
	if c == nil {
		m.debugf("Peer reports INVALID_SPI for %v, which we do not send on", spi)
		return
	}
	m.debugf("Peer reports INVALID_SPI for %v", spi)
	if ready := c.spec.Created.Add(max(m.tune.Recheck, 4*m.srtt)); m.now.Before(ready) {
		c.recheckAt = ready // it may still be installing
		return
	}
	m.probeByRekey(c)
}

// suspects says that a rekey of c under way is to find out whether the peer still has c.
func (m *machine) suspects(c *child) bool {
	return !c.besides && !c.probed.IsZero() && m.now.Sub(c.probed) < probeGap
}

func (m *machine) probeByRekey(c *child) {
	if !c.probed.IsZero() && m.now.Sub(c.probed) < probeGap {
		return
	}
	c.probed = m.now
	m.rekeyChild(c, nil)
}
