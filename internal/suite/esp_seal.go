package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrRoom: the buffer given to Seal is shorter than SealedLen says.
	ErrRoom = errors.New("no room for the sealed packet")
	// ErrSequence: the sequence number is 0, or past 32 bits without ESN. RFC 4303 §3.3.3: the SA must be replaced.
	ErrSequence = errors.New("sequence number exhausted")
)

// ivSetter is what the standard library's CBC encrypter offers beside cipher.BlockMode.
type ivSetter interface {
	cipher.BlockMode
	SetIV([]byte)
}

// Sealer makes the ESP packets of one outbound SA. A value is for one goroutine at a time (it holds scratch memory);
// other goroutines take a Clone. Nothing is allocated in a call.
type Sealer struct {
	espCrypt
	keymat []byte       // for Clone
	cbc    ivSetter     // CBC
	ivs    cipher.Block // CBC
	ctr    [blockLen]byte
}

// NewSealer takes the KEYMAT of one direction: KeyLen octets for the encryption, then IntegKeyLen (RFC 7296 §2.17).
func NewSealer(c Cipher, keymat []byte, spi uint32, esn bool) (*Sealer, error) {
	e, block, err := newESPCrypt(c, keymat, spi, esn)
	if err != nil {
		return nil, err
	}
	s := &Sealer{espCrypt: e, keymat: append([]byte(nil), keymat...)}
	if c.AEAD() {
		return s, nil
	}
	var ok bool
	if s.cbc, ok = cipher.NewCBCEncrypter(block, make([]byte, blockLen)).(ivSetter); !ok {
		return nil, errors.New("this Go library's CBC encrypter cannot change its IV")
	}
	s.ivs, err = ivCipher(keymat)
	return s, err
}

// ivCipher turns sequence numbers into IVs that nobody without the key can predict (RFC 3602 §3 forbids a plain
// counter; SP 800-38A App. C allows an encrypted one). It has a key of its own, derived from KEYMAT. Because sequence
// numbers are leased and never repeat, neither do IVs, and no random source is needed per packet.
// Deviation: RFC 3602 §3 wants them random; these are as unpredictable, never repeat and need no random source.
func ivCipher(keymat []byte) (cipher.Block, error) {
	mac := hmac.New(sha256.New, keymat)
	mac.Write([]byte("lockstep: IVs of AES-CBC in ESP"))
	return aes.NewCipher(mac.Sum(nil)[:blockLen])
}

// Clone returns a Sealer of the same SA for another goroutine. The two must never be given the same sequence number.
func (s *Sealer) Clone() (*Sealer, error) { return NewSealer(s.c, s.keymat, s.spi, s.esn) }

// Overhead is the largest number of octets added to a payload.
func (s *Sealer) Overhead() int { return s.c.Overhead() }

// SealedLen is the exact number of octets that Seal writes for a payload of that length.
func (s *Sealer) SealedLen(payloadLen int) int { return s.c.SealedLen(payloadLen) }

// HeaderLen is the number of octets before the payload, SPI, sequence number and IV: where a payload may be placed so
// that Seal need not move it.
func (s *Sealer) HeaderLen() int { return espHeaderLen + s.c.IVLen() }

// Seal writes SPI | Seq | IV | ciphertext | ICV to the start of dst and returns the length. payload may lie in dst at
// HeaderLen, or anywhere else. seq must never repeat under these keys: AES-GCM takes it as its IV. Errors: ErrRoom,
// ErrSequence.
func (s *Sealer) Seal(dst []byte, seq uint64, payload []byte, nextHeader uint8) (int, error) {
	n := s.SealedLen(len(payload))
	if len(dst) < n {
		return 0, ErrRoom
	}
	if seq == 0 || !s.esn && seq>>32 != 0 {
		return 0, ErrSequence
	}
	end := n - s.c.ICVLen()
	inner := dst[s.HeaderLen():end]
	if len(payload) > 0 && &payload[0] != &inner[0] {
		copy(inner, payload)
	}
	trail(inner, len(payload), nextHeader)
	binary.BigEndian.PutUint32(dst, s.spi)
	binary.BigEndian.PutUint32(dst[4:], uint32(seq))
	high := uint32(seq >> 32)
	if s.aead != nil {
		binary.BigEndian.PutUint64(dst[espHeaderLen:], seq)
		binary.BigEndian.PutUint64(s.nonce[saltLen:], seq)
		s.aead.Seal(inner[:0], s.nonce[:], inner, s.associated(dst, high))
		return n, nil
	}
	iv := dst[espHeaderLen : espHeaderLen+blockLen]
	binary.BigEndian.PutUint64(s.ctr[8:], seq)
	s.ivs.Encrypt(iv, s.ctr[:])
	s.cbc.SetIV(iv)
	s.cbc.CryptBlocks(inner, inner)
	copy(dst[end:], s.icv(dst[:end], high))
	return n, nil
}

// trail fills what follows the payload: padding 1, 2, 3, …, its length, the next header (RFC 4303 §2.4).
func trail(inner []byte, payloadLen int, nextHeader uint8) {
	pad := len(inner) - payloadLen - espTrailerLen
	for i := range pad {
		inner[payloadLen+i] = byte(i + 1)
	}
	inner[len(inner)-2] = byte(pad)
	inner[len(inner)-1] = nextHeader
}

// Format hides the keys from every print verb.
func (s *Sealer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "ESP sealer 0x%08X %s (keys hidden)", s.spi, s.c.TransformName())
}
