package ip

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// slowSum is RFC 1071 §4.1 word by word: what Sum is compared with.
func slowSum(b []byte, sum uint16) uint16 {
	acc := uint32(sum)
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		acc += word
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

func TestSumOfRFC1071Example(t *testing.T) {
	if got := Sum(unhex(t, "0001f203f4f5f6f7"), 0); got != 0xddf2 {
		t.Errorf("sum %04x, want ddf2", got)
	}
}

// Octets of all ones are where a lost carry shows.
func TestSumMatchesWordByWord(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		for _, b := range [][]byte{noise, bytes.Repeat([]byte{0xff}, n), make([]byte, n)} {
			for _, start := range []uint16{0, 1, 0xfffe, 0xffff} {
				if got, want := Sum(b, start), slowSum(b, start); got != want {
					t.Fatalf("Sum of %d octets from %04x = %04x, want %04x\n%x", n, start, got, want, b)
				}
			}
		}
	}
}

func TestSumOfPiecesIsSumOfWhole(t *testing.T) {
	b := bytes.Repeat([]byte{0xfe, 0x01, 0xff}, 60)
	for cut := 0; cut <= len(b); cut += 2 {
		if got, want := Sum(b[cut:], Sum(b[:cut], 7)), Sum(b, 7); got != want {
			t.Fatalf("cut at %d: %04x, want %04x", cut, got, want)
		}
	}
}

func TestUpdateChecksumMatchesComputingAnew(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := make([]byte, 20)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = 0x45
		SetHeaderChecksum(b)
		SetTrafficClass(b, uint8(rng.Uint32()))
		SetDF(b, rng.Uint32()&1 == 0)
		DecrementTTL(b)
		if !HeaderChecksumOK(b) {
			t.Fatalf("checksum wrong after changes: %x", b)
		}
	}
}

// RFC 1624 §5, and the example of the header checksum that everybody knows.
func TestChecksumOfKnownHeader(t *testing.T) {
	b := unhex(t, "4500003c1c4640004006b1e6ac100a63ac100a0c")
	if !HeaderChecksumOK(b) {
		t.Error("good checksum refused")
	}
	SetHeaderChecksum(b)
	if b[10] != 0xb1 || b[11] != 0xe6 {
		t.Errorf("checksum %x, want b1e6", b[10:12])
	}
	b[8]--
	if HeaderChecksumOK(b) {
		t.Error("wrong checksum accepted")
	}
	if got := UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("RFC 1624 example: %04x, want 0000", got)
	}
}

func TestTransportChecksumRoundTrip(t *testing.T) {
	for name, in := range map[string]string{
		"udp over ipv4":     "4500002100010000401100000a0000010a000002" + "03e807d0000d0000" + "68656c6c6f",
		"tcp over ipv4":     "4500002800010000400600000a0000010a000002" + "03e807d000000001000000025010ffff00000000",
		"icmp":              "4500002000010000400100000a0000010a000002" + "0800000000010001" + "61626364",
		"udp over ipv6":     "60000000000d1140" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "03e807d0000d0000" + "68656c6c6f",
		"icmpv6":            "60000000000c3a40" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "8000000000010001" + "61626364",
		"udp behind hopopt": "6000000000150040" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "1100010400000000" + "03e807d0000d0000" + "68656c6c6f",
	} {
		t.Run(name, func(t *testing.T) {
			b := append(unhex(t, in), 0xee, 0xee) // padding behind the packet must not count
			p, flaw := Parse(b)
			if flaw != NoFlaw {
				t.Fatal(flaw)
			}
			if !p.SetTransportChecksum(b) {
				t.Fatal("no checksum set")
			}
			if ok, known := p.TransportChecksumOK(b); !ok || !known {
				t.Fatalf("own checksum: ok %v, known %v", ok, known)
			}
			for i := p.HeaderLen; i < p.TotalLen; i++ {
				b[i] ^= 0x10
				if ok, _ := p.TransportChecksumOK(b); ok {
					t.Errorf("octet %d changed and the checksum still holds", i)
				}
				b[i] ^= 0x10
			}
		})
	}
}

func TestUDPChecksumZero(t *testing.T) {
	v4 := unhex(t, "4500001c00010000401100000a0000010a00000203e807d000080000")
	p, _ := Parse(v4)
	if ok, known := p.TransportChecksumOK(v4); !ok || known {
		t.Errorf("IPv4 without checksum: ok %v, known %v", ok, known)
	}
	v6 := unhex(t, "6000000000081140"+"20010db8000000000000000000000001"+"20010db8000000000000000000000002"+"03e807d000080000")
	p, _ = Parse(v6)
	if ok, known := p.TransportChecksumOK(v6); ok || !known {
		t.Errorf("IPv6 without checksum: ok %v, known %v", ok, known)
	}
}

// A payload that brings the sum to 0xffff: the checksum would be 0, which UDP sends as 0xffff.
func TestUDPChecksumIsNeverSentAsZero(t *testing.T) {
	b := AppendUDP(nil, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"), []byte{0, 0})
	p, _ := Parse(b)
	copy(b[28:], []byte{b[26], b[27]}) // payload = the checksum over a payload of zero: the sum becomes 0xffff
	if !p.SetTransportChecksum(b) || b[26] != 0xff || b[27] != 0xff {
		t.Errorf("checksum %x, want ffff", b[26:28])
	}
	if ok, known := p.TransportChecksumOK(b); !ok || !known {
		t.Errorf("ok %v, known %v", ok, known)
	}
}

func TestChecksumOfFragmentIsUnknown(t *testing.T) {
	b := unhex(t, "4500001c00012000401100000a0000010a00000203e807d000080001")
	p, _ := Parse(b)
	if ok, known := p.TransportChecksumOK(b); !ok || known {
		t.Errorf("ok %v, known %v", ok, known)
	}
	if p.SetTransportChecksum(b) {
		t.Error("set the checksum of a fragment")
	}
}

func TestFinishChecksumCompletesPartialOne(t *testing.T) {
	b := AppendUDP(nil, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2"), []byte("payload"))
	want := bytes.Clone(b)
	p, _ := Parse(b)
	partial := PseudoSum(p.Src, p.Dst, p.Protocol, p.UpperLen())
	b[46], b[47] = byte(partial>>8), byte(partial)
	if !FinishChecksum(b, 40, 6) || !bytes.Equal(b, want) {
		t.Errorf("finished\n%x, want\n%x", b, want)
	}
	for _, c := range [][2]int{{-1, 6}, {40, -1}, {len(b) + 1, 0}, {40, len(b) - 41}, {0, len(b)}} {
		if FinishChecksum(b, c[0], c[1]) {
			t.Errorf("start %d, offset %d accepted in %d octets", c[0], c[1], len(b))
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 1408, 65535} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			buf := bytes.Repeat([]byte{0xa5}, n)
			b.SetBytes(int64(n))
			var sum uint16
			for b.Loop() {
				sum = Sum(buf, sum)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	pkt := AppendNumbered(nil, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"), 1, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, flaw := Parse(pkt); flaw != NoFlaw {
			b.Fatal(flaw)
		}
	}
}
