package isakmp

import (
	"bytes"
	"testing"
)

func TestStripMarkerTellsWhatADatagramIs(t *testing.T) {
	for name, c := range map[string]struct {
		in, msg        string
		ike, keepalive bool
	}{
		"ike":                       {"00000000 0102", "0102", true, false},
		"marker alone":              {"00000000", "", true, false},
		"keepalive":                 {"ff", "", false, true},
		"esp":                       {"00000100 00000001", "00000100 00000001", false, false},
		"two octets of ff":          {"ffff", "ffff", false, false},
		"one octet, not keepalive":  {"00", "00", false, false},
		"three zeros are no marker": {"000000", "000000", false, false},
		"nothing":                   {"", "", false, false},
	} {
		msg, ike, keepalive := StripMarker(unhex(t, c.in))
		if !bytes.Equal(msg, unhex(t, c.msg)) || ike != c.ike || keepalive != c.keepalive {
			t.Errorf("%s: %x, IKE %v, keepalive %v", name, msg, ike, keepalive)
		}
	}
}

func TestMarkerRoundTrip(t *testing.T) {
	msg, ike, _ := StripMarker(append(AppendMarker(nil), "message"...))
	if string(msg) != "message" || !ike {
		t.Errorf("%q, %v", msg, ike)
	}
}
