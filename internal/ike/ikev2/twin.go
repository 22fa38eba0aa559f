package ikev2

import (
	"time"

	"lockstep/internal/sa"
)

// Both ends make a child for the same packet at once, which neither replaces (protocol.md D11):
//
//	A                                B
//	├── create, Ni_a ─────────┐ ┌─── Ni_b, create ──────┤
//	│◄────────────────────────┼─┘                       │
//	│                         └────────────────────────►│
//	├── Nr_a, child b ────────┐ ┌─── Nr_b, child a ─────┤
//
// RFC 7296 permits both and has no rule for which one goes. Ours is that of rekeys: the one with the lowest of the four
// nonces is deleted by who asked for it. A peer that does not know the rule, or did not see that the two crossed, deletes
// nothing: then we delete our own after a while. Nobody deletes what the other side asked for.
//
// Deviation: RFC 7296 §2.8 lets parallel SAs stand; two that nobody wanted are reduced to one.

// How long a peer may take to delete its twin, with as much jitter as half of it on top.
const twinPatience = 10 * time.Second

// crosses notes a child that the peer asked for while a request of ours was under way.
func (m *machine) crosses(s *ikeSA, c *child) {
	if t, ok := s.active.(*createTask); ok && c.old == nil {
		t.crossed = append(t.crossed, c)
	}
}

// settleTwin is called when c, which replaces nothing, works. crossed are children that the peer asked for meanwhile.
func (m *machine) settleTwin(c *child, crossed []*child) {
	t := twinOf(c, crossed)
	switch {
	case t == nil || c.state != working:
	case string(c.lowest) < string(t.lowest):
		m.debugf("Child SAs %v and %v were made at once: ours goes", c.spec.In, t.spec.In)
		m.deleteChild(c, sa.TombCollisionLoser, nil)
	default:
		m.debugf("Child SAs %v and %v were made at once: the peer's goes", c.spec.In, t.spec.In)
		c.twin, c.twinBy = t, m.now.Add(twinPatience+m.jitter(twinPatience/2))
	}
}

// twinOf is the one of them that carries the same traffic as c.
func twinOf(c *child, crossed []*child) *child {
	for _, t := range crossed {
		if t.state < deleting && sameTraffic(c, t) {
			return t
		}
	}
	return nil
}

func sameTraffic(a, b *child) bool {
	return carries(a, b.spec.TSLocal, b.spec.TSRemote) && carries(b, a.spec.TSLocal, a.spec.TSRemote)
}

// endTwin gives our own up where the peer has kept its.
func (m *machine) endTwin(c *child) {
	t := c.twin
	c.twin, c.twinBy = nil, time.Time{}
	if t.state == working && c.state == working && c.successor() == nil && t.successor() == nil {
		m.debugf("The peer keeps %v: ours goes", t.spec.In)
		m.deleteChild(c, sa.TombCollisionLoser, nil)
	}
}
