package ike2

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Fixed parts of the substructures, in octets (RFC 7296 §3.3.1, §3.3.2).
const (
	proposalLen  = 8
	transformLen = 8
)

// MaxProposals bounds the proposals of one SA payload. Real offers have one to four.
const MaxProposals = 64

// First octet of a substructure: is it the last one, or do more follow (RFC 7296 §3.3.1, §3.3.2)?
const (
	lastSubstructure = 0
	moreProposals    = 2
	moreTransforms   = 3
)

// SA is the Security Association payload: proposals from most to least preferred (RFC 7296 §3.3).
type SA struct {
	Proposals []Proposal
}

// Proposal is one way to protect traffic (RFC 7296 §3.3.1). Transforms of the same type are alternatives.
type Proposal struct {
	Number     uint8 // 1, 2, 3… in an offer; the accepted one's in an answer
	Protocol   Protocol
	SPI        []byte // the sender's: none or 8 octets for IKE, 4 for AH and ESP
	Transforms []Transform
}

// SPI32 is the SPI of an AH or ESP proposal.
func (p Proposal) SPI32() (uint32, bool) {
	if len(p.SPI) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p.SPI), true
}

// String is the proposal for a log line: "1:ESP AES_GCM_16_256/ESN_NONE".
func (p Proposal) String() string {
	names := make([]string, len(p.Transforms))
	for i, t := range p.Transforms {
		names[i] = t.String()
	}
	return fmt.Sprintf("%d:%v %s", p.Number, p.Protocol, strings.Join(names, "/"))
}

// String is all proposals, comma-separated.
func (s *SA) String() string {
	names := make([]string, len(s.Proposals))
	for i, p := range s.Proposals {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}

// Type is PayloadSA.
func (s *SA) Type() PayloadType { return PayloadSA }

// AppendBody implements Payload.
func (s *SA) AppendBody(b []byte) []byte {
	for i, p := range s.Proposals {
		b = p.append(b, i == len(s.Proposals)-1)
	}
	return b
}

func (p Proposal) append(b []byte, last bool) []byte {
	start := len(b)
	b = append(b, substructure(last, moreProposals), 0, 0, 0,
		p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	b = append(b, p.SPI...)
	for i, t := range p.Transforms {
		b = t.append(b, i == len(p.Transforms)-1)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

func substructure(last bool, more byte) byte {
	if last {
		return lastSubstructure
	}
	return more
}

// parseSA reads the proposals, which must fill b exactly and be at least one (RFC 7296 §3.3). Their numbers are
// not judged here: what they must be depends on whether they are an offer or an answer.
func parseSA(b []byte) (*SA, *SyntaxError) {
	s := &SA{}
	for off := 0; ; {
		if len(s.Proposals) == MaxProposals {
			return nil, syntaxf(off, "more than %d proposals", MaxProposals)
		}
		n, last, err := parseSubstructure(b, off, proposalLen, moreProposals, "proposal")
		if err != nil {
			return nil, err
		}
		p, err := parseProposal(b[off : off+n])
		if err != nil {
			err.Offset += off
			return nil, err
		}
		s.Proposals = append(s.Proposals, p)
		off += n
		if last {
			if off != len(b) {
				return nil, syntaxf(off, "%d octets after the last proposal", len(b)-off)
			}
			return s, nil
		}
	}
}

// parseSubstructure reads the head that proposals and transforms share: is it the last one, and how long. The
// length is at least fixed and no longer than b[off:].
func parseSubstructure(b []byte, off, fixed int, more byte, name string) (n int, last bool, err *SyntaxError) {
	rest := b[off:]
	if len(rest) < fixed {
		return 0, false, syntaxf(off, "%d octets are left for a %s of at least %d", len(rest), name, fixed)
	}
	if rest[0] != lastSubstructure && rest[0] != more {
		return 0, false, syntaxf(off, "%s is neither last (0) nor followed by another (%d): %d", name, more, rest[0])
	}
	n = int(binary.BigEndian.Uint16(rest[2:]))
	if n < fixed || n > len(rest) {
		return 0, false, syntaxf(off+2, "%s length %d, must be %d to %d", name, n, fixed, len(rest))
	}
	return n, rest[0] == lastSubstructure, nil
}

// parseProposal reads one proposal, which fills b. The number of transforms must be the one announced and
// their lengths must add up; a proposal without any is for policy to refuse (RFC 7296 §3.3.6).
func parseProposal(b []byte) (Proposal, *SyntaxError) {
	p := Proposal{Number: b[4], Protocol: Protocol(b[5])}
	spiLen, count := int(b[6]), int(b[7])
	if !spiLenFits(p.Protocol, spiLen) {
		return p, syntaxf(6, "SPI of %d octets for %v", spiLen, p.Protocol)
	}
	off := proposalLen + spiLen
	if off > len(b) {
		return p, syntaxf(6, "SPI of %d octets in a proposal of %d", spiLen, len(b))
	}
	if spiLen > 0 {
		p.SPI = b[proposalLen:off:off]
	}
	for i := range count {
		n, last, err := parseSubstructure(b, off, transformLen, moreTransforms, "transform")
		if err != nil {
			return p, err
		}
		if last != (i == count-1) {
			return p, syntaxf(off, "transform %d of %d: wrong mark of the last one", i+1, count)
		}
		t, err := parseTransform(b[off : off+n])
		if err != nil {
			err.Offset += off
			return p, err
		}
		p.Transforms = append(p.Transforms, t)
		off += n
	}
	if off != len(b) {
		return p, syntaxf(off, "%d octets after transform %d, the last", len(b)-off, count)
	}
	return p, nil
}

// spiLenFits: RFC 7296 §3.3.1. Of a protocol that we do not know we do not know the SPI either.
func spiLenFits(p Protocol, n int) bool {
	switch p {
	case ProtoIKE:
		return n == 0 || n == 8
	case ProtoAH, ProtoESP:
		return n == 4
	}
	return true
}
