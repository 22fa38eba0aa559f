package ikev2

import (
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// livenessTask is one empty INFORMATIONAL (RFC 7296 §2.4).
type livenessTask struct {
	orders
	schedule ike.Schedule
}

func (t *livenessTask) start(m *machine, s *ikeSA) {
	m.request(s, isakmp.Informational, nil, t.schedule)
}

func (t *livenessTask) answer(m *machine, s *ikeSA, _ []ike2.Payload) {
	m.finish(s)
	t.end(m, ike.OK, "")
}

func (t *livenessTask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	t.end(m, result, detail)
}

// defaultWorry is how long traffic may go one way before the peer is asked, where no `dpd` is configured: liveness on
// demand is always on (protocol.md D15).
const defaultWorry = 30 * time.Second

// dpd is the configured liveness check, nil if there is none.
func (m *machine) dpd() *policy.DPD {
	if m.peer.IKE.DPD != nil {
		return m.peer.IKE.DPD
	}
	if m.cfg.Env.Config == nil {
		return nil
	}
	if c := m.cfg.Env.Config(); c != nil {
		return c.DPDDefault
	}
	return nil
}

// worry is how long silence may last.
func (m *machine) worry() time.Duration {
	if d := m.dpd(); d != nil && d.Interval > 0 {
		return d.Interval
	}
	return defaultWorry
}

// dpdSchedule is `dpd INTERVAL RETRY`: five tries that begin RETRY apart and grow, as they must (RFC 7296 §2.4).
func (m *machine) dpdSchedule() ike.Schedule {
	if d := m.dpd(); d != nil && d.Retry > 0 {
		return ike.Schedule{First: d.Retry, Factor: 1.3, Tries: 5}
	}
	return m.tune.Probe
}

// probe asks whether the peer lives, unless something of ours is being answered anyway.
func (m *machine) probe() {
	if !m.up() || m.cur.active != nil || len(m.queue) > 0 {
		return
	}
	m.enqueue(&livenessTask{schedule: m.dpdSchedule()})
}

// hear notes a fresh authenticated sign of the peer (RFC 7296 §2.4: IKE or ESP). Periodic checks start anew.
func (m *machine) hear() {
	m.heard = m.now
	m.setProbe()
}

// setProbe begins the wait for the next periodic check.
func (m *machine) setProbe() {
	m.probeAt = time.Time{}
	if !m.up() {
		return
	}
	if d := m.dpd(); d != nil && d.Periodic && d.Interval > 0 {
		m.probeAt = m.now.Add(d.Interval)
	}
}

// fresh takes an authenticated message that was not seen before.
func (m *machine) fresh(d ike.Datagram) {
	m.hear()
	m.talked = m.now
	m.notice(ike.Notice{Kind: ike.PeerAlive})
	if m.up() && d.Local.IsValid() {
		m.moveTo(d.Local, d.Remote)
	}
}

// sample takes a measured round trip time, 0 if it could not be told (RFC 6298 §2: an eighth of it counts).
func (m *machine) sample(rtt time.Duration) {
	switch {
	case rtt <= 0:
	case m.srtt == 0:
		m.srtt = rtt
	default:
		m.srtt += (rtt - m.srtt) / 8
	}
}

// dead ends the machine without a word: every try to reach the peer is used up (RFC 7296 §2.1, §2.4).
func (m *machine) dead(s *ikeSA) {
	if s != m.cur {
		m.abandon(s, ike.TimedOut, "no answer")
		m.dropSA(s)
		return
	}
	m.end(ending{cause: sa.TombDPD, result: ike.TimedOut, why: "no answer from the peer"})
}
