package spi

import (
	"crypto/aes"
	"crypto/cipher"
)

// reserved is the number of SPIs at the bottom that are never issued (RFC 4303 §2.1: 0 is local, 1-255 are IANA's).
const reserved = 256

// rounds of the Feistel network. Four give a pseudorandom permutation (Luby and Rackoff); the aim is that SPIs can be
// recognised and do not show the counter, not that they keep a secret.
const rounds = 4

// permutation is a keyed bijection of reserved..2^32-1 onto itself.
type permutation struct{ block cipher.Block }

func newPermutation(key [keyLen]byte) (permutation, error) {
	block, err := aes.NewCipher(key[:])
	return permutation{block}, err
}

// encrypt maps x, at least reserved, to an SPI. Values that fall among the reserved ones are encrypted again until they
// do not ("cycle walking"), which keeps the map one to one.
func (p permutation) encrypt(x uint32) uint32 {
	for {
		if x = p.forth(x); x >= reserved {
			return x
		}
	}
}

// decrypt is the inverse of encrypt. spi is at least reserved.
func (p permutation) decrypt(spi uint32) uint32 {
	for {
		if spi = p.back(spi); spi >= reserved {
			return spi
		}
	}
}

func (p permutation) forth(x uint32) uint32 {
	left, right := uint16(x>>16), uint16(x)
	for round := range rounds {
		left, right = right, left^p.round(round, right)
	}
	return uint32(left)<<16 | uint32(right)
}

func (p permutation) back(x uint32) uint32 {
	left, right := uint16(x>>16), uint16(x)
	for round := rounds - 1; round >= 0; round-- {
		left, right = right^p.round(round, left), left
	}
	return uint32(left)<<16 | uint32(right)
}

func (p permutation) round(round int, half uint16) uint16 {
	var b [aes.BlockSize]byte
	b[0], b[1], b[2] = byte(round), byte(half>>8), byte(half)
	p.block.Encrypt(b[:], b[:])
	return uint16(b[0])<<8 | uint16(b[1])
}
