package ike2

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Selector is a set of packets as one end sees them: a range of addresses, one protocol or all, and a range of
// ports (RFC 7296 §3.13.1, RFC 4301 §4.4.1.1). For ICMP the "port" is type<<8 | code. Selectors are values:
// comparable with ==, never changed in place.
type Selector struct {
	Protocol           uint8 // 0: any
	StartPort, EndPort uint16
	Start, End         netip.Addr // one family, Start <= End; IPv4 never in its IPv6-mapped form
}

// Ports of OPAQUE: a port field that cannot be seen, as in a fragment that is not the first (RFC 7296 §3.13.1).
const (
	opaqueStart = 65535
	opaqueEnd   = 0
)

// SelectorFromPrefix is all packets of the prefix: any protocol, any port.
func SelectorFromPrefix(p netip.Prefix) Selector {
	p = p.Masked()
	return Selector{EndPort: 65535, Start: p.Addr(), End: lastAddr(p)}
}

// SelectorFromRange is all packets of the addresses from start to end.
func SelectorFromRange(start, end netip.Addr) Selector {
	return Selector{EndPort: 65535, Start: start, End: end}
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Opaque says that the selector wants packets whose ports cannot be seen.
func (s Selector) Opaque() bool { return s.StartPort == opaqueStart && s.EndPort == opaqueEnd }

// AnyPort says that the selector takes every port; that includes OPAQUE (RFC 4301 §4.4.1.1).
func (s Selector) AnyPort() bool { return s.StartPort == 0 && s.EndPort == 65535 }

// Contains says that every packet of other is one of s.
func (s Selector) Contains(other Selector) bool {
	both, ok := s.Intersect(other)
	return ok && both == other
}

// ContainsAddr says that the address is in the range, whatever protocol and port.
func (s Selector) ContainsAddr(a netip.Addr) bool {
	return a.BitLen() == s.Start.BitLen() && !a.Less(s.Start) && !s.End.Less(a)
}

// Match says that a packet with this address, protocol and port is one of s.
func (s Selector) Match(a netip.Addr, protocol uint8, port uint16) bool {
	return s.ContainsAddr(a) && (s.Protocol == 0 || s.Protocol == protocol) && s.StartPort <= port && port <= s.EndPort
}

// Intersect is the selector of the packets that both take, false if there are none.
func (s Selector) Intersect(other Selector) (Selector, bool) {
	if s.Start.BitLen() != other.Start.BitLen() {
		return Selector{}, false
	}
	both := s
	if both.Protocol == 0 {
		both.Protocol = other.Protocol
	}
	if other.Protocol != 0 && both.Protocol != other.Protocol {
		return Selector{}, false
	}
	if both.Start.Less(other.Start) {
		both.Start = other.Start
	}
	if other.End.Less(both.End) {
		both.End = other.End
	}
	if both.End.Less(both.Start) {
		return Selector{}, false
	}
	var ok bool
	both.StartPort, both.EndPort, ok = intersectPorts(s, other)
	if !ok {
		return Selector{}, false
	}
	return both, true
}

// intersectPorts: OPAQUE is part of ANY and of itself, of nothing else (RFC 4301 §4.4.1.1).
func intersectPorts(s, other Selector) (start, end uint16, ok bool) {
	switch {
	case s.Opaque():
		return s.StartPort, s.EndPort, other.Opaque() || other.AnyPort()
	case other.Opaque():
		return other.StartPort, other.EndPort, s.AnyPort()
	}
	start, end = max(s.StartPort, other.StartPort), min(s.EndPort, other.EndPort)
	return start, end, start <= end
}

// Prefix is the address range as a prefix, if it is one.
func (s Selector) Prefix() (netip.Prefix, bool) {
	for bits := range s.Start.BitLen() + 1 {
		if p := netip.PrefixFrom(s.Start, bits); p.Masked().Addr() == s.Start && lastAddr(p) == s.End {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// String is the selector for people: "10.1.0.0-10.1.0.255[udp/500-510]", without the bracket if protocol and
// port are any.
func (s Selector) String() string {
	r := s.Start.String() + "-" + s.End.String()
	if s.Protocol == 0 && s.AnyPort() {
		return r
	}
	return fmt.Sprintf("%s[%s/%s]", r, protocolName(s.Protocol), s.portRange())
}

func (s Selector) portRange() string {
	switch {
	case s.AnyPort():
		return "any"
	case s.Opaque():
		return "opaque"
	case s.StartPort == s.EndPort:
		return strconv.Itoa(int(s.StartPort))
	}
	return fmt.Sprintf("%d-%d", s.StartPort, s.EndPort)
}

func protocolName(p uint8) string {
	switch p {
	case 0:
		return "any"
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 47:
		return "gre"
	case 58:
		return "ipv6-icmp"
	}
	return strconv.Itoa(int(p))
}
