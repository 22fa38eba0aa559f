package show

import (
	"io"
	"net/netip"
	"strings"

	"lockstep/internal/event"
	"lockstep/internal/operator/logsink"
)

// Logging is `show logging`.
type Logging struct {
	Dropped uint64        `json:"dropped"`
	Limited uint64        `json:"rate_limited"`
	Failed  uint64        `json:"failed"`
	Console uint64        `json:"console_messages"`
	Monitor uint64        `json:"monitor_messages"`
	Buffer  uint64        `json:"buffer_messages"`
	Trap    uint64        `json:"trap_messages"`
	Hosts   []LoggingHost `json:"hosts"`
	Size    int           `json:"buffer_octets"`
	Lines   []string      `json:"lines"`

	text string
}

// LoggingHost is one syslog host.
type LoggingHost struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Up      bool   `json:"up"`
	Logged  uint64 `json:"messages"`
}

// NewLogging makes the view.
func NewLogging(s logsink.Status) *Logging {
	v := &Logging{Dropped: s.Dropped, Limited: s.Limited, Failed: s.Failed, Console: s.Console, Monitor: s.Monitor, Buffer: s.Buffer,
		Trap: s.Counts.Trap, Hosts: []LoggingHost{}, Size: s.Size, Lines: append([]string{}, s.Lines...), text: s.Text()}
	for _, h := range s.Hosts {
		v.Hosts = append(v.Hosts, LoggingHost(h))
	}
	return v
}

// Text writes the layout of IOS.
func (v *Logging) Text(w io.Writer) error {
	_, err := io.WriteString(w, v.text)
	return err
}

// DebugSwitch is one `debug` that is on.
type DebugSwitch struct {
	Topic string       `json:"topic"`
	Peers []netip.Addr `json:"peers"` // none: of all peers
}

// Debugging is `show debugging`.
type Debugging struct {
	Switches []DebugSwitch `json:"switches"`
}

// NewDebugging makes the view.
func NewDebugging(list []logsink.Switch) *Debugging {
	v := &Debugging{Switches: []DebugSwitch{}}
	for _, s := range list {
		v.Switches = append(v.Switches, DebugSwitch{string(s.Topic), append([]netip.Addr{}, s.Peers...)})
	}
	return v
}

// Text writes the switches under their subsystems, and nothing where none is on.
func (v *Debugging) Text(w io.Writer) error {
	p := &page{w: w}
	head := ""
	for _, s := range v.Switches {
		h := "Cryptographic Subsystem:"
		if s.Topic == string(event.TopicIKEv2) {
			h = "IKEV2:"
		}
		if h != head {
			p.line("%s", h)
			head = h
		}
		p.line("  %s", s.text())
	}
	return p.err
}

func (s *DebugSwitch) text() string {
	text := debugName(event.Topic(s.Topic)) + " debugging is on"
	if len(s.Peers) == 0 {
		return text
	}
	names := make([]string, len(s.Peers))
	for i, a := range s.Peers {
		names[i] = a.String()
	}
	return text + " for peer " + strings.Join(names, ", ")
}

// DebugState is the answer to `debug` and `no debug`: how a topic stands now.
func DebugState(t event.Topic, list []logsink.Switch) string {
	for _, s := range NewDebugging(list).Switches {
		if s.Topic == string(t) {
			return s.text()
		}
	}
	return debugName(t) + " debugging is off"
}

func debugName(t event.Topic) string {
	switch t {
	case event.TopicIKEv2:
		return "IKEv2 default"
	case event.TopicIPsec:
		return "Crypto IPSEC"
	}
	return "Crypto " + strings.ToUpper(string(t))
}
