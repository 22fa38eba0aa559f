package isakmp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// UDP ports of IKE (RFC 7296 §2, §2.23).
const (
	Port    = 500  // IKE without marker
	PortNAT = 4500 // IKE behind the non-ESP marker, and ESP in UDP
)

// HeaderLen is the length of the fixed header in octets (RFC 7296 §3.1).
const HeaderLen = 28

// Versions as they stand in the header: major in the high four bits, minor in the low four.
const (
	Version1 = 0x10
	Version2 = 0x20
)

// SPI identifies an IKE SA at one of its ends. Zero is "not known yet" (RFC 7296 §2.6).
type SPI uint64

// String is the SPI as 16 upper-case hexadecimal digits.
func (s SPI) String() string { return fmt.Sprintf("%016X", uint64(s)) }

// Header is the fixed header of every IKE message (RFC 7296 §3.1).
type Header struct {
	SPIi, SPIr  SPI
	NextPayload uint8    // type of the first payload, 0: none
	Version     uint8    // major<<4 | minor
	Exchange    Exchange // for IKEv1: the exchange types of RFC 2408
	Flags       Flags
	MessageID   uint32
	Length      uint32 // octets of the whole message, header included, marker excluded
}

var (
	// ErrShort says that a datagram cannot even hold the header.
	ErrShort = errors.New("IKE message shorter than its header")
	// ErrLength says that the header's Length is not the length of the datagram.
	ErrLength = errors.New("IKE message length does not match the datagram")
)

// ParseHeader reads the header at the start of b, which must be one whole message without the non-ESP marker.
// It checks that b holds a header (ErrShort) and that Length is len(b) (ErrLength), nothing else: version,
// exchange and SPIs are for the caller to judge. On ErrLength the header is returned as read.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, fmt.Errorf("%w: %d octets", ErrShort, len(b))
	}
	h := Header{
		SPIi:        SPI(binary.BigEndian.Uint64(b)),
		SPIr:        SPI(binary.BigEndian.Uint64(b[8:])),
		NextPayload: b[16],
		Version:     b[17],
		Exchange:    Exchange(b[18]),
		Flags:       Flags(b[19]),
		MessageID:   binary.BigEndian.Uint32(b[20:]),
		Length:      binary.BigEndian.Uint32(b[24:]),
	}
	if uint64(h.Length) != uint64(len(b)) {
		return h, fmt.Errorf("%w: %d announced, %d received", ErrLength, h.Length, len(b))
	}
	return h, nil
}

// Append appends the 28 octets of h to b. Every field is written as it stands.
func (h Header) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.SPIi))
	b = binary.BigEndian.AppendUint64(b, uint64(h.SPIr))
	b = append(b, h.NextPayload, h.Version, uint8(h.Exchange), uint8(h.Flags))
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}

// Major is the major version: 1 or 2, or one that we do not speak (RFC 7296 §2.5).
func (h Header) Major() uint8 { return h.Version >> 4 }

// Response says that the message answers a request with the same Message ID (RFC 7296 §3.1).
func (h Header) Response() bool { return h.Flags&FlagResponse != 0 }

// FromInitiator says that the sender is the original initiator of the IKE SA, which after a rekey is whoever
// initiated that rekey; it does not tell who initiated this exchange (RFC 7296 §3.1).
func (h Header) FromInitiator() bool { return h.Flags&FlagInitiator != 0 }

// ReceiverSPI is the SPI that the receiver of the message chose: the one to look the IKE SA up by, alone and
// without the address (RFC 7296 §2.6). Zero in the request that opens an IKE SA.
func (h Header) ReceiverSPI() SPI {
	if h.FromInitiator() {
		return h.SPIr
	}
	return h.SPIi
}
