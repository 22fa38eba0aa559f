package story

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tell runs a story, and writes its timeline into the test's log if the test fails.
func tell(t testing.TB, s *Story, twin string) Report {
	t.Helper()
	var timeline strings.Builder
	p := NewPrinter(&timeline, false)
	r, err := RunOnTime(t.Context(), s, Options{Twin: twin, Version: "test", Tell: p.Moment})
	p.End(r)
	if err != nil {
		t.Errorf("%s, twin %q: %v", s.Name, twin, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s, twin %q:\n%s", s.Name, twin, timeline.String())
		}
	})
	return r
}

func load(t testing.TB, name string) *Story {
	t.Helper()
	s, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// atOnce is how many stories are told at once where -parallel does not say it: they sleep most of the time.
const atOnce = 8

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(atOnce)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestStoriesHold tells every story. Times count only where the machine was on time itself.
func TestStoriesHold(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			r := tell(t, s, "")
			switch {
			case r.OK:
			case r.Busy():
				t.Logf("told %d times, times not judged, the machine was up to %.1f ms late: %s", r.Tries, r.LateMS, r.verdict())
			default:
				t.Errorf("told %d times: %s", r.Tries, r.verdict())
			}
			if slices.Contains(s.kinds, "healed") && (r.HealMS == nil || r.PacketsLost == nil || *r.PacketsLost == 0) {
				t.Errorf("no figures: %+v", r)
			}
		})
	}
}

// TestEveryTwinFailsOnTheClaimsThatItBreaks: a story that cannot fail is a defect, and so is one that fails for another
// reason than it says.
func TestEveryTwinFailsOnTheClaimsThatItBreaks(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		s := load(t, name)
		if len(s.Twins) == 0 {
			t.Errorf("%s has no sabotage twin", name)
		}
		for _, twin := range s.Twins {
			t.Run(name+"/"+twin.Name, func(t *testing.T) {
				t.Parallel()
				r := tell(t, s, twin.Name)
				if r.OK {
					t.Errorf("%s -sabotage %s: every claim holds", name, twin.Name)
				}
				for _, kind := range twin.Breaks {
					if !broken(r, kind) {
						t.Errorf("%s -sabotage %s: the claim %s does not fail as it should: %+v", name, twin.Name, kind, r)
					}
				}
			})
		}
	}
}

// broken says that the claim fails, and on more than a time that a busy machine would explain.
func broken(r Report, kind string) bool {
	at := slices.IndexFunc(r.Claims, func(c Claim) bool { return c.Kind == kind && !c.Held })
	switch {
	case at < 0:
		return false
	case kind == "healed":
		return r.HealMS == nil || *r.HealMS > float64(installDelay/time.Millisecond)
	}
	return !r.Claims[at].Timing
}

func TestEveryClaimIsBrokenByATwin(t *testing.T) {
	breaks := map[string]bool{"missing": true} // TestLossIsCountedExactly breaks it
	for _, name := range Names() {
		for _, twin := range load(t, name).Twins {
			for _, kind := range twin.Breaks {
				breaks[kind] = true
			}
		}
	}
	for _, kind := range claimNames() {
		if !breaks[kind] {
			t.Errorf("nothing shows that the claim %s can fail", kind)
		}
	}
}

// scripted is a story of our own with the gateways of reboot.
func scripted(t testing.TB, script string) *Story {
	t.Helper()
	text, err := files.ReadFile("stories/reboot.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, configs, _ := strings.Cut(string(text), "-- a.conf --")
	s, err := Parse("test.txtar", []byte("relay 1ms\ngateway a a.conf\ngateway b b.conf\n"+script+"\n-- a.conf --"+configs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLossIsCountedExactly(t *testing.T) {
	const lost = 7
	s := scripted(t, fmt.Sprintf(`
start a --frozen
start b
await up a b
await agree a b
thaw a
traffic a b 200
wait 200ms
lose %d a b
wait 300ms
traffic stop
wait 100ms
claim missing a b %d
claim missing a b %d
claim missing b a 0
claim clear
logged b 'RECVD_PKT_INV_SPI' 0`, lost, lost, lost-1))
	r := tell(t, s, "")
	var got []bool
	for _, c := range r.Claims {
		got = append(got, c.Held)
	}
	if want := []bool{true, false, true, true, true}; r.OK || !slices.Equal(got, want) {
		t.Errorf("claims hold: %v, want %v: %+v", got, want, r.Claims)
	}
}

func TestClaimsAboutAReturnThatNeverWasFail(t *testing.T) {
	s := scripted(t, `
start a
start b
await agree a b
traffic a b 100
claim healed b within 2 round trips and 20ms
crash b
claim traffic b
claim agree a b
restart b --frozen
traffic stop
claim figures b
show a 'show version'
stdout 'no such text'
logged a '%SYS-5-RESTART' 2`)
	r := tell(t, s, "")
	for _, c := range r.Claims {
		if c.Held || c.Timing {
			t.Errorf("%s: %s", c.Claim, c.Value)
		}
	}
	if len(r.Claims) != 6 {
		t.Errorf("%d claims", len(r.Claims))
	}
}

func TestWhatCannotBeToldNamesTheLine(t *testing.T) {
	for script, want := range map[string]string{
		"crash a\nclaim clear":                         "test.txtar:4: crash a: it does not run",
		"start a\nstart a\nclaim clear":                "test.txtar:5: start a: a runs already",
		"restart a\nclaim clear":                       "test.txtar:4: restart a: it has not crashed",
		"thaw a\nclaim clear":                          "test.txtar:4: thaw a: it does not run",
		"show a 'show clock'\nclaim clear":             "test.txtar:4: show a 'show clock': it does not run",
		"start a --frozen\nshow a 'shoe'\nclaim clear": "test.txtar:5: show a 'shoe': a: shoe: ",
	} {
		r, err := Run(t.Context(), scripted(t, script), Options{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || r.OK || r.Error != err.Error() {
			t.Errorf("%q: %v, want %s; %+v", script, err, want, r)
		}
	}
	r, err := Run(t.Context(), load(t, "reboot"), Options{Twin: "nix"})
	if err == nil || !strings.Contains(err.Error(), "no sabotage twin nix: it has no-recovery,") || r.Error == "" || r.Claims == nil {
		t.Errorf("%v, %+v", err, r)
	}
}

// goroutines is their number once those that are ending have ended.
func goroutines(atMost int) int {
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > atMost && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

func TestNothingIsLeftOfAStory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const script = "start a\nstart b\nawait agree a b\ntraffic a b 100\nwait 50ms\ncrash b\nrestart b --frozen\nwait 1m\nclaim clear"
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, scripted(t, script), Options{Tell: func(m Moment) {
		if m.Kind == "stray" {
			cancel() // an interrupt in the middle of the healing
		}
	}})
	cancel()
	if err == nil || !strings.Contains(err.Error(), "context canceled") || strings.Contains(err.Error(), "by itself") {
		t.Errorf("%v", err)
	}
	if n := goroutines(before); n > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", before, n, buf[:runtime.Stack(buf, true)])
	}
	if left := entries(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
