package show

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lockstep/internal/recovery"
)

// Trend is `show crypto recovery trend`: what was healed within a week, and what keeps making it necessary.
type Trend struct {
	Peers []TrendPeer `json:"peers"`

	tunnels int
	now     time.Time
}

// TrendPeer is one tunnel's healings. Counts by hour and day have the oldest first.
type TrendPeer struct {
	Tunnel     string         `json:"tunnel"`
	Peer       netip.Addr     `json:"peer,omitzero"`
	Recurring  bool           `json:"recurring"` // by the last 24 hours: three healings, or two of one named cause
	Healings   int            `json:"healings_7d"`
	Healed24   int            `json:"healings_24h"`
	ByHour     []int          `json:"by_hour_24h"`
	ByDay      []int          `json:"by_day_7d"`
	Healers    map[string]int `json:"healers"`
	MedianMS   int64          `json:"median_heal_ms"`
	WorstMS    int64          `json:"worst_heal_ms"`
	RoundTrips int            `json:"median_round_trips"`
	Lost       uint64         `json:"packets_lost"`
	First      time.Time      `json:"first"`
	Last       time.Time      `json:"last"`
	Causes     []TrendCause   `json:"causes"` // the most frequent first
}

// TrendCause is how often one cause was healed, and what to look at, at both ends.
type TrendCause struct {
	Cause    string `json:"cause"`
	Meaning  string `json:"cause_meaning"`
	Healings int    `json:"healings"`
	Here     string `json:"look_here"`
	There    string `json:"look_at_the_peer"`
}

// NewTrend makes the view. What recurs comes first.
func NewTrend(s *Snapshot, trends []recovery.Trend) *Trend {
	v := &Trend{Peers: []TrendPeer{}, tunnels: len(s.peers()), now: s.Now}
	for _, t := range trends {
		v.Peers = append(v.Peers, newTrendPeer(t))
	}
	slices.SortStableFunc(v.Peers, func(a, b TrendPeer) int {
		if a.Recurring != b.Recurring {
			return yesNoInt(b.Recurring) - yesNoInt(a.Recurring)
		}
		return b.Healings - a.Healings
	})
	return v
}

func yesNoInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func newTrendPeer(t recovery.Trend) TrendPeer {
	v := TrendPeer{Tunnel: t.Peer, Peer: t.Remote, Recurring: t.Recurring, Healings: t.Healings, ByHour: t.Hours[:], ByDay: t.Days[:],
		Healed24: t.Days[len(t.Days)-1], Healers: map[string]int{}, MedianMS: t.Median.Milliseconds(), WorstMS: t.Worst.Milliseconds(),
		RoundTrips: t.Trips, Lost: t.Lost, First: t.First, Last: t.Last, Causes: []TrendCause{}}
	for who, n := range t.Healers {
		v.Healers[string(who)] = n
	}
	for _, c := range t.Causes {
		v.Causes = append(v.Causes, TrendCause{c.Cause, causeText(c.Cause), c.Healings, c.Here, c.There})
	}
	return v
}

// Text writes a block a tunnel: that traffic comes back does not mean that all is well.
func (v *Trend) Text(w io.Writer) error {
	p := &page{w: w}
	recurs := 0
	for _, t := range v.Peers {
		recurs += yesNoInt(t.Recurring)
	}
	p.line("Healings within 7 days: %d of %s, %d recurring", len(v.Peers), count(v.tunnels, "tunnel"), recurs)
	for i := range v.Peers {
		v.Peers[i].block(p, v.now)
	}
	return p.err
}

func (t *TrendPeer) block(p *page, now time.Time) {
	p.line("\n%s, peer %s: %s, %d in the last 24 hours%s", t.Tunnel, address(t.Peer), count(t.Healings, "healing"), t.Healed24,
		yesNo(t.Recurring, ": recurring, somebody should remove the cause", ""))
	row := func(name, format string, args ...any) { p.line("  %-12s "+format, append([]any{name}, args...)...) }
	row("Healed in", "%d ms in the median, %d ms at worst; %s in the median", t.MedianMS, t.WorstMS, count(t.RoundTrips, "IKE round trip"))
	row("Healed by", "%s", t.healers())
	row("Packets lost", "%d", t.Lost)
	row("Last", "%s, %s ago", stamp(t.Last), since(t.Last, now))
	row("By hour", "%s", cells(t.ByHour))
	row("By day", "%s", cells(t.ByDay))
	for _, c := range t.Causes {
		row("Cause", "%s: %s", c.Cause, c.Meaning)
		row("", "healed %s", count(c.Healings, "time"))
		row("  look here", "%s", c.Here)
		row("  and there", "%s", c.There)
	}
}

func (t *TrendPeer) healers() string {
	var names []string
	for who := range t.Healers {
		names = append(names, who)
	}
	slices.SortFunc(names, func(a, b string) int {
		if n := t.Healers[b] - t.Healers[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for i, who := range names {
		names[i] = fmt.Sprintf("%s %d", who, t.Healers[who])
	}
	return strings.Join(names, ", ")
}

// cells are counts in a row, the oldest first, a point for none.
func cells(counts []int) string {
	var out []string
	for _, n := range counts {
		out = append(out, yesNo(n == 0, ".", fmt.Sprint(n)))
	}
	return strings.Join(out, " ") + "  (the last one ends now)"
}
