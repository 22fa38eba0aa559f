package ikev2

import (
	"fmt"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

func (m *machine) emit(e ike.Effect) { m.out = append(m.out, e) }

func (m *machine) report(r event.Record) { m.emit(ike.Report{Event: r}) }

func (m *machine) debugf(format string, args ...any) {
	m.report(event.IKEDebug(m.session(), m.path.remote, fmt.Sprintf(format, args...)))
}

func (m *machine) session() int { return int(m.owner()) + 1 }

// await makes a barrier's ID whose Done calls then.
func (m *machine) await(then func(value any, err error)) ike.EffectID {
	id := m.cfg.NextID()
	m.waiting[id] = then
	return id
}

// done goes on behind a barrier. An ID that nobody waits for is ignored.
func (m *machine) done(d ike.Done) {
	then, ok := m.waiting[d.ID]
	if !ok {
		return
	}
	delete(m.waiting, d.ID)
	then(d.Value, d.Err)
}

// compute runs run, off the loop if it is slow, and then goes on.
func (m *machine) compute(slow bool, run func() (any, error), then func(value any, err error)) {
	if !slow {
		then(run())
		return
	}
	m.emit(ike.Compute{ID: m.await(then), Run: run})
}

// persist asks the store to keep the machine as it is now (protocol.md §3.1: before the message that depends on it).
func (m *machine) persist(deleting bool, then func(err error)) {
	rec := m.Record()
	rec.Deleting = deleting
	m.emit(ike.Persist{ID: m.await(func(_ any, err error) { then(err) }), Rec: rec})
}

// install puts halves of a child into the data plane.
func (m *machine) install(c *child, half sa.Half, then func(err error)) {
	m.emit(ike.Install{ID: m.await(func(_ any, err error) { then(err) }), Half: half, Child: c.spec})
}

func (m *machine) notice(n ike.Notice) {
	n.Owner, n.At, n.SRTT = m.owner(), m.now, m.srtt
	if n.IKE == 0 {
		n.IKE = m.cur.ours
	}
	m.emit(n)
}

func (m *machine) exchange(kind ike.NoticeKind, s *ikeSA, e isakmp.Exchange) {
	m.notice(ike.Notice{Kind: kind, IKE: s.ours, Exchange: e})
}

// send transmits octets on the current path.
func (m *machine) send(msg []byte) { m.sendOn(m.path.local, m.path.remote, msg) }
