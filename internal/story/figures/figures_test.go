package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/story"
)

func TestPercentilesAreThoseOfTheNearestRank(t *testing.T) {
	var v []float64
	for i := range 200 {
		v = append(v, float64(i+1))
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := at(v, share); got != want {
			t.Errorf("%v of 1..200: %v, want %v", share, got, want)
		}
	}
	if at(nil, 0.5) != 0 {
		t.Error("of nothing")
	}
}

func TestTellingsOfALateMachineAreCountedAndLeftOut(t *testing.T) {
	heal, lost := 80.0, 9
	var s series
	for _, r := range []story.Report{
		{OK: true, HealMS: &heal, PacketsLost: &lost, RoundTrips: 2},
		{OK: true, HealMS: &heal, LateMS: story.OnTimeMS},
		{Claims: []story.Claim{{Claim: "agree a b"}}},
		{OK: true},
	} {
		s.add(r, nil)
	}
	if len(s.ms) != 1 || s.late != 1 || s.failed != 1 {
		t.Errorf("%+v", s)
	}
	if want := "| `` | 1 | 80.0 | 80.0 | 80.0 | 2 | 2 | 9 | 1 | 1 |"; s.row() != want {
		t.Errorf("got  %s\nwant %s", s.row(), want)
	}
}

func TestThePictureIsWellFormedAndWithinItsFrame(t *testing.T) {
	svg := draw([]series{{name: "reboot", ms: []float64{80, 90, 1234}}, {name: "none"}})
	if err := xml.Unmarshal([]byte(svg), new(any)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(svg, ">1400<") || strings.Contains(svg, "NaN") {
		t.Errorf("the axis does not hold the worst:\n%s", svg)
	}
}

func TestTheTableTakesItsPlaceAndNothingElse(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	before, after := "# Page\n", "\n## More\n"
	if err := os.WriteFile(page, []byte(before+tableBegin+"old\n"+tableEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceTable(page, "new\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(page); string(b) != before+tableBegin+"new\n"+tableEnd+after {
		t.Errorf("%q", b)
	}
	if err := os.WriteFile(page, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceTable(page, "new\n"); err == nil {
		t.Error("a page without a place was taken")
	}
}
