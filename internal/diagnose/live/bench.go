package live

import (
	"fmt"
	"net/netip"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

const (
	maxSenders = 4096
	// silent is how long nothing must come of a black hole before it is called over: two limits of IOS and a half.
	silent = 150 * time.Second
	// fresh is how old a result may be that the page shows.
	fresh = 2 * time.Second
)

// bench is where messages are judged. The loop of Run owns it.
type bench struct {
	s       *Service
	tracker *verdict.Tracker
	clocks  read.Clocks
	logs    map[netip.Addr]*read.Log
	lines   int
	touched []evidence.Flow
	at      time.Time

	told    map[evidence.Flow]verdict.Verdict
	holes   map[evidence.Flow]time.Time // persistent, with the arrival of their last line
	cached  *diagnose.Result
	cacheAt time.Time
}

func newBench(s *Service) *bench {
	return &bench{s: s, tracker: verdict.New(0), logs: map[netip.Addr]*read.Log{}, told: map[evidence.Flow]verdict.Verdict{}, holes: map[evidence.Flow]time.Time{}}
}

// take reads a message, and tells what it changes.
func (b *bench) take(m message) {
	b.lines++
	b.at = m.at
	b.log(m.from).Arrived(m.text, b.lines, m.at)
	for _, f := range b.touched {
		b.review(f, m.at)
	}
	if len(b.touched) > 0 {
		b.s.stats.flows.Store(int64(b.tracker.Flows()))
	}
	b.touched = b.touched[:0]
}

// log is the reader of one sender's messages: what names no device is of the sender.
func (b *bench) log(from netip.Addr) *read.Log {
	l := b.logs[from]
	if l == nil {
		if len(b.logs) >= maxSenders {
			clear(b.logs)
		}
		l = read.NewLog(from.String(), b.at, &b.clocks, b)
		b.logs[from] = l
	}
	return l
}

// Event is called by the reader of the message.
func (b *bench) Event(e evidence.Event) {
	b.tracker.Event(e)
	if e.Kind.Sighting() {
		b.s.stats.sightings.Add(1)
		b.touched = append(b.touched, e.Flow)
	}
}

func (*bench) Counter(evidence.Counter) {}
func (*bench) SA(evidence.SA)           {}
func (*bench) IKESA(evidence.IKESA)     {}
func (*bench) ESP(evidence.Traffic)     {}
func (*bench) IKE(evidence.IKE)         {}

// review judges a flow anew, and tells where the verdict is another.
func (b *bench) review(f evidence.Flow, at time.Time) {
	if _, hole := b.holes[f]; hole {
		b.holes[f] = at
		return
	}
	j, ok := b.tracker.JudgeFlow(f, b.s.o.Known, time.Time{})
	if !ok {
		return
	}
	was, known := b.told[f]
	if known && was == j.Verdict {
		return
	}
	if len(b.told) >= verdict.MaxFlows {
		clear(b.told) // some are told again: better than forgetting new ones
	}
	b.told[f] = j.Verdict
	b.s.say("%s %s %v -> %v SPI 0x%08X, %s, by %s, cause %s (%v)", at.Format(time.RFC3339), j.Verdict, j.Src, j.Dst, j.SPI, j.Class, j.Device, j.Cause, j.Confidence)
	if j.Verdict == verdict.Persistent {
		b.holes[f] = at
		b.s.alerts.put(alertOf("persistent", j, at))
	}
	b.s.stats.persistent.Store(int64(len(b.holes)))
}

// quiet tells which black holes are over.
func (b *bench) quiet(now time.Time) {
	b.s.stats.flows.Store(int64(b.tracker.Flows()))
	b.s.stats.evicted.Store(int64(b.tracker.Evicted))
	for f, last := range b.holes {
		if now.Sub(last) < silent {
			continue
		}
		delete(b.holes, f)
		delete(b.told, f)
		j, ok := b.tracker.JudgeFlow(f, b.s.o.Known, time.Time{})
		if !ok {
			continue
		}
		b.s.say("%s quiet %v -> %v SPI 0x%08X since %s, after %s: %s", now.Format(time.RFC3339), j.Src, j.Dst, j.SPI, last.Format(time.TimeOnly), j.Outage.Round(time.Second), j.Ended)
		b.s.alerts.put(alertOf("quiet", j, now))
	}
	b.s.stats.persistent.Store(int64(len(b.holes)))
}

// result is what the page shows.
func (b *bench) result(now time.Time) *diagnose.Result {
	if b.cached != nil && now.Sub(b.cacheAt) < fresh {
		return b.cached
	}
	r := &diagnose.Result{Flows: b.tracker.Judge(b.s.o.Known, time.Time{}), Configs: b.s.o.Configs, Evicted: b.tracker.Evicted, Repeated: b.tracker.Duplicates, Lost: b.tracker.Lost(), Covers: b.lines}
	for from, l := range b.logs {
		span := l.Span()
		span.Format = fmt.Sprintf("syslog of %v", from)
		if len(r.Spans) < 200 {
			r.Spans = append(r.Spans, span)
		}
	}
	b.cached, b.cacheAt = r, now
	return r
}
