package esp

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestParseReadsSPIAndSequenceNumber(t *testing.T) {
	for _, c := range []struct {
		in       string
		spi, seq uint32
		ok       bool
	}{
		{"", 0, 0, false},
		{"00000100000000", 0, 0, false},
		{"0000010000000001", 0x100, 1, true},
		{"ffffffff80000000aabb", 0xffffffff, 0x80000000, true},
		{"f4dc0ae500000007", 0xf4dc0ae5, 7, true},
	} {
		b, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		spi, seq, ok := Parse(b)
		if spi != c.spi || seq != c.seq || ok != c.ok {
			t.Errorf("Parse(%s) = %x, %x, %v, want %x, %x, %v", c.in, spi, seq, ok, c.spi, c.seq, c.ok)
		}
	}
}

func TestPutHeaderIsReadBack(t *testing.T) {
	var b [HeaderLen]byte
	PutHeader(b[:], 0xc0ffee01, 0x01020304)
	if got := hex.EncodeToString(b[:]); got != "c0ffee0101020304" {
		t.Errorf("header %s", got)
	}
}

// The answer is the least number that aligns: checked against counting upwards.
func TestPadLenIsTheLeastThatAligns(t *testing.T) {
	for _, align := range []int{1, 2, 4, 8, 16} {
		for n := range 100 {
			want := 0
			for (n+want+TrailerLen)%max(align, 4) != 0 {
				want++
			}
			if got := PadLen(n, align); got != want {
				t.Fatalf("PadLen(%d, %d) = %d, want %d", n, align, got, want)
			}
		}
	}
}

// 1408 octets of AES-GCM-16: 8 + 8 + 1408 + 2 padding + 2 + 16.
func TestSealedLenOfKnownPackets(t *testing.T) {
	for _, c := range []struct{ payload, align, iv, icv, want int }{
		{1408, 4, 8, 16, 1444},
		{1406, 4, 8, 16, 1440},
		{0, 1, 8, 16, 36},
		{84, 16, 16, 16, 8 + 16 + 96 + 16},
		{0, 4, 0, 12, MinLen},
		{0, 4, 0, 8, MinLenImplicitIV},
	} {
		if got := SealedLen(c.payload, c.align, c.iv, c.icv); got != c.want {
			t.Errorf("SealedLen(%d, %d, %d, %d) = %d, want %d", c.payload, c.align, c.iv, c.icv, got, c.want)
		}
	}
}

func TestMaxPayloadIsTheLongestThatFits(t *testing.T) {
	for _, s := range []struct{ align, iv, icv int }{{4, 8, 16}, {16, 16, 16}, {16, 16, 24}, {4, 0, 12}} {
		for limit := SealedLen(0, s.align, s.iv, s.icv); limit < 300; limit++ {
			n := MaxPayload(limit, s.align, s.iv, s.icv)
			if SealedLen(n, s.align, s.iv, s.icv) > limit || SealedLen(n+1, s.align, s.iv, s.icv) <= limit {
				t.Fatalf("MaxPayload(%d, %+v) = %d", limit, s, n)
			}
		}
	}
}

func TestTrailerRoundTrip(t *testing.T) {
	for n := range 40 {
		for _, align := range []int{4, 16} {
			b := bytes.Repeat([]byte{0xaa}, 80)
			pad := PadLen(n, align)
			end := PutTrailer(b, n, pad, NextIPv4)
			if end%align != 0 || b[end] != 0xaa {
				t.Fatalf("payload %d, align %d: ends at %d", n, align, end)
			}
			got, next, ok := Trailer(b[:end])
			if got != n || next != NextIPv4 || !ok {
				t.Fatalf("Trailer = %d, %d, %v, want %d, %d, true", got, next, ok, n, NextIPv4)
			}
		}
	}
}

func TestTrailerThatCannotBe(t *testing.T) {
	for name, in := range map[string]string{
		"empty":               "",
		"one octet":           "04",
		"padding before data": "0102030504",
		"padding all zero":    "45000000000204",
		"padding backwards":   "45020102" + "04",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if n, _, ok := Trailer(b); ok {
			t.Errorf("%s: taken for a payload of %d", name, n)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	b := make([]byte, 128)
	if n := testing.AllocsPerRun(100, func() {
		PutHeader(b, 1, 2)
		Parse(b)
		Trailer(b[:PutTrailer(b, 60, PadLen(60, 16), NextDummy)])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTrailer(f *testing.F) {
	f.Add([]byte{1, 2, 2, 4})
	f.Add([]byte{0, 59})
	f.Add([]byte{0xff, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, next, ok := Trailer(b)
		if !ok {
			return
		}
		again := append([]byte(nil), b...)
		if end := PutTrailer(again, n, len(b)-n-TrailerLen, next); end != len(b) || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again[:end])
		}
	})
}
