package main

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/story"
)

// series is what came of the tellings of one story.
type series struct {
	name   string
	ms     []float64 // heal times, sorted
	trips  []float64
	lost   []float64
	late   int // left out: the machine itself was late
	failed int // a claim that is not about times did not hold
}

func (s *series) add(r story.Report, err error) {
	switch {
	case err != nil:
	case r.LateMS >= story.OnTimeMS:
		s.late++
	case !r.OK && !r.OnlyTiming():
		s.failed++
	case r.HealMS != nil:
		s.ms = append(s.ms, *r.HealMS)
		s.trips = append(s.trips, float64(r.RoundTrips))
		if r.PacketsLost != nil {
			s.lost = append(s.lost, float64(*r.PacketsLost))
		}
	}
}

func (s *series) sort() {
	for _, v := range [][]float64{s.ms, s.trips, s.lost} {
		slices.Sort(v)
	}
}

// at is the value below which that share of the sorted values lies (nearest rank); 0 of none.
func at(v []float64, share float64) float64 {
	if len(v) == 0 {
		return 0
	}
	rank := int(share*float64(len(v)) + 0.999999)
	return v[min(max(rank, 1), len(v))-1]
}

func (s *series) row() string {
	return fmt.Sprintf("| `%s` | %d | %.1f | %.1f | %.1f | %.0f | %.0f | %.0f | %d | %d |", s.name, len(s.ms), at(s.ms, 0.5), at(s.ms, 0.99), at(s.ms, 1),
		at(s.trips, 0.5), at(s.trips, 1), at(s.lost, 1), s.late, s.failed)
}

// table is the text that stands in the page.
func table(all []series, about string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n![heal times of each story](healing.svg)\n\n", about)
	b.WriteString("| story | tellings | heal ms: median | p99 | worst | round trips: median | worst | packets lost: worst | left out, machine late | failed |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		b.WriteString(s.row() + "\n")
	}
	return b.String()
}
