package suite

import (
	"errors"
	"fmt"
	"io"
)

// Transform type 4, key-exchange methods (RFC 3526, RFC 5903, RFC 8031).
const (
	GroupMODP2048   uint16 = 14
	GroupECP256     uint16 = 19
	GroupECP384     uint16 = 20
	GroupCurve25519 uint16 = 31
)

// ErrPeerKey is wrapped by every refusal of a peer's public value: wrong length, not in the group, or a shared secret
// that the peer could have forced (RFC 6989 §2, RFC 8031 §5, RFC 7748 §6.1).
var ErrPeerKey = errors.New("peer's key-exchange value refused")

// errScalar refuses a private scalar that the group cannot use.
var errScalar = errors.New("private scalar out of range")

// scalarTries bounds the search for a usable scalar. One try in 2^32 fails with P-256 and fewer with the others, so a
// second failure already means a broken source.
const scalarTries = 16

// Group is one key-exchange method. The zero value is not usable: take one from GroupByID.
type Group struct{ id uint16 }

// KeyExchange is our half of one exchange. All methods may be called from any goroutine.
type KeyExchange interface {
	Group() uint16
	// Public is the Key Exchange Data field to send: Group.PublicLen octets.
	Public() []byte
	// Shared is g^ir as SKEYSEED takes it (RFC 7296 §2.14: padded to the modulus; RFC 5903 §7: the x coordinate).
	// An error wraps ErrPeerKey.
	Shared(peer []byte) ([]byte, error)
}

// GroupByID returns the method for a transform type 4 identifier, false if it is not supported.
func GroupByID(id uint16) (Group, bool) {
	g := Group{id}
	return g, g.PublicLen() != 0
}

// ID is the transform identifier.
func (g Group) ID() uint16 { return g.id }

// String is the name in logs and errors; IOS itself prints the number.
func (g Group) String() string {
	switch g.id {
	case GroupMODP2048:
		return "MODP-2048"
	case GroupECP256:
		return "ECP-256"
	case GroupECP384:
		return "ECP-384"
	case GroupCurve25519:
		return "Curve25519"
	}
	return fmt.Sprintf("group %d", g.id)
}

// PublicLen is the only legal length in octets of the Key Exchange Data field, 0 for an unknown group.
func (g Group) PublicLen() int {
	switch g.id {
	case GroupMODP2048:
		return 256
	case GroupECP256:
		return 64
	case GroupECP384:
		return 96
	case GroupCurve25519:
		return 32
	}
	return 0
}

// Slow reports that one operation takes more than about 100 µs, so that it belongs in the crypto pool and not in a
// loop. Measured on a 2023 server core, generate plus derive: MODP-2048 about 1 ms, P-384 0.6 ms, the others 0.1 ms.
func (g Group) Slow() bool { return g.id == GroupMODP2048 || g.id == GroupECP384 }

// scalarLen is the length of a private scalar in octets. For MODP-2048 it is 256 bits, twice the strength that
// RFC 3526 §8 puts on the group (110 to 160 bits), as is usual.
func (g Group) scalarLen() int {
	if g.id == GroupECP384 {
		return 48
	}
	return 32
}

// Generate draws a scalar from rand and returns our half. It reads whole scalars and draws again when one is out of
// range, so the same reader gives the same key (crypto/ecdh would not: it ignores its reader).
func (g Group) Generate(rand io.Reader) (KeyExchange, error) {
	scalar := make([]byte, g.scalarLen())
	for range scalarTries {
		if _, err := io.ReadFull(rand, scalar); err != nil {
			return nil, fmt.Errorf("draw a private scalar for %v: %w", g, err)
		}
		kx, err := g.FromPrivate(scalar)
		if !errors.Is(err, errScalar) {
			return kx, err
		}
	}
	return nil, fmt.Errorf("draw a private scalar for %v: %d in a row out of range: broken random source", g, scalarTries)
}

// FromPrivate builds our half from a given scalar, big-endian (Curve25519: as RFC 7748 writes it). It is for tests
// with known answers; anything else calls Generate. ECP and Curve25519 scalars have the field's length.
func (g Group) FromPrivate(scalar []byte) (KeyExchange, error) {
	switch g.id {
	case GroupMODP2048:
		return newMODP(g, scalar)
	case GroupECP256, GroupECP384, GroupCurve25519:
		return newCurve(g, scalar)
	}
	return nil, fmt.Errorf("%v is not supported", g)
}

func (g Group) checkPeerLen(peer []byte) error {
	if len(peer) != g.PublicLen() {
		return fmt.Errorf("%w: %d octets, %v has %d", ErrPeerKey, len(peer), g, g.PublicLen())
	}
	return nil
}
