package ip

import (
	"encoding/binary"
	"net/netip"
)

// ICMP types and codes of path MTU discovery (RFC 1191 §4, RFC 4443 §3.2).
const (
	icmpUnreachable    = 3
	icmpFragNeeded     = 4
	icmpv6PacketTooBig = 2
	icmpv6Informative  = 128 // types from here are no errors (RFC 4443 §2.1)

	icmpHeaderLen = 8
)

// Longest ICMP errors in octets, IP header included: an error quotes what fits (RFC 1812 §4.3.2.3, RFC 4443
// §2.4(c)).
const (
	maxICMPv4Error = 576
	maxICMPv6Error = 1280
)

// Least MTUs that may be announced: RFC 791 §3.2 (68 octets, every module must forward), RFC 8200 §5.
const (
	MinMTUv4 = 68
	MinMTUv6 = 1280
)

// AppendTooBig appends the ICMP error that tells the sender of pkt that packets on its path may have mtu octets
// at most: "fragmentation needed" for IPv4 (RFC 1191 §4), "packet too big" for IPv6 (RFC 4443 §3.2), from the
// address from, of the packet's family. Nothing is appended, and false returned, where no error may be sent: the
// packet has a flaw, is an ICMP error or a fragment other than the first, or comes from or, for IPv4, goes to an
// address that is not one host's (RFC 1122 §3.2.2, RFC 4443 §2.4(e)).
func AppendTooBig(b []byte, from netip.Addr, mtu int, pkt []byte) ([]byte, bool) {
	p, flaw := Parse(pkt)
	if flaw != NoFlaw || !p.mayCauseError(pkt) || from.Is4() != (p.Version == 4) {
		return b, false
	}
	pkt = pkt[:p.TotalLen]
	if p.Version == 4 {
		return appendFragNeeded(b, from, mtu, &p, pkt), true
	}
	return appendPacketTooBig(b, from, mtu, &p, pkt), true
}

func appendFragNeeded(b []byte, from netip.Addr, mtu int, p *Packet, pkt []byte) []byte {
	var msg [icmpHeaderLen]byte
	msg[0], msg[1] = icmpUnreachable, icmpFragNeeded
	binary.BigEndian.PutUint16(msg[6:], uint16(min(max(mtu, MinMTUv4), 0xffff)))
	quote := pkt[:min(len(pkt), maxICMPv4Error-IPv4HeaderLen-icmpHeaderLen)]
	h := Header{Src: from, Dst: p.Src, Protocol: ProtoICMP, TTL: DefaultTTL, TrafficClass: 6 << 5} // RFC 1812 §4.3.2.5
	return appendError(b, &h, msg, quote)
}

func appendPacketTooBig(b []byte, from netip.Addr, mtu int, p *Packet, pkt []byte) []byte {
	var msg [icmpHeaderLen]byte
	msg[0] = icmpv6PacketTooBig
	binary.BigEndian.PutUint32(msg[4:], uint32(max(mtu, MinMTUv6)))
	quote := pkt[:min(len(pkt), maxICMPv6Error-IPv6HeaderLen-icmpHeaderLen)]
	h := Header{Src: from, Dst: p.Src, Protocol: ProtoICMPv6, TTL: DefaultTTL}
	return appendError(b, &h, msg, quote)
}

// appendError puts header, message and quote together and computes the checksum.
func appendError(b []byte, h *Header, msg [icmpHeaderLen]byte, quote []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, h.Len())...)
	b = append(b, msg[:]...)
	b = append(b, quote...)
	pkt := b[start:]
	h.Put(pkt, icmpHeaderLen+len(quote))
	if p, flaw := Parse(pkt); flaw == NoFlaw {
		p.SetTransportChecksum(pkt)
	}
	return b
}

// mayCauseError: see AppendTooBig.
func (p *Packet) mayCauseError(pkt []byte) bool {
	if p.FragmentOffset > 0 || p.Src.IsUnspecified() || p.Src.IsMulticast() {
		return false
	}
	if p.Version == 6 {
		return p.Protocol != ProtoICMPv6 || p.UpperLen() > 0 && pkt[p.HeaderLen] >= icmpv6Informative
	}
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if p.Src.IsLoopback() || p.Src == broadcast || p.Dst == broadcast || p.Dst.IsMulticast() {
		return false
	}
	return p.Protocol != ProtoICMP || p.UpperLen() > 0 && !icmpv4Error(pkt[p.HeaderLen])
}

// icmpv4Error: unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122 §3.2.2).
func icmpv4Error(kind uint8) bool {
	return kind == icmpUnreachable || kind == 4 || kind == 5 || kind == 11 || kind == 12
}
