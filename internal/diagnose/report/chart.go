package report

import (
	"fmt"
	"time"

	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

// chart is the timeline of flows as shapes: one row a flow, the gravest on top.
type chart struct {
	Width, Height int
	Rows          []bar
	Ticks         []tick
	Left, Hidden  int
	Axis          int // y of the time axis
}

type bar struct {
	Y, X, W  float64
	Verdict  string
	Label    string
	Title    string
	EndX     float64 // where something ended it; 0: not seen
	EndTitle string
}

type tick struct {
	X     float64
	Label string
}

const (
	chartRows  = 60
	rowHeight  = 26
	labelWidth = 380
	plotWidth  = 740
	plotTop    = 30
)

// newChart places flows that have a time; the window is that of their sightings and ends.
func newChart(flows []verdict.Judged) chart {
	var from, to time.Time
	var shown []verdict.Judged
	c := chart{Width: labelWidth + plotWidth + 40, Left: labelWidth}
	for _, j := range flows {
		if _, up := read.IsUptime(j.First.At); up || j.First.At.IsZero() {
			continue
		}
		if len(shown) == chartRows {
			c.Hidden++
			continue
		}
		shown = append(shown, j)
		if from.IsZero() || j.First.At.Before(from) {
			from = j.First.At
		}
		for _, t := range []time.Time{j.Last.At, j.EndedAt} {
			if t.After(to) {
				to = t
			}
		}
	}
	pad := max(to.Sub(from)/25, 2*time.Second)
	from, to = from.Add(-pad), to.Add(pad)
	x := func(t time.Time) float64 {
		return labelWidth + plotWidth*float64(t.Sub(from))/float64(to.Sub(from))
	}
	for i, j := range shown {
		c.Rows = append(c.Rows, newBar(j, float64(plotTop+i*rowHeight), x))
	}
	c.Axis = plotTop + len(shown)*rowHeight
	c.Height = c.Axis + 34
	if len(shown) > 0 {
		c.Ticks = ticks(from, to, x)
	}
	return c
}

func newBar(j verdict.Judged, y float64, x func(time.Time) float64) bar {
	b := bar{Y: y, X: x(j.First.At), Verdict: j.Verdict.String(), Label: fmt.Sprintf("%s → %s %08X", named(j.Src), named(j.Dst), j.SPI)}
	b.W = max(x(j.Last.At)-b.X, 5)
	b.Title = fmt.Sprintf("%v: SPI 0x%08X, %s, cause %s (%v)", j.Verdict, j.SPI, packets(j.Least), j.Cause, j.Confidence)
	b.Label = clip(b.Label, 46)
	if !j.EndedAt.IsZero() {
		b.EndX, b.EndTitle = x(j.EndedAt), "ended by "+j.Ended
	}
	return b
}

// ticks are at round times, four to eight of them.
func ticks(from, to time.Time, x func(time.Time) float64) []tick {
	steps := []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
		30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if to.Sub(from)/s <= 7 {
			step = s
			break
		}
	}
	layout := "15:04:05"
	if step >= 24*time.Hour {
		layout = "2006-01-02"
	} else if step >= time.Hour {
		layout = "Jan 2 15:04"
	}
	var out []tick
	for t := from.Truncate(step).Add(step); t.Before(to) && len(out) < 40; t = t.Add(step) {
		out = append(out, tick{x(t), t.Format(layout)})
	}
	return out
}
