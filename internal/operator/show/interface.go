package show

import (
	"io"
	"net/netip"
	"time"
)

// Interface is how one tunnel interface stands: `show interfaces TunnelN`. The gateway publishes it.
type Interface struct {
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Unit        int          `json:"unit"`
	AdminUp     bool         `json:"admin_up"`       // not `shutdown`
	LineUp      bool         `json:"line_up"`        // a working child SA carries it
	Recursive   bool         `json:"recursive"`      // held down: the way to its destination leads into a tunnel
	Since       time.Time    `json:"since,omitzero"` // of the last change of the line protocol; zero: none yet
	Flaps       uint64       `json:"flaps"`          // changes of the line protocol since start
	Address     netip.Prefix `json:"address,omitzero"`
	MTU         int          `json:"mtu"`      // of inner packets, octets; 0: not known
	PathMTU     int          `json:"path_mtu"` // of outer packets, octets; 0: not known
	AdjustMSS   int          `json:"adjust_mss"`
	SourceIF    string       `json:"source_interface,omitempty"`
	Source      netip.Addr   `json:"source,omitzero"` // present outer address; zero: none
	Destination netip.Addr   `json:"destination,omitzero"`
	Profile     string       `json:"profile,omitempty"` // IPsec profile
	In          Traffic      `json:"input"`
	Out         Traffic      `json:"output"`
}

// Traffic is what one direction of an interface carried: inner packets and octets.
type Traffic struct {
	Packets uint64    `json:"packets"`
	Octets  uint64    `json:"octets"`
	Dropped uint64    `json:"dropped"`       // packets
	Last    time.Time `json:"last,omitzero"` // zero: never
}

// Interfaces is `show interfaces`.
type Interfaces struct {
	Interfaces []Interface `json:"interfaces"`
	now        time.Time
}

// NewInterfaces makes the view.
func NewInterfaces(list []Interface, now time.Time) *Interfaces {
	v := &Interfaces{Interfaces: []Interface{}, now: now}
	for _, i := range list {
		i.Description, i.SourceIF = Clean(i.Description), Clean(i.SourceIF)
		v.Interfaces = append(v.Interfaces, i)
	}
	return v
}

// Text writes the blocks of IOS, without the lines about what is not measured here (load, rates).
func (v *Interfaces) Text(w io.Writer) error {
	p := &page{w: w}
	for _, i := range v.Interfaces {
		i.head(p)
		i.tunnel(p)
		i.traffic(p, v.now)
	}
	return p.err
}

func (i *Interface) head(p *page) {
	p.line("%s is %s, line protocol is %s", i.Name, yesNo(i.AdminUp, "up", "administratively down"), yesNo(i.LineUp, "up", "down"))
	p.line("  Hardware is Tunnel")
	if i.Description != "" {
		p.line("  Description: %s", i.Description)
	}
	if i.Address.IsValid() {
		p.line("  Internet address is %v", i.Address)
	}
	p.line("  MTU %d bytes, BW 100 Kbit/sec, DLY 50000 usec,", i.MTU) // the constants of an IOS tunnel
	p.line("  Encapsulation TUNNEL, loopback not set")
	p.line("  Keepalive not set")
}

// linestate is IOS's reason for the state of the line protocol.
func (i *Interface) linestate() string {
	switch {
	case i.LineUp:
		return "up"
	case i.Recursive:
		return "down - recursive routing"
	case !i.AdminUp:
		return "down - administratively down"
	}
	return "down - linestate protection reg down" // no SA carries it
}

func (i *Interface) tunnel(p *page) {
	p.line("  Tunnel linestate evaluation %s", i.linestate())
	source := address(i.Source)
	if i.SourceIF != "" {
		source += " (" + i.SourceIF + ")"
	}
	p.line("  Tunnel source %s, destination %s", source, address(i.Destination))
	p.line("  Tunnel protocol/transport IPSEC/IP")
	p.line("  Tunnel transport MTU %d bytes", i.MTU)
	if i.AdjustMSS > 0 {
		p.line("  TCP adjust-mss %d bytes", i.AdjustMSS)
	}
	if i.Profile != "" {
		p.line("  Tunnel protection via IPSec (profile %q)", i.Profile)
	}
}

func (i *Interface) traffic(p *page, now time.Time) {
	p.line("  Last input %s, output %s, output hang never", since(i.In.Last, now), since(i.Out.Last, now))
	p.line("  Last clearing of \"show interface\" counters never")
	if !i.Since.IsZero() {
		p.line("  Last link flapped %s, line protocol changed %d times", since(i.Since, now), i.Flaps)
	}
	p.line("  Input queue: 0/0/0/0 (size/max/drops/flushes); Total output drops: %d", i.Out.Dropped)
	p.line("  Queueing strategy: fifo")
	p.line("  Output queue: 0/0 (size/max)")
	p.line("     %d packets input, %d bytes, 0 no buffer", i.In.Packets, i.In.Octets)
	p.line("     Received 0 broadcasts (0 IP multicasts)")
	p.line("     0 runts, 0 giants, 0 throttles")
	p.line("     %d input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored, 0 abort", i.In.Dropped)
	p.line("     %d packets output, %d bytes, 0 underruns", i.Out.Packets, i.Out.Octets)
	p.line("     0 output errors, 0 collisions, 0 interface resets")
	p.line("     0 unknown protocol drops")
	p.line("     0 output buffer failures, 0 output buffers swapped out")
}
