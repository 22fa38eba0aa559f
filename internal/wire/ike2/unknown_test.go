package ike2

import (
	"errors"
	"testing"
)

func TestUnknownRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, 49, []body{
		{"some", "0102", &Unknown{Kind: 49, Body: []byte{1, 2}}, ""},
		{"empty", "", &Unknown{Kind: 49}, ""},
	})
}

// RFC 7296 §2.5: the bit counts only where the type is not known.
func TestCriticalUnknownPayloadRejectsTheMessage(t *testing.T) {
	for name, c := range map[string]struct {
		first    PayloadType
		in       string
		critical PayloadType // PayloadNone: accepted
	}{
		"unknown, critical":               {200, "00 80 0005 01", 200},
		"unknown, not critical":           {200, "00 00 0005 01", PayloadNone},
		"unknown, reserved bits":          {200, "00 7f 0005 01", PayloadNone},
		"known, critical":                 {PayloadVendor, "00 ff 0005 01", PayloadNone},
		"IKEv1's SA, critical":            {1, "00 80 0004", 1},
		"critical behind known":           {PayloadVendor, "c8 00 0004 00 80 0004", 200},
		"critical behind skipped unknown": {201, "c8 00 0004 00 80 0004", 200},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePayloads(c.first, unhex(t, c.in))
			if c.critical == PayloadNone {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var critical *CriticalError
			if !errors.As(err, &critical) || critical.Kind != c.critical || critical.Error() == "" {
				t.Errorf("%v, want critical %d", err, c.critical)
			}
		})
	}
}

func TestUnknownCriticalIsWrittenWithItsBit(t *testing.T) {
	b := AppendPayloads(nil, []Payload{&Unknown{Kind: 200, Critical: true, Body: []byte{7}}, &Vendor{}})
	if d := diff(unhex(t, "2b 80 0005 07 00 00 0004"), b); d != "" {
		t.Error(d)
	}
}

func FuzzUnknown(f *testing.F) { fuzzBody(f, 200, "0102", "") }
