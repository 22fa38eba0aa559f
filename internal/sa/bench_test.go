package sa

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"lockstep/internal/reason"
	"lockstep/internal/suite"
)

// The cost of an SA over its cipher, at 1408 octets and rows of 40 packets: what the data path asks of this package,
// beside AES-GCM alone in the same file. Run together, figures are only comparable within one run.
const (
	benchPayload = 1408
	benchRow     = 40
)

var gcm256 = suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}

func benchPair(b *testing.B) (*Outbound, *Inbound) {
	b.Helper()
	wide := func(spi SPI) Child {
		c := child(spi, spi+1)
		c.Cipher, c.KeyIn, c.KeyOut, c.ReplayWindow = gcm256, longKey(spi), longKey(spi+1), 0
		return c
	}
	c := wide(0x1000)
	a, z := installed(b, Options{Leaser: everything{}}, c), installed(b, Options{Leaser: everything{}}, mirror(c))
	in, _ := a.Lookup(c.In)
	return (*z.Tunnel(0).children.Load())[0], in
}

// everything grants the whole space at once.
type everything struct{}

func (everything) Grant(_ SPI, upTo uint64) (uint64, error) { return max(upTo, 1<<32), nil }

func perPacket(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRow, "ns/packet")
}

func BenchmarkSealRow(b *testing.B) {
	out, _ := benchPair(b)
	pkt := inner("10.2.0.7:9", "10.1.0.7:9", benchPayload-28)
	buf := make([]byte, out.Sealer().SealedLen(len(pkt)))
	payload := buf[out.Sealer().HeaderLen():][:len(pkt)]
	copy(payload, pkt)
	b.ReportAllocs()
	for b.Loop() {
		out.Hold()
		seq, why := out.Reserve(benchRow, t0)
		if why != reason.None {
			b.Fatal(why)
		}
		for i := range uint64(benchRow) {
			if _, err := out.Sealer().Seal(buf, seq+i, payload, 4); err != nil {
				b.Fatal(err)
			}
		}
		out.Sent(benchRow, benchRow*benchPayload, t0)
		out.LetGo()
	}
	perPacket(b)
}

// BenchmarkOpenRow opens the same packet again and again; putting its octets back is part of the time.
func BenchmarkOpenRow(b *testing.B) {
	out, in := benchPair(b)
	pkt := seal(b, out, 1, 4, inner("10.2.0.7:9", "10.1.0.7:9", benchPayload-28))
	buf := make([]byte, len(pkt))
	b.ReportAllocs()
	for b.Loop() {
		in.Hold()
		for range benchRow {
			copy(buf, pkt)
			if _, why := in.Open(buf, siteB, t0); why != reason.None {
				b.Fatal(why)
			}
		}
		in.LetGo()
	}
	perPacket(b)
}

func bare(b *testing.B) (cipher.AEAD, [12]byte) {
	b.Helper()
	block, err := aes.NewCipher(longKey(1).Reveal()[:32])
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return aead, [12]byte{}
}

func BenchmarkBareSeal(b *testing.B) {
	aead, nonce := bare(b)
	buf := make([]byte, benchPayload+2, benchPayload+32)
	b.ReportAllocs()
	for b.Loop() {
		for range benchRow {
			aead.Seal(buf[:0], nonce[:], buf, nonce[:8])
		}
	}
	perPacket(b)
}

func BenchmarkBareOpen(b *testing.B) {
	aead, nonce := bare(b)
	sealed := aead.Seal(nil, nonce[:], make([]byte, benchPayload+2), nonce[:8])
	buf := make([]byte, len(sealed))
	b.ReportAllocs()
	for b.Loop() {
		for range benchRow {
			copy(buf, sealed)
			if _, err := aead.Open(buf[:0], nonce[:], buf, nonce[:8]); err != nil {
				b.Fatal(err)
			}
		}
	}
	perPacket(b)
}
