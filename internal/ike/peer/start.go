package peer

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// boot begins IKE SAs on our own accord: an sVTI does when its interface comes up, and whenever it has none.
type boot struct {
	on       bool
	next     time.Time // of the next attempt; zero: none wanted
	failures int       // in a row
	pause    time.Duration
}

// Begin says that the tunnel's interface is up: an IKE SA is begun within delay, and kept up from then on.
func (p *Peer) Begin(now time.Time, delay time.Duration) []ike.Effect {
	p.now = now
	p.boot.on, p.boot.pause = true, delay
	out := p.flush()
	if delay <= 0 {
		out = append(out, p.Step(now, ike.Tick{})...)
	}
	return out
}

// Freeze stops or resumes what is begun on our own accord. An attempt under way goes on.
func (p *Peer) Freeze(now time.Time, frozen bool) []ike.Effect {
	p.now = now
	p.opt.Frozen = frozen
	return p.flush()
}

// wants says that an IKE SA is missing and ours to begin.
func (p *Peer) wants() bool {
	return p.boot.on && !p.stopped && !p.opt.Frozen && p.policy.Initiate && p.newest() == nil && p.starting() == nil
}

// settleBoot keeps the time of the next attempt.
func (p *Peer) settleBoot() {
	switch {
	case !p.wants():
		p.boot.next = time.Time{}
	case p.boot.next.IsZero():
		p.boot.next = p.now.Add(p.boot.pause)
	}
}

func (p *Peer) tickBoot() {
	if due(p.now, p.boot.next) && p.wants() {
		p.callBoot()
	}
}

// acquireBoot is an attempt for traffic: at once, unless the last ones failed.
func (p *Peer) acquireBoot() {
	if p.wants() && p.boot.failures == 0 {
		p.callBoot()
	}
}

func (p *Peer) callBoot() {
	p.boot.next = time.Time{}
	p.call(p.mine(ike.Command{Verb: ike.VerbInitiate, Why: "the interface is up"}, func(o ike.Outcome) {
		if o.Result != ike.OK && p.newest() == nil {
			p.backOff(o.Result)
		}
	}))
}

// backOff sets the pause before the next attempt: 1, 2, 4 … 300 s, give or take a quarter (protocol.md §2.6).
func (p *Peer) backOff(r ike.Result) {
	pause := mostPause
	if n := p.boot.failures; n < 9 {
		pause = min(firstPause<<n, mostPause)
	}
	if r == ike.AuthFailed {
		pause = max(pause, authPause)
	}
	p.boot.failures++
	p.boot.pause = pause - pause/4 + p.jitter(pause/2)
}

// down sets the pause before an IKE SA that ended is begun again. Whoever deleted it on the other side calls first.
func (p *Peer) down(s *session, cause sa.TombReason) {
	if p.now.Sub(s.upAt) < flapping {
		p.backOff(ike.OK)
		return
	}
	p.boot.failures = 0
	p.boot.pause = p.jitter(againWithin)
	if cause == sa.TombPeerDeleted || cause == sa.TombIKEDeleted {
		p.boot.pause = firstPause + p.jitter(firstPause)
	}
}

func (p *Peer) jitter(most time.Duration) time.Duration {
	if p.opt.Env.Jitter == nil || most <= 0 {
		return 0
	}
	return p.opt.Env.Jitter(most)
}

func ikePort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, isakmp.Port) }
