package recovery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

const okResult, refusedResult = ike.OK, ike.Refused

func outcome(o Order, r ike.Result, detail string) ike.Outcome {
	return ike.Outcome{Ref: o.Command.Ref, Verb: o.Command.Verb, Owner: o.Owner, Result: r, Detail: detail}
}

func TestAPeerThatIgnoresDeleteClimbsTheRungs(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	again := func(d time.Duration) []Action {
		r.wait(d)
		return r.lost(lostSPI)
	}
	step := r.lost(lostSPI)
	r.want(step, "Delete 0x7C41D9E2")
	r.end(step, ike.OK, 1, "")
	r.wantState(Healing)
	r.want(again(1900 * time.Millisecond)) // not yet: packets under way
	step = again(200 * time.Millisecond)
	r.want(step, "RekeyChild")
	r.end(step, ike.OK, 1, "")
	step = again(3 * time.Second)
	r.want(step, "Liveness")
	r.wantState(Probing)
	got := r.end(step, ike.OK, 1, "")
	r.wantState(Idle)
	if s := r.e.Standings()[0]; s.Kept != 1 || !r.incident().Quarantined.Equal(r.now.Add(time.Hour)) {
		t.Errorf("%d keys in quarantine, this one until %v", s.Kept, r.incident().Quarantined)
	}
	if g := reports(got, GaveUp); len(g) != 1 || !strings.Contains(g[0].Why, "ignores Delete") {
		t.Errorf("alarms %+v", g)
	}
	for range 50 {
		r.want(again(time.Minute))
	}
	r.want(again(11*time.Minute), "Delete 0x7C41D9E2") // an hour is over
}

func TestProbingFindsTheIKESADead(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.wait(3 * time.Second)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.wait(3 * time.Second)
	probe := r.lost(lostSPI)
	r.wait(4 * time.Second)
	r.lost(lostSPI)
	r.want(r.end(probe, ike.TimedOut, 0, ""), "Initiate")
	r.wantState(Reauth)
}

func TestParityOnlyRepeatsTheDelete(t *testing.T) {
	r := newRig(t, true, false)
	r.live(0x4000)
	for range 5 {
		step := r.lost(lostSPI)
		r.want(step, "Delete 0x7C41D9E2")
		r.end(step, ike.OK, 1, "")
		r.wait(3 * time.Second)
	}
}

func TestWithoutAChildAfterTheDeleteAFreshOneIsMade(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	step := r.lost(lostSPI)
	r.want(step, "Delete 0x7C41D9E2")
	r.notice(ike.Notice{Kind: ike.ChildDown, In: 0x4000})
	next := r.end(step, ike.OK, 1, "")
	r.want(next, "Initiate")
	r.wantState(Recreating)
	r.end(next, ike.OK, 1, "")
	r.wantState(Healing)
}

// TestEachResultHasItsNextState is the right part of protocol.md §2.6.
func TestEachResultHasItsNextState(t *testing.T) {
	for _, c := range []struct {
		live   bool
		result ike.Result
		detail string
		want   State
		orders string
		alarm  bool
	}{
		{false, ike.OK, "", Healing, "", false},
		{false, ike.Busy, "", Watching, "", false},
		{false, ike.TimedOut, "", Backoff, "", false},
		{false, ike.NoIKE, "", Backoff, "", false},
		{false, ike.AuthFailed, "", Backoff, "", true},
		{false, ike.Refused, "NO_PROPOSAL_CHOSEN", Backoff, "", true},
		{false, ike.NotInitiable, "no address", Watching, "", true},
		{false, ike.InternalFailed, "", Backoff, "", true},
		{true, ike.OK, "", Healing, "", false},
		{true, ike.Moot, "", Healing, "", false},
		{true, ike.Busy, "", Watching, "", false},
		{true, ike.NoIKE, "", Reauth, "Initiate", false},
		{true, ike.Refused, "TEMPORARY_FAILURE", Backoff, "", false},
		{true, ike.Refused, "NO_ADDITIONAL_SAS", Backoff, "", true},
		{true, ike.Refused, "TS_UNACCEPTABLE", Backoff, "", true},
		{true, ike.ChildNotFound, "", Backoff, "", true},
		{true, ike.InternalFailed, "", Backoff, "", true},
	} {
		t.Run(fmt.Sprint(c.live, c.result, c.detail), func(t *testing.T) {
			r := newRig(t, true, true)
			if c.live {
				r.live(0)
			}
			got := r.end(r.lost(lostSPI), c.result, 1, c.detail)
			r.wantState(c.want)
			if s := strings.Join(orders(got), ", "); s != c.orders {
				t.Errorf("orders %q, want %q", s, c.orders)
			}
			if alarmed := len(reports(got, GaveUp)) > 0; alarmed != c.alarm {
				t.Errorf("alarm %v, want %v", alarmed, c.alarm)
			}
		})
	}
}

func TestAuthenticationFailedPausesAtLeastAMinute(t *testing.T) {
	r := newRig(t, true, true)
	r.end(r.lost(lostSPI), ike.AuthFailed, 2, "")
	for range 59 {
		r.want(r.wait(time.Second))
		r.want(r.lost(lostSPI))
	}
	r.want(r.wait(time.Second), "Initiate") // the last packet is a second old
}

func TestPausesDoubleAndAnIKESACutsThemShort(t *testing.T) {
	r := newRig(t, true, true)
	var pauses []time.Duration
	for range 11 {
		step := r.lost(lostSPI)
		r.want(step, "Initiate")
		r.wait(6 * time.Second) // the packets have ended
		r.end(step, ike.TimedOut, 0, "")
		r.wantState(Backoff)
		pauses = append(pauses, r.e.owners[0].until.Sub(r.now))
		r.wait(pauses[len(pauses)-1])
	}
	for n, p := range pauses { // without jitter: a quarter below 1, 2, 4 …
		if want := min(time.Second<<n, 300*time.Second) * 3 / 4; p != want {
			t.Errorf("pause %d is %v, want %v", n, p, want)
		}
	}
	r.end(r.lost(lostSPI), ike.TimedOut, 0, "")
	r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 3})
	r.wantState(Idle)
}

func TestAnExchangeUnderWayIsWaitedFor(t *testing.T) {
	r := newRig(t, true, true)
	r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
	r.want(r.lost(lostSPI))
	r.wantState(Watching)
	if f := r.e.Flows()[0]; f.Verdict != Transient {
		t.Errorf("verdict %v", f.Verdict)
	}
	r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 9, Exchange: isakmp.IKESAInit})
	r.now = r.now.Add(999 * time.Millisecond)
	r.want(r.lost(lostSPI)) // ended less than G ago
	r.now = r.now.Add(time.Millisecond)
	r.want(r.lost(lostSPI), "Initiate")
}

func TestAnExchangeWithoutAnEndIsWaitedForHalfAMinute(t *testing.T) {
	r := newRig(t, true, true)
	r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
	r.wait(29 * time.Second)
	r.want(r.lost(lostSPI))
	r.wait(time.Second)
	r.want(r.lost(lostSPI), "Initiate")
}

func TestGFollowsTheRoundTripTime(t *testing.T) {
	r := newRig(t, true, true)
	r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 9, Exchange: isakmp.IKESAInit, SRTT: time.Second})
	r.now = r.now.Add(3900 * time.Millisecond)
	r.want(r.lost(lostSPI))
	r.now = r.now.Add(200 * time.Millisecond)
	r.want(r.lost(lostSPI), "Initiate")
}

func TestOneFlightAtATime(t *testing.T) {
	r := newRig(t, true, true)
	r.want(r.lost(lostSPI), "Initiate")
	for i := range sa.SPI(20) {
		r.wait(time.Second)
		r.want(r.lost(lostSPI))
		r.want(r.lost(0x9000 + i))
	}
}

func TestAnOrderWithoutAnEndIsGivenUp(t *testing.T) {
	r := newRig(t, true, true)
	step := r.lost(lostSPI)
	r.wait(flightBound)
	r.wantState(Backoff)
	r.want(r.end(step, ike.OK, 2, "")) // too late: ignored
	r.wantState(Backoff)
	r.wait(5 * time.Second)
	r.want(r.lost(lostSPI), "Initiate")
}

func TestClearStartsAnew(t *testing.T) {
	r := newRig(t, true, true)
	r.end(r.lost(lostSPI), ike.AuthFailed, 2, "")
	r.wantState(Backoff)
	r.wait(3 * time.Second)
	r.want(r.step(Operator{sa.NoOwner}), "Initiate") // the evidence is 3 s old
}

func TestSettingsChangeAndOwnersKeepTheirState(t *testing.T) {
	r := newRig(t, false, true)
	r.want(r.lost(lostSPI))
	s := Settings{InvalidSPI: true, Extended: true, Owners: []Owner{{ID: 0, Name: "Tunnel9", Remote: peer.Addr()}, static()}}
	s.Owners[1].ID = 1
	r.step(Configured{s})
	ev := r.seen(lostSPI)
	ev.Owner = 1
	got := r.step(FromLost(ev, OriginEarlier))
	r.want(got, "Initiate")
	if n := len(r.e.Incidents()); n != 1 {
		t.Errorf("%d incidents, want the one of before", n)
	}
	r.step(Configured{Settings{}})
	if i := r.incident(); i.Result != Unproven {
		t.Errorf("incident of a peer that is gone: %v", i.Result)
	}
	r.want(r.end(got, ike.OK, 2, "")) // nobody waits any more
}
