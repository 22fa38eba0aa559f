package diagnose

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/capture"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/show"
	"lockstep/internal/diagnose/verdict"
)

// maxShown bounds what is read of a capture or configuration, in octets; logs and packets have no bound.
const maxShown = 64 << 20

// Options says what to read.
type Options struct {
	Files    []string // - is In
	Configs  []string // are configurations, whatever they look like
	In       io.Reader
	Now      time.Time // no line is younger
	MaxFlows int
}

// Run reads all inputs and judges. What cannot be read is in Result.Bad; the rest is judged all the same.
func Run(o Options) *Result {
	r := &run{o: o, tracker: verdict.New(o.MaxFlows), res: &Result{}, seen: map[string]bool{}}
	for _, name := range o.Configs {
		r.input(name, true)
	}
	for _, name := range o.Files {
		r.input(name, false)
	}
	return r.judge()
}

// run is one diagnosis on its way. It is the evidence.Sink of all readers.
type run struct {
	o       Options
	tracker *verdict.Tracker
	clocks  read.Clocks
	known   verdict.Known
	configs []*advise.Config
	tally   tally
	res     *Result
	devices map[string]bool // that the current file tells of
	read    []os.FileInfo
	seen    map[string]bool
}

func (r *run) Event(e evidence.Event) {
	if e.Kind == evidence.NoSACounter {
		r.Counter(evidence.Counter{Quote: e.Quote, Device: e.Device, Table: show.XfrmStat, Name: e.Word, Packets: e.Count})
		return
	}
	if len(r.devices) < 4096 {
		r.devices[e.Device] = true
	}
	r.tracker.Event(e)
}

func (r *run) Counter(c evidence.Counter) { r.tally.add(c) }

func (r *run) SA(sa evidence.SA) {
	if len(r.known.SAs) < verdict.MaxFlows {
		r.known.SAs = append(r.known.SAs, sa)
	}
}

func (r *run) IKESA(sa evidence.IKESA) {
	if len(r.known.IKE) < verdict.MaxFlows {
		r.known.IKE = append(r.known.IKE, sa)
	}
}

func (r *run) ESP(t evidence.Traffic) {
	r.tracker.ESP(t)
	if len(r.res.Traffic) < 1000 {
		r.res.Traffic = append(r.res.Traffic, t)
	}
}

func (r *run) IKE(i evidence.IKE) {
	r.tracker.IKE(i)
	if len(r.res.IKE) < 1000 {
		r.res.IKE = append(r.res.IKE, i)
	}
}

// input reads one input. The same file given twice is read once: its lines would count double.
func (r *run) input(name string, isConfig bool) {
	r.devices = map[string]bool{}
	ref := r.o.Now
	in := r.o.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			r.res.Bad = append(r.res.Bad, err)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			r.res.Bad = append(r.res.Bad, err)
			return
		}
		for _, other := range r.read {
			if os.SameFile(other, info) {
				r.finding("note", "same-file", name+" was given twice and read once")
				return
			}
		}
		r.read = append(r.read, info)
		if m := info.ModTime(); m.Before(ref) {
			ref = m
		}
		in = f
	}
	if in == nil {
		in = strings.NewReader("")
	}
	if err := r.content(name, in, ref, isConfig); err != nil {
		var path *os.PathError
		if !errors.As(err, &path) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		r.res.Bad = append(r.res.Bad, err)
	}
}

func (r *run) content(name string, in io.Reader, ref time.Time, isConfig bool) error {
	b, k, err := open(in)
	if err != nil {
		return err
	}
	switch {
	case k.packets:
		head, _ := b.Peek(4)
		span, err := capture.New(name, r.clocks.Of("capture:"+name), r).Read(b, head)
		r.res.Spans = append(r.res.Spans, span)
		return err
	case isConfig || k.config || k.shown:
		return r.shown(name, b, ref, k, isConfig)
	}
	span, err := read.NewLog(name, ref, &r.clocks, r).Read(b)
	r.covered(span)
	return err
}

// covered notes up to when a log goes, for the devices in it.
func (r *run) covered(span evidence.Span) {
	r.res.Spans = append(r.res.Spans, span)
	for d := range r.devices {
		r.tracker.Covers(d, span.Last)
	}
}

// shown reads a text in which commands, configurations and log lines may stand together.
func (r *run) shown(name string, b *bufio.Reader, ref time.Time, k kind, isConfig bool) error {
	text, err := io.ReadAll(io.LimitReader(b, maxShown+1))
	if len(text) > maxShown {
		return fmt.Errorf("larger than %d MiB: too large for a configuration or a capture of commands", maxShown>>20)
	}
	if k.config || isConfig {
		r.config(name, string(text))
	}
	c, log := show.New(name, r), read.NewLog(name, ref, &r.clocks, r)
	no := 0
	for line := range strings.Lines(string(text)) {
		no++
		line = strings.TrimRight(line, "\r\n")
		if len(line) > 64<<10 {
			continue
		}
		c.Line(line, no)
		if !k.config || logged(line) {
			log.Line([]byte(line), no)
		}
	}
	c.End()
	span := log.Span()
	span.Lines, span.Bytes, span.Format = no, int64(len(text)), format(k, isConfig, c.Found)
	r.covered(span)
	return err
}

// logged reports that a line among configuration lines is one of the log.
func logged(line string) bool {
	return strings.Contains(line, ": %") || strings.Contains(line, ": ISAKMP") || strings.Contains(line, ": IPSEC(") || strings.Contains(line, ": IKEv2")
}

func format(k kind, isConfig bool, found int) string {
	switch {
	case (k.config || isConfig) && found > 0:
		return "configuration and commands"
	case k.config || isConfig:
		return "configuration"
	}
	return "commands"
}

func (r *run) config(name, text string) {
	c := advise.Read(name, text)
	r.configs = append(r.configs, c)
	r.known.Ends = append(r.known.Ends, c.End())
	r.res.Configs = append(r.res.Configs, configuration(name, c))
}

func (r *run) finding(severity, code, text string, quotes ...evidence.Quote) {
	if len(r.res.Findings) < 1000 {
		r.res.Findings = append(r.res.Findings, advise.Finding{Severity: severity, Code: code, Text: text, Quotes: quotes})
	}
}

// judge draws the conclusions.
func (r *run) judge() *Result {
	res := r.res
	res.Flows = r.tracker.Judge(r.known, time.Time{})
	res.Evicted, res.Repeated, res.Lost = r.tracker.Evicted, r.tracker.Duplicates, r.tracker.Lost()
	res.Counters = r.tally.rows()
	for i, a := range r.configs {
		for _, b := range r.configs[i+1:] {
			res.Findings = append(res.Findings, advise.Compare(a, b)...)
		}
	}
	r.counterFindings()
	r.pairFindings()
	r.otherFindings()
	r.bugFindings()
	for _, f := range res.Flows {
		if f.Verdict != verdict.Persistent && len(res.Flows) > 1 && len(res.Steps) > 0 {
			continue
		}
		if len(res.Steps) < 40 {
			res.Steps = append(res.Steps, advise.Next(f, r.configs)...)
		}
	}
	if len(res.Flows) > 0 {
		res.Applet = advise.Applet(res.Flows[0])
	}
	for _, s := range res.Spans {
		res.Covers += s.Lines
	}
	return res
}
