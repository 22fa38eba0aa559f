package peer

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

func TestInitialContactIsSaidOnlyWhenTrue(t *testing.T) {
	for name, c := range map[string]struct {
		opt    Options
		before func(l *lab)
		want   bool
	}{
		"nothing held":                      {want: true},
		"restored SAs may come":             {opt: Options{Restored: true}},
		"another is up":                     {before: func(l *lab) { l.answered(11, false, 0x2001) }},
		"the peer's call is on":             {before: func(l *lab) { l.step(call(11, 1)) }},
		"we go by a name that others share": {before: func(l *lab) { l.p.policy.IKE.Local = policy.Identity{Kind: policy.IDKeyID, Value: "group"} }},
		"another is dead but there":         {before: func(l *lab) { l.makes(l.answered(11, false, 0x2001), ike.Notice{Kind: ike.IKEDown}) }, want: true},
	} {
		l := newLab(t, c.opt)
		if c.before != nil {
			c.before(l)
		}
		s := newSession(l.now, true)
		if got := l.p.start(s, ike.Datagram{}).InitialContact(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestInitialContactDiscardsOlderIKESAsOnceTheChildWorks(t *testing.T) {
	l := newLab(t, Options{})
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.step(call(12, 1))
	young := l.machines[1]
	l.up(young, true)
	if l.saw("r0<discard") {
		t.Fatal("discarded before the new child was installed")
	}
	out := l.makes(young, ike.Install{ID: 1, Half: sa.BothHalves, Child: sa.Child{In: 0x2002}}, ike.Notice{Kind: ike.ChildUp, In: 0x2002})
	if !l.saw("r0<discard") || l.saw("r0<liveness") {
		t.Fatalf("trace %v", l.trace)
	}
	down := pick[ike.Notice](out)
	if len(down) != 2 || down[0].Kind != ike.ChildUp || down[1].Kind != ike.IKEDown || down[1].Cause != sa.TombInitialContact {
		t.Errorf("notices %+v: the new child first, then the end of the old SA", down)
	}
}

// Two that start at once must not kill each other's new SA: what came up after that IKE_SA_INIT was sent stays.
func TestInitialContactSparesWhatIsYoungerThanItsCall(t *testing.T) {
	l := newLab(t, Options{})
	l.step(call(11, 1))
	slow := l.machines[0]
	l.now = l.now.Add(time.Second)
	l.answered(12, false, 0x2002) // begun and up while the first was on its way
	l.now = l.now.Add(time.Second)
	l.up(slow, true)
	l.child(slow, 0x2001)
	if l.saw("r1<discard") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestANewIKESAWithoutInitialContactPutsTheOldOnesToTheTest(t *testing.T) {
	l := newLab(t, Options{})
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.answered(12, false, 0x2002)
	if l.count("r0<liveness") != 1 || l.saw("r0<discard") || l.saw("r1<liveness") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestANewIKESAThatGetsNoChildStillDoubtsTheOldOnes(t *testing.T) {
	l := newLab(t, Options{})
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.step(call(12, 1))
	l.up(l.machines[1], true)
	l.pass(childBy)
	if l.count("r0<liveness") != 1 || l.saw("r0<discard") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestForcedInitialContactNeedsNoNotify(t *testing.T) {
	l := newLab(t, Options{})
	l.p.policy.IKE.InitialContactForce = true
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.answered(12, false, 0x2002)
	if !l.saw("r0<discard") {
		t.Errorf("trace %v", l.trace)
	}
}

// protocol.md D26, D35: two routers behind one address, each with its own identity; what one says is nothing to the other.
func TestInitialContactConcernsItsOwnIdentityPairAlone(t *testing.T) {
	l := newLab(t, Options{})
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.remoteID = fqdn("their neighbour")
	l.answered(12, true, 0x2002)
	if l.saw("r0<discard") || l.saw("r0<liveness") {
		t.Errorf("trace %v", l.trace)
	}
	l.now = l.now.Add(time.Minute)
	l.answered(13, true, 0x2003)
	if l.saw("r0<discard") || !l.saw("r1<discard") {
		t.Errorf("trace %v", l.trace)
	}
}

// A group's identity belongs to many: its members' SAs are put to the test one by one, and none goes by another's word.
func TestInitialContactOfASharedIdentityIsNotHeard(t *testing.T) {
	l := newLab(t, Options{})
	l.remoteID = policy.Identity{Kind: policy.IDKeyID, Value: "branch-group"}
	l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	l.answered(12, true, 0x2002)
	if l.saw("r0<discard") || l.count("r0<liveness") != 1 {
		t.Errorf("trace %v", l.trace)
	}
	for _, n := range pick[ike.Notice](l.effects) {
		if n.Kind == ike.IKEUp && n.InitialContact {
			t.Error("the world is told that the peer lost everything")
		}
	}
}
