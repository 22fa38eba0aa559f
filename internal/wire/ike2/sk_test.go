package ike2

import "testing"

func TestSKRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadSK, []body{{"sealed", "0102030405", &SK{Body: []byte{1, 2, 3, 4, 5}}, ""}})
}

// RFC 7296 §3.14: the Next Payload field of the last payload names the first one inside.
func TestSKKeepsTheTypeOfTheFirstPayloadInside(t *testing.T) {
	in := unhex(t, "29 00 0006 aabb")
	ps, err := parseChain(PayloadSK, in, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff([]Payload{&SK{First: PayloadNotify, Body: []byte{0xaa, 0xbb}}}, ps); d != "" {
		t.Error(d)
	}
	if d := diff(in, AppendPayloads(nil, ps)); d != "" {
		t.Error(d)
	}
}

func FuzzSK(f *testing.F) { fuzzBody(f, PayloadSK, "0102030405", "") }
