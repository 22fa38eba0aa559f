package ip

import "encoding/binary"

// ECN code points, the low two bits of the traffic class (RFC 3168 §5).
const (
	NotECT uint8 = 0
	ECT1   uint8 = 1
	ECT0   uint8 = 2
	CE     uint8 = 3
)

// TrafficClass is IPv4's TOS octet or IPv6's traffic class: DSCP<<2 | ECN.
func TrafficClass(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return b[1]
	}
	return b[0]<<4 | b[1]>>4
}

// DSCP is the packet's differentiated services code point (RFC 2474 §3).
func DSCP(b []byte) uint8 { return TrafficClass(b) >> 2 }

// ECN is the packet's congestion notification field (RFC 3168 §5).
func ECN(b []byte) uint8 { return TrafficClass(b) & 3 }

// SetTrafficClass writes DSCP and ECN, and corrects IPv4's header checksum.
func SetTrafficClass(b []byte, class uint8) {
	if b[0]>>4 == 4 {
		old := binary.BigEndian.Uint16(b)
		b[1] = class
		updateHeader(b, old, binary.BigEndian.Uint16(b))
		return
	}
	b[0] = b[0]&0xf0 | class>>4
	b[1] = b[1]&0x0f | class<<4
}

// SetECN writes the congestion notification field alone.
func SetECN(b []byte, ecn uint8) { SetTrafficClass(b, TrafficClass(b)&^3|ecn&3) }

// DecapsulatedECN is the field that an inner packet leaves a tunnel with, given what it and its outer header came
// with (RFC 6040 §4.2, table 4). Not ok: the outer header met congestion and the inner packet cannot say so, so
// the packet must be dropped.
func DecapsulatedECN(inner, outer uint8) (ecn uint8, ok bool) {
	switch {
	case outer == CE && inner == NotECT:
		return inner, false
	case outer == CE:
		return CE, true
	case outer == ECT1 && inner == ECT0:
		return ECT1, true
	}
	return inner, true
}

// TTL is IPv4's time to live or IPv6's hop limit.
func TTL(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return b[8]
	}
	return b[7]
}

// DecrementTTL takes one from TTL or hop limit, and corrects IPv4's header checksum. False: it was 0 or 1, so the
// packet must not be forwarded, and is not changed (RFC 1812 §5.3.1, RFC 8200 §3).
func DecrementTTL(b []byte) bool {
	at := 7
	if b[0]>>4 == 4 {
		at = 8
	}
	if b[at] <= 1 {
		return false
	}
	if at == 7 {
		b[at]--
		return true
	}
	old := binary.BigEndian.Uint16(b[8:])
	b[at]--
	updateHeader(b, old, binary.BigEndian.Uint16(b[8:]))
	return true
}

// SetDF sets or clears IPv4's don't-fragment bit and corrects the header checksum; IPv6 has none.
func SetDF(b []byte, df bool) {
	if b[0]>>4 != 4 {
		return
	}
	old := binary.BigEndian.Uint16(b[6:])
	frag := old &^ 0x4000
	if df {
		frag |= 0x4000
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	updateHeader(b, old, frag)
}

// HeaderChecksumOK verifies an IPv4 header's checksum; IPv6 has none (RFC 791 §3.1).
func HeaderChecksumOK(b []byte) bool {
	return b[0]>>4 != 4 || Sum(b[:int(b[0]&0x0f)*4], 0) == 0xffff
}

// SetHeaderChecksum computes an IPv4 header's checksum anew; IPv6 has none.
func SetHeaderChecksum(b []byte) {
	if b[0]>>4 != 4 {
		return
	}
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^Sum(b[:int(b[0]&0x0f)*4], 0))
}

func updateHeader(b []byte, old, new uint16) {
	binary.BigEndian.PutUint16(b[10:], UpdateChecksum(binary.BigEndian.Uint16(b[10:]), old, new))
}
