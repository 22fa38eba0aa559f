package suite

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

var espCiphers = []Cipher{
	{EncrAESGCM16, 128, IntegNone}, {EncrAESGCM16, 256, IntegNone},
	{EncrAESCBC, 128, IntegHMACSHA256}, {EncrAESCBC, 192, IntegHMACSHA384}, {EncrAESCBC, 256, IntegHMACSHA256}, {EncrAESCBC, 256, IntegHMACSHA512},
}

func keymat(c Cipher) []byte {
	b := make([]byte, c.KeyLen()+c.IntegKeyLen())
	(&counting{}).Read(b)
	return b
}

func pair(t testing.TB, c Cipher, spi uint32, esn bool) (*Sealer, *Opener) {
	t.Helper()
	s, err := NewSealer(c, keymat(c), spi, esn)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpener(c, keymat(c), spi, esn)
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

func TestSealedPacketsOpenAtEveryLength(t *testing.T) {
	for _, c := range espCiphers {
		for _, esn := range []bool{false, true} {
			s, o := pair(t, c, 0xFF00ABCD, esn)
			for n := range 70 {
				seq := uint64(n + 1)
				if esn {
					seq |= 7 << 32
				}
				payload := bytes.Repeat([]byte{byte(n)}, n)
				pkt := make([]byte, s.SealedLen(n))
				size, err := s.Seal(pkt, seq, payload, 4)
				if err != nil || size != len(pkt) || size > n+s.Overhead() {
					t.Fatalf("%v: %d octets, %v", c, size, err)
				}
				if spi := binary.BigEndian.Uint32(pkt); spi != 0xFF00ABCD || binary.BigEndian.Uint32(pkt[4:]) != uint32(seq) {
					t.Fatalf("%v: header %x", c, pkt[:8])
				}
				got, next, err := o.Open(pkt, uint32(seq>>32))
				if err != nil || next != 4 || !bytes.Equal(got, payload) {
					t.Fatalf("%v, %d octets: %x, next header %d, %v", c, n, got, next, err)
				}
			}
		}
	}
}

func TestEveryChangedOctetIsRefused(t *testing.T) {
	for _, c := range espCiphers {
		s, o := pair(t, c, 0x100, true)
		pkt := make([]byte, s.SealedLen(21))
		if _, err := s.Seal(pkt, 5<<32|9, bytes.Repeat([]byte{0x45}, 21), 4); err != nil {
			t.Fatal(err)
		}
		for i := range pkt {
			if i < 4 {
				continue // the SPI chose this opener; its octets are covered by the next test
			}
			bad := append([]byte(nil), pkt...)
			bad[i] ^= 0x10
			if _, _, err := o.Open(bad, 5); !errors.Is(err, ErrICV) {
				t.Errorf("%v, octet %d: %v", c, i, err)
			}
		}
		if _, _, err := o.Open(append([]byte(nil), pkt...), 4); !errors.Is(err, ErrICV) {
			t.Errorf("%v: another high half of the sequence number: %v", c, err)
		}
		for n := range pkt {
			if _, _, err := o.Open(append([]byte(nil), pkt[:n]...), 5); err == nil {
				t.Errorf("%v: opened when cut to %d octets", c, n)
			}
		}
		if _, _, err := o.Open(pkt, 5); err != nil {
			t.Errorf("%v: the packet itself: %v", c, err)
		}
	}
}

// TestCBCPacketIsWhatRFC4303Describes takes a sealed packet apart with the standard library alone.
func TestCBCPacketIsWhatRFC4303Describes(t *testing.T) {
	c := Cipher{EncrAESCBC, 128, IntegHMACSHA256}
	s, _ := pair(t, c, 0x01020304, true)
	payload := []byte("twenty-one octets long")
	pkt := make([]byte, s.SealedLen(len(payload)))
	if _, err := s.Seal(pkt, 3<<32|1, payload, 41); err != nil {
		t.Fatal(err)
	}
	keys := keymat(c)
	mac := hmac.New(sha256.New, keys[16:])
	mac.Write(pkt[:len(pkt)-16])
	mac.Write([]byte{0, 0, 0, 3}) // §2.2.1: the high half is authenticated and not sent
	if !bytes.Equal(mac.Sum(nil)[:16], pkt[len(pkt)-16:]) {
		t.Error("ICV differs")
	}
	block, _ := aes.NewCipher(keys[:16])
	inner := append([]byte(nil), pkt[24:len(pkt)-16]...)
	cipher.NewCBCDecrypter(block, pkt[8:24]).CryptBlocks(inner, inner)
	pad := int(inner[len(inner)-2])
	if inner[len(inner)-1] != 41 || !bytes.Equal(inner[:len(payload)], payload) || len(payload)+pad+2 != len(inner) {
		t.Fatalf("inner %x", inner)
	}
	for i := range pad {
		if inner[len(payload)+i] != byte(i+1) { // §2.4: 1, 2, 3 …
			t.Errorf("padding %x", inner[len(payload):])
		}
	}
}

func TestCBCVectorOfRFC3602(t *testing.T) {
	// §4, case 1: shows that the block cipher beneath is the RFC's.
	block, err := aes.NewCipher(unhex(t, "06a9214036b8a15b512e03d534120006"))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 16)
	cipher.NewCBCEncrypter(block, unhex(t, "3dafba429d9eb430b422da802c9fac41")).CryptBlocks(out, []byte("Single block msg"))
	if !bytes.Equal(out, unhex(t, "e353779c1079aeb82708942dbe77181a")) {
		t.Errorf("%x", out)
	}
}

func TestKernelMadeGCMPacketOpens(t *testing.T) {
	var packets []struct {
		Title string
		Body  string `json:"esp_after_spi_seq_hex"`
	}
	load(t, "scapy/linux_kernel_esp_packets.json", &packets)
	opened := 0
	for _, p := range packets {
		if p.Title != "IPv4 / ESP - Transport - AES-GCM - NULL" {
			continue
		}
		o, err := NewOpener(Cipher{EncrAESGCM16, 128, IntegNone}, []byte("16bytekey+4bytenonce"), 0x222, false)
		if err != nil {
			t.Fatal(err)
		}
		pkt := append([]byte{0, 0, 2, 0x22, 0, 0, 0, 1}, unhex(t, p.Body)...)
		payload, next, err := o.Open(pkt, 0)
		if err != nil || next != 4 || len(payload) < 20 || payload[0] != 0x45 || int(binary.BigEndian.Uint16(payload[2:])) != len(payload) {
			t.Errorf("%s: next header %d, %x, %v", p.Title, next, payload, err)
		}
		opened++
	}
	if opened == 0 {
		t.Error("no packet with AES-GCM in the file")
	}
}

func TestCBCIVsDoNotRepeatOrShowTheSequence(t *testing.T) {
	c := Cipher{EncrAESCBC, 256, IntegHMACSHA256}
	s, _ := pair(t, c, 0x100, false)
	seen := map[string]bool{}
	pkt := make([]byte, s.SealedLen(8))
	for seq := uint64(1); seq <= 2000; seq++ {
		if _, err := s.Seal(pkt, seq, make([]byte, 8), 4); err != nil {
			t.Fatal(err)
		}
		iv := string(pkt[8:24])
		if seen[iv] || binary.BigEndian.Uint64(pkt[16:24]) == seq {
			t.Fatalf("IV %x of packet %d", iv, seq)
		}
		seen[iv] = true
	}
}

func TestSequenceNumbersOutsideTheirSpaceAreRefused(t *testing.T) {
	for _, c := range espCiphers {
		s, _ := pair(t, c, 0x100, false)
		pkt := make([]byte, 200)
		for _, seq := range []uint64{0, 1 << 32} {
			if _, err := s.Seal(pkt, seq, []byte{1}, 4); !errors.Is(err, ErrSequence) {
				t.Errorf("%v: %d: %v", c, seq, err)
			}
		}
		if _, err := s.Seal(pkt[:s.SealedLen(9)-1], 1, make([]byte, 9), 4); !errors.Is(err, ErrRoom) {
			t.Errorf("%v: short buffer: %v", c, err)
		}
	}
}

func TestSenselessCiphersAreNamed(t *testing.T) {
	for _, c := range []Cipher{{}, {EncrAESGCM16, 100, 0}, {EncrAESGCM16, 128, IntegHMACSHA256}, {EncrAESCBC, 128, IntegNone}, {EncrAESCBC, 128, 99}, {3, 0, 2}} {
		if err := c.Check(); err == nil {
			t.Errorf("%+v passes", c)
		}
		if _, err := NewSealer(c, make([]byte, 36), 0x100, false); err == nil {
			t.Errorf("a sealer for %+v", c)
		}
		if _, err := NewSK(c, make([]byte, 36), nil); err == nil {
			t.Errorf("SK for %+v", c)
		}
	}
	for _, c := range espCiphers {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		if _, err := NewOpener(c, keymat(c)[1:], 0x100, false); err == nil {
			t.Errorf("%v with a key too short", c)
		}
	}
}

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	for _, c := range espCiphers {
		s, o := pair(t, c, 0x100, false)
		buf := make([]byte, s.SealedLen(1408))
		sealed := make([]byte, len(buf))
		payload, seq := make([]byte, 1408), uint64(0)
		n := testing.AllocsPerRun(50, func() {
			seq++
			if _, err := s.Seal(sealed, seq, payload, 4); err != nil {
				t.Fatal(err)
			}
			copy(buf, sealed)
			if _, _, err := o.Open(buf, 0); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations a packet", c, n)
		}
	}
}

func TestKeysNeverPrint(t *testing.T) {
	c := espCiphers[0]
	s, o := pair(t, c, 0x100, false)
	sk, err := NewSK(c, keymat(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	kx, _ := mustGroup(t, GroupMODP2048).Generate(&counting{})
	for _, v := range []any{s, o, sk, kx} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, v); len(out) > 90 || bytes.Contains([]byte(out), []byte("1 2 3 4")) {
				t.Errorf("%s of %T: %s", verb, v, out)
			}
		}
	}
}

const mtuPayload = 1408

func BenchmarkBareGCMSeal(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCM(block)
	buf, nonce, aad := make([]byte, mtuPayload+16), make([]byte, 12), make([]byte, 8)
	b.SetBytes(mtuPayload)
	b.ReportAllocs()
	for b.Loop() {
		aead.Seal(buf[:0], nonce, buf[:mtuPayload], aad)
	}
}

func BenchmarkBareGCMOpen(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCM(block)
	nonce, aad := make([]byte, 12), make([]byte, 8)
	sealed := aead.Seal(nil, nonce, make([]byte, mtuPayload), aad)
	buf := make([]byte, len(sealed))
	b.SetBytes(mtuPayload)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, sealed)
		if _, err := aead.Open(buf[:0], nonce, buf, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkESP(b *testing.B) {
	for _, c := range []Cipher{{EncrAESGCM16, 256, IntegNone}, {EncrAESCBC, 256, IntegHMACSHA256}} {
		s, o := pair(b, c, 0x100, false)
		sealed := make([]byte, s.SealedLen(mtuPayload))
		b.Run("seal/"+c.TransformName(), func(b *testing.B) {
			b.SetBytes(mtuPayload)
			b.ReportAllocs()
			payload := sealed[s.HeaderLen():][:mtuPayload]
			var seq uint64
			for b.Loop() {
				seq++
				if _, err := s.Seal(sealed, seq&0x7FFFFFFF|1, payload, 4); err != nil {
					b.Fatal(err)
				}
			}
		})
		if _, err := s.Seal(sealed, 1, make([]byte, mtuPayload), 4); err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, len(sealed))
		b.Run("open/"+c.TransformName(), func(b *testing.B) {
			b.SetBytes(mtuPayload)
			b.ReportAllocs()
			for b.Loop() {
				copy(buf, sealed)
				if _, _, err := o.Open(buf, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
