package show

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// ipsecSA is where we are in `show crypto ipsec sa [detail]`, of IOS or ASA.
type ipsecSA struct {
	iface         string
	local, remote netip.Addr
	current       uint32
	inbound       bool
	section       bool // inside `inbound esp sas:` or its like
	proto         uint8
	decaps        uint64
	encaps        uint64
	pending       *evidence.SA // its lifetime stands some lines below
}

func (c *Capture) ipsecLine(text string) {
	s := &c.ipsec
	switch {
	case strings.HasPrefix(text, "interface: "):
		c.flushIPsec()
		c.ipsec = ipsecSA{iface: text[len("interface: "):]}
	case strings.HasPrefix(text, "local crypto endpt"):
		c.flushIPsec()
		s.local, s.remote, s.section = addrBehind(text, "local crypto endpt.:"), addrBehind(text, "remote crypto endpt.:"), false
	case strings.HasPrefix(text, "current outbound spi"):
		s.current, _ = hexBehind(text, "current outbound spi:")
	case strings.HasPrefix(text, "#pkts encaps"):
		s.encaps = countBehind(text, "#pkts encaps: ")
	case strings.HasPrefix(text, "#pkts decaps"):
		s.decaps = countBehind(text, "#pkts decaps: ")
	case strings.HasSuffix(text, " sas:"):
		c.flushIPsec()
		s.section, s.inbound, s.proto = true, strings.HasPrefix(text, "inbound"), 50
		if strings.Contains(text, " ah ") {
			s.proto = 51
		}
	case strings.HasPrefix(text, "spi: ") && s.section:
		c.flushIPsec()
		spi, ok := hexBehind(text, "spi:")
		if !ok {
			return
		}
		s.pending = &evidence.SA{Quote: c.quote(), Device: c.name(), Capture: c.table, Local: s.local, Remote: s.remote, Proto: s.proto, SPI: spi,
			Inbound: s.inbound, Current: !s.inbound && spi == s.current, Interface: s.iface, Packets: s.encaps}
		if s.inbound {
			s.pending.Packets = s.decaps
		}
	case strings.Contains(text, "remaining key lifetime") && s.pending != nil:
		s.pending.Left = lifetimeLeft(text)
	case strings.Contains(text, "UDP-Encaps") && s.pending != nil:
		s.pending.Encap = true
	case strings.HasPrefix(text, "Status:") && s.pending != nil:
		c.flushIPsec()
	}
}

func (c *Capture) flushIPsec() {
	if p := c.ipsec.pending; p != nil {
		c.sink.SA(*p)
		c.Found++
		c.ipsec.pending = nil
	}
}

// lifetimeLeft reads `(k/sec): (4608000/3214)` or `(sec): 3214`.
func lifetimeLeft(text string) time.Duration {
	i := strings.LastIndexByte(text, '/')
	if i < 0 || !strings.Contains(text, "k/sec") && !strings.Contains(text, "kB/sec") {
		i = strings.LastIndexByte(text, ' ')
	}
	digits := strings.TrimRight(text[i+1:], ") ")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

func addrBehind(text, key string) netip.Addr {
	_, rest, ok := strings.Cut(text, key)
	if !ok {
		return netip.Addr{}
	}
	word := strings.TrimLeft(rest, " ")
	if i := strings.IndexAny(word, " ,/\t["); i >= 0 {
		word = word[:i]
	}
	a, _ := netip.ParseAddr(word)
	return a.Unmap()
}

func hexBehind(text, key string) (uint32, bool) {
	_, rest, ok := strings.Cut(text, key)
	if !ok {
		return 0, false
	}
	word := strings.TrimPrefix(strings.TrimLeft(rest, " "), "0x")
	n := 0
	for n < len(word) && strings.IndexByte("0123456789abcdefABCDEF", word[n]) >= 0 {
		n++
	}
	v, err := strconv.ParseUint(word[:n], 16, 32)
	return uint32(v), err == nil
}

func countBehind(text, key string) uint64 {
	_, rest, _ := strings.Cut(text, key)
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	v, _ := strconv.ParseUint(rest[:n], 10, 64)
	return v
}
