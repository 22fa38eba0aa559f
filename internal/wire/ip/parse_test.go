package ip

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	v6Addrs = "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
	v4Addrs = "c0000201" + "c6336402"
)

func TestParseFindsWhatThePacketIs(t *testing.T) {
	v4 := Packet{Version: 4, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("198.51.100.2")}
	v6 := Packet{Version: 6, Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"), DF: true}
	with := func(p Packet, change func(*Packet)) Packet { change(&p); return p }
	for name, c := range map[string]struct {
		in   string
		want Packet
	}{
		"udp": {"4500001c123440004011ffff" + v4Addrs + "01f411940008aaaa", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen, p.DF, p.ID = 17, 20, 28, true, 0x1234
			p.Ports, p.SrcPort, p.DstPort = true, 500, 4500
		})},
		"icmp type and code are both ports": {"4600002000000000" + "4001ffff" + v4Addrs + "01010101" + "0304ffff00000000", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 1, 24, 32
			p.Ports, p.SrcPort, p.DstPort = true, 0x0304, 0x0304
		})},
		"first fragment has ports": {"4500001c000120004011ffff" + v4Addrs + "01f411940008aaaa", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen, p.MoreFragments, p.ID = 17, 20, 28, true, 1
			p.Ports, p.SrcPort, p.DstPort = true, 500, 4500
		})},
		"later fragment has none": {"4500001c000100034011ffff" + v4Addrs + "01f411940008aaaa", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen, p.FragmentOffset, p.ID = 17, 20, 28, 24, 1
		})},
		"three octets of tcp are no ports": {"45000017000000004006ffff" + v4Addrs + "01f411", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 6, 20, 23
		})},
		"gre": {"45000018000000004" + "02fffff" + v4Addrs + "00000800", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 47, 20, 24
		})},
		"padding behind the packet": {"45000014000000004032ffff" + v4Addrs + "000000000000", with(v4, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 50, 20, 20
		})},
		"ipv6 tcp": {"6000000000040640" + v6Addrs + "00160035", with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 6, 40, 44
			p.Ports, p.SrcPort, p.DstPort = true, 22, 53
		})},
		"ipv6 hop-by-hop, destination options of 16, udp": {"6000000000200040" + v6Addrs + "3c00000000000000" + "1101000000000000" + "0000000000000000" + "0001000200080000", with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 17, 64, 72
			p.Ports, p.SrcPort, p.DstPort = true, 1, 2
		})},
		"ipv6 first fragment": {"6000000000102c40" + v6Addrs + "1100000100000007" + "0001000200080000", with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen, p.MoreFragments, p.ID = 17, 48, 56, true, 7
			p.Ports, p.SrcPort, p.DstPort = true, 1, 2
		})},
		"ipv6 later fragment of destination options": {"6000000000102c40" + v6Addrs + "3c00001000000007" + "ffffffffffffffff", with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen, p.FragmentOffset, p.ID = 60, 48, 56, 16, 7
		})},
		"ipv6 ah of 12 and esp behind it": {"6000000000143340" + v6Addrs + "320100000000010000000001" + "0000010000000001", with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 50, 52, 60
		})},
		"ipv6 no next header": {"6000000000003b40" + v6Addrs, with(v6, func(p *Packet) {
			p.Protocol, p.HeaderLen, p.TotalLen = 59, 40, 40
		})},
	} {
		t.Run(name, func(t *testing.T) {
			got, flaw := Parse(unhex(t, c.in))
			if flaw != NoFlaw {
				t.Fatal(flaw)
			}
			if d := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseNamesTheFlaw(t *testing.T) {
	nine := "6000000000480040" + v6Addrs
	for range 8 {
		nine += "3c00000000000000"
	}
	nine += "1100000000000000"
	for name, c := range map[string]struct {
		in   string
		want Flaw
	}{
		"nothing":                        {"", Truncated},
		"version 0":                      {"0500001400000000", BadVersion},
		"version 5":                      {"5500001400000000", BadVersion},
		"ipv4 of 19 octets":              {"45000013000000004011ffffc0000201c63364", Truncated},
		"ipv4 header of 16":              {"44000014000000004011ffff" + v4Addrs, BadHeaderLen},
		"ipv4 options beyond the length": {"46000014000000004011ffff" + v4Addrs + "00000000", BadHeaderLen},
		"ipv4 longer than the buffer":    {"45000015000000004011ffff" + v4Addrs, Truncated},
		"ipv4 total length 0":            {"45000000000000004011ffff" + v4Addrs, BadHeaderLen},
		"ipv6 of 39 octets":              {"6000000000003b40" + v6Addrs[:62], Truncated},
		"ipv6 longer than the buffer":    {"6000000000013b40" + v6Addrs, Truncated},
		"ipv6 extension cut off":         {"6000000000070040" + v6Addrs + "11000000000000", BadExtension},
		"ipv6 extension beyond the end":  {"6000000000080040" + v6Addrs + "1101000000000000", BadExtension},
		"ipv6 fragment header cut off":   {"6000000000042c40" + v6Addrs + "11000000", BadExtension},
		"ipv6 nine extensions":           {nine, BadExtension},
	} {
		t.Run(name, func(t *testing.T) {
			if _, flaw := Parse(unhex(t, c.in)); flaw != c.want {
				t.Errorf("flaw %q, want %q", flaw, c.want)
			}
		})
	}
}

func TestEightExtensionsAreWalked(t *testing.T) {
	in := "6000000000400040" + v6Addrs
	for range 7 {
		in += "3c00000000000000"
	}
	in += "3b00000000000000"
	p, flaw := Parse(unhex(t, in))
	if flaw != NoFlaw || p.Protocol != ProtoNone || p.HeaderLen != 104 {
		t.Errorf("%+v, flaw %v", p, flaw)
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	v4 := unhex(t, "4500001c123440004011ffff"+v4Addrs+"01f411940008aaaa")
	v6 := unhex(t, "6000000000081140"+v6Addrs+"0001000200080000")
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range [][]byte{v4, v6} {
			p, _ := Parse(b)
			p.SetTransportChecksum(b)
			p.TransportChecksumOK(b)
			DecrementTTL(b)
			SetTrafficClass(b, 0xb8)
			v4[8], v6[7] = 64, 64
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes in: no panic; without a flaw the offsets lie in the packet and every accessor works.
func FuzzParse(f *testing.F) {
	f.Add(unhex(f, "4500001c123440004011ffff"+v4Addrs+"01f411940008aaaa"))
	f.Add(unhex(f, "6000000000102c40"+v6Addrs+"1100000100000007"+"0001000200080000"))
	f.Add(unhex(f, "6000000000143340"+v6Addrs+"320100000000010000000001"+"0000010000000001"))
	f.Add(unhex(f, "46000020000000004001ffff"+v4Addrs+"010101010304ffff00000000"))
	for _, c := range capturedPackets(f) {
		f.Add(c.octets)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, flaw := Parse(b)
		if flaw != NoFlaw {
			return
		}
		if p.HeaderLen > p.TotalLen || p.TotalLen > len(b) || !p.Src.IsValid() || !p.Dst.IsValid() {
			t.Fatalf("%+v of %d octets", p, len(b))
		}
		AppendTooBig(nil, p.Dst, 1400, b)
		SetHeaderChecksum(b)
		class, df := TrafficClass(b), p.DF
		SetTrafficClass(b, ^class)
		SetTrafficClass(b, class)
		SetDF(b, !df)
		SetDF(b, df)
		DecrementTTL(b)
		if !HeaderChecksumOK(b) {
			t.Fatalf("header checksum: %x", b)
		}
		if p.SetTransportChecksum(b) {
			if ok, known := p.TransportChecksumOK(b); !ok || !known {
				t.Fatalf("transport checksum: %x", b)
			}
		}
		again, flaw := Parse(b)
		if flaw != NoFlaw || again.HeaderLen != p.HeaderLen || again.TotalLen != p.TotalLen || again.Src != p.Src {
			t.Fatalf("%+v became %+v, %v", p, again, flaw)
		}
		Number(b)
	})
}
