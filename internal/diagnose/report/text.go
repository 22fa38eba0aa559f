package report

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/capture"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

// Most of what is printed; -json has all.
const (
	maxFlows    = 40
	maxCounters = 20
	maxFindings = 40
)

// Text writes the report for a terminal.
func Text(w io.Writer, r *diagnose.Result) error {
	var b strings.Builder
	b.WriteString(wrap("", "", Summary(r)))
	flows(&b, r)
	counters(&b, r)
	traffic(&b, r)
	exchanges(&b, r)
	configs(&b, r)
	if len(r.Findings) > 0 {
		section(&b, "Findings")
		found(&b, "  ", r.Findings)
	}
	next(&b, r)
	inputs(&b, r)
	_, err := io.WriteString(w, read.Lines(b.String()))
	return err
}

// Summary is the answer in one sentence.
func Summary(r *diagnose.Result) string {
	n := map[verdict.Verdict]int{}
	open := 0 // transients that may be the beginning of a black hole
	for _, f := range r.Flows {
		n[f.Verdict]++
		if f.Verdict == verdict.Transient && f.Sure < verdict.Likely {
			open++
		}
	}
	switch {
	case len(r.Spans) == 0 && len(r.Bad) > 0:
		return "Nothing could be read."
	case len(r.Flows) == 0 && onlyPackets(r):
		return fmt.Sprintf("%s read. Whether a receiver has the SA is in no packet, so there is no verdict; what they carry is below.", plural(r.Covers, "packet"))
	case len(r.Flows) == 0 && len(r.Counters)+len(r.Configs)+len(r.Findings) > 0:
		return "No line tells of a packet with an invalid SPI; what the captures and configurations say is below."
	case len(r.Flows) == 0:
		return "No packet with an invalid SPI in " + covered(r) + "."
	case n[verdict.Persistent] == 0 && n[verdict.Transient] == 0:
		return fmt.Sprintf("Nothing of yours is out of step: %s.", plural(n[verdict.Stranger], "stranger"))
	case n[verdict.Persistent] == 0 && open > 0:
		return fmt.Sprintf("Nothing is shown to be out of step: %s, of which %d may be the beginning of a black hole%s.", plural(n[verdict.Transient], "transient"), open, also(n[verdict.Stranger]))
	case n[verdict.Persistent] == 0:
		return fmt.Sprintf("Nothing is out of step: %s%s.", plural(n[verdict.Transient], "transient"), also(n[verdict.Stranger]))
	}
	return fmt.Sprintf("OUT OF STEP: %s; %s%s.", plural(n[verdict.Persistent], "black hole"), plural(n[verdict.Transient], "transient"), also(n[verdict.Stranger]))
}

func also(strangers int) string {
	if strangers == 0 {
		return ""
	}
	return ", " + plural(strangers, "stranger")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func section(b *strings.Builder, title string) {
	fmt.Fprintf(b, "\n%s\n%s\n", title, strings.Repeat("-", len(title)))
}

func flows(b *strings.Builder, r *diagnose.Result) {
	if len(r.Flows) == 0 {
		return
	}
	section(b, "Flows")
	for i, j := range r.Flows {
		if i == maxFlows {
			fmt.Fprintf(b, "\n  and %d more (-json has all)\n", len(r.Flows)-i)
			return
		}
		oneFlow(b, j)
	}
}

func oneFlow(b *strings.Builder, j verdict.Judged) {
	fmt.Fprintf(b, "\n  %s  %s -> %s  %s  SPI 0x%08X\n", strings.ToUpper(j.Verdict.String()), named(j.Src), named(j.Dst), protocol(j.Proto), j.SPI)
	b.WriteString(field("seen", fmt.Sprintf("%s%s, by %s; at least %s", clock(j.First.At), lastSeen(j), j.Device, packets(j.Least))))
	b.WriteString(field("sender", sender(j)))
	if j.Verdict == verdict.Persistent && j.Entry.Name != "" {
		b.WriteString(field("recovery", j.Entry.Recovery+": "+j.Entry.Why))
	}
	if j.Verdict != verdict.Stranger {
		if j.Verdict == verdict.Persistent {
			b.WriteString(field("outage", outage(j)))
		}
		cause := j.Cause
		if text := verdict.Causes[j.Cause]; text != "" {
			cause += " (" + j.Confidence.String() + "): " + text
		}
		b.WriteString(field("cause", cause))
	}
	b.WriteString(field("sure", j.Sure.String()))
	for _, w := range j.Why {
		b.WriteString(wrap("             - ", "               ", w))
	}
	b.WriteString(timeline(j))
	for _, q := range j.Evidence {
		evidenceLine(b, "    ", q)
	}
}

// sender says who sends, and by which entry the receiver knows it.
func sender(j verdict.Judged) string {
	if j.Entry.Name == "" {
		return string(j.Class)
	}
	return fmt.Sprintf("%s: %s (%s)", j.Class, j.Entry.Name, j.Entry.Type)
}

// named is an address, or that the source does not tell it.
func named(a netip.Addr) string {
	if !a.IsValid() {
		return "(not told)"
	}
	return a.String()
}

func field(name, text string) string {
	return wrap(fmt.Sprintf("    %-8s ", name), strings.Repeat(" ", 13), text)
}

func protocol(p uint8) string {
	if p == 51 {
		return "AH"
	}
	return "ESP"
}

func packets(n uint64) string {
	if n == 1 {
		return "1 packet"
	}
	return fmt.Sprintf("%d packets", n)
}

func lastSeen(j verdict.Judged) string {
	if j.Count == 1 {
		return ", once"
	}
	return fmt.Sprintf(" to %s, %d times", clock(j.Last.At), j.Count)
}

func outage(j verdict.Judged) string {
	s := "at least " + j.Outage.Round(time.Millisecond).String()
	if !j.EndedAt.IsZero() {
		return fmt.Sprintf("about %s, ended at %s by %s", j.Outage.Round(time.Millisecond), clock(j.EndedAt), j.Ended)
	}
	switch {
	case j.EndedSure == verdict.Possible:
		return s + "; possibly ended by " + endedBy[j.Ended]
	case j.Ended == "not seen":
		return s + "; what ended it was not seen"
	}
	return s + ", " + j.Ended
}

// endedBy are ends that only a packet capture points to, in words.
var endedBy = map[string]string{"peer": "the peer, which began a new IKE SA", "recovery": "recovery: the receiver began a new IKE SA"}

// timeline draws the flow from its first sighting to its end over 60 columns.
func timeline(j verdict.Judged) string {
	end := j.Last.At
	if j.EndedAt.After(end) {
		end = j.EndedAt
	}
	span := end.Sub(j.First.At)
	if j.Verdict != verdict.Persistent || span <= 0 {
		return ""
	}
	const wide = 60
	row := []byte(strings.Repeat(".", wide))
	last := int(int64(j.Last.At.Sub(j.First.At)) * (wide - 1) / int64(span))
	for i := 0; i <= last; i++ {
		row[i] = '#'
	}
	row[0], row[last] = '|', '|'
	if !j.EndedAt.IsZero() {
		row[wide-1] = 'x'
	}
	return fmt.Sprintf("    time     %s %s %s\n", j.First.At.Format("15:04:05"), row, end.Format("15:04:05"))
}

// evidenceLine quotes a line as it stands, wrapped.
func evidenceLine(b *strings.Builder, indent string, q evidence.Quote) {
	text := q.Text
	if text == "" {
		text = "(text not kept)"
	}
	b.WriteString(wrap(indent, indent+"  ", q.Source.String()+": "+text))
}

func counters(b *strings.Builder, r *diagnose.Result) {
	if len(r.Counters) == 0 {
		return
	}
	section(b, "Counters")
	for i, c := range r.Counters {
		if i == maxCounters {
			fmt.Fprintf(b, "  and %d more\n", len(r.Counters)-i)
			return
		}
		name := c.Name
		if c.Row > 0 {
			name = fmt.Sprintf("%d %s", c.Row, c.Name)
		}
		rise := ""
		if c.Two {
			rise = fmt.Sprintf("(+%d)", c.Delta)
		}
		fmt.Fprintf(b, "  %-44s %14d %s\n", name, c.Packets, rise)
		if c.Meaning != "" && c.Packets > 0 {
			b.WriteString(wrap("      ", "      ", c.Meaning))
		}
	}
}

// onlyPackets reports that nothing but packet captures was read.
func onlyPackets(r *diagnose.Result) bool {
	for _, s := range r.Spans {
		if s.Format != capture.Format {
			return false
		}
	}
	return len(r.Spans) > 0
}

func configs(b *strings.Builder, r *diagnose.Result) {
	for _, c := range r.Configs {
		name := c.Hostname
		if name == "" {
			name = "no hostname"
		}
		section(b, "Will recovery work: "+clip(c.File, 50)+" ("+clip(name, 20)+")")
		for _, e := range c.Entries {
			b.WriteString(wrap(fmt.Sprintf("  %-4s", e.Recovery), "        ", fmt.Sprintf("%s, %s, peer %s", e.Name, e.Type, orNone(e.Peer))))
			b.WriteString(wrap("        ", "        ", e.Why))
		}
		if len(c.Entries) == 0 {
			b.WriteString("  no crypto entry in this configuration\n")
		}
		found(b, "  ", c.Findings)
	}
}

func orNone(s string) string {
	if s == "" {
		return "not named"
	}
	return s
}

func found(b *strings.Builder, indent string, fs []advise.Finding) {
	for i, f := range fs {
		if i == maxFindings {
			fmt.Fprintf(b, "%sand %d more\n", indent, len(fs)-i)
			return
		}
		b.WriteString(wrap(indent+fmt.Sprintf("%-8s", f.Severity), indent+"        ", f.Text))
		for _, q := range f.Quotes {
			evidenceLine(b, indent+"        ", q)
		}
	}
}

func next(b *strings.Builder, r *diagnose.Result) {
	if len(r.Steps) > 0 {
		section(b, "What to type next")
		for _, s := range r.Steps {
			b.WriteString(wrap("  at "+clip(s.At, 40)+": ", "      ", s.Command))
			b.WriteString(wrap("      ", "      ", s.Why))
		}
	}
	if len(r.Applet) > 0 {
		section(b, "To catch the next one (EEM 3.0 or later, on the device that logs it)")
		for _, l := range r.Applet {
			fmt.Fprintf(b, "%s\n", l)
		}
	}
}

func inputs(b *strings.Builder, r *diagnose.Result) {
	section(b, "Inputs")
	for _, s := range r.Spans {
		period := ""
		if !s.First.IsZero() {
			period = ", " + clock(s.First) + " to " + clock(s.Last)
		}
		b.WriteString(wrap("  ", "      ", fmt.Sprintf("%s: %s, %s%s", s.File, s.Format, extent(s), period)))
		for _, n := range s.Notes {
			b.WriteString(wrap("      note: ", "      ", n))
		}
		for _, k := range s.Skipped {
			b.WriteString(wrap("      skipped: ", "      ", fmt.Sprintf("%d, %s, first:", k.Count, k.Why)))
			evidenceLine(b, "        ", k.First)
		}
	}
	for _, err := range r.Bad {
		b.WriteString(wrap("  not read: ", "      ", err.Error()))
	}
	if r.Lost > 0 {
		fmt.Fprintf(b, "  %d events that could bear on causes were not kept\n", r.Lost)
	}
}
