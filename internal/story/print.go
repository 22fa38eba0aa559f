package story

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Printer prints a story as it happens. The first error of the writer stays in Err, and nothing is written after it.
type Printer struct {
	to   io.Writer
	json bool
	Err  error
}

// NewPrinter makes one for people, or for programs: one JSON object a line, the last of which is the Report.
func NewPrinter(to io.Writer, asJSON bool) *Printer { return &Printer{to: to, json: asJSON} }

func (p *Printer) printf(format string, args ...any) {
	if p.Err == nil {
		_, p.Err = fmt.Fprintf(p.to, format, args...)
	}
}

func (p *Printer) object(v any) {
	if p.Err == nil {
		p.Err = json.NewEncoder(p.to).Encode(v)
	}
}

const columns = 100

// Begin says what is told.
func (p *Printer) Begin(s *Story) {
	if p.json {
		return
	}
	p.printf("%s: %s\n\n", s.Name, wrapped(s.About, len(s.Name)+2))
}

// Moment prints a line of the timeline; it is made for Options.Tell.
func (p *Printer) Moment(m Moment) {
	if p.json {
		p.object(struct {
			AtMS float64 `json:"at_ms"`
			Kind string  `json:"kind"`
			Who  string  `json:"who,omitempty"`
			Text string  `json:"text"`
			Held *bool   `json:"held,omitempty"`
		}{float64(m.At.Round(time.Microsecond)) / float64(time.Millisecond), m.Kind, m.Who, m.Text, m.Held})
		return
	}
	who := m.Who
	switch {
	case m.Held == nil:
	case *m.Held:
		who = "holds"
	default:
		who = "FAILS"
	}
	const margin = "                  "
	for i, line := range strings.Split(strings.TrimRight(m.Text, "\n"), "\n") {
		head := margin
		if i == 0 {
			head = fmt.Sprintf("%7.3f s  %-6s ", m.At.Seconds(), who)
		}
		p.printf("%s\n", strings.TrimRight(head+line, " "))
	}
}

// End prints what it came to.
func (p *Printer) End(r Report) {
	if p.json {
		p.object(r)
		return
	}
	p.printf("\n%s\n", r.verdict())
	if r.Busy() {
		p.printf("This machine was busy: its own timers were up to %.1f ms late. Try again when it is idle.\n", r.LateMS)
	}
	p.printf("Not exercised here: %s.\n", wrapped(Unexercised, len("Not exercised here: ")))
}

func (r Report) verdict() string {
	var failed []string
	for _, c := range r.Claims {
		if !c.Held {
			failed = append(failed, c.Claim)
		}
	}
	name := "Story " + r.Story
	if r.Twin != "" {
		name += ", sabotaged (" + r.Twin + ")"
	}
	var healed string
	if r.HealMS != nil {
		healed = fmt.Sprintf(" Healed %.1f ms after the first packet on a lost SPI, in %d round trips, with %d packets lost.", *r.HealMS, r.RoundTrips, *r.PacketsLost)
	}
	switch {
	case r.Error != "":
		return name + " could not be told to its end: " + r.Error
	case len(failed) > 0:
		return fmt.Sprintf("%s: %d of %d claims do not hold: %s.%s", name, len(failed), len(r.Claims), strings.Join(failed, "; "), healed)
	}
	return fmt.Sprintf("%s: all %d claims hold.%s", name, len(r.Claims), healed)
}

// List prints the stories with their twins.
func (p *Printer) List(all []*Story) {
	for _, s := range all {
		if p.json {
			twins := []string{}
			for _, t := range s.Twins {
				twins = append(twins, t.Name)
			}
			p.object(struct {
				Story     string   `json:"story"`
				About     string   `json:"about"`
				Sabotages []string `json:"sabotages"`
			}{s.Name, s.About, twins})
			continue
		}
		p.printf("%s\n    %s\n", s.Name, wrapped(s.About, 4))
		for _, t := range s.Twins {
			p.printf("    -sabotage %-20s %s (breaks: %s)\n", t.Name, sabotages[t.Name].help, strings.Join(t.Breaks, ", "))
		}
	}
}

// wrapped breaks a text into lines that begin at a column.
func wrapped(text string, indent int) string {
	var b strings.Builder
	at := indent
	for i, w := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(w) > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}
