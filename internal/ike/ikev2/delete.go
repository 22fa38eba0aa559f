package ikev2

import (
	"slices"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// deleteTask announces with one Delete that inbound SPIs of ours are gone (RFC 7296 §1.4.1): those of children, which go
// with it, or SPIs that we do not have (protocol.md §2.1 M1).
type deleteTask struct {
	orders
	children []*child
	spis     []sa.SPI // of no child; served by the order of the same index, if there is one
	quiet    bool     // SPIs of our own making: not moot although the table may still know them
	why      sa.TombReason
	detail   string
	merged   bool // several commands, one SPI each
}

// deleteChild announces the end of a child; asked twice, it is said once.
func (m *machine) deleteChild(c *child, why sa.TombReason, o orders) {
	if c.state >= deleting {
		o.end(m, ike.OK, "already deleted")
		return
	}
	if !m.enqueue(&deleteTask{orders: o, children: []*child{c}, why: why}) {
		o.end(m, ike.Busy, "")
		return
	}
	c.state, c.why = deleting, why
}

func (t *deleteTask) start(m *machine, s *ikeSA) {
	t.gather(m)
	t.dropMoot(m)
	if t.nothingLeft(m, s) {
		return
	}
	for _, c := range t.children {
		c.state, c.why = deleting, t.why
	}
	m.persist(true, func(err error) {
		switch {
		case err != nil:
			m.abandon(s, ike.InternalFailed, err.Error())
		case !t.nothingLeft(m, s):
			t.say(m, s)
		}
	})
}

// nothingLeft ends the task if the peer was faster with all that it would delete.
func (t *deleteTask) nothingLeft(m *machine, s *ikeSA) bool {
	t.children = slices.DeleteFunc(t.children, func(c *child) bool { return c.state >= grace })
	if len(t.children) > 0 || len(t.spis) > 0 {
		return false
	}
	m.finish(s)
	if !t.merged {
		t.end(m, ike.OK, "already deleted")
	}
	return true
}

func (t *deleteTask) say(m *machine, s *ikeSA) {
	d := &ike2.Delete{Protocol: ike2.ProtoESP}
	for _, c := range t.children {
		c.said = true
		d.SPIs = append(d.SPIs, uint32(c.spec.In))
	}
	for _, spi := range t.spis {
		d.SPIs = append(d.SPIs, uint32(spi))
		m.debugf("Sending DELETE INFO message for IPsec SA [SPI: 0x%08X]", uint32(spi))
	}
	m.request(s, isakmp.Informational, []ike2.Payload{d}, m.tune.Request)
}

// gather takes the lost SPIs of commands behind this one into the same message (protocol.md §2.8: up to 64).
func (t *deleteTask) gather(m *machine) {
	if !t.merged {
		return
	}
	m.queue = slices.DeleteFunc(m.queue, func(other task) bool {
		o, ok := other.(*deleteTask)
		if !ok || !o.merged || len(t.spis)+len(o.spis) > maxDeleteSPI {
			return false
		}
		t.spis, t.orders = append(t.spis, o.spis...), append(t.orders, o.orders...)
		return true
	})
}

// dropMoot ends what has become moot: the check is made at the moment of sending, by the SPI's owner (protocol.md §1.3).
func (t *deleteTask) dropMoot(m *machine) {
	if !t.merged {
		return
	}
	var spis []sa.SPI
	var left orders
	for i, spi := range t.spis {
		if m.have(spi) {
			m.outcome(t.orders[i].cmd, ike.Moot, 0, "the SPI is in use again")
			continue
		}
		spis, left = append(spis, spi), append(left, t.orders[i])
	}
	t.spis, t.orders = spis, left
}

// have says that packets on one of our SPIs are fine, or soon will be.
func (m *machine) have(spi sa.SPI) bool {
	switch m.cfg.Env.SPIState(spi) {
	case sa.Larval, sa.Installing, sa.Installed, sa.Grace:
		return true
	}
	return false
}

// answer takes the children out. If the peer deleted one at the same time, its outbound half went with that request
// (RFC 7296 §1.4.1).
func (t *deleteTask) answer(m *machine, s *ikeSA, ps []ike2.Payload) {
	m.finish(s)
	for _, c := range t.children {
		m.retire(c, t.why)
	}
	if n := ike2.FindError(ps); n != nil {
		t.end(m, ike.Refused, n.Kind.String())
		return
	}
	t.end(m, ike.OK, t.detail)
}

// retire removes a deleted child: at once, or, if another has taken over from it, with grace for late packets.
func (m *machine) retire(c *child, why sa.TombReason) {
	if why == sa.TombRekeyed {
		m.toGrace(c)
		return
	}
	next := c.rival
	m.remove(c, why)
	if next != nil && next.state == receiving && !next.isLoser {
		m.switchTo(next, 0, func(bool) {}) // nothing else is left to send on
	}
	m.wantAfter(why)
}

func (t *deleteTask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	for _, c := range t.children {
		if m.cur.phase == over {
			break // goes with the rest
		}
		m.retire(c, t.why)
	}
	t.end(m, result, detail)
}

// deleteIKETask deletes its IKE SA (RFC 7296 §1.4.1): the children of the current one go without a word of their own; a
// replaced one has none any more.
type deleteIKETask struct {
	orders
	why  sa.TombReason
	text string
}

func (t *deleteIKETask) start(m *machine, s *ikeSA) {
	s.phase = closing
	spii, spir := s.spis()
	m.debugf("Sending DELETE INFO message for IKEv2 SA [ISPI: 0x%v RSPI: 0x%v]", spii, spir)
	m.persist(true, func(error) {
		if s.active != t {
			return // the peer was faster
		}
		// An SA that cannot be marked is deleted all the same: after a crash it would be found dead.
		m.request(s, isakmp.Informational, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoIKE}}, m.tune.Request)
	})
}

func (t *deleteIKETask) answer(m *machine, s *ikeSA, _ []ike2.Payload) {
	m.finish(s)
	if s != m.cur {
		t.end(m, ike.OK, "")
		m.dropSA(s)
		return
	}
	t.end(m, ike.OK, "")
	m.end(ending{cause: t.cause(), result: ike.NoIKE, why: t.text})
}

func (t *deleteIKETask) cause() sa.TombReason {
	if t.why != 0 {
		return t.why
	}
	return sa.TombIKEDeleted
}

// lost: the peer is dead, or has closed the SA itself (RFC 7296 §2.25.2), which is what was wanted.
func (t *deleteIKETask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	if result != ike.TimedOut {
		result = ike.OK
	}
	t.end(m, result, detail)
}
