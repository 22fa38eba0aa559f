package ike

import (
	"encoding/binary"
	"fmt"

	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

// ESPSuite is the outcome of negotiating a child SA.
type ESPSuite struct {
	Cipher suite.Cipher
	ESN    bool
	Group  uint16 // 0: no new key exchange
	SPI    sa.SPI // the peer's: what it expects in packets from us
}

// PFS says which key exchange a child negotiation may have.
type PFS struct {
	// First: the child of IKE_AUTH, which never has one (RFC 7296 §1.2).
	First bool
	// Group of `set pfs`; 0: we ask for none, and accept what the peer asks for, as IOS does.
	Group uint16
}

// groups are the permitted DH transforms; ke is the group of the peer's KE payload, 0 if there was none.
func (p PFS) groups(ke uint16) []uint16 {
	switch {
	case p.First:
		return []uint16{ike2.DHNone}
	case p.Group != 0:
		return []uint16{p.Group}
	}
	supported := []uint16{suite.GroupCurve25519, suite.GroupECP256, suite.GroupECP384, suite.GroupMODP2048}
	if ke == 0 {
		return append([]uint16{ike2.DHNone}, supported...)
	}
	return append(preferred(supported, ke), ike2.DHNone)
}

func espOptions(set policy.TransformSet, groups []uint16) options {
	// RFC 7296 §3.3.3: Sequence Numbers is mandatory for ESP. Whoever can do the longer ones can do the shorter.
	esn := []uint16{ike2.ESNNone}
	if set.ESN {
		esn = []uint16{ike2.ESNYes, ike2.ESNNone}
	}
	return options{
		ike2.ENCR:  {{Type: ike2.ENCR, ID: set.Cipher.Encr, KeyLength: set.Cipher.KeyBits}},
		ike2.INTEG: plain(ike2.INTEG, []uint16{set.Cipher.Integ}),
		ike2.DH:    plain(ike2.DH, groups),
		ike2.ESN:   plain(ike2.ESN, esn),
	}
}

// OfferESP is the SA payload's proposals for a child SA: one for each transform set, all with our inbound SPI.
func OfferESP(sets []policy.TransformSet, pfs PFS, spi sa.SPI) []ike2.Proposal {
	var groups []uint16
	if !pfs.First && pfs.Group != 0 {
		groups = []uint16{pfs.Group}
	}
	out := make([]ike2.Proposal, len(sets))
	for i, set := range sets {
		out[i] = ike2.Proposal{Number: uint8(i + 1), Protocol: ike2.ProtoESP, SPI: espSPI(spi),
			Transforms: espOptions(set, groups).all(ike2.ENCR, ike2.INTEG, ike2.DH, ike2.ESN)}
	}
	return out
}

func espSPI(spi sa.SPI) []byte { return binary.BigEndian.AppendUint32(nil, uint32(spi)) }

// ChooseESP picks from offered what the transform sets permit, in our order, and makes the answer but for its SPI, which
// AnswerESP fills in. ke is the group of the peer's KE payload, 0 if there was none. False: NO_PROPOSAL_CHOSEN.
func ChooseESP(sets []policy.TransformSet, pfs PFS, offered []ike2.Proposal, ke uint16) (ESPSuite, ike2.Proposal, bool) {
	for _, set := range sets {
		o := espOptions(set, pfs.groups(ke))
		for _, theirs := range offered {
			if theirs.Protocol != ike2.ProtoESP {
				continue
			}
			if pfs.First {
				theirs.Transforms = withoutDH(theirs.Transforms)
			}
			chosen, ok := o.pick(theirs)
			if !ok {
				continue
			}
			if s, err := espSuite(chosen, theirs); err == nil {
				return s, ike2.Proposal{Number: theirs.Number, Protocol: ike2.ProtoESP, Transforms: chosen}, true
			}
		}
	}
	return ESPSuite{}, ike2.Proposal{}, false
}

// withoutDH: RFC 7296 §1.2 wants no DH transform in IKE_AUTH; peers that send one mean their rekeys.
func withoutDH(ts []ike2.Transform) []ike2.Transform {
	var out []ike2.Transform
	for _, t := range ts {
		if t.Type != ike2.DH {
			out = append(out, t)
		}
	}
	return out
}

// AnswerESP is the chosen proposal with our inbound SPI.
func AnswerESP(chosen ike2.Proposal, spi sa.SPI) ike2.Proposal {
	chosen.SPI = espSPI(spi)
	return chosen
}

// CheckESP is the initiator's check of a choice. Errors wrap ErrAnswer.
func CheckESP(offer, answer []ike2.Proposal) (ESPSuite, error) {
	a, err := checkAnswer(offer, answer)
	if err != nil {
		return ESPSuite{}, err
	}
	return espSuite(a.Transforms, a)
}

func espSuite(ts []ike2.Transform, p ike2.Proposal) (ESPSuite, error) {
	s := ESPSuite{Cipher: cipherOf(ts)}
	s.Group, _ = transformOf(ts, ike2.DH)
	esn, _ := transformOf(ts, ike2.ESN)
	s.ESN = esn == ike2.ESNYes
	spi, ok := p.SPI32()
	if !ok || spi < 256 { // RFC 4303 §2.1: 0 to 255 are reserved
		return s, fmt.Errorf("%w: ESP SPI %x", ErrAnswer, p.SPI)
	}
	s.SPI = sa.SPI(spi)
	return s, s.Cipher.Check()
}
