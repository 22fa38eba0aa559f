package recovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lockstep/internal/sa"
)

// That traffic comes back by itself hides what keeps taking it away. So healings are counted, and what recurs is told as
// what it is (protocol.md §1.3).

const (
	trendOver  = 24 * time.Hour
	trendKept  = 7 * 24 * time.Hour
	recurring  = 3 // healings in trendOver
	recurSame  = 2 // of one named cause
	alarmEvery = time.Hour
)

// healing is one success; incidents that overlap in time count as one.
type healing struct {
	at     time.Time
	code   string
	healer Healer
	took   time.Duration
	trips  int
	lost   uint64
}

// healedSince lists the healings of the last d.
func (o *owner) healedSince(now time.Time, d time.Duration) []healing {
	n, _ := slices.BinarySearchFunc(o.healed, now.Add(-d), func(h healing, t time.Time) int {
		if h.at.After(t) {
			return 1
		}
		return -1
	})
	return o.healed[n:]
}

// recurs counts a healing, and alarms when recovery masks a cause that stays: three healings of one peer in a day, or two
// of the same named cause.
func (e *Engine) recurs(o *owner, i *incident) {
	if n := len(o.healed); n > 0 && !i.First.After(o.healed[n-1].at) {
		return // part of the same event
	}
	o.healed = append(slices.Clone(o.healedSince(e.now, trendKept)), healing{i.Delivered, i.Cause, i.Healer, i.HealTime(), i.RoundTrips, i.Lost})
	if len(o.healed) > maxHistory {
		o.healed = o.healed[1:]
	}
	day := o.healedSince(e.now, trendOver)
	if !recurrent(day) || !o.alarmedAt.IsZero() && e.now.Sub(o.alarmedAt) < alarmEvery {
		return
	}
	o.alarmedAt = e.now
	e.publish(Report{Kind: Recurring, At: e.now, Peer: o.Name, Remote: o.Remote, Incident: i.snapshot(),
		What: "healed " + times(len(day)) + " in 24 hours", Why: trendText(day), Causes: causesOf(day)})
}

// recurrent says that the healings of a day are no accident.
func recurrent(day []healing) bool {
	return len(day) >= recurring || slices.ContainsFunc(causesOf(day), func(c CauseCount) bool {
		return c.Cause != UnknownCause && c.Healings >= recurSame
	})
}

// CauseCount is how often a cause was healed, with what to look at: at this end, and at the peer's.
type CauseCount struct {
	Cause    string // D-code, or "unknown"
	Healings int
	Here     string
	There    string
}

// causesOf counts causes, the most frequent first.
func causesOf(hs []healing) []CauseCount {
	var out []CauseCount
	for _, h := range hs {
		n := slices.IndexFunc(out, func(c CauseCount) bool { return c.Cause == h.code })
		if n < 0 {
			here, there := lookAt(h.code)
			out, n = append(out, CauseCount{Cause: h.code, Here: here, There: there}), len(out)
		}
		out[n].Healings++
	}
	slices.SortStableFunc(out, func(a, b CauseCount) int { return cmp.Compare(b.Healings, a.Healings) })
	return out
}

// trendText is the causes in a line, with what to look at for the first of them.
func trendText(hs []healing) string {
	var parts []string
	for _, c := range causesOf(hs) {
		parts = append(parts, c.Cause+" "+times(c.Healings))
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// Trend is what was healed with one peer within a week.
type Trend struct {
	Owner     sa.Owner
	Peer      string
	Remote    netip.Addr
	Hours     [24]int // healings by hour, the hour that ends now last
	Days      [7]int  // by 24 hours, those that end now last
	Causes    []CauseCount
	Healers   map[Healer]int
	Healings  int // of the week
	Median    time.Duration
	Worst     time.Duration
	Trips     int    // of IKE, in the median
	Lost      uint64 // packets
	Recurring bool   // by the healings of the last day
	First     time.Time
	Last      time.Time
}

// Trends lists the peers with healings, by number.
func (e *Engine) Trends(now time.Time) []Trend {
	var out []Trend
	for _, o := range e.owners {
		if hs := o.healedSince(now, trendKept); len(hs) > 0 {
			out = append(out, o.trend(now, hs))
		}
	}
	slices.SortFunc(out, func(a, b Trend) int { return cmp.Compare(a.Owner, b.Owner) })
	return out
}

func (o *owner) trend(now time.Time, hs []healing) Trend {
	t := Trend{Owner: o.ID, Peer: o.Name, Remote: o.Remote, Causes: causesOf(hs), Healers: map[Healer]int{}, Healings: len(hs),
		First: hs[0].at, Last: hs[len(hs)-1].at, Recurring: recurrent(o.healedSince(now, trendOver))}
	var took []time.Duration
	var trips []int
	for _, h := range hs {
		age := max(now.Sub(h.at), 0)
		if n := int(age / time.Hour); n < len(t.Hours) {
			t.Hours[len(t.Hours)-1-n]++
		}
		if n := int(age / trendOver); n < len(t.Days) {
			t.Days[len(t.Days)-1-n]++
		}
		t.Healers[h.healer]++
		t.Lost += h.lost
		took, trips = append(took, h.took), append(trips, h.trips)
	}
	slices.Sort(took)
	slices.Sort(trips)
	t.Median, t.Worst, t.Trips = took[(len(took)-1)/2], took[len(took)-1], trips[(len(trips)-1)/2]
	return t
}
