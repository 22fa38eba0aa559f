package ike2

import "testing"

// RFC 7296 §3.3.5-6: an attribute that is not understood spoils its transform and no more.
func TestTransformAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		attributes string
		want       Transform
	}{
		"none":                      {"", Transform{Type: ENCR, ID: 12}},
		"key length":                {"800e 0100", Transform{Type: ENCR, ID: 12, KeyLength: 256}},
		"unknown in short form":     {"8063 0001", Transform{Type: ENCR, ID: 12, UnknownAttribute: true}},
		"unknown in long form":      {"0063 0003 010203", Transform{Type: ENCR, ID: 12, UnknownAttribute: true}},
		"unknown and empty":         {"0063 0000", Transform{Type: ENCR, ID: 12, UnknownAttribute: true}},
		"unknown before key length": {"0063 0001 ff 800e 0080", Transform{Type: ENCR, ID: 12, KeyLength: 128, UnknownAttribute: true}},
		"key length in long form":   {"000e 0002 0100", Transform{Type: ENCR, ID: 12, UnknownAttribute: true}},
		"key length twice":          {"800e 0080 800e 0100", Transform{Type: ENCR, ID: 12, KeyLength: 128, UnknownAttribute: true}},
		"key length of zero":        {"800e 0000", Transform{Type: ENCR, ID: 12, UnknownAttribute: true}},
	} {
		t.Run(name, func(t *testing.T) {
			b := append(unhex(t, "00 00 0000 01 00 000c"), unhex(t, c.attributes)...)
			got, err := parseTransform(b)
			if err != nil || got != c.want {
				t.Fatalf("%+v, %v, want %+v", got, err, c.want)
			}
			again, err := parseTransform(got.append(nil, true))
			if err != nil || again != c.want {
				t.Errorf("again %+v, %v", again, err)
			}
		})
	}
}

func TestTransformAttributesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		attributes string
		offset     int
	}{
		"three octets":                   {"800e 01", 8},
		"three octets after key length":  {"800e 0100 800e 01", 12},
		"long form beyond the transform": {"0063 0003 0102", 10},
	} {
		b := append(unhex(t, "00 00 0000 01 00 000c"), unhex(t, c.attributes)...)
		if got, err := parseTransform(b); err == nil || err.Offset != c.offset {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAlgorithmNames(t *testing.T) {
	for want, tr := range map[string]Transform{
		"AES_GCM_16_256":    {Type: ENCR, ID: 20, KeyLength: 256},
		"CHACHA20_POLY1305": {Type: ENCR, ID: 28},
		"3DES_CBC":          {Type: ENCR, ID: 3},
		"NULL":              {Type: ENCR, ID: 11},
		"AES_CTR_128":       {Type: ENCR, ID: 13, KeyLength: 128},
		"AES_GCM_12":        {Type: ENCR, ID: 19},
		"NULL_AES_GMAC":     {Type: ENCR, ID: 21},
		"ENCR_99?":          {Type: ENCR, ID: 99, UnknownAttribute: true},
		"PRF_HMAC_SHA1":     {Type: PRF, ID: 2},
		"PRF_AES128_XCBC":   {Type: PRF, ID: 4},
		"PRF_HMAC_SHA2_384": {Type: PRF, ID: 6},
		"PRF_HMAC_SHA2_512": {Type: PRF, ID: 7},
		"HMAC_SHA2_256_128": {Type: INTEG, ID: 12},
		"HMAC_SHA2_384_192": {Type: INTEG, ID: 13},
		"HMAC_SHA2_512_256": {Type: INTEG, ID: 14},
		"INTEG_NONE":        {Type: INTEG},
		"DH_NONE":           {Type: DH},
		"MODP_1024":         {Type: DH, ID: 2},
		"MODP_1536":         {Type: DH, ID: 5},
		"MODP_2048":         {Type: DH, ID: 14},
		"MODP_3072":         {Type: DH, ID: 15},
		"MODP_4096":         {Type: DH, ID: 16},
		"ECP_384":           {Type: DH, ID: 20},
		"ECP_521":           {Type: DH, ID: 21},
		"CURVE_25519":       {Type: DH, ID: 31},
		"DH_35":             {Type: DH, ID: 35},
		"ESN_2":             {Type: ESN, ID: 2},
		"PRF_1":             {Type: PRF, ID: 1},
		"INTEG_1":           {Type: INTEG, ID: 1},
		"transform-6_36":    {Type: 6, ID: 36},
	} {
		if got := tr.String(); got != want {
			t.Errorf("%+v is %s, want %s", tr, got, want)
		}
	}
}
