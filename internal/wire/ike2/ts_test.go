package ike2

import (
	"net/netip"
	"testing"
)

func sel(proto uint8, from, to uint16, start, end string) Selector {
	return Selector{proto, from, to, netip.MustParseAddr(start), netip.MustParseAddr(end)}
}

const (
	tsUDP = "07 11 0010 0064 0064 c6336442 c6336442"
	ts4   = "07 00 0010 0000 ffff 0a010000 0a0100ff"
	ts6   = "08 3a 0028 8000 80ff 20010db8000000000000000000000000 20010db80000000000000000000000ff"
)

func TestTSRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadTSi, []body{
		{"three", "03 000000" + tsUDP + ts4 + ts6, &TS{true, []Selector{
			sel(17, 100, 100, "198.51.100.66", "198.51.100.66"),
			sel(0, 0, 65535, "10.1.0.0", "10.1.0.255"),
			sel(58, 0x8000, 0x80ff, "2001:db8::", "2001:db8::ff"),
		}}, ""},
		{"opaque ports", "01 000000 07 06 0010 ffff 0000 0a000001 0a000001", &TS{true, []Selector{sel(6, 65535, 0, "10.0.0.1", "10.0.0.1")}}, ""},
		{"none", "00 000000", &TS{Initiator: true}, ""},
		{"unknown types are left out", "03 ffffff 09 01 0008 00000000" + ts4 + "c8 00 0004",
			&TS{true, []Selector{sel(0, 0, 65535, "10.1.0.0", "10.1.0.255")}}, "01 000000" + ts4},
		{"only unknown types", "01 000000 09 00 0004", &TS{Initiator: true}, "00 000000"},
	})
	bodiesRoundTrip(t, PayloadTSr, []body{
		{"one", "01 000000" + ts4, &TS{false, []Selector{sel(0, 0, 65535, "10.1.0.0", "10.1.0.255")}}, ""},
	})
}

func TestTSRefused(t *testing.T) {
	bodiesRefused(t, PayloadTSr, []flaw{
		{"empty", "", 0},
		{"three octets", "010000", 0},
		{"announced, not there", "01 000000", 4},
		{"fewer than announced", "02 000000" + ts4, 20},
		{"more than announced", "01 000000" + ts4 + ts4, 20},
		{"length 3", "01 000000 07 00 0003", 6},
		{"length beyond the payload", "01 000000 09 00 0005", 6},
		{"ipv4 of 12", "01 000000 07 00 000c 0000 ffff 0a010000", 6},
		{"ipv4 of 40", "01 000000 07" + ts6[2:], 6},
		{"ipv6 of 16", "01 000000 08" + ts4[2:], 6},
		{"ports backwards", "01 000000 07 11 0010 0002 0001 0a010000 0a0100ff", 8},
		{"addresses backwards", "01 000000 07 00 0010 0000 ffff 0a010001 0a010000", 12},
		{"flaw in the second", "02 000000" + ts4 + "07 11 0010 0002 0001 0a010000 0a0100ff", 24},
	})
}

func TestTSString(t *testing.T) {
	ts := TS{Selectors: []Selector{sel(17, 1, 2, "10.0.0.1", "10.0.0.2"), sel(0, 0, 65535, "10.1.0.0", "10.1.0.255")}}
	if got := ts.String(); got != "10.0.0.1-10.0.0.2[udp/1-2] 10.1.0.0-10.1.0.255" {
		t.Error(got)
	}
}

func FuzzTS(f *testing.F) {
	fuzzBody(f, PayloadTSi, "03 000000"+tsUDP+ts4+ts6, "03 000000 09 01 0008 00000000"+ts4+"c8 00 0004",
		"01 000000 07 06 0010 ffff 0000 0a000001 0a000001")
}
