package ikev2

import (
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// How long packets wait for a child after one was asked for in vain: doubling, so that a peer which narrows to less than our
// hosts want is not asked for each of their packets.
const (
	firstVainPause = 10 * time.Second
	mostVainPause  = 5 * time.Minute
)

// vain is when a child for a packet may be asked for again.
type vain struct {
	until time.Time
	pause time.Duration
}

// acquire makes a child for a packet that found none (RFC 7296 §2.9); one attempt at a time for the same selectors
// (protocol.md D11).
func (m *machine) acquire(a ike.Acquire) {
	switch {
	case m.peer == nil, m.cur.phase >= closing, m.now.Before(m.vain.until):
		return
	case m.cur.phase == halfOpen:
		return // the first child comes with IKE_AUTH; should it be narrowed, the next packet asks again
	case !ike.Covers(m.cfg.tsLocal(), a.TSLocal), !ike.Covers(m.cfg.tsRemote(), a.TSRemote):
		return // no child of this tunnel may carry it: IPv6 in a tunnel for IPv4
	case m.expects(a.TSLocal, a.TSRemote):
		return
	}
	for _, t := range append([]task{m.cur.active}, m.queue...) {
		if t, ok := t.(*createTask); ok && t.wish.old == nil && ike.Covers(t.wish.tsLocal, a.TSLocal) && ike.Covers(t.wish.tsRemote, a.TSRemote) {
			return
		}
	}
	m.enqueue(&createTask{wish: childWish{tsLocal: a.TSLocal, tsRemote: a.TSRemote, forPacket: true}})
}

// expects says that a child carries these selectors, or is about to.
func (m *machine) expects(tsLocal, tsRemote []ike2.Selector) bool {
	for _, c := range m.children {
		coming := c.state == installing || c.state == receiving || c.usable()
		if coming && carries(c, tsLocal, tsRemote) {
			return true
		}
	}
	return false
}

func carries(c *child, tsLocal, tsRemote []ike2.Selector) bool {
	return ike.Covers(c.spec.TSLocal, tsLocal) && ike.Covers(c.spec.TSRemote, tsRemote)
}

// acquired judges the child that a packet led to. One that does not carry it is of no use: it goes again, and the next
// packets wait.
func (m *machine) acquired(w childWish, c *child) {
	if carries(c, w.tsLocal, w.tsRemote) {
		m.vain = vain{}
		return
	}
	m.askedInVain()
	m.deleteChild(c, sa.TombCollisionLoser, nil)
}

func (m *machine) askedInVain() {
	m.vain.pause = min(max(2*m.vain.pause, firstVainPause), mostVainPause)
	m.vain.until = m.now.Add(m.vain.pause)
}
