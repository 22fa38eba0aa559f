package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

// The schema: docs/diagnose.md. Arrays are never null. Before these keys stands flows, an array of flow.
type document struct {
	Counters []counter `json:"counters"`
	Configs  []config  `json:"configs"`
	Findings []finding `json:"findings"`
	Traffic  []carried `json:"traffic"`
	IKE      []ikeSA   `json:"ike"`
	Next     []step    `json:"next"`
	Applet   []string  `json:"applet"`
	Inputs   []input   `json:"inputs"`
	Errors   []string  `json:"errors"`
}

type flow struct {
	Src        string   `json:"src"`
	Dst        string   `json:"dst"`
	Proto      uint8    `json:"proto"`
	SPI        string   `json:"spi"`
	Verdict    string   `json:"verdict"`
	Sure       string   `json:"verdict_confidence"`
	Class      string   `json:"class"`
	Device     string   `json:"device"`
	Tunnel     string   `json:"tunnel"`
	Recovery   string   `json:"recovery"`
	Count      uint64   `json:"count"`
	Least      uint64   `json:"least_count"`
	First      string   `json:"first"`
	Last       string   `json:"last"`
	Outage     float64  `json:"outage_s"`
	Ended      string   `json:"ended_by"`
	EndedSure  string   `json:"ended_confidence,omitempty"`
	EndedAt    string   `json:"ended_at,omitempty"`
	Cause      string   `json:"cause"`
	Confidence string   `json:"confidence"`
	Why        []string `json:"why"`
	Evidence   []quote  `json:"evidence"`
}

type quote struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

type counter struct {
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Device  string  `json:"device"`
	Table   string  `json:"table"`
	Row     int     `json:"row,omitempty"`
	Name    string  `json:"name"`
	Packets uint64  `json:"packets"`
	Delta   *uint64 `json:"delta,omitempty"`
	Meaning string  `json:"meaning"`
}

type config struct {
	File     string    `json:"file"`
	Hostname string    `json:"hostname"`
	Recovery bool      `json:"invalid_spi_recovery"`
	Entries  []entry   `json:"entries"`
	Findings []finding `json:"findings"`
}

type entry struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Peer     string `json:"peer"`
	Recovery string `json:"recovery"`
	Why      string `json:"why"`
}

// carried is what a packet capture has of one SPI.
type carried struct {
	File    string  `json:"file"`
	Line    int     `json:"line"` // number of its first packet
	Src     string  `json:"src"`
	Dst     string  `json:"dst"`
	Proto   uint8   `json:"proto"`
	SPI     string  `json:"spi"`
	UDP     bool    `json:"udp"`
	Packets uint64  `json:"packets"`
	Octets  uint64  `json:"octets"`
	First   string  `json:"first"`
	Last    string  `json:"last"`
	Pause   float64 `json:"longest_pause_s"`
}

// ikeSA is what a packet capture has of one IKE SA.
type ikeSA struct {
	File       string          `json:"file"`
	Line       int             `json:"line"` // number of its first packet
	Initiator  string          `json:"initiator"`
	Responder  string          `json:"responder"`
	SPIi       string          `json:"spi_i"`
	SPIr       string          `json:"spi_r"`
	Version    uint8           `json:"version"`
	Began      string          `json:"began"`
	First      string          `json:"first"`
	Last       string          `json:"last"`
	Exchanges  []exchangeCount `json:"exchanges"`
	Messages   uint64          `json:"messages"`
	Repeated   uint64          `json:"repeated"`
	Unanswered uint64          `json:"unanswered"`
}

type exchangeCount struct {
	Type  string `json:"type"`
	Count uint64 `json:"count"`
}

type finding struct {
	Severity string  `json:"severity"`
	Code     string  `json:"code"`
	Text     string  `json:"text"`
	Evidence []quote `json:"evidence"`
}

type step struct {
	At      string `json:"at"`
	Command string `json:"command"`
	Why     string `json:"why"`
}

type input struct {
	File    string   `json:"file"`
	Format  string   `json:"format"`
	Lines   int      `json:"lines"`
	Bytes   int64    `json:"bytes"`
	First   string   `json:"first"`
	Last    string   `json:"last"`
	Skipped []skip   `json:"skipped"`
	Notes   []string `json:"notes"`
}

type skip struct {
	Why   string `json:"why"`
	Count int    `json:"count"`
	First quote  `json:"first"`
}

// JSON writes r as one object. Flows are made, written and dropped one by one: 100,000 of them at once would be most of the
// memory of a run.
func JSON(w io.Writer, r *diagnose.Result) error {
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString("{\n  \"flows\": [") // errors stick, and Flush reports them
	var one bytes.Buffer
	for i, j := range r.Flows {
		one.Reset()
		if err := encode(&one, "    ", flowOf(j)); err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		out.Write(bytes.TrimSuffix(one.Bytes(), []byte("\n")))
	}
	if len(r.Flows) > 0 {
		out.WriteString("\n  ")
	}
	out.WriteString("],")
	one.Reset()
	if err := encode(&one, "", documentOf(r)); err != nil {
		return err
	}
	out.Write(bytes.TrimPrefix(one.Bytes(), []byte("{")))
	return out.Flush()
}

func encode(w io.Writer, prefix string, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent(prefix, "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// documentOf is all but the flows.
func documentOf(r *diagnose.Result) document {
	d := document{Counters: []counter{}, Configs: []config{}, Findings: findings(r.Findings), Traffic: []carried{}, IKE: []ikeSA{}, Next: []step{}, Applet: append([]string{}, r.Applet...), Inputs: []input{}, Errors: []string{}}
	for _, c := range r.Counters {
		row := counter{File: c.File, Line: c.Line, Device: c.Device, Table: c.Table, Row: c.Row, Name: c.Name, Packets: c.Packets, Meaning: c.Meaning}
		if c.Two {
			row.Delta = &c.Delta
		}
		d.Counters = append(d.Counters, row)
	}
	for _, c := range r.Configs {
		k := config{File: c.File, Hostname: c.Hostname, Recovery: c.Recovery, Entries: []entry{}, Findings: findings(c.Findings)}
		for _, e := range c.Entries {
			k.Entries = append(k.Entries, entry{e.Name, e.Type, e.Peer, e.Recovery, e.Why})
		}
		d.Configs = append(d.Configs, k)
	}
	for _, t := range r.Traffic {
		d.Traffic = append(d.Traffic, carried{File: t.File, Line: t.Line, Src: addr(t.Src), Dst: addr(t.Dst), Proto: t.Proto, SPI: fmt.Sprintf("0x%08X", t.SPI), UDP: t.UDP,
			Packets: t.Packets, Octets: t.Octets, First: instant(t.First), Last: instant(t.Last), Pause: t.Longest.Seconds()})
	}
	for _, i := range r.IKE {
		d.IKE = append(d.IKE, ikeOf(i))
	}
	for _, s := range r.Steps {
		d.Next = append(d.Next, step{s.At, s.Command, s.Why})
	}
	for _, s := range r.Spans {
		d.Inputs = append(d.Inputs, inputOf(s))
	}
	for _, err := range r.Bad {
		d.Errors = append(d.Errors, read.Printable(err.Error()))
	}
	return d
}

func flowOf(j verdict.Judged) flow {
	return flow{Src: addr(j.Src), Dst: addr(j.Dst), Proto: j.Proto, SPI: fmt.Sprintf("0x%08X", j.SPI),
		Verdict: j.Verdict.String(), Sure: j.Sure.String(), Class: string(j.Class), Device: j.Device, Tunnel: j.Entry.Name, Recovery: j.Entry.Recovery, Count: j.Count, Least: j.Least,
		First: instant(j.First.At), Last: instant(j.Last.At), Outage: j.Outage.Seconds(), Ended: j.Ended, EndedSure: endedSure(j), EndedAt: instant(j.EndedAt),
		Cause: j.Cause, Confidence: j.Confidence.String(), Why: append([]string{}, j.Why...), Evidence: quotes(j.Evidence)}
}

func ikeOf(i evidence.IKE) ikeSA {
	out := ikeSA{File: i.File, Line: i.Line, Initiator: addr(i.Initiator), Responder: addr(i.Responder), SPIi: fmt.Sprintf("0x%016X", i.SPIi), SPIr: fmt.Sprintf("0x%016X", i.SPIr), Version: i.Version,
		Began: i.Began, First: instant(i.First), Last: instant(i.Last), Messages: i.Messages, Repeated: i.Repeated, Unanswered: i.Unanswered, Exchanges: []exchangeCount{}}
	for _, e := range i.Exchanges {
		out.Exchanges = append(out.Exchanges, exchangeCount{e.Type, e.Count})
	}
	return out
}

// endedSure is empty where how sure the end is is not said.
func endedSure(j verdict.Judged) string {
	if j.EndedSure == verdict.Unknown {
		return ""
	}
	return j.EndedSure.String()
}

func findings(fs []advise.Finding) []finding {
	out := []finding{}
	for _, f := range fs {
		out = append(out, finding{f.Severity, f.Code, f.Text, quotes(f.Quotes)})
	}
	return out
}

func quotes(qs []evidence.Quote) []quote {
	out := []quote{}
	for _, q := range qs {
		out = append(out, quote{q.File, q.Line, q.Text})
	}
	return out
}

func inputOf(s evidence.Span) input {
	in := input{File: s.File, Format: s.Format, Lines: s.Lines, Bytes: s.Bytes, First: instant(s.First), Last: instant(s.Last), Skipped: []skip{}, Notes: append([]string{}, s.Notes...)}
	for _, k := range s.Skipped {
		in.Skipped = append(in.Skipped, skip{k.Why, k.Count, quotes([]evidence.Quote{k.First})[0]})
	}
	return in
}

// addr is empty where the source does not tell it.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// instant is RFC 3339; empty where the time is not known. A stamp that counts from the start of its device is `uptime`
// and the seconds.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if up, ok := read.IsUptime(t); ok {
		return fmt.Sprintf("uptime %gs", up.Seconds())
	}
	return t.Format(time.RFC3339Nano)
}
