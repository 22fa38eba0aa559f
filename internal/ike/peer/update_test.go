package peer

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

// other is the policy of newLab's peer after a reload.
func other(initiate bool) *policy.Peer {
	return &policy.Peer{ID: 3, Tunnel: &policy.Tunnel{Unit: 3, Source: us, Description: "new"}, Remote: them, Initiate: initiate, IKE: &policy.IKEv2Profile{Name: "NEW"}}
}

func TestAnUpdateReachesEveryIKESAAndThoseToCome(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, 0)
	first := l.machines[0]
	l.up(first, false)
	l.child(first, 0x1001)
	second := l.answered(900, false, 0x1002)
	q := other(true)
	for _, e := range l.p.Update(l.now, q) {
		t.Errorf("an update alone led to %T", e)
	}
	for _, m := range []*script{first, second} {
		if in, ok := m.got[len(m.got)-1].(ike.Reconfigured); !ok || in.Peer != q {
			t.Errorf("%s got %+v", m.name, m.got[len(m.got)-1])
		}
	}
	if l.p.Policy() != q {
		t.Error("the policy is the old one")
	}
	third := l.answered(901, false, 0x1003)
	if third.start.Peer != q {
		t.Error("a new IKE SA was made under the old policy")
	}
}

func TestAnUpdateIsHeldBackWithAPausedCallAndNotLost(t *testing.T) {
	l, ours, _ := crossing(t, 900, false)
	seen := len(ours.got)
	q := other(true)
	l.p.Update(l.now, q)
	if len(ours.got) != seen {
		t.Fatal("the call does not pause: the test shows nothing")
	}
	l.pass(pauseLoser + time.Second)
	for _, in := range ours.got[seen:] {
		if in, ok := in.(ike.Reconfigured); ok && in.Peer == q {
			return
		}
	}
	t.Errorf("the paused call got %v", ours.got[seen:])
}

func TestResponderOnlyThatBecomesAnInitiatorCalls(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Update(l.now, other(false))
	l.p.Begin(l.now, 0)
	if l.pass(time.Minute); len(l.machines) != 0 {
		t.Fatal("responder-only called")
	}
	l.p.Update(l.now, other(true))
	if l.pass(time.Second); len(l.machines) != 1 || !l.machines[0].init {
		t.Fatalf("%d calls", len(l.machines))
	}
	l.up(l.machines[0], false)
	l.p.Update(l.now, other(false))
	l.step(ike.Command{Verb: ike.VerbClearIKE, Cause: sa.TombCleared})
	if l.pass(10 * time.Minute); len(l.machines) != 1 {
		t.Error("called although responder-only by now")
	}
}
