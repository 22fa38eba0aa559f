package story

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMistakesAboutScriptedPeersAreNamed(t *testing.T) {
	const head = "relay 20ms\ngateway a a.conf\ngateway b b.conf\n"
	for script, want := range map[string]string{
		"deviate a":                         "the name of a deviation is missing (usage: deviate NAME DEVIATION)",
		"deviate a sulks":                   "the name of a deviation is expected (" + strings.Join(deviationNames(), ", ") + "), not sulks (usage: deviate NAME DEVIATION)",
		"tune a mood 1s":                    "the name of an interval is expected (probe, recheck, silent, switch), not mood (usage: tune NAME INTERVAL DURATION)",
		"tune a silent 0s":                  "how long it shall be is expected, from 1ms to 1m0s, not 0s (usage: tune NAME INTERVAL DURATION)",
		"notify a a data":                   "two gateways are expected, not a twice (usage: notify NAME NAME FORM)",
		"notify a b tall":                   "a form of INVALID_SPI is expected (data, field, both, long, short), not tall (usage: notify NAME NAME FORM)",
		"hint a b 0":                        "how many is expected, a number from 1 to 1000, not 0 (usage: hint NAME NAME N)",
		"rehearse 1s a b 1s":                "how long is expected, from 1m0s to 168h0m0s, not 1s (usage: rehearse DURATION NAME NAME DURATION)",
		"rehearse 1h a b 0s":                "the time between two packets is expected, from 1ms to 1h0m0s, not 0s (usage: rehearse DURATION NAME NAME DURATION)",
		"traffic a b 1 --both":              "nothing is expected behind it, not --both (usage: traffic NAME NAME RATE [--one-way], traffic stop)",
		"watch agree a b":                   "how long at most is missing (usage: watch NAME DURATION, watch agree NAME NAME DURATION)",
		"claim steady 2":                    "a `rehearse` is expected before it: claim steady N (usage: claim KIND ...)",
		"claim flows a b":                   "a gateway with `traffic` is expected: claim flows NAME NAME (usage: claim KIND ...)",
		"claim incidents a luck D01 1":      "a healer is expected (recovery, boot, peer, dpd, lifetime, operator), not luck: claim incidents NAME HEALER CAUSE N (usage: claim KIND ...)",
		"traffic a b 1\nclaim gap a b":      "`at` is missing: claim gap NAME NAME at most DURATION (usage: claim KIND ...)",
		"claim few create-child a b":        "how many at most is missing: claim few EXCHANGE NAME NAME N (usage: claim KIND ...)",
		"sabotage honest b breaks printing": "not printing (usage: sabotage TWIN NAME breaks CLAIM...)",
		"sabotage honest b breaks logged\nstart a\nclaim clear": "twin honest breaks the claim logged, which the story does not make",
	} {
		_, err := Parse("s.txtar", []byte(head+script+"\n"+configs(t)))
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want …%s", script, err, want)
		}
	}
}

// TestWhatAPeerIsIsSaidBeforeItStarts: a deviation of a gateway that runs would be without effect.
func TestWhatAPeerIsIsSaidBeforeItStarts(t *testing.T) {
	for _, line := range []string{"deviate a passive", "tune a silent 1s"} {
		_, err := Run(t.Context(), scripted(t, "start a\n"+line+"\nclaim clear"), Options{})
		if err == nil || !strings.Contains(err.Error(), errRuns.Error()) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestARehearsalGivesTheSameHoursEachTime: what it claims could otherwise be luck.
func TestARehearsalGivesTheSameHoursEachTime(t *testing.T) {
	s := load(t, "video-one-way")
	var before []time.Time
	for range 2 {
		r, err := rehearse([2]*cast{s.casts[0], s.casts[1]}, s.delay, 3*time.Hour, 2*time.Second, false)
		if err != nil {
			t.Fatal(err)
		}
		a, b := r.actors[0], r.actors[1]
		if a.sent < 5000 || b.got < a.sent-1 || len(a.changed) < 4 {
			t.Fatalf("%d packets sent, %d came, on %d SAs", a.sent, b.got, len(a.changed))
		}
		if before != nil && !slices.EqualFunc(before, a.changed, time.Time.Equal) {
			t.Errorf("first %v, then %v", before, a.changed)
		}
		before = a.changed
	}
}
