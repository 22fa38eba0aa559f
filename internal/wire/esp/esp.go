// Package esp is the outside of ESP packets: the header that is in the clear, the arithmetic of the trailer, the
// shortest lengths that make sense (RFC 4303 §2). It is not cryptography (internal/suite) and keeps no state; the
// datapath's workers call it for every packet, so nothing here allocates.
//
//	SPI 4 | sequence number 4 | IV | payload | padding 0-255 | pad length 1 | next header 1 | ICV
package esp

import "encoding/binary"

// Lengths in octets (RFC 4303 §2).
const (
	HeaderLen  = 8   // SPI and sequence number
	TrailerLen = 2   // pad length and next header
	MaxPad     = 255 // what the pad length field can express
	MinAlign   = 4   // the trailer ends on a multiple of it, whatever the cipher (RFC 4303 §2.4)
)

// MinLen is the length of the shortest packet that any usual suite can make: header, trailer padded to four
// octets, and an ICV of 12 behind NULL encryption. What is shorter is garbage.
const MinLen = HeaderLen + 4 + 12

// MinLenImplicitIV is the same where CCM-8 with an implicit IV is allowed (RFC 8750): an ICV of eight octets.
const MinLenImplicitIV = HeaderLen + 4 + 8

// Next header values of what ESP carries.
const (
	NextIPv4  = 4  // IPv4 in tunnel mode
	NextIPv6  = 41 // IPv6 in tunnel mode
	NextDummy = 59 // dummy packet: to be dropped without a word after it was verified (RFC 4303 §2.6)
)

// SPI values that are never one of an SA: 0 is for local use, 1 to 255 are reserved (RFC 4303 §2.1).
const MinSPI = 256

// Parse reads the clear header: SPI and the low half of the sequence number. Not ok: b is shorter than that.
func Parse(b []byte) (spi, seq uint32, ok bool) {
	if len(b) < HeaderLen {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), true
}

// PutHeader writes SPI and sequence number into the first HeaderLen octets of b, which must be there.
func PutHeader(b []byte, spi, seq uint32) {
	_ = b[HeaderLen-1]
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
}

// PadLen is the number of padding octets that make payload, padding and the two octets of the trailer a multiple
// of blockAlign, and of four at the least (RFC 4303 §2.4). blockAlign is the cipher's block size, 1 for a stream
// cipher; it must be a power of two up to 256. The answer is below the greater of both.
func PadLen(payloadLen, blockAlign int) int {
	align := max(blockAlign, MinAlign)
	return -(payloadLen + TrailerLen) & (align - 1)
}

// SealedLen is the length of the whole packet for a payload, given the cipher's block size, IV and ICV.
func SealedLen(payloadLen, blockAlign, ivLen, icvLen int) int {
	return HeaderLen + ivLen + payloadLen + PadLen(payloadLen, blockAlign) + TrailerLen + icvLen
}

// MaxPayload is the longest payload whose packet is not longer than packetLen: the inverse of SealedLen. Zero or
// less: not even an empty one fits.
func MaxPayload(packetLen, blockAlign, ivLen, icvLen int) int {
	align := max(blockAlign, MinAlign)
	sealed := packetLen - HeaderLen - ivLen - icvLen
	return sealed&^(align-1) - TrailerLen
}

// PutTrailer writes padding 1, 2, 3…, its length and the next header at b[payloadLen:] and returns the length of
// payload and trailer together. b must be long enough for it; pad is PadLen's answer (RFC 4303 §2.4).
func PutTrailer(b []byte, payloadLen, pad int, next uint8) int {
	t := b[payloadLen : payloadLen+pad+TrailerLen]
	for i := range pad {
		t[i] = byte(i + 1)
	}
	t[pad], t[pad+1] = byte(pad), next
	return payloadLen + pad + TrailerLen
}

// Trailer divides the decrypted b (payload, padding, trailer; no ICV) after the ICV has been verified: the
// payload is b[:payloadLen]. Not ok: b is too short for its pad length, or the padding is not 1, 2, 3…, which a
// receiver should inspect (RFC 4303 §2.4).
func Trailer(b []byte) (payloadLen int, next uint8, ok bool) {
	if len(b) < TrailerLen {
		return 0, 0, false
	}
	pad := int(b[len(b)-2])
	payloadLen = len(b) - TrailerLen - pad
	if payloadLen < 0 {
		return 0, 0, false
	}
	for i, c := range b[payloadLen : payloadLen+pad] {
		if c != byte(i+1) {
			return 0, 0, false
		}
	}
	return payloadLen, b[len(b)-1], true
}
