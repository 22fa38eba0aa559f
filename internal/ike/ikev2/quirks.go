package ikev2

import (
	"errors"
	"slices"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// Faults of peers that we know by name (docs/peers.md): how each shows, and what is done about it. What was met is kept in
// ike.Quirks, which outlives this IKE SA.

const (
	bugNotify = "CSC..40554"             // its prefix is not public
	bugFF     = "CSCvp16730"             // ESP whose SPI begins with 0xFF is dropped
	bugEarly  = "CSCvn31824, CSCvx23833" // a packet on an SA that is being installed deletes it
)

func (m *machine) peerFault(bug, what, remedy string) {
	m.report(event.PeerFault(m.peer.Name(), m.path.remote, bug, what, remedy))
}

// cannotReadNotify: INVALID_SYNTAX was the answer to an INVALID_SPI alone in its message.
func (m *machine) cannotReadNotify() {
	if m.quirks.NoM2.IsZero() {
		m.peerFault(bugNotify, "answers INVALID_SPI with INVALID_SYNTAX", "it is sent none any more, and Delete alone tells it of lost SAs")
		m.quirks.NoM2 = m.now
	}
}

// beginsFF says that an SPI is one of those that CSCvp16730 drops.
func beginsFF(spi sa.SPI) bool { return spi>>24 == 0xFF }

// suspectFF says that c may be a victim of CSCvp16730: an SPI of it begins with 0xFF, it has sent, and never heard anything.
func (c *child) suspectFF() bool {
	return (beginsFF(c.spec.In) || beginsFF(c.spec.Out)) && c.spokeEver && c.heard.IsZero()
}

// ffTries bounds the draws for an SPI that does not begin with 0xFF: one in 256 does.
const ffTries = 8

// allocSPI draws an inbound SPI for what replaces old (nil: nothing), one that the peer can send on.
func (m *machine) allocSPI(old *child) (sa.SPI, error) {
	avoid := !m.quirks.AvoidFF.IsZero() || old != nil && old.suspectFF()
	for range ffTries {
		spi, err := m.cfg.Env.AllocSPI(m.owner())
		if err != nil || !avoid || !beginsFF(spi) {
			return spi, err
		}
		m.emit(ike.Release{SPI: spi})
	}
	return 0, errors.New("every SPI drawn begins with 0xFF, which this peer drops")
}

// provesFF: the first packet came on c, which replaces a suspect. Where the SPI of the suspect was ours the peer gets no such
// SPI any more; where it was its own, that is its to avoid.
func (m *machine) provesFF(c *child) {
	old := c.old
	switch {
	case old == nil || !old.suspectFF():
	case beginsFF(old.spec.In) && !beginsFF(c.spec.In):
		if m.quirks.AvoidFF.IsZero() {
			m.peerFault(bugFF, "sent nothing on our SPI "+old.spec.In.String()+" and sends on its successor", "it is offered no SPI that begins with 0xFF any more")
		}
		m.quirks.AvoidFF = m.now
	case beginsFF(old.spec.Out) && !beginsFF(c.spec.Out):
		m.peerFault(bugFF, "took nothing on its own SPI "+old.spec.Out.String()+" and takes its successor", "such a child is rekeyed when nothing comes back on it")
	}
}

const (
	earlyFor = 2 * time.Second // a Delete so soon after our first packet comes of it
	mostHold = 8 * time.Second
)

// tooEarly learns from a peer that deletes c: right after we began to send on it, before it ever sent, and with nothing in
// its place, it was not ready. It also happens to SAs that an operator clears at that moment; that costs the next switch a wait.
func (m *machine) tooEarly(c *child) {
	since := m.now.Sub(c.switched)
	if c.switched.IsZero() || since > earlyFor || !c.heard.IsZero() || !c.spokeEver || m.redundant(c) {
		return
	}
	m.quirks.Hold = min(max(2*m.quirks.Hold, m.tune.Hold), max(mostHold, m.tune.Hold))
	m.quirks.HoldSwitch = m.now
	m.peerFault(bugEarly, "deleted the new SA "+c.spec.In.String()+" "+since.Round(time.Millisecond).String()+" after its first packet",
		"we send on a new SA when it does, or after "+m.quirks.Hold.String())
}

// redundant says that c may go because there is another for its traffic: after a collision, or because it was not needed.
func (m *machine) redundant(c *child) bool {
	if c.isLoser || c.rival != nil || c.heir != nil {
		return true
	}
	return slices.ContainsFunc(m.children, func(o *child) bool {
		return o != c && o.usable() && carries(o, c.spec.TSLocal, c.spec.TSRemote)
	})
}

// holds says that sending on a new child waits for the peer's first packet.
func (m *machine) holds() bool { return !m.quirks.HoldSwitch.IsZero() }

// hold puts the switch to c off: until its first packet, until Hold is over, or until the peer deletes what it replaces. Then
// it goes on as switchTo would have.
func (m *machine) hold(c *child, ref uint64, then func(ok bool)) {
	m.debugf("Child SA %v: waiting for the peer's first packet before sending on it", c.spec.In)
	c.state, c.switchAt = receiving, m.now.Add(m.quirks.Hold)
	c.held = &heldSwitch{ref, then}
}

// heldSwitch is what follows a switch that was put off.
type heldSwitch struct {
	ref  uint64
	then func(ok bool)
}

// letGo ends the wait of a child: its switch is made now, or never.
func (c *child) letGo() *heldSwitch {
	h := c.held
	c.held = nil
	return h
}
