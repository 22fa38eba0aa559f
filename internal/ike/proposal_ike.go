package ike

import (
	"encoding/binary"
	"fmt"

	"lockstep/internal/policy"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// IKESuite is the outcome of negotiating an IKE SA.
type IKESuite struct {
	Cipher suite.Cipher
	PRF    suite.PRF
	Group  uint16
	SPI    isakmp.SPI // the peer's, of a rekey; 0 in IKE_SA_INIT
}

// variants are the wire proposals of one policy proposal: AEAD and other ciphers stand apart, because INTEG belongs to
// the latter only (RFC 7296 §3.3). Where no PRF is configured it follows from the integrity algorithms.
func variants(p policy.IKEProposal) []options {
	var aead, other []ike2.Transform
	for _, c := range p.Encr {
		t := ike2.Transform{Type: ike2.ENCR, ID: c.Encr, KeyLength: c.KeyBits}
		if (suite.Cipher{Encr: c.Encr}).AEAD() {
			aead = append(aead, t)
		} else {
			other = append(other, t)
		}
	}
	prf, dh := plain(ike2.PRF, prfs(p)), plain(ike2.DH, p.Groups)
	var out []options
	if len(aead) > 0 {
		out = append(out, options{ike2.ENCR: aead, ike2.PRF: prf, ike2.INTEG: plain(ike2.INTEG, []uint16{ike2.IntegNone}), ike2.DH: dh})
	}
	if len(other) > 0 && len(p.Integ) > 0 {
		out = append(out, options{ike2.ENCR: other, ike2.PRF: prf, ike2.INTEG: plain(ike2.INTEG, p.Integ), ike2.DH: dh})
	}
	return out
}

func prfs(p policy.IKEProposal) []uint16 {
	if len(p.PRF) > 0 {
		return p.PRF
	}
	var out []uint16
	for _, integ := range p.Integ {
		switch integ {
		case suite.IntegHMACSHA256:
			out = append(out, suite.PRFHMACSHA256)
		case suite.IntegHMACSHA384:
			out = append(out, suite.PRFHMACSHA384)
		case suite.IntegHMACSHA512:
			out = append(out, suite.PRFHMACSHA512)
		}
	}
	if len(out) == 0 {
		out = []uint16{suite.PRFHMACSHA256}
	}
	return out
}

// OfferIKE is the SA payload's proposals for an IKE SA, most preferred first. spi is ours in a rekey (RFC 7296 §3.3.1:
// 8 octets), 0 in IKE_SA_INIT (none).
func OfferIKE(own []policy.IKEProposal, spi isakmp.SPI) []ike2.Proposal {
	var out []ike2.Proposal
	for _, p := range own {
		for _, o := range variants(p) {
			out = append(out, ike2.Proposal{Number: uint8(len(out) + 1), Protocol: ike2.ProtoIKE, SPI: ikeSPI(spi),
				Transforms: o.all(ike2.ENCR, ike2.PRF, ike2.INTEG, ike2.DH)})
		}
	}
	return out
}

// all lists the options of the named types; NONE is not sent (RFC 7296 §3.3.3 recommends absence).
func (o options) all(kinds ...ike2.TransformType) []ike2.Transform {
	var out []ike2.Transform
	for _, kind := range kinds {
		for _, t := range o[kind] {
			if t.ID != 0 || kind == ike2.ESN {
				out = append(out, t)
			}
		}
	}
	return out
}

func ikeSPI(spi isakmp.SPI) []byte {
	if spi == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, uint64(spi))
}

// ChooseIKE picks from offered what own permits, by our order of preference, and makes the answer with the number of the
// accepted proposal and our spi (0 in IKE_SA_INIT). group is that of the peer's KE payload: it is taken where permitted.
// False: NO_PROPOSAL_CHOSEN. If the suite's group is not group, INVALID_KE_PAYLOAD with the former is due.
func ChooseIKE(own []policy.IKEProposal, offered []ike2.Proposal, group uint16, spi isakmp.SPI) (IKESuite, ike2.Proposal, bool) {
	for _, p := range own {
		p.Groups = preferred(p.Groups, group)
		for _, o := range variants(p) {
			for _, theirs := range offered {
				if theirs.Protocol != ike2.ProtoIKE || len(theirs.SPI) != len(ikeSPI(spi)) {
					continue
				}
				if chosen, ok := o.pick(theirs); ok {
					s, err := ikeSuite(chosen, theirs.SPI)
					if err != nil {
						continue
					}
					return s, ike2.Proposal{Number: theirs.Number, Protocol: ike2.ProtoIKE, SPI: ikeSPI(spi), Transforms: chosen}, true
				}
			}
		}
	}
	return IKESuite{}, ike2.Proposal{}, false
}

// CheckIKE is the initiator's check of a choice. Errors wrap ErrAnswer.
func CheckIKE(offer, answer []ike2.Proposal) (IKESuite, error) {
	a, err := checkAnswer(offer, answer)
	if err != nil {
		return IKESuite{}, err
	}
	if len(a.SPI) != len(offer[0].SPI) {
		return IKESuite{}, fmt.Errorf("%w: SPI of %d octets", ErrAnswer, len(a.SPI))
	}
	return ikeSuite(a.Transforms, a.SPI)
}

// ikeSuite reads a choice; it fails for what suite does not implement, or an SPI of zero.
func ikeSuite(ts []ike2.Transform, spi []byte) (IKESuite, error) {
	s := IKESuite{Cipher: cipherOf(ts)}
	id, _ := transformOf(ts, ike2.PRF)
	s.Group, _ = transformOf(ts, ike2.DH)
	var ok bool
	if s.PRF, ok = suite.PRFByID(id); !ok {
		return s, fmt.Errorf("PRF %d is not supported", id)
	}
	if _, ok = suite.GroupByID(s.Group); !ok {
		return s, fmt.Errorf("key exchange method %d is not supported", s.Group)
	}
	if len(spi) == 8 {
		s.SPI = isakmp.SPI(binary.BigEndian.Uint64(spi))
		if s.SPI == 0 {
			return s, fmt.Errorf("%w: SPI 0", ErrAnswer)
		}
	}
	return s, s.Cipher.Check()
}
