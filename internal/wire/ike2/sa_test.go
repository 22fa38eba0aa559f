package ike2

import (
	"strings"
	"testing"
)

// The two proposals that RFC 7296 §3.3 draws, with its SPIs: CBC with two integrity algorithms, and GCM.
const (
	proposalCBC = "02 00 0050 01 03 04 07 052357bb" +
		"03 00 000c 01 00 000c 800e 0080" +
		"03 00 000c 01 00 000c 800e 00c0" +
		"03 00 000c 01 00 000c 800e 0100" +
		"03 00 0008 03 00 0002" +
		"03 00 0008 03 00 0005" +
		"03 00 0008 05 00 0001" +
		"00 00 0008 05 00 0000"
	proposalGCM = "00 00 0034 02 03 04 04 35a1d6f2" +
		"03 00 000c 01 00 0012 800e 0080" +
		"03 00 000c 01 00 0012 800e 0100" +
		"03 00 0008 05 00 0001" +
		"00 00 0008 05 00 0000"
	// An IKE proposal without SPI, as in IKE_SA_INIT, and one with, as in a rekey.
	proposalIKE   = "00 00 0024 01 01 00 03 03 00 000c 01 00 0014 800e 0100 03 00 0008 02 00 0005 00 00 0008 04 00 0013"
	proposalRekey = "00 00 0018 01 01 08 01 0102030405060708 00 00 0008 04 00 001f"
)

func TestSARoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadSA, []body{
		{"the RFC's example", proposalCBC + proposalGCM, &SA{[]Proposal{
			{1, ProtoESP, []byte{0x05, 0x23, 0x57, 0xbb}, []Transform{
				{Type: ENCR, ID: EncrAESCBC, KeyLength: 128}, {Type: ENCR, ID: EncrAESCBC, KeyLength: 192},
				{Type: ENCR, ID: EncrAESCBC, KeyLength: 256}, {Type: INTEG, ID: IntegSHA1_96}, {Type: INTEG, ID: 5},
				{Type: ESN, ID: ESNYes}, {Type: ESN, ID: ESNNone},
			}},
			{2, ProtoESP, []byte{0x35, 0xa1, 0xd6, 0xf2}, []Transform{
				{Type: ENCR, ID: EncrAESGCM8, KeyLength: 128}, {Type: ENCR, ID: EncrAESGCM8, KeyLength: 256},
				{Type: ESN, ID: ESNYes}, {Type: ESN, ID: ESNNone},
			}},
		}}, ""},
		{"IKE without SPI", proposalIKE, &SA{[]Proposal{{1, ProtoIKE, nil, []Transform{
			{Type: ENCR, ID: EncrAESGCM16, KeyLength: 256}, {Type: PRF, ID: PRFHMACSHA256}, {Type: DH, ID: DHECP256},
		}}}}, ""},
		{"IKE with SPI", proposalRekey, &SA{[]Proposal{{1, ProtoIKE, []byte{1, 2, 3, 4, 5, 6, 7, 8}, []Transform{
			{Type: DH, ID: DHCurve25519},
		}}}}, ""},
		{"no transforms is for policy", "00 00 000c 01 03 04 00 00000100", &SA{[]Proposal{{1, ProtoESP, []byte{0, 0, 1, 0}, nil}}}, ""},
		{"unknown protocol with any SPI", "00 00 0012 01 09 02 01 abcd 00 00 0008 63 00 1234",
			&SA{[]Proposal{{1, 9, []byte{0xab, 0xcd}, []Transform{{Type: 99, ID: 0x1234}}}}}, ""},
		{"reserved octets are ignored", "00 ff 0018 01 01 08 01 0102030405060708 00 ff 0008 04 ff 001f",
			&SA{[]Proposal{{1, ProtoIKE, []byte{1, 2, 3, 4, 5, 6, 7, 8}, []Transform{{Type: DH, ID: 31}}}}}, proposalRekey},
	})
}

func TestSARefused(t *testing.T) {
	bodiesRefused(t, PayloadSA, []flaw{
		{"empty", "", 0},
		{"seven octets", "00 00 0008 01 03 04", 0},
		{"neither last nor more", "01 00 000c 01 03 04 00 00000100", 0},
		{"mark of a transform", "03 00 000c 01 03 04 00 00000100", 0},
		{"more announced, none there", "02 00 000c 01 03 04 00 00000100", 12},
		{"octets after the last", "00 00 000c 01 03 04 00 00000100 00", 12},
		{"second proposal after the last", proposalIKE + proposalIKE, 36},
		{"length 0", "00 00 0000 01 03 04 00 00000100", 2},
		{"length 7", "00 00 0007 01 03 04 00 00000100", 2},
		{"length beyond the payload", "00 00 000d 01 03 04 00 00000100", 2},
		{"ESP without SPI", "00 00 0008 01 03 00 00", 6},
		{"ESP with SPI of 8", "00 00 0010 01 03 08 00 0000000000000000", 6},
		{"AH with SPI of 3", "00 00 000b 01 02 03 00 000000", 6},
		{"IKE with SPI of 4", "00 00 000c 01 01 04 00 00000000", 6},
		{"SPI beyond the proposal", "00 00 000a 01 03 04 00 0000", 6},
		{"transform announced, none there", "00 00 000c 01 03 04 01 00000100", 12},
		{"transform not announced", "00 00 0014 01 03 04 00 00000100 00 00 0008 05 00 0000", 12},
		{"transform more than announced", "00 00 001c 01 03 04 01 00000100 00 00 0008 05 00 0000 00 00 0008 05 00 0000", 20},
		{"only transform not marked last", "00 00 0014 01 03 04 01 00000100 03 00 0008 05 00 0000", 12},
		{"first of two marked last", "00 00 001c 01 03 04 02 00000100 00 00 0008 05 00 0000 00 00 0008 05 00 0000", 12},
		{"transform with mark of a proposal", "00 00 0014 01 03 04 01 00000100 02 00 0008 05 00 0000", 12},
		{"transform of length 7", "00 00 0014 01 03 04 01 00000100 00 00 0007 05 00 0000", 14},
		{"transform beyond the proposal", "00 00 0014 01 03 04 01 00000100 00 00 0009 05 00 0000", 14},
		{"flaw in the second proposal", strings.Replace(proposalIKE, "00", "02", 1) + "00 00 0008 02 03 00 00", 42},
		{"65 proposals", strings.Repeat("02 00 0008 01 01 00 00", 64) + "00 00 0008 01 01 00 00", 64 * 8},
	})
}

func TestSAStringShowsTheOffer(t *testing.T) {
	p, err := parseSA(unhex(t, proposalCBC+proposalGCM))
	if err != nil {
		t.Fatal(err)
	}
	want := "1:ESP AES_CBC_128/AES_CBC_192/AES_CBC_256/HMAC_SHA1_96/INTEG_5/ESN/ESN_NONE, 2:ESP AES_GCM_8_128/AES_GCM_8_256/ESN/ESN_NONE"
	if p.String() != want {
		t.Errorf("%s, want %s", p, want)
	}
	if spi, ok := p.Proposals[1].SPI32(); spi != 0x35a1d6f2 || !ok {
		t.Errorf("SPI %x, %v", spi, ok)
	}
	if _, ok := (Proposal{}).SPI32(); ok {
		t.Error("an SPI where there is none")
	}
}

func FuzzSA(f *testing.F) {
	fuzzBody(f, PayloadSA, proposalCBC+proposalGCM, proposalIKE, proposalRekey,
		"00 00 0018 01 03 04 01 00000100 00 00 000c 01 00 000c 000e 0000", "02 00 0008 01 01 00 00 00 00 0008 02 01 00 00")
}
