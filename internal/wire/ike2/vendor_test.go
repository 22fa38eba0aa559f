package ike2

import "testing"

func TestVendorRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadVendor, []body{
		{"some", "4f45727c", &Vendor{[]byte{0x4f, 0x45, 0x72, 0x7c}}, ""},
		{"empty", "", &Vendor{}, ""},
	})
}

func FuzzVendor(f *testing.F) { fuzzBody(f, PayloadVendor, "4f45", "") }
