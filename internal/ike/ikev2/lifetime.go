package ikev2

import (
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// Defaults of IOS where policy says nothing (docs/configuration.md), and our own limits.
const (
	defaultIKELife   = 24 * time.Hour
	defaultChildLife = time.Hour
	defaultKeepalive = 20 * time.Second // RFC 3948 §4
	maxMargin        = 9 * time.Minute  // of a soft lifetime before the hard one
	supersededFor    = 2 * time.Minute  // a rekeyed IKE SA waits for the peer's Delete
	wantSoon         = 200 * time.Millisecond
	wantFirst        = 10 * time.Second // first pause after a failed attempt to get a child; doubles
	wantMost         = 5 * time.Minute
	probeGap         = time.Minute // between two rekeys of one child for INVALID_SPI (protocol.md §2.3)
	maxRekeys        = 40          // failed IKE rekeys, five minutes of them, then it is closed
	temporaryFor     = 5 * time.Minute
	temporaryApart   = 10 * time.Minute
)

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func (m *machine) jitter(most time.Duration) time.Duration {
	if m.cfg.Env.Jitter == nil || most <= 0 {
		return 0
	}
	return m.cfg.Env.Jitter(most)
}

// soft is when to rekey what ends at life: before it by a tenth and as much jitter again, so that two ends with one
// lifetime do not begin together; the side that did not make the SA waits half as long before the end (protocol.md D12).
func (m *machine) soft(life time.Duration, initiator bool) time.Duration {
	margin := min(life/10, maxMargin)
	if !initiator {
		margin /= 2
	}
	return life - margin - m.jitter(margin)
}

func (m *machine) setIKELimits(s *ikeSA) {
	life := m.ikeLife()
	s.rekeyAt = m.now.Add(m.soft(life, s.initiator))
	s.hardAt = m.now.Add(life)
}

func (m *machine) ikeLife() time.Duration { return orElse(m.peer.IKE.Lifetime, defaultIKELife) }

// softPackets leaves a tenth of the 32-bit sequence space for the rekey (protocol.md D23).
const softPackets = 1 << 32 / 10 * 9

// setChildLimits: time by soft and hard, volume at 80 % (protocol.md D13), packets only without extended numbers.
func (m *machine) setChildLimits(c *child) {
	life := orElse(m.peer.IPsec.Lifetime, defaultChildLife)
	c.rekeyAt = m.now.Add(m.soft(life, c.spec.Initiator))
	c.hardAt = m.now.Add(life)
	c.spec.Hard = c.hardAt
	if kb := m.peer.IPsec.LifetimeKB; kb > 0 {
		c.spec.HardBytes = kb * 1024
		c.spec.SoftBytes = c.spec.HardBytes / 10 * 8
	}
	if !c.spec.ESN {
		c.spec.SoftPackets = softPackets
	}
}

// retryPause is the wait before another attempt after a temporary failure (RFC 7296 §2.25: not at once, with jitter).
func (m *machine) retryPause() time.Duration { return m.tune.Retry + m.jitter(m.tune.Retry) }

// outOfStep notes a TEMPORARY_FAILURE. A peer that gives no other answer for minutes has another idea of the IKE SA than we:
// it is closed (RFC 7296 §2.25).
func (m *machine) outOfStep() {
	if m.temporary.IsZero() || m.now.Sub(m.lastTemporary) > temporaryApart {
		m.temporary = m.now
	}
	m.lastTemporary = m.now
	if m.now.Sub(m.temporary) >= temporaryFor && m.up() {
		m.temporary = time.Time{}
		m.closeIKE(nil, sa.TombIKEDeleted, "the peer has said TEMPORARY_FAILURE for minutes")
	}
}

// inStep: the peer has made an SA with us.
func (m *machine) inStep() { m.temporary = time.Time{} }

// wants says that this tunnel should have a child and nothing is under way to give it one.
func (m *machine) wants() bool {
	if m.peer == nil || !m.peer.Initiate || !m.up() {
		return false
	}
	for _, c := range m.children {
		if c.live() && c.state != deleting {
			return false
		}
	}
	return !m.creating(m.cur) && !slices.ContainsFunc(m.queue, func(t task) bool { _, ok := t.(*createTask); return ok })
}

func (m *machine) wantChildNow() {
	if m.wants() {
		m.wantAt = m.now.Add(wantSoon)
	}
}

// wantChildLater tries again with growing pauses after a failure.
func (m *machine) wantChildLater() {
	if m.peer == nil || !m.peer.Initiate {
		return
	}
	m.wantPause = min(max(2*m.wantPause, wantFirst), wantMost)
	m.wantAt = m.now.Add(m.wantPause + m.jitter(m.wantPause/4))
}

// wantAfter: the last child went, and the tunnel wants another, unless it was the operator's wish (protocol.md §2.3).
func (m *machine) wantAfter(why sa.TombReason) {
	if why != sa.TombShutdown && why != sa.TombCollisionLoser {
		m.wantChildNow()
	}
}

// Deadline implements ike.Machine: the earliest of all that time brings about.
func (m *machine) Deadline() time.Time {
	if m.closed {
		return time.Time{}
	}
	d := m.lingerAt
	for _, t := range []time.Time{m.authBy, m.wantAt, m.probeAt, m.keepAt, m.reauthAt} {
		d = earlier(d, t)
	}
	for _, s := range m.sas {
		d = earlier(d, s.deadline(s == m.cur))
	}
	for _, c := range m.children {
		d = earlier(d, c.deadline())
	}
	return d
}

func (s *ikeSA) deadline(current bool) time.Time {
	d := earlier(s.send.Due(), s.goneBy)
	if current && s.phase == established {
		d = earlier(d, earlier(s.rekeyAt, s.hardAt))
	}
	return d
}

func (c *child) deadline() time.Time {
	if c.state == grace {
		return c.removeAt
	}
	d := earlier(earlier(c.switchAt, c.recheckAt), c.twinBy)
	if c.state < deleting {
		d = earlier(d, earlier(c.rekeyAt, c.hardAt))
	}
	return d
}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says that a time has come, and is not "never".
func (m *machine) due(t time.Time) bool { return !t.IsZero() && !m.now.Before(t) }

// expire does what time has brought about.
func (m *machine) expire() {
	if m.due(m.lingerAt) {
		m.close("closed")
		return
	}
	if m.due(m.authBy) {
		m.end(ending{result: ike.TimedOut, why: "no IKE_AUTH in time"})
		return
	}
	for _, s := range append([]*ikeSA(nil), m.sas...) {
		m.expireIKE(s)
	}
	for _, c := range append([]*child(nil), m.children...) {
		m.expireChild(c)
	}
	if m.closed || !m.up() {
		return
	}
	if m.due(m.probeAt) {
		m.probeAt = m.now.Add(m.worry())
		m.probe()
	}
	if m.due(m.keepAt) {
		m.keepalive()
	}
	if m.due(m.reauthAt) {
		m.askToReauthenticate()
	}
	if m.due(m.wantAt) {
		m.wantAt = time.Time{}
		if m.wants() {
			m.enqueue(&createTask{})
		}
	}
}

func (m *machine) expireIKE(s *ikeSA) {
	if m.due(s.send.Due()) {
		m.again(s)
	}
	switch {
	case m.due(s.goneBy) && (s.phase == over || s.unheardOf()):
		m.dropSA(s)
	case m.due(s.goneBy):
		s.deleteIt, s.goneBy = true, time.Time{}
	case s != m.cur || s.phase != established:
	case m.due(s.hardAt):
		s.hardAt, s.rekeyAt = time.Time{}, time.Time{}
		m.closeIKE(nil, sa.TombIKEDeleted, "lifetime expired")
	case m.due(s.rekeyAt):
		s.rekeyAt = time.Time{}
		if s.rekeys >= maxRekeys {
			m.closeIKE(nil, sa.TombIKEDeleted, "cannot be rekeyed")
			return
		}
		m.enqueue(&rekeyIKETask{of: s})
	}
}

// again transmits an outstanding request once more, the same octets, or declares the peer dead.
func (m *machine) again(s *ikeSA) {
	msg, ok := s.send.Again(m.now)
	if !ok {
		m.dead(s)
		return
	}
	m.debugf("Retransmitting packet, message id %d", s.send.ID())
	m.send(msg)
}

func (m *machine) expireChild(c *child) {
	if c.state == gone {
		return
	}
	if m.due(c.removeAt) {
		m.remove(c, sa.TombRekeyed)
		return
	}
	if m.due(c.switchAt) {
		m.switchTo(c, 0, func(bool) {})
	}
	if m.due(c.recheckAt) {
		c.recheckAt = time.Time{}
		m.probeByRekey(c)
	}
	if m.due(c.twinBy) {
		m.endTwin(c)
	}
	switch {
	case c.state >= deleting:
	case m.due(c.hardAt):
		m.expired(c, sa.TombExpiredTime)
	case m.due(c.rekeyAt):
		c.rekeyAt = time.Time{}
		m.rekeyChild(c, nil)
	}
}

// rekeyChild asks for a new child in c's place, unless one is on its way.
func (m *machine) rekeyChild(c *child, o orders) {
	switch {
	case c.state >= deleting || c.successor() != nil || c.isLoser:
		o.end(m, ike.OK, "rekeyed already")
		return
	case c.state == receiving:
		// The peer asked for it, and may not have our answer: it would say CHILD_SA_NOT_FOUND of what it is about to use.
		o.end(m, ike.OK, "made by the peer just now")
		return
	}
	for _, t := range append([]task{m.cur.active}, m.queue...) {
		if t, ok := t.(*createTask); ok && t.wish.old == c {
			t.orders = append(t.orders, o...)
			return
		}
	}
	if !m.enqueue(&createTask{orders: o, wish: childWish{old: c}}) {
		o.end(m, ike.Busy, "")
	}
}

// expired: the child may not be used any more. It is always announced (protocol.md D12). Where rekeying it failed until
// now, the IKE SA goes with it (RFC 7296 §2.8).
func (m *machine) expired(c *child, why sa.TombReason) {
	c.hardAt, c.rekeyAt = time.Time{}, time.Time{}
	if c.rekeys > 0 && c.successor() == nil {
		m.closeIKE(nil, why, "a child SA could not be rekeyed until it expired")
		return
	}
	m.deleteChild(c, why, nil)
}

// closeIKE deletes the IKE SA with all children, behind what is outstanding now; what has not begun is given up. From now on
// nothing is sent on the children, which may take a minute to go where the peer is silent; what it still sends is taken until
// then.
func (m *machine) closeIKE(o orders, why sa.TombReason, text string) {
	queue := m.queue
	m.queue = nil
	for _, t := range queue {
		t.lost(m, m.cur, ike.NoIKE, text)
	}
	m.parting = true
	for _, c := range m.children {
		m.stopSending(c, why)
	}
	m.enqueue(&deleteIKETask{orders: o, why: why, text: text})
}
