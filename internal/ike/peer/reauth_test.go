package peer

import (
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// reauth has one IKE SA up, and another begun in its place.
func reauth(t *testing.T) (l *lab, old, young *script) {
	l = newLab(t, Options{})
	l.p.Begin(l.now, 0)
	old = l.machines[0]
	l.up(old, false)
	l.child(old, 0x2001)
	l.now = l.now.Add(time.Hour)
	l.step(ike.Command{Verb: ike.VerbReauth, Ref: 5})
	if len(l.machines) != 2 {
		t.Fatalf("%d machines", len(l.machines))
	}
	return l, old, l.machines[1]
}

func TestReauthenticationDeletesTheOldIKESAOnceTheNewOneIsProven(t *testing.T) {
	l, _, young := reauth(t)
	if young.start.InitialContact() {
		t.Error("says INITIAL_CONTACT while another IKE SA is up")
	}
	l.makes(young, ike.Notice{Kind: ike.IKEUp, Initiator: true, LocalID: fqdn("we"), RemoteID: l.remoteID})
	l.makes(young, ike.Install{ID: 7, Half: sa.BothHalves, Child: sa.Child{Owner: 3, In: 0x2003, Out: 0x2004}}, ike.Notice{Kind: ike.ChildUp, In: 0x2003},
		ike.Outcome{Ref: 5, Verb: ike.VerbReauth, Result: ike.OK})
	if l.saw("i0<clear") || l.saw("i0<liveness") {
		t.Fatalf("too early: %v", l.trace)
	}
	out := l.makes(young, ike.Notice{Kind: ike.FirstInboundOK, In: 0x2003})
	if l.count("i0<clear") != 1 || l.saw("i1<clear") || l.saw("i0<discard") {
		t.Fatalf("trace %v", l.trace)
	}
	if n := pick[ike.Notice](out); len(n) != 2 || n[1].Kind != ike.IKEDown || n[1].Cause != sa.TombReauth {
		t.Errorf("notices %+v", n)
	}
	if o := outcomes(l.effects); len(o) != 1 || o[0].Ref != 5 || o[0].Result != ike.OK {
		t.Errorf("outcomes %+v", o)
	}
	if l.pass(time.Hour); len(l.machines) != 2 {
		t.Error("called again")
	}
}

func TestAnIdleReauthenticationIsProvenByAnAnswer(t *testing.T) {
	l, _, young := reauth(t)
	l.up(young, false)
	l.child(young, 0x2003)
	l.pass(proofWait)
	if l.count("i1<liveness") != 1 || l.count("i0<clear") != 1 {
		t.Errorf("trace %v", l.trace)
	}
}

func TestReauthenticationTakesAllChildrenAlongFirst(t *testing.T) {
	one := func(prefix string) []ike2.Selector {
		return []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix(prefix))}
	}
	first := ike.ChildStatus{State: working, TSLocal: one("10.1.0.0/16"), TSRemote: one("10.2.0.0/16")}
	second := ike.ChildStatus{State: working, TSLocal: one("10.1.0.0/16"), TSRemote: one("10.3.0.0/16")}
	grace := ike.ChildStatus{State: "grace", TSLocal: one("10.1.0.0/16"), TSRemote: one("10.4.0.0/16")}
	for name, gets := range map[string]bool{"gets it": true, "does not": false} {
		l, old, young := reauth(t)
		old.children = []ike.ChildStatus{first, second, grace}
		young.children = []ike.ChildStatus{first}
		l.up(young, false)
		l.child(young, 0x2003)
		if l.count("i1<acquire") != 1 {
			t.Fatalf("%s: trace %v", name, l.trace)
		}
		if a, ok := young.got[len(young.got)-1].(ike.Acquire); !ok || a.TSRemote[0] != second.TSRemote[0] {
			t.Errorf("%s: asked for %+v", name, young.got[len(young.got)-1])
		}
		l.makes(young, ike.Notice{Kind: ike.FirstInboundOK})
		if l.saw("i0<clear") {
			t.Fatalf("%s: the old one goes before its second child is replaced", name)
		}
		if gets {
			young.children = append(young.children, second)
			l.makes(young, ike.Notice{Kind: ike.ChildUp, In: 0x2005})
			l.pass(proofWait)
		} else {
			l.pass(moveWait + proofWait)
		}
		if l.count("i0<clear") != 1 {
			t.Errorf("%s: trace %v", name, l.trace)
		}
	}
}

func TestReauthenticationThatFailsLeavesTheOldIKESA(t *testing.T) {
	l, _, young := reauth(t)
	out := l.makes(young, ike.Outcome{Ref: 5, Verb: ike.VerbReauth, Result: ike.AuthFailed}, ike.Closed{})
	l.wantOutcome(out, 5, ike.AuthFailed)
	l.pass(time.Hour)
	if l.saw("i0<clear") || l.saw("i0<discard") || l.saw("i0<liveness") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestReauthenticationWithoutAChildIsGivenUp(t *testing.T) {
	l, _, young := reauth(t)
	l.up(young, false)
	l.pass(childBy)
	if !l.saw("i1<clear") || l.saw("i0<clear") || l.saw("i0<liveness") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestReauthenticationIsSingleFlightAndOursToBegin(t *testing.T) {
	l, _, _ := reauth(t)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbReauth, Ref: 6}), 6, ike.Busy)
	l = newLab(t, Options{})
	l.p.policy.Initiate = false
	l.answered(11, false, 0x2001)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbReauth, Ref: 6}), 6, ike.NotInitiable)
	l = newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbReauth, Ref: 6}) // nothing to replace: it just begins
	if len(l.machines) != 1 || len(outcomes(l.effects)) != 0 {
		t.Errorf("%d machines, outcomes %v", len(l.machines), outcomes(l.effects))
	}
}

func TestThePeersWishIsNobodyElsesBusiness(t *testing.T) {
	l := newLab(t, Options{})
	m := l.answered(11, false, 0x2001)
	out := l.makes(m, ike.Notice{Kind: ike.ReauthDue})
	if len(l.machines) != 2 || !l.machines[1].init {
		t.Fatalf("%d machines", len(l.machines))
	}
	for _, n := range pick[ike.Notice](out) {
		t.Errorf("told: %+v", n)
	}
}

// Nothing of the past is kept alive by what replaced it.
func TestManyReauthenticationsKeepNothingOfThePast(t *testing.T) {
	l := newLab(t, Options{})
	l.p.Begin(l.now, 0)
	l.up(l.machines[0], false)
	l.child(l.machines[0], 0x2001)
	for i := range 20 {
		l.now = l.now.Add(time.Hour)
		l.step(ike.Command{Verb: ike.VerbReauth})
		young := l.machines[len(l.machines)-1]
		l.up(young, false)
		l.child(young, sa.SPI(0x3001+2*i))
		l.makes(young, ike.Notice{Kind: ike.FirstInboundOK})
	}
	if len(l.p.sessions) != 1 || len(l.p.sessions[0].instead) != 0 {
		t.Errorf("%d sessions are kept", len(l.p.sessions))
	}
}
