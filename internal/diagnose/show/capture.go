package show

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
)

// Capture reads one capture line by line.
type Capture struct {
	file   string
	device string // from the prompt; empty: not told
	sink   evidence.Sink
	at     evidence.Source
	line   string

	table int // of counters: each heading or command begins another
	ipsec ipsecSA
	ike   ikeSA
	xfrm  xfrmState
	swan  swanSA
	Found int // SAs and counters reported
}

// New makes the reader of a capture.
func New(file string, sink evidence.Sink) *Capture { return &Capture{file: file, sink: sink} }

// Line takes the next line.
func (c *Capture) Line(line string, no int) {
	c.at, c.line = evidence.Source{File: c.file, Line: no}, line
	if device, command, ok := prompt(line); ok {
		c.end()
		c.device = device
		if strings.HasPrefix(command, "sh") {
			c.table++
		}
		return
	}
	text := strings.TrimSpace(line)
	if text == "" {
		return
	}
	if c.counter(text) {
		return
	}
	c.ipsecLine(text)
	c.ikeLine(text)
	c.xfrmLine(line)
	c.swanLine(text)
}

// End says that the capture is over.
func (c *Capture) End() { c.end() }

func (c *Capture) end() {
	c.endXfrm()
	c.ipsec, c.ike, c.swan = ipsecSA{}, ikeSA{}, swanSA{}
}

func (c *Capture) quote() evidence.Quote {
	return evidence.Quote{Source: c.at, Text: read.Printable(strings.TrimSpace(c.line))}
}

// name is the device, or the file where no prompt names one.
func (c *Capture) name() string {
	if c.device != "" {
		return c.device
	}
	return c.file
}

// prompt recognises `router#show …`, `router> show …`, `user@host:~$ ip xfrm state` and `# ip xfrm state`.
func prompt(line string) (device, command string, ok bool) {
	line = strings.TrimLeft(line, " ")
	i := strings.IndexAny(line, "#>$")
	if i < 0 || i > 64 {
		return "", "", false
	}
	command = strings.TrimSpace(line[i+1:])
	word, _, _ := strings.Cut(command, " ")
	switch word {
	case "show", "sh", "ip", "swanctl", "cat", "sudo", "ipsec":
	default:
		return "", "", false
	}
	name := line[:i]
	if _, host, at := strings.Cut(name, "@"); at {
		name = host
	}
	name, _, _ = strings.Cut(name, ":") // of the directory
	if strings.ContainsAny(name, " \t=") {
		return "", "", false
	}
	return read.Printable(name), command, true
}

func (c *Capture) sa(sa evidence.SA) {
	sa.Quote, sa.Device, sa.Capture = c.quote(), c.name(), c.table
	c.sink.SA(sa)
	c.Found++
}
