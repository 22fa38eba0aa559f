package recovery

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// TestAForgedKeyKeepsRecoveryFromNoOther: somebody on the path sends an SPI that we lost again after each acknowledgement.
// A black hole on another one is healed as if he were not there, on each rung and in the hour of quarantine.
func TestAForgedKeyKeepsRecoveryFromNoOther(t *testing.T) {
	const forged, real = lostSPI, sa.SPI(0x2222)
	forge := func(r *rig, times int) {
		for range times {
			r.wait(2 * time.Second)
			r.want(r.end(r.lost(forged), ike.OK, 1, ""))
		}
	}
	for times := 1; times <= 6; times++ { // the third leads to quarantine
		r := newRig(t, true, true)
		r.live(0x4000)
		forge(r, times)
		r.wait(2 * time.Second)
		r.want(r.lost(real), "Delete 0x00002222")
	}
}

func TestEachKeyClimbsForItself(t *testing.T) {
	const a, b = lostSPI, sa.SPI(0x2222)
	r := newRig(t, true, true)
	r.live(0x4000)
	r.end(r.lost(a), ike.OK, 1, "")
	r.wait(2 * time.Second)
	step := r.lost(a)
	r.want(step, "RekeyChild")
	r.end(step, ike.OK, 1, "")
	r.wait(2 * time.Second)
	step = r.lost(b)
	r.want(step, "Delete 0x00002222")
	r.want(r.lost(a)) // single flight
	r.end(step, ike.OK, 1, "")
	step = r.wait(2 * time.Second)
	r.want(step, "Liveness") // for a, without another packet
	r.want(r.lost(b))
	r.end(step, ike.OK, 1, "")
	r.want(r.wait(2*time.Second), "RekeyChild") // for b
}

func TestHigherRungsGoOnWithoutABudgetOfDeletes(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.wait(2 * time.Second)
	for range defaultDeletes {
		r.e.owners[0].budget.deletes = append(r.e.owners[0].budget.deletes, r.now)
	}
	r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 7})
	r.lost(0x2222)
	r.lost(lostSPI)
	r.notice(ike.Notice{Kind: ike.ExchangeEnded, IKE: 7})
	r.wait(leastG)
	r.want(r.lost(0x2222), "RekeyChild")
}

func TestAQuarantinedKeyIsToldOnceAndOpensNoOtherIncident(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	alarms := 0
	play := func(step []Action) {
		alarms += len(reports(step, GaveUp))
		if len(orders(step)) > 0 {
			alarms += len(reports(r.end(step, ike.OK, 1, ""), GaveUp))
		}
	}
	for range 100 { // two keys, climbing side by side
		play(r.wait(time.Second))
		play(r.lost(lostSPI))
		play(r.lost(0x2222))
	}
	if s := r.e.Standings()[0]; alarms != 1 || s.Kept != 2 || s.State != Idle {
		t.Errorf("%d alarms, %d keys in quarantine, %v", alarms, s.Kept, s.State)
	}
	r.wait(2 * forgottenAfter)
	known := len(r.e.Incidents())
	r.want(r.lost(lostSPI))
	if n := len(r.e.Incidents()); n != known || r.e.open != 0 {
		t.Errorf("%d incidents, %d before; %d open", n, known, r.e.open)
	}
	r.wait(time.Hour)
	r.want(r.lost(lostSPI), "Delete 0x7C41D9E2")
}

func TestASilentKeyBeginsAtTheFirstRungAgain(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.wait(cleanFor)
	r.want(r.lost(lostSPI), "Delete 0x7C41D9E2")
}

func TestQuarantinedKeysAreBounded(t *testing.T) {
	r := newRig(t, true, true)
	o := r.e.owners[0]
	for i := range 3 * maxKept {
		r.now = r.now.Add(time.Second)
		r.step(Tick{})
		r.e.quarantine(o, []*incident{{Incident: Incident{Key: Key{SPI: sa.SPI(i)}}}}, "test")
	}
	if last := (Key{SPI: 3*maxKept - 1}); len(o.kept) != maxKept || !o.quarantined(last, r.now) {
		t.Errorf("%d kept", len(o.kept))
	}
}
