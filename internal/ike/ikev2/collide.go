package ikev2

import (
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// Both ends rekey the same child at once (RFC 7296 §2.8.1):
//
//	A                                B
//	├── REKEY_SA(C) Ni_a ─────┐ ┌─── Ni_b REKEY_SA(C) ──┤
//	│◄────────────────────────┼─┘                       │
//	│                         └────────────────────────►│
//	├── Nr_a, child b ────────┐ ┌─── Nr_b, child a ─────┤
//	│◄────────────────────────┼─┘                       │
//	│                         └────────────────────────►│
//
// The child whose exchange has the lowest of the four nonces is deleted by who initiated that exchange; the initiator of
// the other one deletes C. Nobody deletes anything that the other side made.

// collided brings c, the child of our own exchange, up beside old.rival, that of the peer's.
func (t *createTask) collided(m *machine, s *ikeSA, c *child, old *child) {
	rival := old.rival
	if string(c.lowest) < string(rival.lowest) {
		t.yield(m, s, c, old)
		return
	}
	m.debugf("Rekey collision: our child %v stays, the peer deletes its %v", c.spec.In, rival.spec.In)
	rival.isLoser, rival.switchAt = true, time.Time{}
	m.bringUp(c, t.ref(), func(ok bool) {
		m.finish(s)
		if !ok {
			t.end(m, ike.InternalFailed, "install failed")
			return
		}
		t.replaceOld(m, c)
	})
}

// yield deletes c again and sends on the peer's child. c can receive until then, for the peer may have begun to use it.
func (t *createTask) yield(m *machine, s *ikeSA, c *child, old *child) {
	rival := old.rival
	m.debugf("Rekey collision: our child %v goes, the peer's %v stays", c.spec.In, rival.spec.In)
	c.isLoser = true
	m.children = append(m.children, c)
	m.install(c, sa.InboundHalf, func(err error) {
		m.finish(s)
		if !m.stillborn(c, err) {
			m.deleteChild(c, sa.TombCollisionLoser, nil)
		}
		t.end(m, ike.OK, "the peer's rekey stays")
	})
}
