package ike2

import "testing"

func TestCertRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadCERT, []body{
		{"x509", "04 3000", &Cert{CertX509Signature, []byte{0x30, 0}}, ""},
		{"without data", "0c", &Cert{Encoding: 12}, ""},
	})
}

func TestCertRefused(t *testing.T) {
	bodiesRefused(t, PayloadCERT, []flaw{{"empty", "", 0}})
}

func FuzzCert(f *testing.F) { fuzzBody(f, PayloadCERT, "04 3000", "") }
