package suite

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"
	"time"
)

// RFC 3602 §4, cases 5 to 8, are whole ESP packets without an integrity value: one is added under a key of the test.
func TestOpenerReadsThePacketsOfRFC3602(t *testing.T) {
	for _, v := range []struct {
		name, key, pkt, payload string
		next                    uint8
	}{
		{"case 5, transport mode", "90d382b410eeba7ad938c46cec1a82bf",
			"0000432100000001e96e8c08ab465763fd098d45dd3ff893" +
				"f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856" +
				"a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a" +
				"a269add047ad2d5913ac19b7cfbad4a6",
			"08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617" +
				"18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637", 1},
		{"case 6, transport mode", "90d382b410eeba7ad938c46cec1a82bf",
			"000043210000000869d08df7d203329db093fc4924e5bd80" +
				"f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
			"0800b5e8a80a0500a69c083d0b660e00777777777777777777777777", 1},
		{"case 7, tunnel mode", "0123456789abcdef0123456789abcdef",
			"0000876500000002f4e765244f6407adf13dc1380f673f37" +
				"773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8" +
				"e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5" +
				"c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
			"45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d" +
				"02a2040008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223" +
				"2425262728292a2b2c2d2e2f3031323334353637", 4},
		{"case 8, tunnel mode", "0123456789abcdef0123456789abcdef",
			"000087650000000585d47224b5f3dd5d2101d4ea8dffab22" +
				"15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5" +
				"0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3" +
				"d2726d9b5ef6affc6d17a0decbb13892",
			"45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083d" +
				"a3de0300ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 4},
	} {
		pkt := unhex(t, v.pkt)
		keys := append(unhex(t, v.key), make([]byte, 32)...)
		spi := uint32(pkt[2])<<8 | uint32(pkt[3])
		o, err := NewOpener(Cipher{EncrAESCBC, 128, IntegHMACSHA256}, keys, spi, false)
		if err != nil {
			t.Fatal(err)
		}
		pkt = append(pkt, bytes.Clone(o.icv(pkt, 0))...)
		payload, next, err := o.Open(pkt, 0)
		if err != nil || next != v.next || !bytes.Equal(payload, unhex(t, v.payload)) {
			t.Errorf("%s: next header %d, %x, %v", v.name, next, payload, err)
		}
	}
}

func TestKernelMadeCBCPacketDecrypts(t *testing.T) {
	var packets []struct {
		Title string
		Body  string `json:"esp_after_spi_seq_hex"`
	}
	load(t, "scapy/linux_kernel_esp_packets.json", &packets)
	for _, p := range packets {
		if !strings.Contains(p.Title, "AES-CBC") {
			continue
		}
		o, err := NewOpener(Cipher{EncrAESCBC, 128, IntegHMACSHA256}, append([]byte("sixteenbytes key"), make([]byte, 32)...), 0x222, false)
		if err != nil {
			t.Fatal(err)
		}
		pkt := append([]byte{0, 0, 2, 0x22, 0, 0, 0, 1}, unhex(t, p.Body)...)
		pkt = append(pkt, bytes.Clone(o.icv(pkt, 0))...) // the kernel was told to add none
		payload, next, err := o.Open(pkt, 0)
		if err != nil || next != 4 || len(payload) < 20 || payload[0] != 0x45 {
			t.Errorf("%s: next header %d, %x, %v", p.Title, next, payload, err)
		}
		return
	}
	t.Error("no packet with AES-CBC in the file")
}

// RFC 4868 §2.7: the outputs as PRF, and truncated as integrity.
func TestHMACsGiveTheOutputsOfRFC4868(t *testing.T) {
	var vectors []struct{ ID, Alg, Key, Seed, Data, Out, Mac string }
	load(t, "strongswan-vectors/sha2_hmac.json", &vectors)
	prfs := map[string]uint16{"PRF_HMAC_SHA2_256": 5, "PRF_HMAC_SHA2_384": 6, "PRF_HMAC_SHA2_512": 7}
	integs := map[string]uint16{"AUTH_HMAC_SHA2_256_128": 12, "AUTH_HMAC_SHA2_384_192": 13, "AUTH_HMAC_SHA2_512_256": 14}
	for _, v := range vectors {
		if id, ok := prfs[v.Alg]; ok {
			prf, _ := PRFByID(id)
			if got := prf.Sum(unhex(t, v.Key), unhex(t, v.Seed)); !bytes.Equal(got, unhex(t, v.Out)) {
				t.Errorf("%s: %x", v.ID, got)
			}
			continue
		}
		integ, ok := integs[v.Alg]
		if !ok {
			t.Fatalf("%s: %s is not supported", v.ID, v.Alg)
		}
		c := Cipher{EncrAESCBC, 128, integ}
		sk, err := NewSK(c, make([]byte, 16), unhex(t, v.Key))
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		e, _, err := newESPCrypt(c, append(make([]byte, 16), unhex(t, v.Key)...), 256, false)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		data, want := unhex(t, v.Data), unhex(t, v.Mac)
		if got := sk.icv(data[:3], data[3:]); !bytes.Equal(got, want) {
			t.Errorf("%s in IKE: %x", v.ID, got)
		}
		if got := e.icv(data, 0); !bytes.Equal(got, want) {
			t.Errorf("%s in ESP: %x", v.ID, got)
		}
	}
}

func TestCBCGivesThePublishedCiphertexts(t *testing.T) {
	var vectors []struct{ ID, Key, IV, Plain, Cipher string }
	load(t, "strongswan-vectors/aes_cbc.json", &vectors)
	for _, v := range vectors {
		key, want := unhex(t, v.Key), unhex(t, v.Cipher)
		c := Cipher{EncrAESCBC, uint16(len(key) * 8), IntegHMACSHA256}
		keys := append(bytes.Clone(key), make([]byte, 32)...)
		s, err := NewSealer(c, keys, 256, false)
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewOpener(c, keys, 256, false)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		s.cbc.SetIV(unhex(t, v.IV))
		s.cbc.CryptBlocks(got, unhex(t, v.Plain))
		if !bytes.Equal(got, want) {
			t.Errorf("%s: encrypts to %x", v.ID, got)
		}
		o.cbc.SetIV(unhex(t, v.IV))
		if o.cbc.CryptBlocks(got, want); !bytes.Equal(got, unhex(t, v.Plain)) {
			t.Errorf("%s: decrypts to %x", v.ID, got)
		}
	}
}

func TestGCMGivesThePublishedCiphertexts(t *testing.T) {
	var vectors []struct{ ID, Alg, Key, IV, Adata, Plain, Cipher string }
	load(t, "strongswan-vectors/aes_gcm.json", &vectors)
	tried := 0
	for _, v := range vectors {
		if v.Alg != "ENCR_AES_GCM_ICV16" { // shorter tags are not offered
			continue
		}
		key := unhex(t, v.Key)
		sk, err := NewSK(Cipher{EncrAESGCM16, uint16(len(key)-saltLen) * 8, IntegNone}, key, nil)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		got := sk.aead.Seal(nil, sk.nonce(unhex(t, v.IV)), unhex(t, v.Plain), unhex(t, v.Adata))
		if !bytes.Equal(got, unhex(t, v.Cipher)) {
			t.Errorf("%s: %x", v.ID, got)
		}
		tried++
	}
	if tried < 10 {
		t.Errorf("only %d vectors with a tag of 16 octets", tried)
	}
}

// An SK payload or ESP packet whose ciphertext Wycheproof calls invalid must not open, and the valid ones must agree.
func TestWycheproofAgreesOnGCM(t *testing.T) {
	var doc struct {
		TestGroups []struct {
			IVSize, KeySize, TagSize int
			Tests                    []struct {
				TcID                               int
				Key, IV, Aad, Msg, Ct, Tag, Result string
			}
		}
	}
	load(t, "wycheproof/aes_gcm_test.json", &doc)
	count := map[string]int{}
	for _, g := range doc.TestGroups {
		if g.IVSize != 96 || g.TagSize != 128 { // salt and explicit IV are 12 octets
			continue
		}
		for _, v := range g.Tests {
			iv := unhex(t, v.IV)
			sk, err := NewSK(Cipher{EncrAESGCM16, uint16(g.KeySize), IntegNone}, append(unhex(t, v.Key), iv[:saltLen]...), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sk.aead.Open(nil, sk.nonce(iv[saltLen:]), append(unhex(t, v.Ct), unhex(t, v.Tag)...), unhex(t, v.Aad))
			if valid := v.Result == "valid"; valid != (err == nil) || valid && !bytes.Equal(got, unhex(t, v.Msg)) {
				t.Errorf("test %d (%s): %x, %v", v.TcID, v.Result, got, err)
			}
			count[v.Result]++
		}
	}
	if count["valid"] < 50 || count["invalid"] < 20 {
		t.Errorf("tried %v", count)
	}
}

// BenchmarkSealAndOpenOverBareGCM alternates between ESP and the bare cipher so that both see the same machine, and
// reports the ratio of their times: at most 1.15 is wanted for each.
func BenchmarkSealAndOpenOverBareGCM(b *testing.B) {
	c := Cipher{EncrAESGCM16, 256, IntegNone}
	s, o := pair(b, c, 0x100, false)
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCM(block)
	nonce, aad := make([]byte, 12), make([]byte, 8)
	const batch = 200
	pkt := make([]byte, s.SealedLen(mtuPayload))
	payload := pkt[s.HeaderLen():][:mtuPayload]
	bare := aead.Seal(nil, nonce, make([]byte, mtuPayload), aad)
	bareBuf := make([]byte, len(bare))
	var sealed []byte
	var espSeal, bareSeal, espOpen, bareOpen time.Duration
	seq := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		for range batch {
			seq++
			if _, err := s.Seal(pkt, seq, payload, 4); err != nil {
				b.Fatal(err)
			}
		}
		espSeal += time.Since(start)
		start = time.Now()
		for range batch {
			aead.Seal(bareBuf[:0], nonce, bareBuf[:mtuPayload], aad)
		}
		bareSeal += time.Since(start)
		sealed = append(sealed[:0], pkt...)
		start = time.Now()
		for range batch {
			copy(pkt, sealed)
			if _, _, err := o.Open(pkt, 0); err != nil {
				b.Fatal(err)
			}
		}
		espOpen += time.Since(start)
		start = time.Now()
		for range batch {
			copy(bareBuf, bare)
			if _, err := aead.Open(bareBuf[:0], nonce, bareBuf, aad); err != nil {
				b.Fatal(err)
			}
		}
		bareOpen += time.Since(start)
	}
	b.ReportMetric(float64(espSeal)/float64(bareSeal), "seal/bare")
	b.ReportMetric(float64(espOpen)/float64(bareOpen), "open/bare")
}
