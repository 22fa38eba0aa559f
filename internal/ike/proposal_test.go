package ike

import (
	"errors"
	"testing"

	"lockstep/internal/policy"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

var (
	gcm256 = policy.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}
	gcm128 = policy.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 128}
	cbc256 = policy.Cipher{Encr: suite.EncrAESCBC, KeyBits: 256}
)

func tr(kind ike2.TransformType, id uint16) ike2.Transform { return ike2.Transform{Type: kind, ID: id} }
func aes(id, bits uint16) ike2.Transform {
	return ike2.Transform{Type: ike2.ENCR, ID: id, KeyLength: bits}
}

func TestOfferSeparatesAEADFromOtherCiphers(t *testing.T) {
	own := []policy.IKEProposal{{Encr: []policy.Cipher{gcm256, cbc256, gcm128}, Integ: []uint16{12, 14}, PRF: []uint16{5}, Groups: []uint16{31, 14}}}
	got := (&ike2.SA{Proposals: OfferIKE(own, 0)}).String()
	want := "1:IKE AES_GCM_16_256/AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/MODP_2048, " +
		"2:IKE AES_CBC_256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/HMAC_SHA2_512_256/CURVE_25519/MODP_2048"
	if got != want {
		t.Errorf("offer\n%s, want\n%s", got, want)
	}
	if spi := OfferIKE(own, 0x0102030405060708)[1].SPI; len(spi) != 8 || spi[7] != 8 {
		t.Errorf("SPI of a rekey %x", spi)
	}
}

func TestPRFFollowsIntegrityWhereItIsNotConfigured(t *testing.T) {
	p := policy.IKEProposal{Encr: []policy.Cipher{cbc256}, Integ: []uint16{13, 14, 12}, Groups: []uint16{19}}
	got := (&ike2.SA{Proposals: OfferIKE([]policy.IKEProposal{p}, 0)}).String()
	if want := "1:IKE AES_CBC_256/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_512/PRF_HMAC_SHA2_256/HMAC_SHA2_384_192/HMAC_SHA2_512_256/HMAC_SHA2_256_128/ECP_256"; got != want {
		t.Errorf("offer %s", got)
	}
}

func TestIKEChoice(t *testing.T) {
	own := []policy.IKEProposal{
		{Encr: []policy.Cipher{gcm256}, PRF: []uint16{6, 5}, Groups: []uint16{20, 19}},
		{Encr: []policy.Cipher{cbc256}, Integ: []uint16{12}, PRF: []uint16{5}, Groups: []uint16{14}},
	}
	good := []ike2.Transform{aes(20, 256), tr(ike2.PRF, 5), tr(ike2.DH, 19)}
	with := func(ts ...ike2.Transform) []ike2.Transform {
		return append(append([]ike2.Transform(nil), good...), ts...)
	}
	cbc := []ike2.Transform{aes(12, 256), tr(ike2.PRF, 5), tr(ike2.INTEG, 12), tr(ike2.DH, 14)}
	for name, c := range map[string]struct {
		offered []ike2.Proposal
		ke      uint16
		want    string // "" refused
	}{
		"plain":                   {[]ike2.Proposal{{Number: 7, Protocol: ike2.ProtoIKE, Transforms: good}}, 19, "7:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_256"},
		"our preference":          {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(ike2.PRF, 6))}}, 19, "1:IKE AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_256"},
		"the group of KE":         {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(ike2.DH, 20))}}, 19, "1:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_256"},
		"else ours":               {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(ike2.DH, 20))}}, 31, "1:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_384"},
		"INTEG NONE with AEAD":    {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(ike2.INTEG, 0))}}, 19, "1:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/INTEG_NONE/ECP_256"},
		"INTEG with AEAD":         {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(ike2.INTEG, 12))}}, 19, ""},
		"unknown transform type":  {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(6, 36))}}, 19, ""},
		"second proposal":         {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: with(tr(6, 36))}, {Number: 2, Protocol: ike2.ProtoIKE, Transforms: cbc}}, 14, "2:IKE AES_CBC_256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/MODP_2048"},
		"our first before theirs": {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: cbc}, {Number: 2, Protocol: ike2.ProtoIKE, Transforms: good}}, 14, "2:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_256"},
		"no key length":           {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{aes(20, 0), tr(ike2.PRF, 5), tr(ike2.DH, 19)}}}, 19, ""},
		"key length of a PRF":     {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{aes(20, 256), {Type: ike2.PRF, ID: 5, KeyLength: 256}, tr(ike2.DH, 19)}}}, 19, ""},
		"unknown attribute":       {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{{Type: ike2.ENCR, ID: 20, KeyLength: 256, UnknownAttribute: true}, tr(ike2.PRF, 5), tr(ike2.DH, 19)}}}, 19, ""},
		"no group":                {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: good[:2]}}, 19, ""},
		"group NONE":              {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{aes(20, 256), tr(ike2.PRF, 5), tr(ike2.DH, 0)}}}, 0, ""},
		"CBC without INTEG":       {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{aes(12, 256), tr(ike2.PRF, 5), tr(ike2.DH, 14)}}}, 14, ""},
		"ESP":                     {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoESP, SPI: []byte{0, 0, 1, 0}, Transforms: good}}, 19, ""},
		"SPI in IKE_SA_INIT":      {[]ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, SPI: make([]byte, 8), Transforms: good}}, 19, ""},
		"nothing":                 {nil, 19, ""},
	} {
		s, answer, ok := ChooseIKE(own, c.offered, c.ke, 0)
		got := ""
		if ok {
			got = answer.String()
			if s.Cipher.Check() != nil || s.PRF.Size() == 0 {
				t.Errorf("%s: suite %+v", name, s)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAnswerMustBeOneOfOurProposalsUnchanged(t *testing.T) {
	offer := OfferIKE([]policy.IKEProposal{{Encr: []policy.Cipher{gcm256, gcm128, cbc256}, Integ: []uint16{12}, PRF: []uint16{5}, Groups: []uint16{31, 19}}}, 0)
	good := ike2.Proposal{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{aes(20, 128), tr(ike2.PRF, 5), tr(ike2.DH, 19)}}
	s, err := CheckIKE(offer, []ike2.Proposal{good})
	if err != nil || s.Cipher != (suite.Cipher{Encr: 20, KeyBits: 128}) || s.Group != 19 || s.PRF.ID() != 5 {
		t.Fatalf("%+v, %v", s, err)
	}
	edit := func(f func(p *ike2.Proposal)) []ike2.Proposal {
		p := good
		p.Transforms = append([]ike2.Transform(nil), good.Transforms...)
		f(&p)
		return []ike2.Proposal{p}
	}
	for name, answer := range map[string][]ike2.Proposal{
		"none":               nil,
		"two":                {good, good},
		"number":             edit(func(p *ike2.Proposal) { p.Number = 3 }),
		"other's number":     edit(func(p *ike2.Proposal) { p.Number = 2 }),
		"protocol":           edit(func(p *ike2.Proposal) { p.Protocol = ike2.ProtoESP }),
		"key length":         edit(func(p *ike2.Proposal) { p.Transforms[0].KeyLength = 192 }),
		"not offered":        edit(func(p *ike2.Proposal) { p.Transforms[2].ID = 14 }),
		"two of a type":      edit(func(p *ike2.Proposal) { p.Transforms = append(p.Transforms, tr(ike2.DH, 31)) }),
		"type missing":       edit(func(p *ike2.Proposal) { p.Transforms = p.Transforms[:2] }),
		"added type":         edit(func(p *ike2.Proposal) { p.Transforms = append(p.Transforms, tr(ike2.INTEG, 12)) }),
		"SPI in IKE_SA_INIT": edit(func(p *ike2.Proposal) { p.SPI = make([]byte, 8) }),
	} {
		if _, err := CheckIKE(offer, answer); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rekey := OfferIKE([]policy.IKEProposal{{Encr: []policy.Cipher{gcm128}, PRF: []uint16{5}, Groups: []uint16{19}}}, 9)
	if _, err := CheckIKE(rekey, edit(func(p *ike2.Proposal) { p.SPI = make([]byte, 8) })); !errors.Is(err, ErrAnswer) {
		t.Errorf("SPI 0: %v", err)
	}
	if s, err := CheckIKE(rekey, edit(func(p *ike2.Proposal) { p.SPI = []byte{0, 0, 0, 0, 0, 0, 0, 5} })); err != nil || s.SPI != 5 {
		t.Errorf("%v %v", s.SPI, err)
	}
}

func TestESPChoice(t *testing.T) {
	sets := []policy.TransformSet{{Cipher: gcm256, ESN: true}, {Cipher: policy.Cipher{Encr: 12, KeyBits: 256, Integ: 12}}}
	spi := []byte{0, 0, 0xB7, 1}
	p := func(ts ...ike2.Transform) []ike2.Proposal {
		return []ike2.Proposal{{Number: 4, Protocol: ike2.ProtoESP, SPI: spi, Transforms: ts}}
	}
	esn, noESN := tr(ike2.ESN, 1), tr(ike2.ESN, 0)
	for name, c := range map[string]struct {
		pfs     PFS
		offered []ike2.Proposal
		ke      uint16
		want    string
	}{
		"extended numbers preferred": {PFS{First: true}, p(aes(20, 256), noESN, esn), 0, "4:ESP AES_GCM_16_256/ESN"},
		"short ones accepted":        {PFS{First: true}, p(aes(20, 256), noESN), 0, "4:ESP AES_GCM_16_256/ESN_NONE"},
		"short ones only":            {PFS{First: true}, p(aes(12, 256), tr(ike2.INTEG, 12), esn), 0, ""},
		"second set":                 {PFS{First: true}, p(aes(12, 256), tr(ike2.INTEG, 12), noESN), 0, "4:ESP AES_CBC_256/HMAC_SHA2_256_128/ESN_NONE"},
		"no numbers":                 {PFS{First: true}, p(aes(20, 256)), 0, ""},
		"group in IKE_AUTH":          {PFS{First: true}, p(aes(20, 256), tr(ike2.DH, 19), noESN), 0, "4:ESP AES_GCM_16_256/ESN_NONE"},
		"their PFS, none of ours":    {PFS{}, p(aes(20, 256), tr(ike2.DH, 19), noESN), 19, "4:ESP AES_GCM_16_256/ECP_256/ESN_NONE"},
		"their PFS, KE missing":      {PFS{}, p(aes(20, 256), tr(ike2.DH, 19), noESN), 0, "4:ESP AES_GCM_16_256/ECP_256/ESN_NONE"},
		"their PFS is unknown":       {PFS{}, p(aes(20, 256), tr(ike2.DH, 2), noESN), 2, ""},
		"their PFS or none, with KE": {PFS{}, p(aes(20, 256), tr(ike2.DH, 0), tr(ike2.DH, 19), noESN), 19, "4:ESP AES_GCM_16_256/ECP_256/ESN_NONE"},
		"their PFS or none, without": {PFS{}, p(aes(20, 256), tr(ike2.DH, 19), tr(ike2.DH, 0), noESN), 0, "4:ESP AES_GCM_16_256/DH_NONE/ESN_NONE"},
		"our PFS":                    {PFS{Group: 19}, p(aes(20, 256), tr(ike2.DH, 19), noESN), 19, "4:ESP AES_GCM_16_256/ECP_256/ESN_NONE"},
		"our PFS, another offered":   {PFS{Group: 14}, p(aes(20, 256), tr(ike2.DH, 19), noESN), 19, ""},
		"our PFS, none offered":      {PFS{Group: 14}, p(aes(20, 256), noESN), 0, ""},
		"reserved SPI":               {PFS{}, []ike2.Proposal{{Number: 1, Protocol: ike2.ProtoESP, SPI: []byte{0, 0, 0, 255}, Transforms: []ike2.Transform{aes(20, 256), noESN}}}, 0, ""},
		"AH":                         {PFS{}, []ike2.Proposal{{Number: 1, Protocol: ike2.ProtoAH, SPI: spi, Transforms: []ike2.Transform{tr(ike2.INTEG, 12), noESN}}}, 0, ""},
	} {
		s, answer, ok := ChooseESP(sets, c.pfs, c.offered, c.ke)
		got := ""
		if ok {
			got = answer.String()
			if s.SPI != 0xB701 {
				t.Errorf("%s: SPI %v", name, s.SPI)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestESPOfferAndAnswerFitEachOther(t *testing.T) {
	sets := []policy.TransformSet{{Cipher: gcm256, ESN: true}, {Cipher: policy.Cipher{Encr: 12, KeyBits: 128, Integ: 13}}}
	for _, pfs := range []PFS{{First: true}, {}, {Group: 19}} {
		offer := OfferESP(sets, pfs, 0xFF000000)
		for i, p := range offer {
			if spi, ok := p.SPI32(); !ok || spi != 0xFF000000 || int(p.Number) != i+1 {
				t.Errorf("proposal %v has SPI %x", p, p.SPI)
			}
		}
		_, answer, ok := ChooseESP(sets[1:], pfs, offer, pfs.Group)
		if !ok {
			t.Fatalf("%+v: refused", pfs)
		}
		s, err := CheckESP(offer, []ike2.Proposal{AnswerESP(answer, 0x80000000)})
		if err != nil || s.SPI != 0x80000000 || s.Cipher != (suite.Cipher{Encr: 12, KeyBits: 128, Integ: 13}) || s.ESN || s.Group != pfs.Group {
			t.Errorf("%+v: %+v, %v", pfs, s, err)
		}
	}
}
