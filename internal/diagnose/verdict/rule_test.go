package verdict

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose/evidence"
)

var (
	sender   = netip.MustParseAddr("198.51.100.9")
	receiver = netip.MustParseAddr("192.0.2.2")
	noon     = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
)

// seen is a sighting on the receiver's clock.
func seen(spi uint32, after, grain, limit time.Duration) evidence.Event {
	return evidence.Event{Stamp: evidence.Stamp{At: noon.Add(after), Grain: grain, Clock: 1}, Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: int(after/time.Millisecond) + 1}, Text: "line"},
		Kind: evidence.InvalidSPI, Device: "hub", Flow: evidence.Flow{Src: sender, Dst: receiver, Proto: 50, SPI: spi}, Peer: sender, Local: receiver, Limit: limit}
}

func judged(t *testing.T, k Known, events ...evidence.Event) Judged {
	t.Helper()
	tr := New(0)
	for _, e := range events {
		tr.Event(e)
	}
	all := tr.Judge(k, time.Time{})
	if len(all) == 0 {
		t.Fatal("no flow")
	}
	return all[0]
}

// TestAgainMeansSurelyASecond is the rule at its edges: what the grain of a stamp hides does not count.
func TestAgainMeansSurelyASecond(t *testing.T) {
	for _, c := range []struct {
		gap, grain time.Duration
		want       Verdict
	}{
		{999 * time.Millisecond, 0, Transient},
		{1000 * time.Millisecond, 0, Persistent},
		{1000 * time.Millisecond, time.Millisecond, Transient},
		{1001 * time.Millisecond, time.Millisecond, Persistent},
		{time.Second, time.Second, Transient},
		{2 * time.Second, time.Second, Persistent},
		{time.Hour, time.Hour, Transient},
		{29 * 24 * time.Hour, time.Second, Persistent},
		{31 * 24 * time.Hour, time.Second, Transient}, // beyond any lifetime: another SA
	} {
		if j := judged(t, Known{}, seen(0x5000, 0, c.grain, 0), seen(0x5000, c.gap, c.grain, 0)); j.Verdict != c.want {
			t.Errorf("%v apart, stamps of %v: %v, want %v", c.gap, c.grain, j.Verdict, c.want)
		}
	}
}

func TestSightingsByDifferentClocksProveNothing(t *testing.T) {
	a, b := seen(0x5000, 0, 0, 0), seen(0x5000, time.Hour, 0, 0)
	b.Clock = 2
	j := judged(t, Known{}, a, b)
	if j.Verdict != Transient || j.Sure != Possible {
		t.Errorf("%v %v", j.Verdict, j.Sure)
	}
	c := seen(0x5000, time.Hour+time.Minute, 0, 0)
	c.Clock = 2
	if j := judged(t, Known{}, a, b, c); j.Verdict != Persistent {
		t.Errorf("two on the second clock: %v", j.Verdict)
	}
}

func TestTheOrderOfFilesDoesNotMatter(t *testing.T) {
	restart := evidence.Event{Stamp: evidence.Stamp{At: noon.Add(-time.Minute), Clock: 1}, Kind: evidence.Restart, Device: "hub", Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: 900}, Text: "restart"}}
	up := evidence.Event{Stamp: evidence.Stamp{At: noon.Add(4 * time.Minute), Clock: 1}, Kind: evidence.ChildUp, Peer: sender, Device: "hub", Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: 901}, Text: "up"}}
	events := []evidence.Event{restart, seen(0x5000, 0, time.Millisecond, time.Minute), seen(0x5000, time.Minute, time.Millisecond, time.Minute), seen(0x5000, 2*time.Minute, time.Millisecond, time.Minute), up}
	want := judged(t, Known{}, events...)
	if want.Verdict != Persistent || want.Cause != "D01" || want.Ended != "a new SA with the peer" || want.Outage != 4*time.Minute {
		t.Fatalf("%+v", want)
	}
	for _, order := range [][]int{{4, 3, 2, 1, 0}, {1, 2, 3, 4, 0}, {3, 0, 1, 4, 2}} {
		var shuffled []evidence.Event
		for _, i := range order {
			shuffled = append(shuffled, events[i])
		}
		got := judged(t, Known{}, shuffled...)
		if got.Verdict != want.Verdict || got.Cause != want.Cause || got.Ended != want.Ended || !got.First.At.Equal(want.First.At) || !got.Last.At.Equal(want.Last.At) {
			t.Errorf("order %v: %v %s %s", order, got.Verdict, got.Cause, got.Ended)
		}
	}
}

// TestADeleteJustBeforeTheLineIsItsAnswer: IOS sends a Delete for any SPI that it does not know, and the debug line of it
// stands before the message. It says nothing of whose the SPI was.
func TestADeleteJustBeforeTheLineIsItsAnswer(t *testing.T) {
	sent := evidence.Event{Stamp: evidence.Stamp{At: noon.Add(-4 * time.Millisecond), Clock: 1}, Kind: evidence.DeleteSent, Device: "hub", Flow: evidence.Flow{SPI: 0x5000}, Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: 1}, Text: "delete"}}
	if j := judged(t, Known{}, sent, seen(0x5000, 0, 0, 0)); j.Cause != UnknownCause {
		t.Errorf("once: cause %s (%v)", j.Cause, j.Confidence)
	}
	if j := judged(t, Known{}, sent, seen(0x5000, 0, 0, 0), seen(0x5000, time.Minute, 0, 0)); j.Sure != Likely || j.Cause != UnknownCause || len(j.Others) != 0 {
		t.Errorf("again: %v, cause %s, others %v", j.Sure, j.Cause, j.Others)
	}
	sent.Kind = evidence.ChildDown
	if j := judged(t, Known{}, sent, seen(0x5000, 0, 0, 0), seen(0x5000, time.Minute, 0, 0)); j.Sure != Certain {
		t.Errorf("an SA of its own that went: %v", j.Sure)
	}
}

// TestOneMessageByTwoRelaysIsNoRepeat: where only relays give times, two lines that are nearer than the device prints the
// message may be the same one.
func TestOneMessageByTwoRelaysIsNoRepeat(t *testing.T) {
	for _, c := range []struct {
		name       string
		gap, limit time.Duration
		relayed    bool
		other      string // file of the second line; empty: the same
		want       Verdict
	}{
		{"two relays, one file", 3 * time.Second, 5 * time.Second, true, "", Transient},
		{"the device's own times", 3 * time.Second, 5 * time.Second, false, "", Persistent},
		{"the device's next message", 5 * time.Second, 5 * time.Second, true, "", Persistent},
		{"clocks of two relays", 20 * time.Second, 5 * time.Second, true, "log.2", Transient},
		{"a minute later in a rotated log", 61 * time.Second, time.Minute, true, "log.2", Persistent},
		{"IOS without time stamps", 2 * time.Second, time.Minute, true, "", Transient},
		{"a source that prints all", 2 * time.Second, 0, true, "", Persistent},
	} {
		a, b := seen(0x5000, 0, 0, c.limit), seen(0x5000, c.gap, 0, c.limit)
		a.Relayed, b.Relayed = c.relayed, c.relayed
		if c.other != "" {
			b.File = c.other
		}
		j := judged(t, Known{}, a, b)
		if j.Verdict != c.want || c.want == Transient && j.Sure != Possible {
			t.Errorf("%s: %v %v", c.name, j.Verdict, j.Sure)
		}
	}
}

// TestStampsOfHoursHideWhatIsBetween: two messages in one hour of `service timestamps uptime` are neither one delivered
// twice nor surely near each other.
func TestStampsOfHoursHideWhatIsBetween(t *testing.T) {
	j := judged(t, Known{}, seen(0x5000, 0, time.Hour, time.Minute), seen(0x5000, 0, time.Hour, time.Minute))
	if j.Count != 2 || j.Verdict != Transient || j.Sure != Possible {
		t.Errorf("%d lines, %v %v", j.Count, j.Verdict, j.Sure)
	}
}

func TestAnSPIWithItsOctetsTurnedIsTold(t *testing.T) {
	made := evidence.Event{Stamp: evidence.Stamp{At: noon.Add(-time.Minute), Clock: 1}, Kind: evidence.Installed, Device: "hub", Flow: evidence.Flow{SPI: 0xA1B2C3D4}, Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: 1}, Text: "made"}}
	e := seen(0xD4C3B2A1, 0, 0, 0)
	e.Platform = evidence.ASA
	if j := judged(t, Known{}, made, e); !strings.Contains(strings.Join(j.Why, " "), "0xA1B2C3D4") || j.Cause != UnknownCause {
		t.Errorf("%s, %q", j.Cause, j.Why)
	}
	e.Platform = evidence.IOS
	if j := judged(t, Known{}, made, e); strings.Contains(strings.Join(j.Why, " "), "0xA1B2C3D4") {
		t.Errorf("IOS: %q", j.Why)
	}
}

// TestACountOfRepeatsIsOfTheLineBeforeIt: minutes later it may be any flow's.
func TestACountOfRepeatsIsOfTheLineBeforeIt(t *testing.T) {
	for gap, least := range map[time.Duration]uint64{0: 42, time.Minute: 1} {
		more := seen(0, gap, 0, 0)
		more.Kind, more.Count = evidence.Suppressed, 41
		if j := judged(t, Known{}, seen(0x5000, 0, 0, time.Minute), more); j.Least != least {
			t.Errorf("%v behind the line: at least %d packets, want %d", gap, j.Least, least)
		}
	}
}

// TestALogThatIsGivenTwiceCountsOnce: of two relays each has the whole day.
func TestALogThatIsGivenTwiceCountsOnce(t *testing.T) {
	tr := New(0)
	for range 2 {
		for i := range 100 {
			tr.Event(seen(0x5000, time.Duration(i)*time.Minute, time.Millisecond, time.Minute))
		}
	}
	j := tr.Judge(Known{}, time.Time{})[0]
	if j.Count != 100 || j.Least != 100 || tr.Duplicates != 100 {
		t.Errorf("%d lines, at least %d packets, %d duplicates", j.Count, j.Least, tr.Duplicates)
	}
}

// TestTwoCausesOfEqualForceAreNone: a guess would be right half the time.
func TestTwoCausesOfEqualForceAreNone(t *testing.T) {
	sent := evidence.Event{Stamp: evidence.Stamp{At: noon.Add(-time.Second), Clock: 1}, Kind: evidence.DeleteSent, Device: "hub", Flow: evidence.Flow{SPI: 0x5000}, Quote: evidence.Quote{Source: evidence.Source{File: "log", Line: 1}, Text: "delete"}}
	j := judged(t, Known{}, sent, seen(0x5000, 0, 0, 0), seen(0x5000, time.Minute, 0, 0))
	if j.Cause != UnknownCause || j.Confidence != Unknown || len(j.Others) != 2 || !strings.Contains(strings.Join(j.Why, " "), "D03 and D06 fit equally") {
		t.Errorf("%s %v %v %q", j.Cause, j.Confidence, j.Others, j.Why)
	}
}

func TestABlackHoleIsNotForgottenForNoise(t *testing.T) {
	tr := New(1000)
	tr.Event(seen(0x5000, 0, 0, 0))
	tr.Event(seen(0x5000, time.Minute, 0, 0))
	for i := range 50_000 {
		tr.Event(seen(uint32(0x10000+i), time.Duration(i)*time.Millisecond, 0, 0))
	}
	if tr.Flows() != 1000 || tr.Evicted != 49_001 {
		t.Errorf("%d flows, %d evicted", tr.Flows(), tr.Evicted)
	}
	if j, ok := tr.JudgeFlow(seen(0x5000, 0, 0, 0).Flow, Known{}, time.Time{}); !ok || j.Verdict != Persistent {
		t.Errorf("the black hole: %v %v", ok, j.Verdict)
	}
}

func TestAHundredThousandFlowsHaveRoom(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tr := New(0)
	text := strings.Repeat("x", 180)
	for i := range MaxFlows + 1000 {
		e := seen(uint32(0x10000+i), time.Duration(i)*time.Millisecond, 0, 0)
		e.Text = strings.Clone(text)
		tr.Event(e)
		e.At = e.At.Add(time.Minute)
		e.Text = strings.Clone(text)
		tr.Event(e)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	t.Logf("%d flows in %d MiB", tr.Flows(), grown)
	if tr.Flows() != MaxFlows || tr.Evicted != 1000 || grown > 128 {
		t.Errorf("%d flows, %d evicted, %d MiB", tr.Flows(), tr.Evicted, grown)
	}
	runtime.KeepAlive(tr)
}

func TestContextIsBounded(t *testing.T) {
	tr := New(0)
	for i := range 3 * maxEvents {
		tr.Event(evidence.Event{Kind: evidence.ChildUp, Device: "hub", Peer: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Stamp: evidence.Stamp{At: noon}})
	}
	if tr.context.kept > maxEvents || tr.Lost() == 0 {
		t.Errorf("%d kept, %d lost", tr.context.kept, tr.Lost())
	}
	one := New(0)
	for i := range 500 {
		one.Event(evidence.Event{Kind: evidence.ChildUp, Device: "hub", Peer: sender, Stamp: evidence.Stamp{At: noon.Add(time.Duration(i) * time.Second)}})
	}
	kept := one.context.byPeer[sender]
	if len(kept) != perSubject || !kept[0].At.Equal(noon) || !kept[len(kept)-1].At.Equal(noon.Add(499*time.Second)) {
		t.Errorf("%d of one peer, from %v", len(kept), kept[0].At)
	}
}

func TestEveryCauseThatIsClaimedHasWords(t *testing.T) {
	for _, l := range losses {
		if Causes[l.code] == "" {
			t.Errorf("%s has no words", l.code)
		}
	}
	for code, words := range Causes {
		if len(code) != 3 || code[0] != 'D' || words == "" {
			t.Errorf("%s (%s) is no D-code", code, words)
		}
	}
}
