package ip

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum adds the octets of b, as 16-bit numbers, to sum in ones' complement (RFC 1071). The checksum of a header is
// the complement of its sum; over a header with its checksum in place the sum is 0xffff. Pieces may be added one
// after another if all but the last are of even length.
func Sum(b []byte, sum uint16) uint16 {
	// Added little-endian, whole words at a time: the sum does not mind the byte order until the end (RFC 1071 §2).
	acc := uint64(bits.ReverseBytes16(sum))
	var carry uint64
	for len(b) >= 64 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[32:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[40:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[48:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[56:]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail uint64
	for i, c := range b {
		tail |= uint64(c) << (8 * i)
	}
	acc, carry = bits.Add64(acc, tail, carry)
	return bits.ReverseBytes16(fold(acc + carry)) // tail has 56 bits, so the last carry cannot overflow
}

// fold adds up the four 16-bit parts of acc in ones' complement.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc>>16 + acc&0xffff)
}

// UpdateChecksum is the checksum after one 16-bit field of what it covers changed from old to new (RFC 1624 §3).
func UpdateChecksum(check, old, new uint16) uint16 {
	return ^fold(uint64(^check) + uint64(^old) + uint64(new))
}

// PseudoSum is the sum of the pseudo-header of TCP, UDP and ICMPv6: addresses of one family, protocol, and length
// of the upper layer in octets (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1).
func PseudoSum(src, dst netip.Addr, protocol uint8, upperLen int) uint16 {
	sum := fold(uint64(protocol) + uint64(uint32(upperLen)))
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		return Sum(d[:], Sum(s[:], sum))
	}
	s, d := src.As16(), dst.As16()
	return Sum(d[:], Sum(s[:], sum))
}

// checksumAt is where the upper layer has its checksum, and whether a pseudo-header is part of it. Not ok: the
// protocol has none that we know, or the packet is a fragment or too short to have it all.
func (p *Packet) checksumAt() (offset int, pseudo, ok bool) {
	least := 0
	switch p.Protocol {
	case ProtoTCP:
		offset, pseudo, least = 16, true, 20
	case ProtoUDP:
		offset, pseudo, least = 6, true, UDPHeaderLen
	case ProtoICMPv6:
		offset, pseudo, least = 2, true, 4
	case ProtoICMP:
		offset, pseudo, least = 2, false, 4
	default:
		return 0, false, false
	}
	return offset, pseudo, !p.Fragment() && p.UpperLen() >= least
}

func (p *Packet) upperSum(b []byte, pseudo bool) uint16 {
	sum := uint16(0)
	if pseudo {
		sum = PseudoSum(p.Src, p.Dst, p.Protocol, p.UpperLen())
	}
	return Sum(b[p.HeaderLen:p.TotalLen], sum)
}

// TransportChecksumOK verifies the checksum of TCP, UDP, ICMP or ICMPv6 in the packet b that p was parsed from.
// known is false, and ok true, where there is nothing to verify: another protocol, a fragment, UDP over IPv4
// without a checksum. Without one over IPv6 it is wrong (RFC 8200 §8.1).
func (p *Packet) TransportChecksumOK(b []byte) (ok, known bool) {
	offset, pseudo, known := p.checksumAt()
	if !known {
		return true, false
	}
	if p.Protocol == ProtoUDP && binary.BigEndian.Uint16(b[p.HeaderLen+offset:]) == 0 {
		return p.Version == 4, p.Version != 4
	}
	return p.upperSum(b, pseudo) == 0xffff, true
}

// SetTransportChecksum computes the checksum of TCP, UDP, ICMP or ICMPv6 in the packet b that p was parsed from.
// False: there is none to compute (see TransportChecksumOK), and nothing was changed.
func (p *Packet) SetTransportChecksum(b []byte) bool {
	offset, pseudo, ok := p.checksumAt()
	if !ok {
		return false
	}
	field := b[p.HeaderLen+offset:]
	field[0], field[1] = 0, 0
	check := ^p.upperSum(b, pseudo)
	if check == 0 && p.Protocol == ProtoUDP {
		check = 0xffff // RFC 768: 0 would say that there is none
	}
	binary.BigEndian.PutUint16(field, check)
	return true
}

// FinishChecksum completes a checksum whose field holds only the sum of the pseudo-header, as a kernel leaves it
// to whoever sends the packet on (virtio's NEEDS_CSUM): summed from octet start to the end of b, put at
// start+offset. False: the place is not in b.
func FinishChecksum(b []byte, start, offset int) bool {
	if start < 0 || offset < 0 || start > len(b) || offset > len(b)-start-2 {
		return false
	}
	check := ^Sum(b[start:], 0)
	if check == 0 {
		check = 0xffff // the same number in ones' complement, and never UDP's "no checksum"
	}
	binary.BigEndian.PutUint16(b[start+offset:], check)
	return true
}
