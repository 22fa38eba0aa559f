package ip

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol and next header numbers that a gateway looks at.
const (
	ProtoICMP   = 1
	ProtoIPv4   = 4
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoIPv6   = 41
	ProtoGRE    = 47
	ProtoESP    = 50
	ProtoAH     = 51
	ProtoICMPv6 = 58
	ProtoNone   = 59

	protoDCCP    = 33
	protoSCTP    = 132
	protoUDPLite = 136
)

// Fixed header lengths in octets.
const (
	IPv4HeaderLen = 20
	IPv6HeaderLen = 40
	UDPHeaderLen  = 8
)

// Packet is what Parse finds out about a packet. It holds offsets into the octets, not the octets.
type Packet struct {
	Version   uint8 // 4 or 6
	Protocol  uint8 // of the upper layer: behind IPv6's extension headers
	HeaderLen int   // octets before the upper layer: IPv4 options and IPv6 extension headers included
	TotalLen  int   // octets of the packet; what the buffer holds beyond it is padding

	Src, Dst netip.Addr

	// Ports says that SrcPort and DstPort were found. They are not in a fragment that is not the first, which is
	// what selectors call OPAQUE. For ICMP both are type<<8 | code, as in selectors (RFC 4301 §4.4.1.1).
	Ports            bool
	SrcPort, DstPort uint16

	// Fragment fields. Offset in octets; DF is IPv4's bit, and always set for IPv6, which no router fragments.
	FragmentOffset int
	MoreFragments  bool
	DF             bool
	ID             uint32 // IPv4: 16 bits; IPv6: of the fragment header, 0 without one
}

// Fragment says that the packet is only a part of one.
func (p *Packet) Fragment() bool { return p.MoreFragments || p.FragmentOffset > 0 }

// UpperLen is the length of the upper layer in octets: transport header and payload.
func (p *Packet) UpperLen() int { return p.TotalLen - p.HeaderLen }

// Flaw is what is wrong with the octets of a packet. The zero value is none.
type Flaw uint8

// Flaws that Parse finds.
const (
	NoFlaw       Flaw = iota
	Truncated         // fewer octets than the headers or the total length announce
	BadVersion        // neither 4 nor 6
	BadHeaderLen      // IPv4 header length below 20 octets, or beyond the total length
	BadExtension      // IPv6 extension headers beyond the packet's end, or more than MaxExtensions
)

// String says it for people.
func (f Flaw) String() string {
	switch f {
	case NoFlaw:
		return "none"
	case Truncated:
		return "truncated"
	case BadVersion:
		return "bad version"
	case BadHeaderLen:
		return "bad header length"
	case BadExtension:
		return "bad extension header"
	}
	return "unknown flaw"
}

// MaxExtensions bounds the IPv6 extension headers that are walked. RFC 8200 §4.1 recommends at most seven.
const MaxExtensions = 8

// Parse finds out what the packet at the start of b is. It does not verify checksums (HeaderChecksumOK,
// TransportChecksumOK), and a transport header that is cut off only means that there are no ports. On a flaw the
// Packet is of no use.
func Parse(b []byte) (Packet, Flaw) {
	if len(b) == 0 {
		return Packet{}, Truncated
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return Packet{}, BadVersion
}

// parseIPv4: RFC 791 §3.1.
func parseIPv4(b []byte) (Packet, Flaw) {
	if len(b) < IPv4HeaderLen {
		return Packet{}, Truncated
	}
	frag := binary.BigEndian.Uint16(b[6:])
	p := Packet{
		Version:        4,
		Protocol:       b[9],
		HeaderLen:      int(b[0]&0x0f) * 4,
		TotalLen:       int(binary.BigEndian.Uint16(b[2:])),
		Src:            netip.AddrFrom4([4]byte(b[12:16])),
		Dst:            netip.AddrFrom4([4]byte(b[16:20])),
		FragmentOffset: int(frag&0x1fff) * 8,
		MoreFragments:  frag&0x2000 != 0,
		DF:             frag&0x4000 != 0,
		ID:             uint32(binary.BigEndian.Uint16(b[4:])),
	}
	if p.HeaderLen < IPv4HeaderLen || p.HeaderLen > p.TotalLen {
		return Packet{}, BadHeaderLen
	}
	if p.TotalLen > len(b) {
		return Packet{}, Truncated
	}
	p.readPorts(b)
	return p, NoFlaw
}

// parseIPv6: RFC 8200 §3.
func parseIPv6(b []byte) (Packet, Flaw) {
	if len(b) < IPv6HeaderLen {
		return Packet{}, Truncated
	}
	p := Packet{
		Version:   6,
		Protocol:  b[6],
		HeaderLen: IPv6HeaderLen,
		TotalLen:  IPv6HeaderLen + int(binary.BigEndian.Uint16(b[4:])),
		Src:       netip.AddrFrom16([16]byte(b[8:24])),
		Dst:       netip.AddrFrom16([16]byte(b[24:40])),
		DF:        true,
	}
	if p.TotalLen > len(b) {
		return Packet{}, Truncated
	}
	if !p.walkExtensions(b[:p.TotalLen]) {
		return Packet{}, BadExtension
	}
	p.readPorts(b)
	return p, NoFlaw
}

// Extension headers of IPv6 that are walked over (RFC 8200 §4; mobility RFC 6275, HIP RFC 7401, Shim6 RFC 5533).
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
	extMobility    = 135
	extHIP         = 139
	extShim6       = 140
)

// walkExtensions moves Protocol and HeaderLen to the upper layer, or to what follows the fragment header of a
// fragment that is not the first. ESP and "no next header" are upper layers here. b is the packet alone.
func (p *Packet) walkExtensions(b []byte) bool {
	for range MaxExtensions + 1 {
		unit := 8
		switch p.Protocol {
		case extHopByHop, extRouting, extDestination, extMobility, extHIP, extShim6, extFragment:
		case ProtoAH:
			unit = 4
		default:
			return true
		}
		rest := b[p.HeaderLen:]
		if len(rest) < 8 {
			return false
		}
		size := 8 + int(rest[1])*unit
		if p.Protocol == extFragment {
			size = 8
			frag := binary.BigEndian.Uint16(rest[2:])
			p.FragmentOffset, p.MoreFragments = int(frag&0xfff8), frag&1 != 0
			p.ID = binary.BigEndian.Uint32(rest[4:])
		}
		if size > len(rest) {
			return false
		}
		p.Protocol = rest[0]
		p.HeaderLen += size
		if p.FragmentOffset > 0 {
			return true // RFC 8200 §4.5: what follows is the middle of something
		}
	}
	return false
}

// readPorts takes ports, or ICMP type and code, from the transport header, if it is there.
func (p *Packet) readPorts(b []byte) {
	if p.FragmentOffset > 0 || p.UpperLen() < 4 {
		return
	}
	upper := b[p.HeaderLen:p.TotalLen]
	switch p.Protocol {
	case ProtoTCP, ProtoUDP, protoSCTP, protoUDPLite, protoDCCP:
		p.SrcPort = binary.BigEndian.Uint16(upper)
		p.DstPort = binary.BigEndian.Uint16(upper[2:])
	case ProtoICMP, ProtoICMPv6:
		p.SrcPort = binary.BigEndian.Uint16(upper)
		p.DstPort = p.SrcPort
	default:
		return
	}
	p.Ports = true
}
