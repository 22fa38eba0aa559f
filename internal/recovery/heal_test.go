package recovery

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

func initiateRef(t *testing.T, actions []Action) uint64 {
	t.Helper()
	for _, a := range actions {
		if o, ok := a.(Order); ok {
			return o.Command.Ref
		}
	}
	t.Fatal("no order")
	return 0
}

// TestARebootIsHealedAndTold is the main job, as its timeline reads.
func TestARebootIsHealedAndTold(t *testing.T) {
	r := newRig(t, true, true)
	step := r.lost(lostSPI)
	for range 8 { // 100 packets a second while IKE works
		r.now = r.now.Add(10 * time.Millisecond)
		r.lost(lostSPI)
	}
	r.newIKE(initiateRef(t, step), true, 0x4000)
	r.end(step, ike.OK, 2, "")
	r.now = r.now.Add(5 * time.Millisecond)
	if got := reports(r.firstInbound(0x4000), Delivered); len(got) != 1 {
		t.Fatalf("delivered %+v", got)
	}
	if i := r.incident(); i.Result != Open || i.HealTime() != 165*time.Millisecond {
		t.Errorf("%v after %v", i.Result, i.HealTime())
	}
	if early := reports(r.wait(9*time.Second), Healed); len(early) > 0 {
		t.Error("healed before the key was silent for ten seconds")
	}
	got := reports(r.wait(2*time.Second), Healed)
	if len(got) != 1 {
		t.Fatalf("healed %+v", got)
	}
	i := got[0].Incident
	if i.Healer != ByRecovery || i.RoundTrips != 2 || i.Lost != 9 || i.Cause != "D01" || i.Class != Lost || i.HealTime() != 165*time.Millisecond {
		t.Errorf("%+v", i)
	}
	if want := "by lifetime at 10:00:01 at the latest, by DPD at 09:00:21 if the peer's is set like ours"; i.Unaided() != want {
		t.Errorf("unaided: %s\nwant     %s", i.Unaided(), want)
	}
	var lines []string
	for _, e := range i.Timeline {
		lines = append(lines, fmt.Sprintf("%s %s: %s", e.At.Format("05.000"), e.What, e.Why))
	}
	want := []string{
		"01.000 first packet on 0x7C41D9E2(2084690402): K10 LOST: the identity file says that we issued this SPI, and we have no record of it; it was issued before this start of the gateway; owner found by configuration",
		"01.000 new IKE SA: no IKE SA with a static peer; spi 0x7C41D9E2(2084690402) is one that we issued and lost",
		"01.160 IKE SA up: by our order",
		"01.160 child SA up, inbound 0x00004000(16384): by our order",
		"01.160 acknowledged: IKE: the peer answered",
		"01.165 traffic is back: first packet on a good SA, after 165ms, by recovery",
		"11.080 closed: healed: traffic arrives on a good SA, and the key is silent or acknowledged as deleted",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
	r.wait(20 * time.Second)
	r.wantState(Idle)
}

// TestWhoHealed names the healer of each way in which traffic comes back.
func TestWhoHealed(t *testing.T) {
	for want, play := range map[Healer]func(r *rig){
		ByRecovery: func(r *rig) {
			r.newIKE(initiateRef(r.t, r.lost(lostSPI)), true, 0x4000)
		},
		ByBoot: func(r *rig) {
			r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
			r.want(r.lost(lostSPI))
			r.newIKE(0, true, 0x4000)
		},
		ByPeer: func(r *rig) {
			r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
			r.want(r.lost(lostSPI))
			r.newIKE(0, false, 0x4000)
		},
		ByOperator: func(r *rig) {
			r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
			r.want(r.lost(lostSPI))
			r.newIKE(77, true, 0x4000)
		},
		ByDPD: func(r *rig) {
			r.live(0)
			r.lost(lostSPI)
			r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 7, Cause: sa.TombDPD})
			r.newIKE(0, true, 0x4000)
		},
		ByLifetime: func(r *rig) {
			r.live(0x3000)
			r.lost(lostSPI)
			r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: 0x4000, Initiator: true})
		},
	} {
		t.Run(string(want), func(t *testing.T) {
			r := newRig(t, true, true)
			play(r)
			r.now = r.now.Add(10 * time.Millisecond)
			r.firstInbound(0x4000)
			if i := r.incident(); i.Healer != want || i.Delivered.IsZero() {
				t.Errorf("healer %q, delivered %v", i.Healer, i.Delivered)
			}
		})
	}
}

func TestAChildMadeAfterOurDeleteIsOurHealing(t *testing.T) {
	r := newRig(t, true, false)
	r.live(0)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: 0x4000})
	r.firstInbound(0x4000)
	got := reports(r.wait(3*time.Second), Healed) // the Delete is acknowledged: no ten seconds
	if len(got) != 1 || got[0].Incident.Healer != ByRecovery || got[0].Incident.RoundTrips != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAnAcknowledgedDeleteAloneHealsNothing(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0)
	r.end(r.lost(lostSPI), ike.OK, 2, "")
	if got := reports(r.wait(4*time.Minute), Healed); len(got) != 0 {
		t.Errorf("healed without a packet: %+v", got)
	}
	r.wait(2 * time.Minute)
	if i := r.incident(); i.Result != Unproven {
		t.Errorf("%v", i.Result)
	}
}

func TestTrafficOnAnOlderSAProvesOnlyWhatIsAcknowledgedOrSilent(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.lost(lostSPI)
	r.step(Inbound{0, r.now})
	if !r.incident().Delivered.IsZero() {
		t.Error("the key is still in use")
	}
	r.end(step, ike.OK, 1, "")
	r.now = r.now.Add(100 * time.Millisecond)
	r.step(Inbound{0, r.now})
	if i := r.incident(); i.HealTime() != 100*time.Millisecond || i.Healer != ByRecovery {
		t.Errorf("%v by %v", i.HealTime(), i.Healer)
	}
}

func TestASingleStrayOfARekeyIsTransient(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 7, Exchange: isakmp.CreateChildSA})
	r.want(r.lost(lostSPI))
	r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 7, Exchange: isakmp.CreateChildSA})
	r.want(r.wait(6 * time.Second))
	if i := r.incident(); i.Result != Passed || i.Verdict != Transient {
		t.Errorf("%v %v", i.Result, i.Verdict)
	}
	r.wantState(Idle)
}

func TestMootIsTransient(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	got := r.end(r.lost(lostSPI), ike.Moot, 0, "")
	if c := reports(got, Closed); len(c) != 1 || c[0].Incident.Result != Passed {
		t.Errorf("%+v", c)
	}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		srtt  time.Duration
		gap   time.Duration
		owner sa.Owner
		want  Verdict
	}{
		"once":                   {0, 0, 0, Transient},
		"within T":               {0, 299 * time.Millisecond, 0, Transient},
		"T apart":                {0, 300 * time.Millisecond, 0, Persistent},
		"T is four round trips":  {200 * time.Millisecond, 799 * time.Millisecond, 0, Transient},
		"T is at most a second":  {5 * time.Second, time.Second, 0, Persistent},
		"nobody's":               {0, time.Minute, sa.NoOwner, Stranger},
		"a minute apart is none": {0, time.Minute, 0, Persistent},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false, true)
			r.notice(ike.Notice{Kind: ike.IKEDown, SRTT: c.srtt})
			for _, d := range []time.Duration{0, c.gap} {
				r.now = r.now.Add(d)
				s := r.seen(lostSPI)
				s.Owner = c.owner
				r.step(FromUnknown(s))
			}
			f := r.e.Flows()[0]
			if f.Verdict != c.want || f.Revised != (c.want == Persistent) {
				t.Errorf("verdict %v, revised %v", f.Verdict, f.Revised)
			}
		})
	}
}

// TestCauses names the D-code of each finding, and unknown where no fact decides.
func TestCauses(t *testing.T) {
	want := map[sa.TombReason]string{
		sa.TombRekeyed: "D06", sa.TombPeerDeleted: "D03", sa.TombCleared: "D14", sa.TombExpiredTime: "D12", sa.TombExpiredVolume: "D13",
		sa.TombIKEDeleted: "D03", sa.TombDPD: "D15", sa.TombReauth: "D21", sa.TombCollisionLoser: "D07",
		sa.TombInstallFailed: UnknownCause, sa.TombInitialContact: UnknownCause, sa.TombShutdown: "D03", sa.TombReason(200): UnknownCause,
	}
	for why, code := range want {
		got, facts := causeOf(FromTombstone(Seen{}, sa.Tombstone{Why: why}), false)
		if got != code || len(facts) == 0 {
			t.Errorf("%v: %s, want %s (%v)", why, got, code, facts)
		}
	}
	for _, c := range []struct {
		e         Evidence
		untouched bool
		want      string
	}{
		{FromLost(Seen{}, OriginEarlier), false, "D01"},
		{FromLost(Seen{}, OriginThisRun), true, UnknownCause},
		{FromLost(Seen{}, OriginNotTold), true, "D01"},
		{FromLost(Seen{}, OriginNotTold), false, UnknownCause},
		{FromUnknown(Seen{}), true, UnknownCause},
		{FromNeverOurs(Seen{}), true, UnknownCause},
		{FromForeignOwner(Seen{}), true, "D29"},
	} {
		if got, facts := causeOf(c.e, c.untouched); got != c.want || len(facts) == 0 {
			t.Errorf("%v origin %v: %s, want %s", c.e.class, c.e.origin, got, c.want)
		}
	}
}

func TestOfferedAndGivenUpIsNotTakenForAReboot(t *testing.T) {
	for _, made := range []bool{true, false} {
		r := newRig(t, true, true)
		r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 7, Exchange: isakmp.CreateChildSA})
		if made {
			r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: 0x4000})
		}
		r.wait(2 * time.Second)
		r.step(FromLost(r.seen(lostSPI), OriginNotTold))
		if got := r.incident().Cause; (got == "D01") != made {
			t.Errorf("child made %v: cause %s", made, got)
		}
	}
	r := newRig(t, true, true)
	r.wait(tombLife)
	r.step(FromLost(r.seen(lostSPI), OriginNotTold))
	if got := r.incident().Cause; got != UnknownCause {
		t.Errorf("tombstones have expired: cause %s", got)
	}
}

func TestHealingAgainAndAgainAlarms(t *testing.T) {
	r := newRig(t, true, true)
	var alarms []Report
	for n := range 4 {
		s := r.seen(lostSPI + sa.SPI(n))
		step := r.step(FromUnknown(s)) // cause unknown: the count decides
		in := 0x4000 + sa.SPI(n)
		r.newIKE(initiateRef(t, step), true, in)
		r.end(step, ike.OK, 2, "")
		r.firstInbound(in)
		r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 9})
		r.notice(ike.Notice{Kind: ike.ChildDown, IKE: 9, In: in})
		alarms = append(alarms, reports(r.wait(20*time.Minute), Recurring)...)
		if want := max(0, n-1); n < 3 && len(alarms) != want {
			t.Errorf("after %d healings: %d alarms", n+1, len(alarms))
		}
	}
	if len(alarms) != 1 || alarms[0].Why != "unknown 3 times" {
		t.Errorf("alarms %+v", alarms)
	}
	if s := r.e.Standings()[0]; s.Healed24 != 4 || s.LastHeal != 80*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func TestAStrayOfARekeyThatSucceedsIsNoHealing(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x3000)
	r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 7, Exchange: isakmp.CreateChildSA})
	r.want(r.lost(lostSPI))
	r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 7, Exchange: isakmp.CreateChildSA})
	r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: 0x4000, Initiator: true})
	r.firstInbound(0x4000)
	if got := reports(r.wait(time.Minute), Healed); len(got) != 0 {
		t.Errorf("told as a healing: %+v", got)
	}
	if i := r.incident(); i.Result != Passed {
		t.Errorf("%v", i.Result)
	}
}
