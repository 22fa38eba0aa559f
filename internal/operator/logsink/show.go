package logsink

import (
	"fmt"
	"strings"

	"lockstep/internal/event"
)

// Status is `show logging` as data.
type Status struct {
	Counts
	Dropped                         uint64 // records that found no room on the way here
	ConsoleLevel, BufferLevel, Trap event.Severity
	HasConsole                      bool
	Hosts                           []string
	Size                            int
	Lines                           []string
}

// Status tells how the sink stands. dropped are the records lost before it, from its subscription.
func (s *Sink) Status(dropped uint64) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Counts: s.count, Dropped: dropped, ConsoleLevel: s.opt.Terse, BufferLevel: s.opt.Buffer, Trap: s.opt.Trap,
		HasConsole: s.opt.Console != nil, Size: s.opt.Size, Lines: append([]string(nil), s.ring.lines...)}
	for _, h := range s.opt.Hosts {
		st.Hosts = append(st.Hosts, h.Name)
	}
	return st
}

var levels = [...]string{"emergencies", "alerts", "critical", "errors", "warnings", "notifications", "informational", "debugging"}

func level(s event.Severity) string { return levels[min(int(s), len(levels)-1)] }

// Text is `show logging` in the layout of IOS.
func (st Status) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Syslog logging: enabled (%d messages dropped, %d messages rate-limited, 0 flushes, %d overruns, xml disabled, filtering disabled)\n\n",
		st.Dropped, st.Limited, st.Failed)
	b.WriteString("No Active Message Discriminator.\n\n\n\nNo Inactive Message Discriminator.\n\n\n")
	console := "disabled"
	if st.HasConsole {
		console = "level " + level(st.ConsoleLevel)
	}
	fmt.Fprintf(&b, "    Console logging: %s, %d messages logged, xml disabled,\n                     filtering disabled\n", console, st.Console)
	fmt.Fprintf(&b, "    Monitor logging: level debugging, %d messages logged, xml disabled,\n                     filtering disabled\n", st.Monitor)
	fmt.Fprintf(&b, "    Buffer logging:  level %s, %d messages logged, xml disabled,\n                    filtering disabled\n", level(st.BufferLevel), st.Buffer)
	b.WriteString("    Exception Logging: size (0 bytes)\n    Count and timestamp logging messages: disabled\n    Persistent logging: disabled\n\n")
	b.WriteString("No active filter modules.\n\n")
	fmt.Fprintf(&b, "    Trap logging: level %s, %d message lines logged\n", level(st.Trap), st.Counts.Trap)
	for _, h := range st.Hosts {
		fmt.Fprintf(&b, "        Logging to %s  (udp port 514, audit disabled,\n              link up),\n", h)
	}
	fmt.Fprintf(&b, "\nLog Buffer (%d bytes):\n\n", st.Size)
	for _, l := range st.Lines {
		b.WriteString(l + "\n")
	}
	return b.String()
}
