package recovery

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// heal plays one healing of an SPI that went for why (0: we lost it), and gives what was reported within a quarter of an hour.
func (r *rig) heal(n int, why sa.TombReason) []Action {
	r.t.Helper()
	spi, in := lostSPI+sa.SPI(n), 0x4000+sa.SPI(n)
	ev := FromUnknown(r.seen(spi))
	if why != 0 {
		ev = FromTombstone(r.seen(spi), sa.Tombstone{SPI: spi, Owner: 0, Deleted: r.now.Add(-time.Minute), Why: why})
	}
	step := r.step(ev)
	all := r.newIKE(initiateRef(r.t, step), true, in)
	all = append(all, r.end(step, ike.OK, 2, "")...)
	all = append(all, r.firstInbound(in)...)
	all = append(all, r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 9})...)
	all = append(all, r.notice(ike.Notice{Kind: ike.ChildDown, IKE: 9, In: in})...)
	return append(all, r.wait(15*time.Minute)...)
}

func TestTwoOfOneCauseOrThreeOfAnyInADayAreNoAccident(t *testing.T) {
	type healing struct {
		at  time.Duration
		why sa.TombReason
	}
	for name, c := range map[string]struct {
		healings []healing
		alarms   int
		causes   string
	}{
		"one":                                   {[]healing{{0, sa.TombCleared}}, 0, ""},
		"two of one cause":                      {[]healing{{0, sa.TombCleared}, {5 * time.Hour, sa.TombCleared}}, 1, "D14 twice"},
		"two of two causes":                     {[]healing{{0, sa.TombCleared}, {5 * time.Hour, sa.TombDPD}}, 0, ""},
		"two of unknown cause":                  {[]healing{{0, 0}, {5 * time.Hour, 0}}, 0, ""},
		"three of unknown cause":                {[]healing{{0, 0}, {5 * time.Hour, 0}, {6 * time.Hour, 0}}, 1, "unknown 3 times"},
		"three causes":                          {[]healing{{0, 0}, {time.Hour, sa.TombDPD}, {2 * time.Hour, sa.TombCleared}}, 1, "unknown once, D15 once, D14 once"},
		"two of one cause, more than a day":     {[]healing{{0, sa.TombCleared}, {25 * time.Hour, sa.TombCleared}}, 0, ""},
		"three in two days":                     {[]healing{{0, 0}, {13 * time.Hour, 0}, {25 * time.Hour, 0}}, 0, ""},
		"told once within an hour":              {[]healing{{0, sa.TombDPD}, {20 * time.Minute, sa.TombDPD}, {40 * time.Minute, sa.TombDPD}}, 1, "D15 twice"},
		"told again when more than one is over": {[]healing{{0, sa.TombDPD}, {20 * time.Minute, sa.TombDPD}, {2 * time.Hour, sa.TombDPD}}, 2, "D15 twice"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, true)
			begun := r.now
			var alarms []Report
			for n, h := range c.healings {
				alarms = append(alarms, reports(r.wait(begun.Add(h.at).Sub(r.now)), Recurring)...)
				alarms = append(alarms, reports(r.heal(n, h.why), Recurring)...)
			}
			if len(alarms) != c.alarms {
				t.Fatalf("%d alarms, want %d: %+v", len(alarms), c.alarms, alarms)
			}
			if len(alarms) == 0 {
				return
			}
			a := alarms[0]
			if a.Why != c.causes || a.Causes[0].Here == "" || a.Causes[0].There == "" || !strings.HasPrefix(a.What, "healed ") {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestATrendTellsHoursDaysCausesAndCosts(t *testing.T) {
	r := newRig(t, true, true)
	for n, why := range []sa.TombReason{sa.TombCleared, 0, sa.TombCleared} {
		r.heal(n, why)
		r.wait(10 * time.Hour)
	}
	// Healed 30:45, 20:30 and 10:15 hours ago.
	got := r.e.Trends(r.now)
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	tr := got[0]
	var hours [24]int
	hours[23-20], hours[23-10] = 1, 1
	if d := cmp.Diff([]any{hours, [7]int{5: 1, 6: 2}, map[Healer]int{ByRecovery: 3}}, []any{tr.Hours, tr.Days, tr.Healers}); d != "" {
		t.Error(d)
	}
	if tr.Healings != 3 || tr.Median != 80*time.Millisecond || tr.Worst != 80*time.Millisecond || tr.Trips != 2 || tr.Lost != 3 || tr.Recurring {
		t.Errorf("%+v", tr)
	}
	if len(tr.Causes) != 2 || tr.Causes[0].Cause != "D14" || tr.Causes[0].Healings != 2 || tr.Peer != "Tunnel0" || !tr.First.Before(tr.Last) {
		t.Errorf("%+v", tr.Causes)
	}
	if later := r.e.Trends(r.now.Add(6 * 24 * time.Hour)); len(later) != 1 || later[0].Healings != 2 {
		t.Errorf("six days later %+v", later)
	}
	if later := r.e.Trends(r.now.Add(7 * 24 * time.Hour)); len(later) != 0 {
		t.Errorf("a week later %+v", later)
	}
}

func TestHealingsOfTheDayEndWithoutAnotherInput(t *testing.T) {
	r := newRig(t, true, true)
	r.heal(0, sa.TombCleared)
	r.heal(1, 0)
	if s := r.e.Standings()[0]; s.Healed24 != 2 || s.Trend != "D14 once, unknown once" {
		t.Errorf("%+v", s)
	}
	r.wait(24*time.Hour - 20*time.Minute) // nothing but its own deadlines
	rev := r.e.Revision()
	if s := r.e.Standings()[0]; s.Healed24 != 1 || s.Trend != "unknown once" {
		t.Errorf("%+v", s)
	}
	r.wait(time.Hour)
	if s := r.e.Standings()[0]; s.Healed24 != 0 || s.Trend != "" || s.LastHeal != 0 || r.e.Revision() == rev {
		t.Errorf("%+v", s)
	}
	if !r.e.Deadline().IsZero() {
		t.Errorf("wakes at %v for nothing", r.e.Deadline())
	}
}

func TestHealingsOfAFlappingPeerAreBounded(t *testing.T) {
	r := newRig(t, true, true)
	for n := range 2 * maxHistory {
		r.heal(n, 0)
	}
	if n := len(r.e.owners[0].healed); n > maxHistory {
		t.Errorf("%d healings are kept", n)
	}
}

func TestEveryCauseHasWhatToLookAtAtBothEnds(t *testing.T) {
	causes := []string{"D01", "D24", "D29", UnknownCause}
	for _, c := range tombCauses {
		if c != "" {
			causes = append(causes, c)
		}
	}
	for _, c := range causes {
		if l, ok := looks[c]; !ok || l[0] == "" || l[1] == "" {
			t.Errorf("%s: %q", c, l)
		}
	}
	for _, c := range causesOf([]healing{{code: "D99"}}) {
		if c.Here == "" {
			t.Error("a cause without advice has none at all")
		}
	}
}
