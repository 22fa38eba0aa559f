package ip

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func TestOuterHeadersOctetByOctet(t *testing.T) {
	for name, c := range map[string]struct {
		h    Header
		want string
	}{
		"ipv4": {
			Header{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("198.51.100.2"), Protocol: ProtoESP,
				TrafficClass: 0xb8, TTL: 64, DF: true, ID: 0x1234},
			"45b800781234400040323b31" + v4Addrs,
		},
		"ipv6": {
			Header{Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"), Protocol: ProtoUDP,
				TrafficClass: 0xb8, TTL: 64, FlowLabel: 0xabcde},
			"6b8abcde00641140" + v6Addrs,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := make([]byte, 64)
			for i := range b {
				b[i] = 0xff // what was there before must not shine through
			}
			n := c.h.Put(b, 100)
			if got := hex.EncodeToString(b[:n]); n != c.h.Len() || got != c.want {
				t.Errorf("%d octets\n%s, want\n%s", n, got, c.want)
			}
			if !HeaderChecksumOK(b) {
				t.Error("checksum wrong")
			}
		})
	}
}

func TestPutUDPHasNoChecksum(t *testing.T) {
	b := []byte{9, 9, 9, 9, 9, 9, 9, 9, 9}
	if n := PutUDP(b, 4500, 4501, 100); n != 8 || hex.EncodeToString(b) != "11941195006c000009" {
		t.Errorf("%d octets: %x", n, b)
	}
}

func TestNumberedPacketIsRecognised(t *testing.T) {
	for _, c := range [][2]string{{"10.0.0.1:1000", "10.0.0.2:2000"}, {"[2001:db8::1]:1000", "[2001:db8::2]:2000"}} {
		src, dst := netip.MustParseAddrPort(c[0]), netip.MustParseAddrPort(c[1])
		for _, size := range []int{0, MinNumbered, 100, 1400} {
			b := AppendNumbered(nil, src, dst, 1<<40+7, size)
			if n, ok := Number(b); n != 1<<40+7 || !ok {
				t.Errorf("%v, payload %d: number %d, %v", src, size, n, ok)
			}
			p, flaw := Parse(b)
			if flaw != NoFlaw || p.UpperLen() != UDPHeaderLen+max(size, MinNumbered) || p.Src != src.Addr() || p.DstPort != dst.Port() {
				t.Errorf("%+v, %v", p, flaw)
			}
			if ok, known := p.TransportChecksumOK(b); !ok || !known || !HeaderChecksumOK(b) {
				t.Errorf("checksum: ok %v, known %v", ok, known)
			}
		}
	}
}

func TestNumberRefusesWhatWasNotSent(t *testing.T) {
	src, dst := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")
	good := AppendNumbered(nil, src, dst, 5, 64)
	spoilt := append([]byte(nil), good...)
	spoilt[len(spoilt)-1]++
	for name, b := range map[string][]byte{
		"empty":          nil,
		"cut off":        good[:40],
		"another packet": AppendUDP(nil, src, dst, []byte("not a numbered packet at all")),
		"short payload":  AppendUDP(nil, src, dst, []byte("LOCKSTEP")),
		"spoilt":         spoilt,
	} {
		if n, ok := Number(b); ok {
			t.Errorf("%s: taken for number %d", name, n)
		}
	}
}
