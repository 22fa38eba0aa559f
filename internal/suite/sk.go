package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Refusals of a protected packet or message, in the order in which they are found. They carry no detail: nothing
// about the content may be told before it is authentic.
var (
	ErrShort = errors.New("too short, or not a whole number of cipher blocks")
	ErrICV   = errors.New("integrity check failed")
	ErrPad   = errors.New("padding does not fit")
)

// SK protects the messages of one direction of one IKE SA (RFC 7296 §3.14, RFC 5282 for AEAD). It keeps no state
// between calls and may be used from any goroutine.
type SK struct {
	c        Cipher
	aead     cipher.AEAD  // nil for CBC
	salt     []byte       // AEAD
	block    cipher.Block // CBC
	integKey []byte       // CBC
}

// NewSK takes SK_ei or SK_er (with the salt at its end for AEAD) and SK_ai or SK_ar (empty for AEAD).
func NewSK(c Cipher, key, integKey []byte) (*SK, error) {
	if err := c.checkKeys(len(key), len(integKey)); err != nil {
		return nil, fmt.Errorf("protection of IKE messages: %w", err)
	}
	n := int(c.KeyBits) / 8
	block, err := aes.NewCipher(key[:n])
	if err != nil {
		return nil, fmt.Errorf("protection of IKE messages: %w", err)
	}
	sk := &SK{c: c, block: block}
	if !c.AEAD() {
		sk.integKey = append([]byte(nil), integKey...)
		return sk, nil
	}
	sk.salt = append([]byte(nil), key[n:]...)
	if sk.aead, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("protection of IKE messages: %w", err)
	}
	return sk, nil
}

// padLen is the number of padding octets: none for AEAD (RFC 5282 §3 asks for no alignment), up to the block for CBC.
func (sk *SK) padLen(plaintextLen int) int {
	if sk.aead != nil {
		return 0
	}
	return (blockLen - (plaintextLen+1)%blockLen) % blockLen
}

// BodyLen is the length of what Seal returns for a plaintext of that length, so that the length fields of the IKE and
// SK headers can be set before they are authenticated.
func (sk *SK) BodyLen(plaintextLen int) int {
	return sk.c.IVLen() + plaintextLen + sk.padLen(plaintextLen) + 1 + sk.c.ICVLen()
}

// Seal returns the body of the SK payload: IV | ciphertext | ICV. header is every octet from the IKE header to the end
// of the SK payload's generic header (for a fragment, of its fragment header), lengths already final. iv must never
// repeat under one key for AEAD; CBC ignores it and draws its IV from rand.
func (sk *SK) Seal(header []byte, iv uint64, rand io.Reader, plaintext []byte) ([]byte, error) {
	body := make([]byte, sk.BodyLen(len(plaintext)))
	inner := body[sk.c.IVLen() : len(body)-sk.c.ICVLen()]
	copy(inner, plaintext)
	inner[len(inner)-1] = byte(sk.padLen(len(plaintext)))
	if sk.aead != nil {
		binary.BigEndian.PutUint64(body, iv)
		sk.aead.Seal(inner[:0], sk.nonce(body), inner, header)
		return body, nil
	}
	if _, err := io.ReadFull(rand, body[:blockLen]); err != nil {
		return nil, fmt.Errorf("draw an IV: %w", err)
	}
	cipher.NewCBCEncrypter(sk.block, body[:blockLen]).CryptBlocks(inner, inner)
	signed := len(body) - sk.c.ICVLen()
	copy(body[signed:], sk.icv(header, body[:signed]))
	return body, nil
}

// Open verifies and decrypts the body of an SK payload and returns the payloads inside, in memory of their own. Any
// padding that fits is accepted (RFC 7296 §3.14). Errors: ErrShort, ErrICV, ErrPad.
func (sk *SK) Open(header, body []byte) ([]byte, error) {
	ivLen, icvLen := sk.c.IVLen(), sk.c.ICVLen()
	ctLen := len(body) - ivLen - icvLen
	if ctLen < 1 || sk.aead == nil && ctLen%blockLen != 0 {
		return nil, ErrShort
	}
	var plain []byte
	if sk.aead != nil {
		var err error
		if plain, err = sk.aead.Open(nil, sk.nonce(body), body[ivLen:], header); err != nil {
			return nil, ErrICV
		}
	} else {
		signed := body[:ivLen+ctLen]
		if !hmac.Equal(sk.icv(header, signed), body[ivLen+ctLen:]) {
			return nil, ErrICV
		}
		plain = make([]byte, ctLen)
		cipher.NewCBCDecrypter(sk.block, body[:ivLen]).CryptBlocks(plain, signed[ivLen:])
	}
	pad := int(plain[len(plain)-1])
	if pad+1 > len(plain) {
		return nil, ErrPad
	}
	return plain[:len(plain)-1-pad], nil
}

// nonce is salt | IV (RFC 5282 §4).
func (sk *SK) nonce(body []byte) []byte {
	nonce := make([]byte, 0, saltLen+gcmIVLen)
	nonce = append(nonce, sk.salt...)
	return append(nonce, body[:gcmIVLen]...)
}

// icv covers the message from its first octet to the pad length (RFC 7296 §3.14).
func (sk *SK) icv(header, signed []byte) []byte {
	mac := hmac.New(sk.c.integHash().New, sk.integKey)
	mac.Write(header)
	mac.Write(signed)
	return mac.Sum(nil)[:sk.c.ICVLen()]
}

// Format hides the keys from every print verb.
func (sk *SK) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "SK protection %v (keys hidden)", sk.c) }
