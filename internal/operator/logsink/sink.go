package logsink

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lockstep/internal/event"
)

// Sink prints records. Write, from any goroutine, is serialised; Run calls it for a subscription.
type Sink struct {
	now func() time.Time

	mu       sync.Mutex
	opt      Options               // guarded by mu
	hosts    []*destination        // guarded by mu: of opt.Hosts
	limiter  event.Limiter         // guarded by mu
	ring     ring                  // guarded by mu
	debug    map[event.Topic]watch // guarded by mu
	monitors map[*Monitor]bool     // guarded by mu
	count    Counts                // guarded by mu
}

// watch is one `debug` switch: of all peers, or of some.
type watch struct {
	all   bool
	peers []netip.Addr
}

// Counts are those of `show logging`.
type Counts struct {
	Limited, Console, Buffer, Monitor, Trap, Failed uint64
}

// New makes a sink with every debug switch off.
func New(o Options) *Sink {
	s := &Sink{now: o.Now, debug: map[event.Topic]watch{}, monitors: map[*Monitor]bool{}}
	if s.now == nil {
		s.now = time.Now
	}
	s.Configure(o)
	return s
}

// Run writes what a subscription gets, until ctx ends.
func (s *Sink) Run(ctx context.Context, sub *event.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-sub.Records():
			s.Write(r)
		}
	}
}

// Write prints r where it belongs.
func (s *Sink) Write(r event.Record) {
	if r.At.IsZero() {
		r.At = s.now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wanted(r) {
		return
	}
	ok, suppressed := s.limiter.Allow(r, s.now())
	if !ok {
		s.count.Limited++
		return
	}
	s.print(r)
	if suppressed > 0 {
		s.print(event.Suppressed(r.At, r, suppressed))
	}
}

// wanted applies the debug switches and `crypto logging session`. Callers hold mu.
func (s *Sink) wanted(r event.Record) bool {
	if r.Topic != "" {
		w := s.debug[r.Topic]
		return w.all || slices.Contains(w.peers, r.Peer.Unmap())
	}
	return s.opt.Session || r.Mnemonic != "IKEV2_SESSION_STATUS"
}

// print writes one record everywhere. Callers hold mu.
func (s *Sink) print(r event.Record) {
	line := Line(r)
	if admits(s.opt.Buffer, r.Severity) {
		s.ring.add(line)
		s.count.Buffer++
	}
	if s.opt.Console != nil && admits(s.opt.Terse, r.Severity) {
		s.count.Console++
		if _, err := io.WriteString(s.opt.Console, line+"\n"); err != nil {
			s.count.Failed++
		}
	}
	if admits(s.opt.Monitor, r.Severity) {
		s.toMonitors(line)
	}
	if admits(s.opt.Trap, r.Severity) {
		s.toHosts(r)
	}
}

func (s *Sink) toMonitors(line string) {
	for m := range s.monitors {
		select {
		case m.lines <- line:
			s.count.Monitor++
		default:
			m.lost++
		}
	}
}

func (s *Sink) toHosts(r event.Record) {
	for _, h := range s.hosts {
		s.count.Trap++
		_, err := h.To.Write(Datagram(r, s.opt.Hostname))
		h.down = err != nil
		if h.down {
			s.count.Failed++
			continue
		}
		h.logged++
	}
}

// Debug turns a topic on or off, for one peer or (zero address) for all.
func (s *Sink) Debug(t event.Topic, peer netip.Addr, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.debug[t]
	peer = peer.Unmap()
	switch {
	case !peer.IsValid():
		w = watch{all: on}
	case on && !slices.Contains(w.peers, peer):
		w.peers = append(slices.Clone(w.peers), peer)
	case !on:
		w.peers = slices.DeleteFunc(slices.Clone(w.peers), func(a netip.Addr) bool { return a == peer })
	}
	s.debug[t] = w
}

// Undebug is `undebug all`.
func (s *Sink) Undebug() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.debug)
}

// Switch is one line of `show debugging`.
type Switch struct {
	Topic event.Topic
	Peers []netip.Addr // nil: all
}

// Debugging lists the switches that are on.
func (s *Sink) Debugging() []Switch {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Switch
	for _, t := range []event.Topic{event.TopicIKEv2, event.TopicIPsec, event.TopicRecovery} {
		switch w := s.debug[t]; {
		case w.all:
			out = append(out, Switch{Topic: t})
		case len(w.peers) > 0:
			out = append(out, Switch{t, slices.Clone(w.peers)})
		}
	}
	return out
}

// SetSession is `crypto logging session`.
func (s *Sink) SetSession(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Session = on
}

// Lines copies the ring, oldest first.
func (s *Sink) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ring.lines)
}

// Clear is `clear logging`.
func (s *Sink) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring = ring{size: s.opt.Size}
}

// Monitor is a terminal that wants the lines as they come (`terminal monitor`).
type Monitor struct {
	sink  *Sink
	lines chan string
	lost  uint64 // guarded by sink.mu
}

// Monitor begins to listen; size lines may wait, more are lost for this terminal.
func (s *Sink) Monitor(size int) *Monitor {
	m := &Monitor{sink: s, lines: make(chan string, max(size, 1))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.monitors[m] = true
	return m
}

// Lines is where the terminal receives; it is never closed.
func (m *Monitor) Lines() <-chan string { return m.lines }

// Close ends it, and says how many lines were lost.
func (m *Monitor) Close() uint64 {
	m.sink.mu.Lock()
	defer m.sink.mu.Unlock()
	delete(m.sink.monitors, m)
	return m.lost
}
