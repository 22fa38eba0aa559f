package ike2

import "testing"

func TestCertReqRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadCERTREQ, []body{
		{"one authority", "04 000102030405060708090a0b0c0d0e0f10111213", &CertReq{CertX509Signature,
			[]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}}, ""},
		{"any authority", "04", &CertReq{Encoding: CertX509Signature}, ""},
	})
}

func TestCertReqRefused(t *testing.T) {
	bodiesRefused(t, PayloadCERTREQ, []flaw{{"empty", "", 0}})
}

func FuzzCertReq(f *testing.F) { fuzzBody(f, PayloadCERTREQ, "04 3000", "") }
