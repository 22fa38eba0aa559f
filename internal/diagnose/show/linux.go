package show

import (
	"net/netip"
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// xfrmState is one `src A dst B` of `ip xfrm state`. It does not say which of the two is ours.
type xfrmState struct {
	src, dst netip.Addr
	pending  *evidence.SA
}

func (c *Capture) xfrmLine(line string) {
	text := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(line, "src ") && strings.Contains(line, " dst "):
		c.endXfrm()
		c.xfrm.src, c.xfrm.dst = addrBehind(text, "src "), addrBehind(text, " dst ")
	case strings.HasPrefix(text, "proto esp spi ") && c.xfrm.src.IsValid():
		spi, ok := hexBehind(text, "spi ")
		if ok {
			// Reported as what the destination receives on: true whoever took the capture.
			c.xfrm.pending = &evidence.SA{Quote: c.quote(), Device: c.name(), Capture: c.table, Local: c.xfrm.dst, Remote: c.xfrm.src, Proto: 50, SPI: spi, Inbound: true}
		}
	case strings.HasPrefix(text, "encap type espinudp") && c.xfrm.pending != nil:
		c.xfrm.pending.Encap = true
	}
}

func (c *Capture) endXfrm() {
	c.flushIPsec()
	if p := c.xfrm.pending; p != nil {
		c.sink.SA(*p)
		c.Found++
	}
	c.xfrm = xfrmState{}
}

// swanSA is where we are in `swanctl --list-sas`.
type swanSA struct {
	local, remote netip.Addr
	version       int
	state         string
}

func (c *Capture) swanLine(text string) {
	s := &c.swan
	switch {
	case strings.Contains(text, ": #") && (strings.Contains(text, ", IKEv2, ") || strings.Contains(text, ", IKEv1, ")):
		*s = swanSA{version: 2}
		if strings.Contains(text, ", IKEv1, ") {
			s.version = 1
		}
		if f := strings.Split(text, ", "); len(f) > 1 {
			s.state = f[1]
		}
	case strings.HasPrefix(text, "local ") && strings.Contains(text, " @ ") && s.version > 0:
		s.local = addrBehind(text, " @ ")
	case strings.HasPrefix(text, "remote ") && strings.Contains(text, " @ ") && s.version > 0:
		s.remote = addrBehind(text, " @ ")
		if s.local.IsValid() && s.remote.IsValid() {
			c.ikeFound(evidence.IKESA{Local: s.local, Remote: s.remote, Version: s.version, State: s.state, Up: s.state == "ESTABLISHED"})
		}
	case strings.HasPrefix(text, "in ") && s.remote.IsValid():
		c.swanHalf(text, true)
	case strings.HasPrefix(text, "out ") && s.remote.IsValid():
		c.swanHalf(text, false)
	}
}

// swanHalf is `in  c1d2e3f4,  84 bytes,  1 packets,  3s ago`.
func (c *Capture) swanHalf(text string, inbound bool) {
	word := strings.Fields(text)[1]
	spi, ok := hexBehind(" "+word, " ")
	if !ok || len(strings.TrimRight(word, ",")) != 8 {
		return
	}
	sa := evidence.SA{Local: c.swan.local, Remote: c.swan.remote, Proto: 50, SPI: spi, Inbound: inbound, Current: !inbound}
	if i := strings.Index(text, " packets"); i > 0 {
		f := strings.Fields(text[:i])
		sa.Packets = countBehind(" "+f[len(f)-1], " ")
	}
	c.sa(sa)
}
