package read

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// quoted is how much of a line is kept as evidence.
const quoted = 400

// Clocks knows the clocks of the devices that were read, across files. It is shared by the logs of one diagnosis.
type Clocks struct {
	ids  map[string]int
	next int
}

const maxClocks = 20_000

// of is the number of a named clock in one of its epochs.
func (c *Clocks) of(name string, epoch int) int {
	if c.ids == nil {
		c.ids = map[string]int{}
	}
	key := fmt.Sprintf("%s\x00%d", name, epoch)
	id, ok := c.ids[key]
	if !ok {
		c.next++
		id = c.next
		if len(c.ids) < maxClocks {
			c.ids[key] = id
		}
	}
	return id
}

// Of is the number of a clock that never jumps: that of a packet capture.
func (c *Clocks) Of(name string) int { return c.of(name, 0) }

// ticking is a clock within one file.
type ticking struct {
	last  time.Time
	epoch int
	id    int
}

// backStep is how far a clock may fall back before it was set: relays reorder lines by less.
const backStep = 5 * time.Second

// Log reads one log. Its methods are called by one goroutine.
type Log struct {
	file   string
	sink   evidence.Sink
	clocks *Clocks
	cal    calendar
	tick   map[string]*ticking
	names  map[string]string // interned: a device says many lines

	span     evidence.Span
	skips    map[string]*evidence.Skip
	notes    map[string]int
	broken   string // the beginning of a message whose line was cut
	brokenNo int
	parts    int       // that followed it
	arrival  time.Time // of the datagram that is being read; zero in files
}

// NewLog makes the reader of a log. No line of it is younger than ref.
func NewLog(file string, ref time.Time, clocks *Clocks, sink evidence.Sink) *Log {
	return &Log{file: file, sink: sink, clocks: clocks, cal: calendar{ref: ref}, tick: map[string]*ticking{}, names: map[string]string{},
		span: evidence.Span{File: file, Format: "log"}, skips: map[string]*evidence.Skip{}, notes: map[string]int{}}
}

// Read reads all lines of in, and gives what was covered. Lines without a word of IPsec are counted and passed over.
func (l *Log) Read(in io.Reader) (evidence.Span, error) {
	s := scanner{each: l.line, clock: l.see, long: l.tooLong}
	err := s.run(in)
	l.flush()
	l.span.Lines, l.span.Bytes = s.lines, s.bytes
	return l.Span(), err
}

// Line reads one line of a capture, or one datagram.
func (l *Log) Line(line []byte, no int) {
	if l.broken != "" || Marked(line) {
		l.line(line, no)
	}
	l.span.Lines = no
}

// Span is what was covered so far.
func (l *Log) Span() evidence.Span {
	s := l.span
	s.Skipped = nil
	for _, why := range sortedKeys(l.skips) {
		s.Skipped = append(s.Skipped, *l.skips[why])
	}
	s.Notes = nil
	for _, n := range sortedKeys(l.notes) {
		s.Notes = append(s.Notes, fmt.Sprintf("%s (%s)", n, times(l.notes[n])))
	}
	if l.cal.assumed {
		s.Notes = append(s.Notes, "times have no year: the newest that is not in the future was taken")
	}
	return s
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (l *Log) skip(why string, no int, line string) {
	s := l.skips[why]
	if s == nil {
		s = &evidence.Skip{Why: why, First: evidence.Quote{Source: evidence.Source{File: l.file, Line: no}, Text: printable(line, 120)}}
		l.skips[why] = s
	}
	s.Count++
}

func (l *Log) note(what string) {
	if len(l.notes) < 50 {
		l.notes[what]++
	}
}

func (l *Log) tooLong(no int, head []byte) { l.skip("line longer than 64 KiB", no, string(head)) }

// see takes note of the time of a line that says nothing of IPsec.
func (l *Log) see(line []byte) {
	d := undress(string(line[:min(len(line), 200)]))
	l.stamp(&d)
}

// stamp turns the times of a line into the one that counts: the device's own, unless it does not trust its clock and a
// relay gave another.
func (l *Log) stamp(d *dressed) evidence.Stamp {
	w, name := d.device, l.clockName(d)
	switch {
	case d.hasRelay && (!d.hasDevice || d.device.unset || d.device.uptime):
		return l.relayed(d.relay)
	case !d.hasDevice:
		return l.arrived()
	}
	at := l.cal.at(w)
	if w.zone != "" && w.offset == 0 && zones[w.zone] == 0 && w.zone[0] != '+' && w.zone[0] != '-' {
		if _, known := zones[w.zone]; !known {
			l.note("zone " + w.zone + " is not known: taken as UTC")
		}
	}
	return evidence.Stamp{At: at, Grain: w.grain, Clock: l.clock(name, at), Unset: w.unset, Relayed: d.headed && !d.hasRelay}
}

// clockName is the device's clock. Before it was set, which a device marks, it is another one: nobody knows how far it
// jumped.
func (l *Log) clockName(d *dressed) string {
	name := "device:" + d.host
	if d.host == "" {
		name = "file:" + l.file
	}
	if d.device.unset {
		name += "*"
	}
	return name
}

// clockSet notes that somebody set the clock of a device: times before and behind are not compared.
func (l *Log) clockSet(d *dressed) {
	if !d.hasDevice {
		return
	}
	l.stamp(d)
	name := l.clockName(d)
	t := l.tick[name]
	t.epoch++
	t.id = l.clocks.of(name+"\x00"+l.file, t.epoch)
	l.note("a clock was set: times before and behind are not compared")
}

// relayed is when the relay had a line, by the relay's clock.
func (l *Log) relayed(w written) evidence.Stamp {
	at := l.cal.at(w)
	return evidence.Stamp{At: at, Grain: w.grain, Clock: l.clock("relay:"+l.file, at), Relayed: true}
}

// Arrived gives a line that came over the network just now: where it has no time of its own, its arrival has to do.
func (l *Log) Arrived(line []byte, no int, at time.Time) {
	l.arrival = at
	l.Line(line, no)
}

// arrived is the stamp of a line without one. What a relay held back for up to two seconds is no gap.
func (l *Log) arrived() evidence.Stamp {
	if l.arrival.IsZero() {
		return evidence.Stamp{}
	}
	return evidence.Stamp{At: l.arrival, Grain: 2 * time.Second, Clock: l.clocks.Of("arrival"), Relayed: true}
}

func (l *Log) clock(name string, at time.Time) int {
	t := l.tick[name]
	if t == nil {
		if len(l.tick) >= maxClocks {
			clear(l.tick)
		}
		t = &ticking{last: at, id: l.clocks.of(name, 0)}
		l.tick[name] = t
	}
	if at.Before(t.last.Add(-backStep)) {
		t.epoch++
		t.id = l.clocks.of(name+"\x00"+l.file, t.epoch)
		l.note("a clock went back: times before and behind are not compared")
	}
	t.last = at
	if _, up := IsUptime(at); up {
		return t.id
	}
	if l.span.First.IsZero() || at.Before(l.span.First) {
		l.span.First = at
	}
	if at.After(l.span.Last) {
		l.span.Last = at
	}
	return t.id
}

// line reads a line of interest. It asks for the next one if the message goes on there.
func (l *Log) line(raw []byte, no int) bool {
	if i := indexControl(raw); i >= 0 {
		l.skip("control characters: binary, not text", no, string(raw))
		l.flush()
		return false
	}
	text := string(raw)
	if l.broken == "" {
		return l.message(text, no, true)
	}
	if startsAnew(text) {
		l.flush()
		return l.message(text, no, true)
	}
	return l.goOn(text)
}

// mostParts is over how many lines a terminal may have wrapped one message.
const mostParts = 4

// goOn takes the next part of a message that was wrapped, between words or in the middle of one.
func (l *Log) goOn(text string) bool {
	part, from := strings.TrimSpace(text), l.brokenNo
	spaced, glued := l.broken+" "+part, l.broken+part
	l.broken = ""
	l.parts++
	for _, whole := range []string{spaced, glued} {
		if u := l.try(whole, from); u != cut {
			l.parts = 0
			l.done(u, whole, from)
			return false
		}
	}
	if l.parts+1 >= mostParts || len(glued) > longestLine {
		l.parts = 0
		l.done(cut, spaced, from)
		return false
	}
	l.broken = spaced
	return true
}

// flush gives up a message that was cut for good.
func (l *Log) flush() {
	if l.broken != "" {
		l.skip("message cut off", l.brokenNo, l.broken)
		l.broken = ""
	}
}

// startsAnew reports that a line is not the rest of the one before.
func startsAnew(line string) bool {
	d := undress(line)
	return d.hasDevice || d.hasRelay || strings.HasPrefix(d.msg, "%")
}

func (l *Log) message(text string, no int, mayGoOn bool) bool {
	u := l.try(text, no)
	if u == cut && mayGoOn {
		l.broken, l.brokenNo = text, no
		return true
	}
	l.done(u, text, no)
	return false
}

// try reads a message, and reports its event if it is whole.
func (l *Log) try(text string, no int) understood {
	d := undress(text)
	ev := evidence.Event{Quote: evidence.Quote{Source: evidence.Source{File: l.file, Line: no}}}
	u := l.understand(&d, &ev)
	if u == taken && ev.Kind == evidence.ClockSet {
		l.clockSet(&d)
		return foreign
	}
	if u != taken {
		return u
	}
	ev.Stamp = l.stamp(&d)
	if d.hasRelay {
		ev.Relay = l.relayed(d.relay)
	}
	ev.Text = printable(text, quoted)
	ev.Device = l.intern(d.host)
	if ev.Device == "" {
		ev.Device = l.file
	}
	l.sink.Event(ev)
	return taken
}

// done counts a message that will not be read.
func (l *Log) done(u understood, text string, no int) {
	switch u {
	case cut:
		l.skip("message cut off", no, text)
	case contradicts:
		l.skip("the line contradicts itself", no, text)
	}
}

// understood is what a reader says of a message.
type understood uint8

const (
	foreign     understood = iota // not ours, or nothing to learn
	taken                         // the event is filled in
	cut                           // it begins like ours and ends too early
	contradicts                   // its parts do not fit together
)

// understand tries the readers in turn: each knows its own messages by their beginning.
func (l *Log) understand(d *dressed, ev *evidence.Event) understood {
	for _, r := range readers {
		if u := r.read(d, ev); u != foreign {
			ev.Platform = r.platform
			return u
		}
	}
	return foreign
}

var readers = []struct {
	platform evidence.Platform
	read     func(*dressed, *evidence.Event) understood
}{
	{evidence.IOS, iosMessage}, {evidence.IOS, iosDebug}, {evidence.ASA, asaMessage}, {evidence.Linux, xfrmMessage},
	{evidence.Libreswan, plutoMessage}, {evidence.StrongSwan, charonMessage},
}

func (l *Log) intern(s string) string {
	if known, ok := l.names[s]; ok {
		return known
	}
	if len(l.names) < maxClocks {
		known := printable(s, 255)
		l.names[strings.Clone(s)] = known
		return known
	}
	return printable(s, 255)
}
