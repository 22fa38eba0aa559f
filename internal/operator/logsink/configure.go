package logsink

import (
	"io"
	"slices"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/policy"
)

const defaultSize = 16384 // octets of the ring

const (
	// Off is the level of a destination that gets nothing.
	Off event.Severity = 0xFF
	// emergencies is `logging … emergencies`; 0 is taken for the default.
	emergencies event.Severity = 0xFE
)

// Level turns a severity of policy.Logging into a level of Options.
func Level(n int) event.Severity {
	switch {
	case n == policy.Off:
		return Off
	case n == 0:
		return emergencies
	}
	return event.Severity(n)
}

// admits says whether a destination of this level gets a record of severity s. No record is an emergency.
func admits(level, s event.Severity) bool { return level <= event.Debugging && s <= level }

// Options say what goes where. A level is the least severe that a destination gets: Off, what Level gives, or 0 for the
// default.
type Options struct {
	Hostname string
	Size     int            // octets of the ring; 0: 16,384
	Buffer   event.Severity // of the ring; 0: debugging
	Console  io.Writer      // nil: none
	Terse    event.Severity // of the console; 0: debugging
	Monitor  event.Severity // of terminals that asked for lines; 0: debugging
	Session  bool           // `crypto logging session`
	Hosts    []Host
	Trap     event.Severity   // of hosts; 0: informational
	Now      func() time.Time // nil: time.Now; New alone takes it
}

// Host is where datagrams go: To is usually a connected UDP socket, and must not block for long. Name is its address,
// with the port behind a colon where that is not 514.
type Host struct {
	Name string
	To   io.Writer
}

// destination is a host with what became of its datagrams.
type destination struct {
	Host
	down   bool // the last datagram could not be sent
	logged uint64
}

// Configure makes o the options of a sink that may be running. What it has stays: the newest lines that fit into the
// ring, rate limits, debug switches, terminals, counts, those of a host whose name is in both included. When it
// returns, nothing is written to consoles and hosts that o does not name: the caller may close them.
func (s *Sink) Configure(o Options) {
	if o.Size <= 0 {
		o.Size = defaultSize
	}
	orElse(&o.Buffer, event.Debugging)
	orElse(&o.Terse, event.Debugging)
	orElse(&o.Monitor, event.Debugging)
	orElse(&o.Trap, event.Informational)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt = o
	s.opt.Hosts = slices.Clone(o.Hosts)
	s.ring.resize(o.Size)
	s.hosts = destinations(s.hosts, o.Hosts)
}

func orElse(s *event.Severity, otherwise event.Severity) {
	if *s == 0 {
		*s = otherwise
	}
}

// destinations are the named hosts, each with the counts that it had under its name.
func destinations(old []*destination, hosts []Host) []*destination {
	var out []*destination
	for _, h := range hosts {
		d := &destination{Host: h}
		if i := slices.IndexFunc(old, func(o *destination) bool { return o.Name == h.Name }); i >= 0 {
			d.logged = old[i].logged
		}
		out = append(out, d)
	}
	return out
}
