package ip

import (
	"encoding/binary"
	"net/netip"
)

// Header is an IP header to be written: IPv4 without options or IPv6 without extension headers, by the family of
// the addresses, which must be the same.
type Header struct {
	Src, Dst     netip.Addr
	Protocol     uint8
	TrafficClass uint8
	TTL          uint8
	DF           bool   // IPv4
	ID           uint16 // IPv4: not 0 where the packet may be fragmented (RFC 6864 §4)
	FlowLabel    uint32 // IPv6: 20 bits
}

// Len is the length of the header in octets.
func (h *Header) Len() int {
	if h.Src.Is4() {
		return IPv4HeaderLen
	}
	return IPv6HeaderLen
}

// Put writes the header before payloadLen octets of payload, checksum included, and returns its length. b must
// have room for it.
func (h *Header) Put(b []byte, payloadLen int) int {
	if h.Src.Is4() {
		return h.putIPv4(b, payloadLen)
	}
	return h.putIPv6(b, payloadLen)
}

func (h *Header) putIPv4(b []byte, payloadLen int) int {
	b = b[:IPv4HeaderLen]
	b[0], b[1] = 0x45, h.TrafficClass
	binary.BigEndian.PutUint16(b[2:], uint16(IPv4HeaderLen+payloadLen))
	binary.BigEndian.PutUint16(b[4:], h.ID)
	b[6], b[7] = 0, 0
	if h.DF {
		b[6] = 0x40
	}
	b[8], b[9] = h.TTL, h.Protocol
	src, dst := h.Src.As4(), h.Dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	SetHeaderChecksum(b)
	return IPv4HeaderLen
}

func (h *Header) putIPv6(b []byte, payloadLen int) int {
	b = b[:IPv6HeaderLen]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[4:], uint16(payloadLen))
	b[6], b[7] = h.Protocol, h.TTL
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return IPv6HeaderLen
}

// PutUDP writes a UDP header before payloadLen octets, with checksum 0: right for ESP in UDP over IPv4 (RFC 3948
// §2.1); otherwise Packet.SetTransportChecksum computes it once the payload is there. It returns the length of
// the header; b must have room for it.
func PutUDP(b []byte, srcPort, dstPort uint16, payloadLen int) int {
	b = b[:UDPHeaderLen]
	binary.BigEndian.PutUint16(b, srcPort)
	binary.BigEndian.PutUint16(b[2:], dstPort)
	binary.BigEndian.PutUint16(b[4:], uint16(UDPHeaderLen+payloadLen))
	b[6], b[7] = 0, 0
	return UDPHeaderLen
}

// DefaultTTL is the hop limit of packets that start here.
const DefaultTTL = 64

// AppendUDP appends a whole UDP packet with both checksums: for probes and tests. Both addresses must be of one
// family.
func AppendUDP(b []byte, src, dst netip.AddrPort, payload []byte) []byte {
	h := Header{Src: src.Addr(), Dst: dst.Addr(), Protocol: ProtoUDP, TTL: DefaultTTL, ID: 1}
	start := len(b)
	b = append(b, make([]byte, h.Len()+UDPHeaderLen)...)
	b = append(b, payload...)
	pkt := b[start:]
	n := h.Put(pkt, UDPHeaderLen+len(payload))
	PutUDP(pkt[n:], src.Port(), dst.Port(), len(payload))
	if p, flaw := Parse(pkt); flaw == NoFlaw {
		p.SetTransportChecksum(pkt)
	}
	return b
}

// Marks the payload of a numbered packet, before the number.
const numberedMark = "LOCKSTEP"

// MinNumbered is the shortest payload of a numbered packet in octets: mark and number.
const MinNumbered = len(numberedMark) + 8

// AppendNumbered appends a UDP packet whose payload carries a number, to be recognised by Number at the far end of
// a path. The payload has payloadLen octets, MinNumbered at the least; what is behind the number is filled with
// octets that follow from it.
func AppendNumbered(b []byte, src, dst netip.AddrPort, number uint64, payloadLen int) []byte {
	payload := make([]byte, max(payloadLen, MinNumbered))
	copy(payload, numberedMark)
	binary.BigEndian.PutUint64(payload[len(numberedMark):], number)
	for i := MinNumbered; i < len(payload); i++ {
		payload[i] = byte(number) + byte(i)
	}
	return AppendUDP(b, src, dst, payload)
}

// Number is the number of a packet made by AppendNumbered. Not ok: the packet is another one, or an octet of
// its payload is not as it was sent.
func Number(pkt []byte) (number uint64, ok bool) {
	p, flaw := Parse(pkt)
	if flaw != NoFlaw || p.Protocol != ProtoUDP || p.Fragment() || p.UpperLen() < UDPHeaderLen+MinNumbered {
		return 0, false
	}
	payload := pkt[p.HeaderLen+UDPHeaderLen : p.TotalLen]
	if string(payload[:len(numberedMark)]) != numberedMark {
		return 0, false
	}
	number = binary.BigEndian.Uint64(payload[len(numberedMark):])
	for i := MinNumbered; i < len(payload); i++ {
		if payload[i] != byte(number)+byte(i) {
			return 0, false
		}
	}
	return number, true
}
