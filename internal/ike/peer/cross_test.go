package peer

import (
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// crossing begins a call of ours (SPIi 100) and then one of the peer with spii.
func crossing(t *testing.T, spii isakmp.SPI, lockstep bool) (l *lab, ours, theirs *script) {
	l = newLab(t, Options{})
	l.lockstep = lockstep
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	l.step(call(spii, 1))
	return l, l.machines[0], l.machines[1]
}

func TestACrossedCallOfOursPauses(t *testing.T) {
	for name, c := range map[string]struct {
		spii     isakmp.SPI
		lockstep bool
		want     time.Duration
	}{
		"ours would lose":                        {200, false, pauseLoser},
		"ours would lose against one of our own": {200, true, pauseLoser},
		"ours would win, the peer may not know":  {50, false, pauseWinner},
		"ours would win, the peer knows":         {50, true, 0},
	} {
		l, ours, _ := crossing(t, c.spii, c.lockstep)
		began := l.now
		l.step(toSPI(ours)) // the answer to our IKE_SA_INIT
		for !l.saw("i0<msg") {
			if l.p.Deadline().IsZero() {
				t.Fatalf("%s: the pause has no end", name)
			}
			l.now = l.p.Deadline()
			l.step(ike.Tick{})
		}
		if got := l.now.Sub(began); got != c.want {
			t.Errorf("%s: paused %v, want %v", name, got, c.want)
		}
	}
}

func TestAPauseEndsWithTheCallThatItIsFor(t *testing.T) {
	l, ours, theirs := crossing(t, 200, false)
	l.step(toSPI(ours))
	l.makes(theirs, ike.Closed{Why: "its key exchange value is refused"})
	if !l.saw("i0<msg") {
		t.Error("still paused")
	}
}

func TestAForgerPausesACallOnce(t *testing.T) {
	l, ours, _ := crossing(t, 200, false)
	l.pass(pauseLoser)
	l.step(call(201, 2))
	l.step(toSPI(ours))
	if !l.saw("i0<msg") {
		t.Error("paused again")
	}
}

func TestAPausedCallKeepsFewMessagesAndEveryDone(t *testing.T) {
	l, ours, _ := crossing(t, 200, false)
	var dropped []reason.Drop
	for range maxHeld + 2 {
		dropped = append(dropped, drops(l.step(toSPI(ours)))...)
	}
	l.p.barriers[77] = l.p.sessions[0]
	l.step(ike.Done{ID: 77})
	l.pass(pauseLoser)
	if want := []reason.Drop{reason.IKEMailboxFull, reason.IKEMailboxFull}; !slices.Equal(dropped, want) {
		t.Errorf("drops %v", dropped)
	}
	if l.count("i0<msg") != maxHeld || l.count("i0<done") != 1 {
		t.Errorf("trace %v", l.trace)
	}
}

func TestOurCallGivesWayWhenTheirsHasAChild(t *testing.T) {
	l, ours, theirs := crossing(t, 200, false)
	l.step(toSPI(ours)) // held back
	l.up(theirs, false)
	ours.react = func(in ike.Input) []ike.Effect { // ends what it was begun for as it goes
		if c, ok := in.(ike.Command); ok && c.Verb == ike.VerbDiscard {
			return []ike.Effect{ike.Outcome{Ref: 1, Verb: ike.VerbInitiate, Result: ike.NoIKE}, ike.Closed{}}
		}
		return nil
	}
	before := len(l.effects)
	l.child(theirs, 0x2001)
	l.wantOutcome(l.effects[before:], 1, ike.OK) // the tunnel is up, that was asked for
	if !l.saw("i0<discard") || l.saw("i0<msg") {
		t.Errorf("trace %v", l.trace)
	}
	if got := drops(l.effects[before:]); !slices.Equal(got, []reason.Drop{reason.IKEUnexpected}) {
		t.Errorf("drops %v", got)
	}
}

// bothUp lets both calls come to IKE_AUTH.
func bothUp(t *testing.T, spii isakmp.SPI) (l *lab, ours, theirs *script) {
	l = newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	ours = l.machines[0]
	l.makes(ours, ike.Notice{Kind: ike.ExchangeStarted, Exchange: isakmp.IKEAuth})
	l.step(call(spii, 1))
	theirs = l.machines[1]
	l.now = l.now.Add(10 * time.Millisecond)
	l.up(ours, false)
	l.up(theirs, false)
	return l, ours, theirs
}

func TestTheLowerSPIiLosesAndItsInitiatorDeletesItOnceTheWinnerIsProven(t *testing.T) {
	l, ours, theirs := bothUp(t, 200)
	var asked uint64
	theirs.react = func(in ike.Input) []ike.Effect {
		if c, ok := in.(ike.Command); ok {
			asked = c.Ref
		}
		return nil
	}
	l.child(ours, 0x2001)
	if l.saw("i0<clear") {
		t.Fatal("deleted before the winner has a child")
	}
	l.child(theirs, 0x2002)
	if l.saw("r1<liveness") {
		t.Fatal("asked before the peer can have our answer to its IKE_AUTH")
	}
	l.pass(proofWait)
	if !l.saw("r1<liveness") || l.saw("i0<clear") {
		t.Fatalf("the winner was not put to the proof: %v", l.trace)
	}
	out := l.makes(theirs, ike.Outcome{Ref: asked, Verb: ike.VerbLiveness, Result: ike.OK})
	if l.count("i0<clear") != 1 || l.saw("r1<clear") {
		t.Errorf("trace %v", l.trace)
	}
	if n := pick[ike.Notice](out); len(n) != 1 || n[0].Cause != sa.TombCollisionLoser {
		t.Errorf("notices %+v", n)
	}
	if len(outcomes(out)) != 0 {
		t.Errorf("outcomes of the peer's own commands came out: %v", outcomes(out))
	}
}

func TestTrafficOrAMessageProvesTheWinnerToo(t *testing.T) {
	for _, sign := range []ike.NoticeKind{ike.FirstInboundOK, ike.PeerAlive} {
		l, ours, theirs := bothUp(t, 200)
		l.child(ours, 0x2001)
		l.child(theirs, 0x2002)
		l.makes(theirs, ike.Notice{Kind: sign})
		l.pass(time.Minute)
		if l.count("i0<clear") != 1 || l.saw("r1<liveness") {
			t.Errorf("sign %d: trace %v", sign, l.trace)
		}
	}
}

func TestTheHigherSPIiIsKeptAndThePeersSAIsLeftToThePeer(t *testing.T) {
	l, ours, theirs := bothUp(t, 50)
	l.child(ours, 0x2001)
	l.child(theirs, 0x2002)
	l.makes(ours, ike.Notice{Kind: ike.FirstInboundOK})
	l.makes(theirs, ike.Notice{Kind: ike.FirstInboundOK})
	if l.saw("i0<clear") || l.saw("r1<clear") || l.saw("r1<discard") || l.saw("i0<discard") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestIKESAsOfDifferentTimesHaveNotCrossed(t *testing.T) {
	l := newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	l.up(l.machines[0], false)
	l.child(l.machines[0], 0x2001)
	l.now = l.now.Add(time.Minute)
	theirs := l.answered(200, false, 0x2002)
	l.makes(theirs, ike.Notice{Kind: ike.FirstInboundOK})
	if l.saw("i0<clear") {
		t.Errorf("trace %v", l.trace)
	}
}

// A foreign peer keeps both for ever. Ours has won, and the peer's is the peer's to delete: so ours goes after all.
func TestAPeerThatKeepsWhatLostIsGivenWayTo(t *testing.T) {
	for _, lockstep := range []bool{false, true} {
		l, ours, theirs := bothUp(t, 50)
		ours.lockstep, theirs.lockstep = lockstep, lockstep
		l.child(ours, 0x2001)
		l.child(theirs, 0x2002)
		l.makes(ours, ike.Notice{Kind: ike.FirstInboundOK})
		l.pass(concede - time.Second)
		if l.saw("i0<clear") {
			t.Fatal("given up before the peer had its time")
		}
		l.pass(concede)
		if l.saw("i0<clear") == lockstep || l.saw("r1<clear") || l.saw("r1<discard") {
			t.Errorf("lockstep %v: trace %v", lockstep, l.trace)
		}
	}
}

// strongSwan forgets its own call when our INITIAL_CONTACT comes after it: then there is nothing to give way to.
func TestOursStaysWhereThePeerHasForgottenItsOwn(t *testing.T) {
	l, ours, theirs := bothUp(t, 50)
	theirs.react = func(ike.Input) []ike.Effect { return nil }
	l.child(ours, 0x2001)
	l.child(theirs, 0x2002)
	l.makes(ours, ike.Notice{Kind: ike.FirstInboundOK})
	l.pass(10 * concede)
	if l.saw("i0<clear") || !l.saw("r1<liveness") {
		t.Errorf("trace %v", l.trace)
	}
}

func TestAPeerThatDeletesWhatLostIsNotGivenWayTo(t *testing.T) {
	l, ours, theirs := bothUp(t, 50)
	l.child(ours, 0x2001)
	l.child(theirs, 0x2002)
	l.makes(theirs, ike.Notice{Kind: ike.IKEDown, Cause: sa.TombIKEDeleted}) // it still answers repetitions
	l.pass(10 * concede)
	if l.saw("i0<clear") {
		t.Errorf("trace %v", l.trace)
	}
}

// What lost goes for a proof alone, however long that takes.
func TestWhatLostIsKeptWhileTheWinnerIsSilent(t *testing.T) {
	l, ours, theirs := bothUp(t, 200)
	theirs.react = func(ike.Input) []ike.Effect { return nil }
	l.child(ours, 0x2001)
	l.child(theirs, 0x2002)
	l.pass(10 * concede)
	if l.saw("i0<clear") || !l.saw("r1<liveness") {
		t.Errorf("trace %v", l.trace)
	}
}

// Two routers behind one address: one calls us as we call the other.
func TestCallsOfDifferentIdentitiesHaveNotCrossed(t *testing.T) {
	l := newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	ours := l.machines[0]
	l.makes(ours, ike.Notice{Kind: ike.ExchangeStarted, Exchange: isakmp.IKEAuth})
	l.step(call(200, 1))
	l.now = l.now.Add(10 * time.Millisecond)
	l.up(ours, false)
	l.remoteID = fqdn("their neighbour")
	theirs := l.machines[1]
	l.up(theirs, false)
	l.child(ours, 0x2001)
	l.child(theirs, 0x2002)
	l.makes(theirs, ike.Notice{Kind: ike.FirstInboundOK})
	l.pass(10 * concede)
	if l.saw("i0<clear") {
		t.Errorf("trace %v", l.trace)
	}
}
