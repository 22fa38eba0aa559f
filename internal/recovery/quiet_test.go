package recovery

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// silent tells that nothing came on a child for ten seconds.
func (r *rig) silent(in sa.SPI) []Action {
	return r.notice(ike.Notice{Kind: ike.ChildSilent, IKE: 7, In: in, Out: in + 1, Since: r.now.Add(-10 * time.Second)})
}

// fresh is the child that an order for a rekey led to.
func (r *rig) fresh(in, old sa.SPI, step []Action) {
	r.t.Helper()
	r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: in, Out: in + 1, Initiator: true, ByCommand: initiateRef(r.t, step)})
	r.notice(ike.Notice{Kind: ike.ChildDown, IKE: 7, In: old, Cause: sa.TombRekeyed})
	r.want(r.end(step, ike.OK, 1, ""))
}

func TestASilentChildIsHealedByLivenessAndOneRekey(t *testing.T) {
	r := newRig(t, false, true) // the command is for new IKE SAs only
	r.live(0x4000)
	r.wait(time.Minute)
	step := r.silent(0x4000)
	r.want(step, "Liveness")
	r.wantState(Probing)
	r.want(r.silent(0x4000)) // it is told again and again
	r.now = r.now.Add(40 * time.Millisecond)
	step = r.end(step, ike.OK, 1, "")
	r.want(step, "RekeyChild 0x00004000")
	if a := reports(step, Acting); len(a) != 1 {
		t.Errorf("told %+v", a)
	}
	r.now = r.now.Add(40 * time.Millisecond)
	r.fresh(0x4100, 0x4000, step)
	r.wantState(Healing)
	got := reports(r.notice(ike.Notice{Kind: ike.FirstInboundOK, IKE: 7, In: 0x4100}), Healed)
	if len(got) != 1 {
		t.Fatalf("healed %+v", got)
	}
	i := got[0].Incident
	if i.Healer != ByRecovery || i.Class != OneWay || i.RoundTrips != 2 || i.HealTime() != 10080*time.Millisecond || i.Cause != UnknownCause {
		t.Errorf("%+v", i)
	}
	if len(i.Evidence) != 2 || !strings.Contains(i.Evidence[1], "came on this child SA before") || i.ByLifetime.IsZero() {
		t.Errorf("evidence %q, unaided %s", i.Evidence, i.Unaided())
	}
	if s := r.e.Standings()[0]; !s.OneWaySince.IsZero() || s.Healed24 != 1 {
		t.Errorf("%+v", s)
	}
}

// TestVideoGoesOneWayByNature plays a week of traffic that is never answered: what it costs, and what is told.
func TestVideoGoesOneWayByNature(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	in, next := sa.SPI(0x4000), sa.SPI(0x5000)
	var rekeys, checks []time.Time
	var marks []Report
	begun := r.now
	for r.now.Sub(begun) < 7*24*time.Hour {
		r.now = r.now.Add(10 * time.Second)
		step := r.silent(in)
		for len(step) > 0 {
			marks = append(marks, reports(step, OneWayMarked)...)
			switch strings.Join(orders(step), ", ") {
			case "Liveness":
				checks = append(checks, r.now)
				step = r.end(step, ike.OK, 1, "")
			case "RekeyChild " + hex(in):
				rekeys = append(rekeys, r.now)
				r.fresh(next, in, step)
				in, next, step = next, next+0x100, nil
			case "":
				step = nil
			default:
				t.Fatalf("orders %q", orders(step))
			}
		}
		if n := within(rekeys, r.now, time.Hour); n > 2 {
			t.Fatalf("%d rekeys in an hour", n)
		}
	}
	if len(rekeys) < 3 || len(rekeys) > 20 || len(checks) > 25 {
		t.Errorf("a week costs %d rekeys and %d checks", len(rekeys), len(checks))
	}
	for n := range len(marks) - 1 {
		pause := marks[n].Next.Sub(marks[n].At)
		if want := min(100*time.Second<<min(n, 30), 24*time.Hour); pause != want {
			t.Errorf("pause %d is %v, want %v", n, pause, want)
		}
	}
	if s := r.e.Standings()[0]; s.OneWaySince.Sub(begun) > time.Minute || s.OneWayUntil.Before(r.now) {
		t.Errorf("shown %v until %v", s.OneWaySince, s.OneWayUntil)
	}
	if h := r.e.owners[0].healed; len(h) != 0 {
		t.Errorf("counted as healings: %v", h)
	}
}

func hex(s sa.SPI) string { return strings.SplitN(s.String(), "(", 2)[0] }

func within(at []time.Time, now time.Time, d time.Duration) (n int) {
	for _, t := range at {
		if now.Sub(t) < d {
			n++
		}
	}
	return n
}

func TestASilentPeerThatIsDeadIsLeftToTheUsualWay(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.silent(0x4000)
	r.wait(37 * time.Second)
	r.want(r.end(step, ike.TimedOut, 0, ""))
	r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 7, Cause: sa.TombDPD})
	r.notice(ike.Notice{Kind: ike.ChildDown, IKE: 7, In: 0x4000, Cause: sa.TombDPD})
	r.wantState(Idle)
	r.newIKE(0, true, 0x6000)
	got := reports(r.firstInbound(0x6000), Healed)
	if len(got) != 1 || got[0].Incident.Healer != ByDPD {
		t.Errorf("%+v", got)
	}
}

func TestASilenceThatEndsByItselfIsNoHealingAndIsLookedAtLessOften(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	var checks []time.Time
	for range 6 * 60 { // an hour of packets to us once a minute
		r.now = r.now.Add(10 * time.Second)
		step := r.silent(0x4000)
		if len(orders(step)) > 0 {
			checks = append(checks, r.now)
		}
		if r.now.Second() == 0 || r.now.Second() == 6 {
			r.notice(ike.Notice{Kind: ike.ChildHeard, IKE: 7, In: 0x4000})
		}
		r.end(step, ike.Refused, 1, "TEMPORARY_FAILURE")
	}
	if len(checks) > 8 {
		t.Errorf("%d checks in an hour: %v", len(checks), checks)
	}
	for _, i := range r.e.Incidents() {
		if i.Result == WasHealed {
			t.Errorf("told as healed: %+v", i)
		}
	}
}

func TestA0xFFSPIIsNamedWithItsDefect(t *testing.T) {
	for in, want := range map[sa.SPI]bool{0xFF001234: true, 0xFFFFFFF0: true, 0xFE001234: false, 0x00FF1234: false} {
		r := newRig(t, true, true)
		r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 7, Initiator: true})
		r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: in, Out: 0x5000, Initiator: true}) // never heard
		r.wait(10 * time.Second)
		step := r.end(r.silent(in), ike.OK, 1, "")
		r.want(step, "RekeyChild "+hex(in))
		a := reports(step, Acting)
		if len(a) != 1 || strings.Contains(a[0].Why, "CSCvp16730") != want {
			t.Errorf("%v: %+v", in, a)
		}
	}
}

func TestAPeerWhoseNumbersWentBackIsRekeyed(t *testing.T) {
	r := newRig(t, false, true)
	r.live(0x4000)
	replays := func(in sa.SPI, n uint64) []Action {
		return r.notice(ike.Notice{Kind: ike.ChildReplays, IKE: 7, In: in, Count: n})
	}
	step := replays(0x4000, 300)
	r.want(step, "RekeyChild 0x00004000")
	r.fresh(0x4100, 0x4000, step)
	got := reports(r.notice(ike.Notice{Kind: ike.FirstInboundOK, IKE: 7, In: 0x4100}), Healed)
	if len(got) != 1 || got[0].Incident.Cause != "D24" || got[0].Incident.Lost != 300 || got[0].Incident.Class != ReplayStuck {
		t.Fatalf("%+v", got)
	}
	// Who replays old packets for ever gets two rekeys an hour out of us.
	in, n := sa.SPI(0x4100), 1
	for range 6 * 60 {
		r.now = r.now.Add(10 * time.Second)
		if step := replays(in, 50); len(orders(step)) > 0 {
			n++
			r.fresh(in+0x100, in, step)
			in += 0x100
		}
	}
	if n > 4 {
		t.Errorf("%d rekeys in an hour", n)
	}
}

func TestParityModeKnowsNothingOfSilence(t *testing.T) {
	r := newRig(t, true, false)
	r.live(0x4000)
	r.want(r.silent(0x4000))
	r.want(r.notice(ike.Notice{Kind: ike.ChildReplays, IKE: 7, In: 0x4000, Count: 99}))
	if n := len(r.e.Incidents()); n != 0 {
		t.Errorf("%d incidents", n)
	}
}

func TestSilenceAndEvidenceOfOneOwnerShareOneFlight(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	check := r.silent(0x4000)
	r.want(check, "Liveness")
	r.now = r.now.Add(3 * time.Second)
	r.want(r.lost(lostSPI)) // waits
	rekey := r.end(check, ike.OK, 1, "")
	r.want(rekey, "RekeyChild 0x00004000")
	r.now = r.now.Add(3 * time.Second)
	r.want(r.end(rekey, ike.OK, 1, ""), "Delete "+x)
	r.want(r.silent(0x4000)) // and the other way round
}

func TestClearLooksAtASilenceAtOnce(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.end(r.silent(0x4000), ike.OK, 1, "")
	r.fresh(0x4100, 0x4000, step)
	r.now = r.now.Add(20 * time.Second)
	if m := reports(r.silent(0x4100), OneWayMarked); len(m) != 1 {
		t.Fatal("not marked")
	}
	r.now = r.now.Add(20 * time.Second)
	r.want(r.silent(0x4100))
	r.step(Operator{sa.NoOwner})
	r.want(r.silent(0x4100), "Liveness")
}

func TestAMarkGoesWhenSomethingComes(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.end(r.silent(0x4000), ike.OK, 1, "")
	r.fresh(0x4100, 0x4000, step)
	r.now = r.now.Add(20 * time.Second)
	r.silent(0x4100)
	if s := r.e.Standings()[0]; s.OneWaySince.IsZero() {
		t.Fatal("not marked")
	}
	r.notice(ike.Notice{Kind: ike.ChildHeard, IKE: 7, In: 0x4100})
	if s := r.e.Standings()[0]; !s.OneWaySince.IsZero() {
		t.Error("still shown as one-way")
	}
}

func TestARefusedRekeyOfASilentChildIsNoAlarm(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.end(r.silent(0x4000), ike.OK, 1, "")
	if g := reports(r.end(step, ike.Refused, 1, "NO_PROPOSAL_CHOSEN"), GaveUp); len(g) != 0 {
		t.Errorf("%+v", g)
	}
	r.now = r.now.Add(20 * time.Second)
	r.want(r.silent(0x4000))
	r.now = r.now.Add(firstLook)
	r.want(r.silent(0x4000), "Liveness")
}
