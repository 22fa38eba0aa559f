package spi

import (
	"testing"

	"pgregory.net/rapid"
)

func testPermutation(t testing.TB, seed byte) permutation {
	t.Helper()
	var key [keyLen]byte
	for i := range key {
		key[i] = seed + byte(i)
	}
	p, err := newPermutation(key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecryptUndoesEncrypt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := testPermutation(t, rapid.Byte().Draw(rt, "key"))
		x := rapid.Uint32Min(reserved).Draw(rt, "x")
		spi := p.encrypt(x)
		if spi < reserved {
			rt.Fatalf("encrypt(%d) = %d is reserved", x, spi)
		}
		if got := p.decrypt(spi); got != x {
			rt.Fatalf("decrypt(encrypt(%d)) = %d", x, got)
		}
		if got := p.encrypt(p.decrypt(x)); got != x {
			rt.Fatalf("encrypt(decrypt(%d)) = %d", x, got)
		}
	})
}

func TestEdgeValuesSurviveBothWays(t *testing.T) {
	p := testPermutation(t, 7)
	for _, spi := range []uint32{0xFF000000, 0xFFFFFFFF, 0x80000000, 0x00000100, 0x7FFFFFFF, 0xFF0000FF} {
		if x := p.decrypt(spi); x < reserved || p.encrypt(x) != spi {
			t.Errorf("0x%08X comes back as 0x%08X through %d", spi, p.encrypt(x), x)
		}
	}
}

// The values whose encryption falls among the reserved ones must be walked on, without two of them meeting: decrypt
// each reserved value one step to find the inputs that need walking.
func TestWalkingPastReservedValuesStaysOneToOne(t *testing.T) {
	p := testPermutation(t, 42)
	seen := map[uint32]uint32{}
	walked := 0
	for low := range uint32(reserved) {
		x := p.back(low)
		if x < reserved {
			continue
		}
		walked++
		spi := p.encrypt(x)
		if spi < reserved {
			t.Fatalf("encrypt(%d) = %d is reserved", x, spi)
		}
		if other, taken := seen[spi]; taken {
			t.Fatalf("%d and %d both become 0x%08X", x, other, spi)
		}
		seen[spi] = x
		if p.decrypt(spi) != x {
			t.Fatalf("walked %d does not come back", x)
		}
	}
	if walked == 0 {
		t.Fatal("no value needed walking: the test shows nothing")
	}
}

func TestEncryptIsOneToOneAndFillsEveryFirstOctet(t *testing.T) {
	p := testPermutation(t, 1)
	const n = 1 << 17
	seen := make(map[uint32]struct{}, n)
	var first [256]int
	for x := uint32(reserved); x < reserved+n; x++ {
		spi := p.encrypt(x)
		if _, dup := seen[spi]; dup {
			t.Fatalf("0x%08X comes twice in %d", spi, n)
		}
		seen[spi] = struct{}{}
		first[spi>>24]++
	}
	for octet, count := range first {
		// 512 are expected; a fair permutation misses 512 ± 50 % with a chance below 1e-25.
		if count < 256 || count > 768 {
			t.Errorf("first octet 0x%02X occurs %d times in %d", octet, count, n)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	p := testPermutation(b, 1)
	spi := uint32(reserved)
	for b.Loop() {
		spi = p.decrypt(spi)
	}
}
