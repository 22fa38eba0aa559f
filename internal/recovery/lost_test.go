package recovery

import (
	"testing"
	"time"

	"lockstep/internal/ike"
)

func TestPacketsToldOfAfterTheHealingCountAsLostIfTheyCameBefore(t *testing.T) {
	r := newRig(t, true, true)
	step := r.lost(lostSPI)
	r.newIKE(initiateRef(t, step), true, 0x4000)
	r.end(step, ike.OK, 2, "")
	r.now = r.now.Add(100 * time.Millisecond)
	late := r.seen(lostSPI) // noted by the packet path, not handed over yet
	late.Count = 2
	r.now = r.now.Add(10 * time.Millisecond)
	r.firstInbound(0x4000)
	r.step(FromLost(late, OriginEarlier))
	if i := r.incident(); i.Lost != 3 || i.Delivered != r.now {
		t.Errorf("%d lost until %v", i.Lost, i.Delivered)
	}
	r.now = r.now.Add(10 * time.Millisecond)
	r.lost(lostSPI)
	if i := r.incident(); i.Lost != 3 {
		t.Errorf("%d lost: one came after the healing", i.Lost)
	}
}
