package peer

import (
	"testing"

	"lockstep/internal/ike"
)

func TestWhatIsKnownOfAPeersFaultsOutlivesItsIKESAs(t *testing.T) {
	l := newLab(t, Options{})
	first := l.answered(900, false, 0x1001)
	first.start.Quirks.AvoidFF = l.now
	l.makes(first, ike.Notice{Kind: ike.IKEDown}, ike.Closed{})
	if !l.p.Quirks().AvoidFF.Equal(l.now) || len(l.p.Status()) != 0 {
		t.Errorf("without an IKE SA: %+v", l.p.Quirks())
	}
	second := l.answered(901, true, 0x1003)
	if !second.start.Quirks.AvoidFF.Equal(l.now) {
		t.Error("the next IKE SA starts without it")
	}
	l.p.Update(l.now, other(true))
	if third := l.answered(902, false, 0x1005); third.start.Quirks != first.start.Quirks {
		t.Error("a reload forgets it")
	}
}

func TestAHintGoesToTheIKESAThatMadeTheChild(t *testing.T) {
	l := newLab(t, Options{})
	first := l.answered(900, false, 0x1001)
	second := l.answered(901, false, 0x1003)
	h := ike.Hint{In: 0x1003, Out: 0x1004}
	l.step(h)
	l.step(ike.Hint{In: 0x9999, Out: 0x1004})
	if got := second.got[len(second.got)-1]; got != h {
		t.Errorf("the second got %+v", got)
	}
	for _, in := range first.got {
		if _, hint := in.(ike.Hint); hint {
			t.Errorf("the first got %+v", in)
		}
	}
}
