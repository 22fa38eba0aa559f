package ike2

import (
	"strings"
	"testing"
)

func TestNotifyRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadNotify, []body{
		{"INVALID_SPI", "00 00 000b f4dc0ae5", NotifyInvalidSPI(0xf4dc0ae5), ""},
		{"REKEY_SA", "03 04 4009 00000100", NotifyChild(RekeySA, 0x100), ""},
		{"INVALID_KE_PAYLOAD", "00 00 0011 001f", NotifyInvalidKE(DHCurve25519), ""},
		{"INITIAL_CONTACT", "00 00 4000", &Notify{Kind: InitialContact}, ""},
		{"IKE with SPI of 8", "01 08 4000 0102030405060708 ff", &Notify{ProtoIKE, []byte{1, 2, 3, 4, 5, 6, 7, 8}, InitialContact, []byte{0xff}}, ""},
		{"protocol without SPI", "01 00 4000", &Notify{Protocol: ProtoIKE, Kind: InitialContact}, ""},
		{"any SPI size", "63 03 ffff 010203", &Notify{Protocol: 99, SPI: []byte{1, 2, 3}, Kind: 0xffff}, ""},
	})
}

func TestNotifyRefused(t *testing.T) {
	bodiesRefused(t, PayloadNotify, []flaw{
		{"empty", "", 0}, {"three octets", "000040", 0}, {"SPI beyond the payload", "03 04 4009 000001", 1}, {"SPI of 255", "03 ff 4009", 1},
	})
}

// The forms of INVALID_SPI that implementations of several decades send.
func TestOffendingSPI(t *testing.T) {
	for name, c := range map[string]struct {
		in  string
		spi uint32
		ok  bool
	}{
		"as the RFC has it":         {"00 00 000b f4dc0ae5", 0xf4dc0ae5, true},
		"with protocol":             {"03 00 000b f4dc0ae5", 0xf4dc0ae5, true},
		"SPI field, no data":        {"03 04 000b f4dc0ae5", 0xf4dc0ae5, true},
		"SPI field, same data":      {"02 04 000b f4dc0ae5 f4dc0ae5", 0xf4dc0ae5, true},
		"SPI field and protocol 0":  {"00 04 000b f4dc0ae5", 0xf4dc0ae5, true},
		"data longer than an SPI":   {"00 00 000b f4dc0ae5 4500", 0xf4dc0ae5, true},
		"no SPI at all":             {"00 00 000b", 0, false},
		"data of 3":                 {"00 00 000b f4dc0a", 0, false},
		"SPI field of 8":            {"01 08 000b 0102030405060708 f4dc0ae5", 0, false},
		"SPI field of 2, data of 4": {"03 02 000b 0102 f4dc0ae5", 0, false},
		"another notify":            {"00 00 000e f4dc0ae5", 0, false},
		"highest":                   {"00 00 000b ffffffff", 0xffffffff, true},
	} {
		n, err := parseNotify(unhex(t, c.in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if spi, ok := n.OffendingSPI(); spi != c.spi || ok != c.ok {
			t.Errorf("%s: %08x, %v", name, spi, ok)
		}
	}
}

func TestNotifyAccessors(t *testing.T) {
	if spi, ok := NotifyChild(ChildSANotFound, 0x100).ChildSPI(); spi != 0x100 || !ok {
		t.Errorf("%x, %v", spi, ok)
	}
	for name, n := range map[string]*Notify{
		"IKE": {Protocol: ProtoIKE, SPI: []byte{1, 2, 3, 4}}, "short": {Protocol: ProtoESP, SPI: []byte{1}}, "none": {Protocol: ProtoESP},
	} {
		if spi, ok := n.ChildSPI(); ok {
			t.Errorf("%s: child SPI %x", name, spi)
		}
	}
	if g, ok := NotifyInvalidKE(31).WantedGroup(); g != 31 || !ok {
		t.Errorf("group %d, %v", g, ok)
	}
	for _, n := range []*Notify{{Kind: InvalidKEPayload, Data: []byte{1}}, {Kind: InvalidKEPayload, Data: []byte{0, 0, 31}}, {Kind: Cookie, Data: []byte{0, 31}}} {
		if g, ok := n.WantedGroup(); ok {
			t.Errorf("%+v: group %d", n, g)
		}
	}
}

// Every type has a name of its own, and is an error or not by its number (RFC 7296 §3.10.1).
func TestNotifyTypeNames(t *testing.T) {
	seen := map[string]NotifyType{}
	named := 0
	for i := range 1 << 16 {
		n := NotifyType(i)
		s := n.String()
		if other, ok := seen[s]; ok {
			t.Fatalf("%d and %d are both %s", n, other, s)
		}
		seen[s] = n
		if n.IsError() != (i < 16384) {
			t.Errorf("%s: error %v", s, n.IsError())
		}
		if strings.ToUpper(s) == s {
			named++
		}
	}
	for s, n := range map[string]NotifyType{"INVALID_SPI": 11, "INVALID_IKE_SPI": 4, "INVALID_KE_PAYLOAD": 17, "CHILD_SA_NOT_FOUND": 44,
		"TEMPORARY_FAILURE": 43, "TS_MAX_QUEUE": 48, "INITIAL_CONTACT": 16384, "NAT_DETECTION_DESTINATION_IP": 16389, "COOKIE": 16390,
		"REKEY_SA": 16393, "NON_FIRST_FRAGMENTS_ALSO": 16395, "QUICK_CRASH_DETECTION": 16419, "SA_RESOURCE_INFO": 16444,
		"error-2": 2, "status-40960": 40960} {
		if seen[s] != n {
			t.Errorf("%d is %v, want %s", n, n, s)
		}
	}
	if named != 66 {
		t.Errorf("%d types have names", named)
	}
}

func FuzzNotify(f *testing.F) {
	fuzzBody(f, PayloadNotify, "00 00 000b f4dc0ae5", "03 04 4009 00000100", "01 08 4000 0102030405060708 ff")
}
