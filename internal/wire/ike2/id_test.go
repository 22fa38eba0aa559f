package ike2

import (
	"net/netip"
	"testing"
)

func TestIDRoundTrip(t *testing.T) {
	bodies := func(initiator bool) []body {
		return []body{
			{"ipv4", "01 000000 c0000201", IDFromAddr(initiator, netip.MustParseAddr("192.0.2.1")), ""},
			{"ipv4 in ipv6", "01 000000 c0000201", IDFromAddr(initiator, netip.MustParseAddr("::ffff:192.0.2.1")), ""},
			{"ipv6", "05 000000 20010db8000000000000000000000001", IDFromAddr(initiator, netip.MustParseAddr("2001:db8::1")), ""},
			{"fqdn", "02 000000 77657374", IDFromFQDN(initiator, "west"), ""},
			{"email", "03 000000 614062", IDFromEmail(initiator, "a@b"), ""},
			{"key id", "0b 000000 00ff", IDFromKeyID(initiator, []byte{0, 0xff}), ""},
			{"unknown type", "c8 000000 01", &ID{Initiator: initiator, Kind: 200, Data: []byte{1}}, ""},
			{"empty name", "02 000000", &ID{Initiator: initiator, Kind: IDFQDN}, ""},
			{"reserved octets stay for AUTH", "02 a1b2c3 77", &ID{Initiator: initiator, Kind: IDFQDN, Data: []byte("w"),
				Reserved: [3]byte{0xa1, 0xb2, 0xc3}}, ""},
		}
	}
	bodiesRoundTrip(t, PayloadIDi, bodies(true))
	bodiesRoundTrip(t, PayloadIDr, bodies(false))
}

func TestIDRefused(t *testing.T) {
	bodiesRefused(t, PayloadIDi, []flaw{
		{"empty", "", 0},
		{"three octets", "010000", 0},
		{"ipv4 of 3", "01 000000 c00002", 4},
		{"ipv4 of 16", "01 000000 20010db8000000000000000000000001", 4},
		{"ipv6 of 4", "05 000000 c0000201", 4},
	})
}

func TestIDEqualMeansTheSameParty(t *testing.T) {
	west := IDFromFQDN(true, "West.example")
	for name, c := range map[string]struct {
		a, b  *ID
		equal bool
	}{
		"other case of a name":    {west, IDFromFQDN(false, "wEST.EXAMPLE"), true},
		"reserved octets":         {west, &ID{Kind: IDFQDN, Data: west.Data, Reserved: [3]byte{1}}, true},
		"other name":              {west, IDFromFQDN(true, "east.example"), false},
		"longer name":             {west, IDFromFQDN(true, "West.example.org"), false},
		"letter that folds to k":  {IDFromFQDN(true, "k"), IDFromFQDN(true, "\u212a"), false},
		"same octets, other type": {west, IDFromKeyID(true, west.Data), false},
		"key id with case":        {IDFromKeyID(true, []byte("a")), IDFromKeyID(true, []byte("A")), false},
		"address":                 {IDFromAddr(true, netip.MustParseAddr("10.0.0.1")), IDFromAddr(false, netip.MustParseAddr("10.0.0.1")), true},
		"none and none":           {nil, nil, true},
		"none and some":           {nil, west, false},
	} {
		if c.a.Equal(c.b) != c.equal || c.b.Equal(c.a) != c.equal {
			t.Errorf("%s: %v and %v: not %v", name, c.a, c.b, c.equal)
		}
	}
}

func TestIDStringIsSafeForATerminal(t *testing.T) {
	for want, id := range map[string]*ID{
		"none":             nil,
		"192.0.2.1":        IDFromAddr(true, netip.MustParseAddr("192.0.2.1")),
		"2001:db8::1":      IDFromAddr(true, netip.MustParseAddr("2001:db8::1")),
		"west.example":     IDFromFQDN(true, "west.example"),
		"FQDN:1b5b324a":    IDFromFQDN(true, "\x1b[2J"),
		"FQDN:":            {Kind: IDFQDN},
		"jürgen@b":         IDFromEmail(true, "jürgen@b"),
		"KEY_ID:00ff":      IDFromKeyID(true, []byte{0, 0xff}),
		"group":            IDFromKeyID(true, []byte("group")),
		"DER_ASN1_DN:3000": {Kind: IDDERASN1DN, Data: []byte{0x30, 0}},
		"DER_ASN1_GN:01":   {Kind: IDDERASN1GN, Data: []byte{1}},
		"id-77:01":         {Kind: 77, Data: []byte{1}},
		"IPV4_ADDR:01":     {Kind: IDIPv4Addr, Data: []byte{1}},
		"RFC822_ADDR:0a":   IDFromEmail(true, "\n"),
		"IPV6_ADDR:0102":   {Kind: IDIPv6Addr, Data: []byte{1, 2}},
	} {
		if got := id.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzID(f *testing.F) {
	fuzzBody(f, PayloadIDi, "01 000000 c0000201", "02 a1b2c3 77", "05 000000 20010db8000000000000000000000001")
}
