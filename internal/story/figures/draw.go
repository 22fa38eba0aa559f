package main

import (
	"fmt"
	"strings"
)

// The picture: a line a story, from its fastest healing to its worst, with marks at the median and at 99 of 100.
const (
	width, rowHeight = 900, 26
	left, right      = 190, 40
	top, bottom      = 46, 44
)

// draw is an SVG that needs nothing beside it.
func draw(all []series) string {
	most := 1.0
	for _, s := range all {
		most = max(most, at(s.ms, 1))
	}
	step := tick(most)
	most = step * float64(int(most/step)+1)
	x := func(ms float64) float64 { return left + ms/most*(width-left-right) }
	height := top + rowHeight*len(all) + bottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">Heal time over a path of 20 ms each way: fastest to worst, bar at the median, ring at p99</text>`+"\n", 12)
	for ms := 0.0; ms <= most; ms += step {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%g</text>`+"\n",
			x(ms), top-8, x(ms), height-bottom+6, x(ms), height-bottom+22, ms)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#555555">milliseconds from the first packet on a lost SPI to the first on a good one</text>`+"\n", width-right, height-6)
	for i, s := range all {
		y := top + rowHeight*i + rowHeight/2
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-10, y+4, s.name)
		if len(s.ms) > 0 {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#4477aa" stroke-width="3"/>`, x(s.ms[0]), y, x(at(s.ms, 1)), y)
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#cc3311" stroke-width="3"/>`, x(at(s.ms, 0.5)), y-8, x(at(s.ms, 0.5)), y+8)
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="5" fill="none" stroke="#222222" stroke-width="1.5"/>`, x(at(s.ms, 0.99)), y)
		}
		b.WriteByte('\n')
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// tick is a round distance that divides an axis up to most into at most ten.
func tick(most float64) float64 {
	for step := 1.0; ; step *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if most/(step*f) <= 10 {
				return step * f
			}
		}
	}
}
