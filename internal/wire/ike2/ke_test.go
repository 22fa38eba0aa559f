package ike2

import "testing"

func TestKERoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadKE, []body{
		{"curve25519", "001f 0000 aabbcc", &KE{DHCurve25519, []byte{0xaa, 0xbb, 0xcc}}, ""},
		{"reserved is ignored", "000e ffff 01", &KE{DHMODP2048, []byte{1}}, "000e 0000 01"},
		{"no value is for the group to refuse", "0013 0000", &KE{Group: DHECP256}, ""},
	})
}

func TestKERefused(t *testing.T) {
	bodiesRefused(t, PayloadKE, []flaw{{"empty", "", 0}, {"three octets", "001f00", 0}})
}

func FuzzKE(f *testing.F) { fuzzBody(f, PayloadKE, "001f 0000 aabbcc", "0013") }
