package ike2

import "testing"

func TestSKFRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadSKF, []body{
		{"second of three", "0002 0003 aabb", &SKF{Number: 2, Total: 3, Body: []byte{0xaa, 0xbb}}, ""},
		{"last of 65535", "ffff ffff", &SKF{Number: 65535, Total: 65535}, ""},
	})
}

func TestSKFRefused(t *testing.T) {
	bodiesRefused(t, PayloadSKF, []flaw{
		{"empty", "", 0}, {"three octets", "000100", 0}, {"number 0", "0000 0001", 0},
		{"total 0", "0000 0000", 0}, {"number beyond total", "0003 0002 aa", 0},
	})
}

func TestSKFKeepsTheTypeOfTheFirstPayload(t *testing.T) {
	in := unhex(t, "23 00 0009 0001 0002 aa")
	ps, err := parseChain(PayloadSKF, in, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff([]Payload{&SKF{First: PayloadIDi, Number: 1, Total: 2, Body: []byte{0xaa}}}, ps); d != "" {
		t.Error(d)
	}
	if d := diff(in, AppendPayloads(nil, ps)); d != "" {
		t.Error(d)
	}
}

func FuzzSKF(f *testing.F) { fuzzBody(f, PayloadSKF, "0002 0003 aabb", "0000 0000") }
