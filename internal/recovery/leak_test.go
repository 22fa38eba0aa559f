package recovery

import "testing"

// IKE has told of a child, and packets on its SPI find no SA: it carries nothing, whatever IKE holds (protocol.md D33).
func TestAChildThatTheDataPlaneLostIsRekeyed(t *testing.T) {
	r := newRig(t, true, true)
	r.live(lostSPI)
	r.want(r.step(FromLost(r.seen(lostSPI), OriginThisRun)), "RekeySPI 0x"+lostSPI.String()[2:10])
	if i := r.incident(); i.Cause != leakedCause {
		t.Errorf("cause %s: %q", i.Cause, i.Evidence)
	}
}
