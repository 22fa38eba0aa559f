package ikev2

import (
	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// command takes one wish from outside. Each with a Ref ends in exactly one Outcome.
func (m *machine) command(c ike.Command) {
	if m.cur.phase == over {
		m.outcome(c, ike.NoIKE, 0, "the IKE SA is closed")
		return
	}
	switch c.Verb {
	case ike.VerbInitiate:
		m.initiate(c)
	case ike.VerbDeleteSPI:
		m.enqueueOrdered(c, &deleteTask{orders: orderOf(&c), spis: []sa.SPI{c.SPI}, why: sa.TombCleared, merged: true})
	case ike.VerbRekeySPI:
		m.rekeyLost(c)
	case ike.VerbNotifySPI:
		m.enqueueOrdered(c, &notifySPITask{orders: orderOf(&c), spi: c.SPI})
	case ike.VerbLiveness:
		m.liveness(c)
	case ike.VerbRekeyChild:
		m.eachChild(c, m.rekeyChild)
	case ike.VerbClearChild:
		m.eachChild(c, func(ch *child, o orders) { m.deleteChild(ch, causeOr(c, sa.TombCleared), o) })
	case ike.VerbRekeyIKE:
		m.enqueueOrdered(c, &rekeyIKETask{orders: orderOf(&c), of: m.cur})
	case ike.VerbClearIKE:
		m.clearIKE(c, causeOr(c, sa.TombCleared), "cleared")
	case ike.VerbShutdown:
		m.clearIKE(c, causeOr(c, sa.TombShutdown), "shutdown")
	case ike.VerbDiscard:
		m.outcome(c, ike.OK, 0, "")
		m.end(ending{cause: causeOr(c, sa.TombInitialContact), result: ike.NoIKE, why: "discarded: " + c.Why})
	case ike.VerbKickLarval:
		m.kick(c)
	default:
		m.outcome(c, ike.InternalFailed, 0, "unknown command")
	}
}

func causeOr(c ike.Command, usual sa.TombReason) sa.TombReason {
	if c.Cause != 0 {
		return c.Cause
	}
	return usual
}

// initiate: the IKE SA is there or on its way; what may be missing is a child.
func (m *machine) initiate(c ike.Command) {
	switch {
	case !m.up():
		m.outcome(c, ike.Busy, 0, "a negotiation is under way")
	case m.working(nil, nil) != nil:
		m.outcome(c, ike.OK, 0, "up already")
	case m.creating(m.cur):
		m.outcome(c, ike.Busy, 0, "a child is being made")
	default:
		m.enqueueOrdered(c, &createTask{orders: orderOf(&c)})
	}
}

// rekeyLost rekeys an inbound SPI that we have lost: it is ours to name, so the peer can replace it without a gap. With
// another child that carries the same selectors the Delete alone will do (protocol.md §2.6 Decide).
func (m *machine) rekeyLost(c ike.Command) {
	held := m.childIn(c.SPI)
	switch {
	case m.have(c.SPI):
		m.outcome(c, ike.Moot, 0, "the SPI is in use again")
	case held != nil && held.live():
		held.vanished = true // we hold what the data plane has lost (protocol.md D33)
		m.rekeyChild(held, orderOf(&c))
	case m.working(m.cfg.tsLocal(), m.cfg.tsRemote()) != nil:
		m.enqueueOrdered(c, &deleteTask{orders: orderOf(&c), spis: []sa.SPI{c.SPI}, why: sa.TombCleared, merged: true})
	default:
		m.enqueueOrdered(c, &createTask{orders: orderOf(&c), wish: childWish{lost: c.SPI}})
	}
}

// liveness asks at once; an outstanding request asks the same, and is only made to end sooner.
func (m *machine) liveness(c ike.Command) {
	if m.up() && m.cur.active != nil {
		m.cur.send.Hasten(m.now, m.tune.Probe)
	}
	m.enqueueOrdered(c, &livenessTask{orders: orderOf(&c), schedule: m.tune.Probe})
}

// eachChild does something to the child with the command's inbound SPI, or to all with SPI 0. The command ends with the
// last of them.
func (m *machine) eachChild(c ike.Command, do func(*child, orders)) {
	if c.SPI != 0 {
		ch := m.childIn(c.SPI)
		if ch == nil || !ch.live() {
			m.outcome(c, ike.ChildNotFound, 0, "no child SA with that inbound SPI")
			return
		}
		do(ch, orderOf(&c))
		return
	}
	var todo []*child
	for _, ch := range m.children {
		if ch.state < deleting {
			todo = append(todo, ch)
		}
	}
	if len(todo) == 0 {
		m.outcome(c, ike.OK, 0, "no child SA")
		return
	}
	for _, ch := range todo[:len(todo)-1] {
		do(ch, nil)
	}
	do(todo[len(todo)-1], orderOf(&c))
}

// clearIKE deletes the IKE SA; one that is not up yet is just forgotten.
func (m *machine) clearIKE(c ike.Command, why sa.TombReason, text string) {
	if m.cur.phase == halfOpen {
		m.outcome(c, ike.OK, 0, "was not up")
		m.end(ending{cause: why, result: ike.NoIKE, why: text})
		return
	}
	if m.cur.phase == closing {
		m.outcome(c, ike.Busy, 0, "is being deleted")
		return
	}
	m.closeIKE(orderOf(&c), why, text)
}

// kick retransmits the outstanding request whose answer an early packet announces (protocol.md D05).
func (m *machine) kick(c ike.Command) {
	var offer *childOffer
	switch t := m.cur.active.(type) {
	case *createTask:
		offer = t.offer
	case *authTask:
		offer = t.offer
	}
	msg := m.cur.send.Kick()
	if offer == nil || offer.spi != c.SPI || msg == nil {
		m.outcome(c, ike.Moot, 0, "nothing is outstanding for that SPI")
		return
	}
	m.debugf("Retransmitting packet at once: its child is in use already")
	m.send(msg)
	m.outcome(c, ike.OK, 0, "")
}

// notifySPITask is INVALID_SPI under protection (protocol.md §2.1 M2), alone in its INFORMATIONAL: a peer that cannot read
// it may answer INVALID_SYNTAX, which costs the IKE SA (CSC..40554).
type notifySPITask struct {
	orders
	spi sa.SPI
}

func (t *notifySPITask) start(m *machine, s *ikeSA) {
	switch {
	case m.have(t.spi):
		m.finish(s)
		t.end(m, ike.Moot, "the SPI is in use again")
		return
	case !m.quirks.NoM2.IsZero():
		m.finish(s)
		t.end(m, ike.Refused, "the peer cannot read it: "+bugNotify)
		return
	}
	m.debugf("Sending INVALID_SPI notify")
	m.request(s, isakmp.Informational, []ike2.Payload{ike2.NotifyInvalidSPI(uint32(t.spi))}, m.tune.Request)
}

func (t *notifySPITask) answer(m *machine, s *ikeSA, _ []ike2.Payload) {
	m.finish(s)
	t.end(m, ike.OK, "")
}

func (t *notifySPITask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	t.end(m, result, detail)
}
