package suite

import (
	"crypto"
	"fmt"
)

// Transform type 1, encryption (RFC 7296 §3.3.2).
const (
	EncrAESCBC   uint16 = 12 // RFC 3602
	EncrAESGCM16 uint16 = 20 // RFC 4106 in ESP, RFC 5282 in IKE
)

// Transform type 3, integrity (RFC 4868).
const (
	IntegNone       uint16 = 0
	IntegHMACSHA256 uint16 = 12 // truncated to 128 bits
	IntegHMACSHA384 uint16 = 13 // truncated to 192 bits
	IntegHMACSHA512 uint16 = 14 // truncated to 256 bits
)

const (
	blockLen = 16 // AES
	saltLen  = 4  // RFC 4106 §4, RFC 5282 §3.1: the last octets of the key material
	gcmIVLen = 8
	gcmICV   = 16
)

// Cipher names how packets or messages are protected: encryption transform, key length in bits and integrity
// transform (IntegNone for AEAD). It is a plain comparable value; Check says whether it makes sense.
type Cipher struct {
	Encr    uint16
	KeyBits uint16
	Integ   uint16
}

// Check says what is unsupported or senseless about c, nil if it can be used.
func (c Cipher) Check() error {
	if c.Encr != EncrAESCBC && c.Encr != EncrAESGCM16 {
		return fmt.Errorf("encryption transform %d is not supported: AES-CBC (12) and AES-GCM-16 (20) are", c.Encr)
	}
	if c.KeyBits != 128 && c.KeyBits != 192 && c.KeyBits != 256 {
		return fmt.Errorf("%s with a key of %d bits: AES has 128, 192 and 256", c.EncrName(), c.KeyBits)
	}
	if c.AEAD() {
		if c.Integ != IntegNone {
			// RFC 7296 §3.3.3: with a combined-mode cipher only NONE may stand beside it.
			return fmt.Errorf("%s with integrity transform %d: it authenticates by itself", c.EncrName(), c.Integ)
		}
		return nil
	}
	if c.Integ == IntegNone {
		return fmt.Errorf("%s without integrity: forbidden (RFC 8221 §4)", c.EncrName())
	}
	if c.integHash() == 0 {
		return fmt.Errorf("integrity transform %d is not supported: 12, 13 and 14 (HMAC-SHA2) are", c.Integ)
	}
	return nil
}

// AEAD reports that the cipher authenticates by itself.
func (c Cipher) AEAD() bool { return c.Encr == EncrAESGCM16 }

// KeyLen is what the encryption takes of SK_e or KEYMAT, in octets, including the 4 of an AEAD's salt.
func (c Cipher) KeyLen() int {
	n := int(c.KeyBits) / 8
	if c.AEAD() {
		n += saltLen
	}
	return n
}

// IntegKeyLen is what the integrity takes of SK_a or KEYMAT, in octets: the full hash length (RFC 4868 §2.1.1), 0 for
// AEAD.
func (c Cipher) IntegKeyLen() int {
	if h := c.integHash(); h != 0 {
		return h.Size()
	}
	return 0
}

func (c Cipher) integHash() crypto.Hash {
	switch c.Integ {
	case IntegHMACSHA256:
		return crypto.SHA256
	case IntegHMACSHA384:
		return crypto.SHA384
	case IntegHMACSHA512:
		return crypto.SHA512
	}
	return 0
}

// IVLen is the length of the explicit IV in octets.
func (c Cipher) IVLen() int {
	if c.AEAD() {
		return gcmIVLen
	}
	return blockLen
}

// ICVLen is the length of the integrity check value in octets: half the hash for HMAC-SHA2 (RFC 4868 §2.3).
func (c Cipher) ICVLen() int {
	if c.AEAD() {
		return gcmICV
	}
	return c.IntegKeyLen() / 2
}

// align is what an ESP payload with its trailer must be a multiple of (RFC 4303 §2.4).
func (c Cipher) align() int {
	if c.AEAD() {
		return 4
	}
	return blockLen
}

// EncrName is the name that IOS prints after "Encr:".
func (c Cipher) EncrName() string {
	switch c.Encr {
	case EncrAESCBC:
		return "AES-CBC"
	case EncrAESGCM16:
		return "AES-GCM"
	}
	return fmt.Sprintf("ENCR-%d", c.Encr)
}

// HashName is the name that IOS prints after "Hash:".
func (c Cipher) HashName() string {
	switch c.Integ {
	case IntegNone:
		return "None"
	case IntegHMACSHA256:
		return "SHA256"
	case IntegHMACSHA384:
		return "SHA384"
	case IntegHMACSHA512:
		return "SHA512"
	}
	return fmt.Sprintf("INTEG-%d", c.Integ)
}

// String is the encryption as `show crypto ikev2 sa` prints it: "AES-GCM, keysize: 256".
func (c Cipher) String() string { return fmt.Sprintf("%s, keysize: %d", c.EncrName(), c.KeyBits) }

// TransformName is the ESP transform as `show crypto ipsec sa` prints it: "esp-gcm 256",
// "esp-256-aes esp-sha256-hmac". A 128-bit key goes without its length.
func (c Cipher) TransformName() string {
	if c.AEAD() {
		if c.KeyBits == 128 {
			return "esp-gcm"
		}
		return fmt.Sprintf("esp-gcm %d", c.KeyBits)
	}
	encr := fmt.Sprintf("esp-encr-%d", c.Encr)
	if c.Encr == EncrAESCBC {
		encr = fmt.Sprintf("esp-%d-aes", c.KeyBits)
		if c.KeyBits == 128 {
			encr = "esp-aes"
		}
	}
	if h := c.integHash(); h != 0 {
		return fmt.Sprintf("%s esp-sha%d-hmac", encr, h.Size()*8)
	}
	return encr
}

// checkKeys refuses key material of the wrong length.
func (c Cipher) checkKeys(key, integKey int) error {
	if err := c.Check(); err != nil {
		return err
	}
	if key != c.KeyLen() || integKey != c.IntegKeyLen() {
		return fmt.Errorf("key material of %d and %d octets: %v, hash %s takes %d and %d",
			key, integKey, c, c.HashName(), c.KeyLen(), c.IntegKeyLen())
	}
	return nil
}
