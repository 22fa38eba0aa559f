package suite

import (
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
)

// Opener verifies and decrypts the ESP packets of one inbound SA. A value is for one goroutine at a time (it holds
// scratch memory); other goroutines take a Clone. Nothing is allocated in a call.
type Opener struct {
	espCrypt
	keymat []byte   // for Clone
	cbc    ivSetter // CBC
}

// NewOpener takes the KEYMAT of one direction, as NewSealer does.
func NewOpener(c Cipher, keymat []byte, spi uint32, esn bool) (*Opener, error) {
	e, block, err := newESPCrypt(c, keymat, spi, esn)
	if err != nil {
		return nil, err
	}
	o := &Opener{espCrypt: e, keymat: append([]byte(nil), keymat...)}
	if c.AEAD() {
		return o, nil
	}
	var ok bool
	if o.cbc, ok = cipher.NewCBCDecrypter(block, make([]byte, blockLen)).(ivSetter); !ok {
		return nil, errors.New("this Go library's CBC decrypter cannot change its IV")
	}
	return o, nil
}

// Clone returns an Opener of the same SA for another goroutine.
func (o *Opener) Clone() (*Opener, error) { return NewOpener(o.c, o.keymat, o.spi, o.esn) }

// Open verifies and decrypts an ESP packet, SPI first, in place, and returns the payload (a part of pkt) and the next
// header. seqHigh is the inferred high half of the sequence number, ignored without ESN. After an error the content
// of pkt is undefined. It does not look at the replay window. Errors: ErrShort, ErrICV (also for another SA's SPI),
// ErrPad.
func (o *Opener) Open(pkt []byte, seqHigh uint32) (payload []byte, nextHeader uint8, err error) {
	start, end := espHeaderLen+o.c.IVLen(), len(pkt)-o.c.ICVLen()
	if end-start < espTrailerLen || o.aead == nil && (end-start)%blockLen != 0 {
		return nil, 0, ErrShort
	}
	if binary.BigEndian.Uint32(pkt) != o.spi {
		return nil, 0, ErrICV
	}
	inner := pkt[start:end]
	if o.aead != nil {
		copy(o.nonce[saltLen:], pkt[espHeaderLen:start])
		if _, err := o.aead.Open(inner[:0], o.nonce[:], pkt[start:], o.associated(pkt, seqHigh)); err != nil {
			return nil, 0, ErrICV
		}
	} else {
		if !hmac.Equal(o.icv(pkt[:end], seqHigh), pkt[end:]) {
			return nil, 0, ErrICV
		}
		o.cbc.SetIV(pkt[espHeaderLen:start])
		o.cbc.CryptBlocks(inner, inner)
	}
	return o.strip(inner)
}

// strip takes the trailer off. RFC 4303 §2.4: padding that is not 1, 2, 3, … SHOULD be refused; that was against
// ciphers without integrity, and with AEAD it could only hurt a peer with habits of its own, so there it is not read.
func (o *Opener) strip(inner []byte) ([]byte, uint8, error) {
	n := len(inner) - espTrailerLen
	pad := int(inner[n])
	if pad > n {
		return nil, 0, ErrPad
	}
	if o.aead == nil {
		for i, b := range inner[n-pad : n] {
			if int(b) != i+1 {
				return nil, 0, ErrPad
			}
		}
	}
	return inner[:n-pad], inner[n+1], nil
}

// Format hides the keys from every print verb.
func (o *Opener) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "ESP opener 0x%08X %s (keys hidden)", o.spi, o.c.TransformName())
}
