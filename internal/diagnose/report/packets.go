package report

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/capture"
	"lockstep/internal/diagnose/evidence"
)

func traffic(b *strings.Builder, r *diagnose.Result) {
	if len(r.Traffic) == 0 {
		return
	}
	section(b, "ESP in captures")
	for i, t := range r.Traffic {
		if i == maxFlows {
			fmt.Fprintf(b, "  and %d more\n", len(r.Traffic)-i)
			return
		}
		udp := ""
		if t.UDP {
			udp = " in UDP"
		}
		fmt.Fprintf(b, "  %v -> %v  SPI 0x%08X%s  %s\n", t.Src, t.Dst, t.SPI, udp, packets(t.Packets))
		fmt.Fprintf(b, "      %s to %s, longest pause %s\n", t.First.Format("15:04:05.000"), t.Last.Format("15:04:05.000"), t.Longest.Round(time.Millisecond))
	}
}

// exchanges lists the IKE SAs of packet captures.
func exchanges(b *strings.Builder, r *diagnose.Result) {
	if len(r.IKE) == 0 {
		return
	}
	section(b, "IKE in captures")
	for i, s := range r.IKE {
		if i == maxFlows {
			fmt.Fprintf(b, "  and %d more (-json has all)\n", len(r.IKE)-i)
			return
		}
		b.WriteString(wrap("  ", "      ", fmt.Sprintf("IKEv%d  %v -> %v  SPIs %016X %016X", s.Version, s.Initiator, s.Responder, s.SPIi, s.SPIr)))
		b.WriteString(wrap("      ", "      ", fmt.Sprintf("%s to %s, %s", s.First.Format("15:04:05.000"), s.Last.Format("15:04:05.000"), beginning(s))))
		b.WriteString(wrap("      ", "      ", fmt.Sprintf("%s; %s: %d repeated, %s", exchangeCounts(s), plural(int(s.Messages), "message"), s.Repeated, unanswered(s))))
	}
}

func beginning(s evidence.IKE) string {
	if s.Began == "" {
		return "its beginning is not here"
	}
	if s.Made.IsZero() {
		return "began here (" + s.Began + "), and nothing here that would make IPsec SAs of it was answered"
	}
	return "a new IKE SA began here (" + s.Began + ")"
}

func exchangeCounts(s evidence.IKE) string {
	var out []string
	for _, e := range s.Exchanges {
		out = append(out, fmt.Sprintf("%s %d", e.Type, e.Count))
	}
	return strings.Join(out, ", ")
}

func unanswered(s evidence.IKE) string {
	if s.Unanswered == 0 {
		return "no exchange without answer"
	}
	return plural(int(s.Unanswered), "exchange") + " without answer"
}

// covered is how much was read: lines, and packets beside them.
func covered(r *diagnose.Result) string {
	packets := 0
	for _, s := range r.Spans {
		if s.Format == capture.Format {
			packets += s.Lines
		}
	}
	if packets == 0 {
		return plural(r.Covers, "line")
	}
	return plural(r.Covers-packets, "line") + " and " + plural(packets, "packet")
}

// extent is how much there is of an input.
func extent(s evidence.Span) string {
	if s.Format == capture.Format {
		return plural(s.Lines, "packet")
	}
	return plural(s.Lines, "line")
}
