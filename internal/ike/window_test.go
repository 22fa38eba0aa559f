package ike

import (
	"slices"
	"testing"
	"time"
)

func TestScheduleGrowsAndEnds(t *testing.T) {
	if got := ProbeSchedule().Total().Round(time.Second); got != 38*time.Second && got != 37*time.Second {
		t.Errorf("probe gives up after %v, want about 37 s (protocol.md §2.5)", got)
	}
	if got := RequestSchedule().Total(); got != 63*time.Second {
		t.Errorf("request gives up after %v", got)
	}
	for _, s := range []Schedule{ProbeSchedule(), RequestSchedule()} {
		for n := 1; n < s.Tries; n++ {
			if s.Wait(n) <= s.Wait(n-1) {
				t.Errorf("wait %d does not grow (RFC 7296 §2.4)", n)
			}
		}
	}
}

func TestSendWindowHasOneRequestOutstanding(t *testing.T) {
	now := time.Unix(1000, 0)
	var w SendWindow
	if !w.Idle() || !w.Due().IsZero() || w.Answers(0) || w.Kick() != nil {
		t.Fatal("a new window waits for something")
	}
	w.Start(now, []byte("request"), Schedule{First: time.Second, Factor: 2, Tries: 3})
	if w.Idle() || !w.Answers(0) || w.Answers(1) {
		t.Fatal("outstanding request")
	}
	var at []time.Duration
	for {
		at = append(at, w.Due().Sub(now))
		msg, ok := w.Again(w.Due())
		if !ok {
			break
		}
		if string(msg) != "request" {
			t.Errorf("again %q", msg)
		}
	}
	if !slices.Equal(at, []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}) {
		t.Errorf("due at %v", at)
	}
	if rtt := w.Done(now.Add(9 * time.Second)); rtt != 0 {
		t.Errorf("round trip %v measured on a retransmitted request", rtt)
	}
	if !w.Idle() || w.ID() != 1 {
		t.Errorf("ID %d", w.ID())
	}
	w.Start(now, []byte("next"), RequestSchedule())
	if rtt := w.Done(now.Add(40 * time.Millisecond)); rtt != 40*time.Millisecond {
		t.Errorf("round trip %v", rtt)
	}
}

func TestSendWindowMayReplaceWhatIsOutstanding(t *testing.T) {
	now := time.Unix(1000, 0)
	var w SendWindow
	w.Start(now, []byte("first"), RequestSchedule())
	w.Start(now.Add(time.Second), []byte("with cookie"), RequestSchedule())
	if w.ID() != 0 || string(w.Kick()) != "with cookie" {
		t.Errorf("ID %d, %q", w.ID(), w.Kick())
	}
}

func TestHastenOnlyShortens(t *testing.T) {
	now := time.Unix(1000, 0)
	end := func(w *SendWindow) time.Duration {
		for {
			d := w.Due()
			if _, ok := w.Again(d); !ok {
				return d.Sub(now)
			}
		}
	}
	var slow, fast SendWindow
	slow.Start(now, nil, RequestSchedule())
	slow.Hasten(now, ProbeSchedule())
	if got := end(&slow); got > 38*time.Second {
		t.Errorf("ends after %v", got)
	}
	quick := Schedule{First: time.Second, Factor: 1.1, Tries: 3}
	fast.Start(now, nil, quick)
	fast.Hasten(now, ProbeSchedule())
	if got := end(&fast); got != quick.Total() {
		t.Errorf("ends after %v, want %v", got, quick.Total())
	}
	var idle SendWindow
	idle.Hasten(now, ProbeSchedule())
	if !idle.Due().IsZero() {
		t.Error("an idle window became due")
	}
}

func TestSendWindowWarnsBeforeItsNumbersEnd(t *testing.T) {
	w := SendFrom(1<<32 - 1<<16 - 1)
	if w.Exhausted() {
		t.Error("too early")
	}
	w.Start(time.Unix(1000, 0), nil, RequestSchedule())
	w.Done(time.Unix(1001, 0))
	if !w.Exhausted() {
		t.Error("not at all")
	}
}

func TestRecvWindowProcessesEachRequestOnce(t *testing.T) {
	var w RecvWindow
	one, two := []byte("one"), []byte("two")
	steps := []struct {
		id   uint32
		msg  []byte
		want Verdict
		do   func()
	}{
		{1, two, Outside, nil},
		{0, one, Fresh, func() { w.Begin(one) }},
		{0, one, Pending, nil},
		{1, two, Outside, func() { w.Answer([]byte("answer")) }},
		{0, one, Repeated, nil},
		{0, two, Outside, nil}, // same ID, other octets
		{1, two, Fresh, func() { w.Begin(two) }},
		{0, one, Outside, func() { w.Answer([]byte("second")) }},
		{0, one, Outside, nil},
		{1, two, Repeated, nil},
		{3, two, Outside, nil},
	}
	for i, s := range steps {
		if got := w.Judge(s.id, s.msg); got != s.want {
			t.Errorf("step %d: %d, want %d", i, got, s.want)
		}
		if s.do != nil {
			s.do()
		}
	}
	if w.Expected() != 2 || w.Busy() || string(w.Response()) != "second" {
		t.Errorf("expected %d, response %q", w.Expected(), w.Response())
	}
}
