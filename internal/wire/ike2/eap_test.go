package ike2

import "testing"

func TestEAPRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadEAP, []body{
		{"identity request", "01 07 0005 01", &EAP{[]byte{1, 7, 0, 5, 1}}, ""},
		{"success", "03 07 0004", &EAP{[]byte{3, 7, 0, 4}}, ""},
	})
}

func TestEAPRefused(t *testing.T) {
	bodiesRefused(t, PayloadEAP, []flaw{
		{"empty", "", 0}, {"three octets", "030700", 0}, {"shorter than it says", "03 07 0005", 2}, {"longer than it says", "01 07 0004 01", 2},
	})
}

func FuzzEAP(f *testing.F) { fuzzBody(f, PayloadEAP, "01 07 0005 01", "03 07 0004") }
