package ip

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestFragNeededQuotesAndAnnounces(t *testing.T) {
	big := AppendNumbered(nil, netip.MustParseAddrPort("10.1.0.1:1"), netip.MustParseAddrPort("10.2.0.2:2"), 1, 1400)
	b, ok := AppendTooBig([]byte("head"), netip.MustParseAddr("10.1.0.254"), 1380, big)
	if !ok || string(b[:4]) != "head" {
		t.Fatal("nothing appended")
	}
	b = b[4:]
	p, flaw := Parse(b)
	if flaw != NoFlaw || p.Src != netip.MustParseAddr("10.1.0.254") || p.Dst != netip.MustParseAddr("10.1.0.1") || p.TotalLen != 576 {
		t.Fatalf("%+v, %v", p, flaw)
	}
	if ok, known := p.TransportChecksumOK(b); !ok || !known || !HeaderChecksumOK(b) {
		t.Error("checksum wrong")
	}
	if b[20] != 3 || b[21] != 4 || binary.BigEndian.Uint16(b[26:]) != 1380 || !bytes.Equal(b[28:], big[:548]) {
		t.Errorf("message %x", b[20:40])
	}
}

func TestPacketTooBigQuotesAndAnnounces(t *testing.T) {
	big := AppendNumbered(nil, netip.MustParseAddrPort("[2001:db8:1::1]:1"), netip.MustParseAddrPort("[2001:db8:2::2]:2"), 1, 1400)
	b, ok := AppendTooBig(nil, netip.MustParseAddr("2001:db8:1::fe"), 1360, big)
	p, flaw := Parse(b)
	if !ok || flaw != NoFlaw || p.Dst != netip.MustParseAddr("2001:db8:1::1") || p.TotalLen != 1280 {
		t.Fatalf("%+v, %v", p, flaw)
	}
	if ok, known := p.TransportChecksumOK(b); !ok || !known {
		t.Error("checksum wrong")
	}
	if b[40] != 2 || b[41] != 0 || binary.BigEndian.Uint32(b[44:]) != 1360 || !bytes.Equal(b[48:], big[:1232]) {
		t.Errorf("message %x", b[40:60])
	}
}

func TestTooBigNeverAnnouncesLessThanTheVersionAllows(t *testing.T) {
	small := AppendUDP(nil, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2"), nil)
	b, _ := AppendTooBig(nil, netip.MustParseAddr("2001:db8::3"), 500, small)
	if got := binary.BigEndian.Uint32(b[44:]); got != MinMTUv6 {
		t.Errorf("IPv6: %d", got)
	}
}

func TestNoErrorAboutWhatMustNotCauseOne(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("2001:db8::fe")
	for name, c := range map[string]struct {
		in   string
		from netip.Addr
	}{
		"icmp unreachable":         {"4500001c000000004001ffff" + v4Addrs + "0301000000000000", v4},
		"icmp time exceeded":       {"4500001c000000004001ffff" + v4Addrs + "0b00000000000000", v4},
		"icmp without a type":      {"45000014000000004001ffff" + v4Addrs, v4},
		"icmpv6 error":             {"6000000000083a40" + v6Addrs + "0100000000000000", v6},
		"later fragment":           {"4500001c000000034011ffff" + v4Addrs + "0000000000000000", v4},
		"from nobody":              {"4500001c000000004011ffff00000000c6336402" + "0000000000000000", v4},
		"from a group":             {"4500001c000000004011ffffe0000001c6336402" + "0000000000000000", v4},
		"from broadcast":           {"4500001c000000004011ffffffffffffc6336402" + "0000000000000000", v4},
		"from loopback":            {"4500001c000000004011ffff7f000001c6336402" + "0000000000000000", v4},
		"to broadcast":             {"4500001c000000004011ffffc0000201ffffffff" + "0000000000000000", v4},
		"to a group":               {"4500001c000000004011ffffc0000201e0000001" + "0000000000000000", v4},
		"flawed":                   {"4500001d000000004011ffff" + v4Addrs + "0000000000000000", v4},
		"from of the other family": {"4500001c000000004011ffff" + v4Addrs + "0000000000000000", v6},
	} {
		if b, ok := AppendTooBig(nil, c.from, 1400, unhex(t, c.in)); ok || b != nil {
			t.Errorf("%s: answered with %x", name, b)
		}
	}
	echo := unhex(t, "4500001c000000004001ffff"+v4Addrs+"0800000000000000")
	if _, ok := AppendTooBig(nil, v4, 1400, echo); !ok {
		t.Error("no error about an echo request")
	}
}
