package ike2

import "testing"

func TestAuthRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadAUTH, []body{
		{"psk", "02 000000 0102", &Auth{AuthSharedKey, []byte{1, 2}}, ""},
		{"reserved is ignored", "0e 010203 ff", &Auth{AuthSignature, []byte{0xff}}, "0e 000000 ff"},
		{"no data are for the method to refuse", "01 000000", &Auth{Method: AuthRSA}, ""},
	})
}

func TestAuthRefused(t *testing.T) {
	bodiesRefused(t, PayloadAUTH, []flaw{{"empty", "", 0}, {"three octets", "020000", 0}})
}

func TestAuthMethodNames(t *testing.T) {
	for m, want := range map[AuthMethod]string{AuthRSA: "RSA", AuthSharedKey: "PSK", AuthDSS: "DSS", AuthECDSA256: "ECDSA-256",
		AuthECDSA384: "ECDSA-384", AuthECDSA521: "ECDSA-521", AuthNull: "NULL", AuthSignature: "signature", 77: "method-77"} {
		if m.String() != want {
			t.Errorf("%d is %v, want %s", m, m, want)
		}
	}
}

func FuzzAuth(f *testing.F) { fuzzBody(f, PayloadAUTH, "02 000000 0102", "0e 010203 ff") }
