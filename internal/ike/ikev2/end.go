package ikev2

import (
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// ending says how a machine ends.
type ending struct {
	cause  sa.TombReason // for the tombstones of the children
	result ike.Result    // for commands that waited
	why    string
	linger bool // answer retransmissions of the peer's last request for a while
}

// fail ends an IKE SA that cannot go on: the whole machine with the current one.
func (m *machine) fail(s *ikeSA, result ike.Result, why string) {
	if s != m.cur {
		m.abandon(s, result, why)
		m.dropSA(s)
		return
	}
	m.end(ending{cause: sa.TombIKEDeleted, result: result, why: why, linger: s.recv.Response() != nil})
}

// end closes everything that hangs on the current IKE SA. Nothing is sent: whoever wants a Delete has sent it before.
func (m *machine) end(e ending) {
	if m.closed || m.cur.phase == over {
		return
	}
	wasUp := m.cur.phase != halfOpen
	m.waiting = map[ike.EffectID]func(any, error){}
	queue := m.queue
	m.queue, m.wantAt, m.probeAt, m.keepAt, m.reauthAt = nil, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	for _, s := range m.sas {
		m.abandon(s, e.result, e.why)
		s.phase = over
		s.send.GiveUp()
	}
	for _, t := range queue {
		t.lost(m, m.cur, e.result, e.why)
	}
	for len(m.children) > 0 {
		m.children[0].letGo() // its task has ended
		m.remove(m.children[0], e.cause)
	}
	if wasUp {
		m.lastDown = e.why
		m.notice(ike.Notice{Kind: ike.IKEDown, Cause: e.cause, Initiator: m.cur.initiator, ByCommand: m.upByRef})
		m.report(event.IKESessionDown(m.path.remote, m.remoteID.String(), e.why))
	}
	if e.linger {
		m.lingerAt = m.now.Add(m.tune.Linger)
		return
	}
	m.close(e.why)
}

// close is the last thing that a machine does.
func (m *machine) close(why string) {
	for _, s := range m.sas {
		m.emit(ike.Disclaim{SPI: s.ours})
	}
	m.closed = true
	m.emit(ike.Closed{Why: why})
}
