package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"fmt"
	"hash"
)

const (
	espHeaderLen  = 8 // SPI, sequence number
	espTrailerLen = 2 // pad length, next header
	maxICVLen     = 64
)

// SealedLen is the length of an ESP packet, from SPI to ICV, around a payload of that length.
func (c Cipher) SealedLen(payloadLen int) int {
	inner := payloadLen + espTrailerLen
	inner += (c.align() - inner%c.align()) % c.align()
	return espHeaderLen + c.IVLen() + inner + c.ICVLen()
}

// Overhead is the largest number of octets that ESP adds to a payload, without outer headers.
func (c Cipher) Overhead() int {
	return espHeaderLen + c.IVLen() + c.align() - 1 + espTrailerLen + c.ICVLen()
}

// MaxPayload is the longest payload whose ESP packet has at most espLen octets, 0 if none fits. The device MTU is
// MaxPayload of the path MTU less the outer IP and UDP headers.
func (c Cipher) MaxPayload(espLen int) int {
	inner := espLen - espHeaderLen - c.IVLen() - c.ICVLen()
	return max(0, inner-inner%c.align()-espTrailerLen)
}

// halves splits KEYMAT into AES key, salt (AEAD) and integrity key: encryption first (RFC 7296 §2.17).
func (c Cipher) halves(keymat []byte) (key, salt, integ []byte) {
	n := int(c.KeyBits) / 8
	return keymat[:n], keymat[n:c.KeyLen()], keymat[c.KeyLen():]
}

// espCrypt is what Sealer and Opener share: exactly one of aead and mac is set.
type espCrypt struct {
	c    Cipher
	spi  uint32
	esn  bool
	aead cipher.AEAD
	mac  hash.Hash

	// Scratch of one call, here and not on the stack so that passing it through an interface does not allocate.
	nonce [saltLen + gcmIVLen]byte // the salt stays, the IV changes
	aad   [12]byte
	high  [4]byte
	sum   [maxICVLen]byte
}

func newESPCrypt(c Cipher, keymat []byte, spi uint32, esn bool) (espCrypt, cipher.Block, error) {
	if err := c.checkKeys(min(len(keymat), c.KeyLen()), max(0, len(keymat)-c.KeyLen())); err != nil {
		return espCrypt{}, nil, fmt.Errorf("ESP SA 0x%08X: %w", spi, err)
	}
	key, salt, integ := c.halves(keymat)
	block, err := aes.NewCipher(key)
	if err != nil {
		return espCrypt{}, nil, fmt.Errorf("ESP SA 0x%08X: %w", spi, err)
	}
	e := espCrypt{c: c, spi: spi, esn: esn}
	if !c.AEAD() {
		e.mac = hmac.New(c.integHash().New, integ)
		return e, block, nil
	}
	copy(e.nonce[:], salt)
	if e.aead, err = cipher.NewGCM(block); err != nil {
		return espCrypt{}, nil, fmt.Errorf("ESP SA 0x%08X: %w", spi, err)
	}
	return e, block, nil
}

// associated returns the AEAD's additional data: SPI | sequence number, with the high half between them if the SA has
// extended sequence numbers (RFC 4106 §5). header is the first 8 octets of the packet.
func (e *espCrypt) associated(header []byte, high uint32) []byte {
	if !e.esn {
		return header[:espHeaderLen]
	}
	copy(e.aad[0:4], header[0:4])
	putHigh(e.aad[4:8], high)
	copy(e.aad[8:12], header[4:8])
	return e.aad[:]
}

// icv is the truncated HMAC over the packet up to its trailer, followed by the high half of an extended sequence
// number, which is not sent (RFC 4303 §2.2.1). The result lives until the next call.
func (e *espCrypt) icv(signed []byte, high uint32) []byte {
	e.mac.Reset()
	e.mac.Write(signed)
	if e.esn {
		putHigh(e.high[:], high)
		e.mac.Write(e.high[:])
	}
	return e.mac.Sum(e.sum[:0])[:e.c.ICVLen()]
}

func putHigh(b []byte, high uint32) {
	b[0], b[1], b[2], b[3] = byte(high>>24), byte(high>>16), byte(high>>8), byte(high)
}
