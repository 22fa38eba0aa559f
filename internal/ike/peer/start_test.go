package peer

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// refuses lets every call of ours fail at once.
func (l *lab) refuses(r ike.Result) {
	l.onStart = func(_ *script, ref uint64) []ike.Effect {
		return []ike.Effect{ike.Outcome{Ref: ref, Verb: ike.VerbInitiate, Result: r}, ike.Closed{Why: "refused"}}
	}
}

func TestAnInterfaceThatComesUpCallsAtOnce(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, 0)
	if len(l.machines) != 1 || !l.machines[0].init || l.machines[0].start.Local != ikePort(us) || l.machines[0].start.Remote != ikePort(them) {
		t.Fatalf("machines %+v", l.machines)
	}
	spread := newLab(t, Options{})
	spread.p.Begin(spread.now, time.Minute)
	if len(spread.machines) != 0 || !spread.p.Deadline().Equal(spread.now.Add(time.Minute)) {
		t.Errorf("%d machines, deadline %v", len(spread.machines), spread.p.Deadline())
	}
}

func TestFailedCallsBackOffExponentiallyUpToFiveMinutes(t *testing.T) {
	l := newLab(t, Options{})
	l.refuses(ike.Refused)
	l.p.Begin(l.now, 0)
	var gaps []time.Duration
	last := l.now
	for len(l.machines) < 13 {
		n := len(l.machines)
		l.now = l.p.Deadline()
		l.step(ike.Tick{})
		if len(l.machines) == n+1 {
			gaps = append(gaps, l.now.Sub(last))
			last = l.now
		}
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300} {
		low := want * time.Second * 3 / 4 // the lab's jitter is 0: the lower end
		if gaps[i] != low {
			t.Errorf("gap %d is %v, want %v", i, gaps[i], low)
		}
	}
}

func TestAFailedAuthenticationWaitsAMinute(t *testing.T) {
	l := newLab(t, Options{})
	l.refuses(ike.AuthFailed)
	l.p.Begin(l.now, 0)
	if d := l.p.Deadline().Sub(l.now); d < 45*time.Second {
		t.Errorf("next attempt after %v", d)
	}
}

func TestCommandsCallAlthoughFrozenAndNothingElseDoes(t *testing.T) {
	l := newLab(t, Options{Frozen: true})
	l.p.Begin(l.now, 0)
	l.step(ike.Acquire{})
	l.pass(time.Hour)
	if len(l.machines) != 0 {
		t.Fatal("a frozen peer called")
	}
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	if len(l.machines) != 1 {
		t.Fatal("the command did not call")
	}
	l.p.Freeze(l.now, false)
	l.pass(time.Minute)
	if len(l.machines) != 1 {
		t.Error("start-up called although a call was under way")
	}
}

func TestOneCallAtATime(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, 0)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1}), 1, ike.Busy)
	l.step(ike.Acquire{})
	if len(l.machines) != 1 {
		t.Fatalf("%d machines", len(l.machines))
	}
	l.up(l.machines[0], false)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 2}), 2, ike.OK)
	l.step(ike.Acquire{})
	if !l.saw("i0<initiate") || !l.saw("i0<acquire") {
		t.Errorf("the live IKE SA was not asked: %v", l.trace)
	}
}

func TestTrafficCallsOnlyWhileAttemptsDoNotFail(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, time.Hour)
	l.refuses(ike.TimedOut)
	l.step(ike.Acquire{})
	l.step(ike.Acquire{})
	l.step(ike.Acquire{})
	if len(l.machines) != 1 {
		t.Errorf("%d calls for three packets", len(l.machines))
	}
}

func TestALostIKESAIsBegunAgain(t *testing.T) {
	for name, c := range map[string]struct {
		cause  sa.TombReason
		least  time.Duration
		within time.Duration
	}{
		"dead peer":  {sa.TombDPD, 0, time.Second},
		"peer's own": {sa.TombPeerDeleted, time.Second, 2 * time.Second},
	} {
		l := newLab(t, Options{})
		l.p.Begin(l.now, 0)
		l.up(l.machines[0], false)
		l.now = l.now.Add(time.Hour)
		l.makes(l.machines[0], ike.Notice{Kind: ike.IKEDown, Cause: c.cause}, ike.Closed{})
		if d := l.p.Deadline().Sub(l.now); d < c.least || d > c.within {
			t.Errorf("%s: next call after %v", name, d)
		}
		l.pass(2 * time.Second)
		if len(l.machines) != 2 {
			t.Errorf("%s: %d calls", name, len(l.machines))
		}
	}
}

func TestShutdownComesNotBack(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, 0)
	l.up(l.machines[0], false)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbShutdown, Ref: 1}), 1, ike.OK)
	l.pass(time.Hour)
	if got := drops(l.step(call(11, 1))); !slices.Equal(got, []reason.Drop{reason.IKENoPolicy}) {
		t.Errorf("drops %v", got)
	}
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 2}), 2, ike.NotInitiable)
	if len(l.machines) != 1 || !l.p.Quiet() || !l.p.Empty() {
		t.Errorf("%d machines, quiet %v", len(l.machines), l.p.Quiet())
	}
}

func TestNobodyIsCalledWithoutAddressOrAgainstPolicy(t *testing.T) {
	l := newLab(t, Options{Source: func(*policy.Tunnel) (netip.Addr, bool) { return netip.Addr{}, false }})
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1}), 1, ike.NotInitiable)
	l = newLab(t, Options{})
	l.p.policy.Initiate = false
	l.p.Begin(l.now, 0)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 2}), 2, ike.NotInitiable)
	l.step(ike.Acquire{})
	if len(l.machines) != 0 {
		t.Error("a responder-only peer called")
	}
}
