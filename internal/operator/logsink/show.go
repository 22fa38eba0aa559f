package logsink

import (
	"fmt"
	"net/netip"
	"strings"

	"lockstep/internal/event"
)

// Status is `show logging` as data.
type Status struct {
	Counts
	Dropped                         uint64         // records that found no room on the way here
	ConsoleLevel, BufferLevel, Trap event.Severity // as in Options
	MonitorLevel                    event.Severity
	HasConsole                      bool
	Hosts                           []HostStatus
	Size                            int
	Lines                           []string
}

// HostStatus is how one syslog host stands.
type HostStatus struct {
	Address string
	Port    uint16
	Up      bool // the last datagram could be sent, or none was yet
	Logged  uint64
}

// Status tells how the sink stands. dropped are the records lost before it, from its subscription.
func (s *Sink) Status(dropped uint64) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Counts: s.count, Dropped: dropped, ConsoleLevel: s.opt.Terse, BufferLevel: s.opt.Buffer, Trap: s.opt.Trap,
		MonitorLevel: s.opt.Monitor, HasConsole: s.opt.Console != nil, Size: s.opt.Size, Lines: append([]string(nil), s.ring.lines...)}
	for _, h := range s.hosts {
		st.Hosts = append(st.Hosts, h.status())
	}
	return st
}

func (d *destination) status() HostStatus {
	address, port := splitHost(d.Name)
	return HostStatus{Address: address, Port: port, Up: !d.down, Logged: d.logged}
}

// syslogPort is where hosts listen that are named without a port (RFC 5426 §3.3).
const syslogPort = 514

// splitHost takes "192.0.2.9" and "192.0.2.9:5514" apart, the forms of policy.Logging.Hosts.
func splitHost(name string) (address string, port uint16) {
	if a, err := netip.ParseAddrPort(name); err == nil {
		return a.Addr().String(), a.Port()
	}
	return name, syslogPort
}

var levels = [...]string{"emergencies", "alerts", "critical", "errors", "warnings", "notifications", "informational", "debugging"}

// levelText is "level NAME", or "disabled".
func levelText(s event.Severity) string {
	switch {
	case s == Off:
		return "disabled"
	case s == emergencies:
		return "level " + levels[0]
	}
	return "level " + levels[min(int(s), len(levels)-1)]
}

// Text is `show logging` in the layout of IOS.
func (st Status) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Syslog logging: enabled (%d messages dropped, %d messages rate-limited, 0 flushes, %d overruns, xml disabled, filtering disabled)\n\n",
		st.Dropped, st.Limited, st.Failed)
	b.WriteString("No Active Message Discriminator.\n\n\n\nNo Inactive Message Discriminator.\n\n\n")
	console := "disabled"
	if st.HasConsole {
		console = levelText(st.ConsoleLevel)
	}
	fmt.Fprintf(&b, "    Console logging: %s, %d messages logged, xml disabled,\n                     filtering disabled\n", console, st.Console)
	fmt.Fprintf(&b, "    Monitor logging: %s, %d messages logged, xml disabled,\n                     filtering disabled\n", levelText(st.MonitorLevel), st.Monitor)
	fmt.Fprintf(&b, "    Buffer logging:  %s, %d messages logged, xml disabled,\n                    filtering disabled\n", levelText(st.BufferLevel), st.Buffer)
	b.WriteString("    Exception Logging: size (0 bytes)\n    Count and timestamp logging messages: disabled\n    Persistent logging: disabled\n\n")
	b.WriteString("No active filter modules.\n\n")
	fmt.Fprintf(&b, "    Trap logging: %s, %d message lines logged\n", levelText(st.Trap), st.Counts.Trap)
	for _, h := range st.Hosts {
		b.WriteString(h.text())
	}
	fmt.Fprintf(&b, "\nLog Buffer (%d bytes):\n\n", st.Size)
	for _, l := range st.Lines {
		b.WriteString(l + "\n")
	}
	return b.String()
}

func (h HostStatus) text() string {
	link := "down"
	if h.Up {
		link = "up"
	}
	const below = "\n              "
	return fmt.Sprintf("        Logging to %s  (udp port %d, audit disabled,"+below+"link %s),"+below+"%d message lines logged,"+below+
		"0 message lines rate-limited,"+below+"0 message lines dropped-by-MD,"+below+"xml disabled, sequence number disabled"+below+"filtering disabled\n",
		h.Address, h.Port, link, h.Logged)
}
