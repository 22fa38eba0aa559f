package suite

import (
	"bytes"
	"crypto/ecdh"
	"fmt"
)

// curveExchange is ECP (RFC 5903) or Curve25519 (RFC 8031) over crypto/ecdh, which is constant time.
type curveExchange struct {
	group Group
	key   *ecdh.PrivateKey
}

func (g Group) curve() ecdh.Curve {
	switch g.id {
	case GroupECP256:
		return ecdh.P256()
	case GroupECP384:
		return ecdh.P384()
	}
	return ecdh.X25519()
}

// uncompressed is the first octet of a point in X9.62 form; IKE leaves it out (RFC 5903 §7: x | y).
const uncompressed = 4

func newCurve(g Group, scalar []byte) (KeyExchange, error) {
	key, err := g.curve().NewPrivateKey(scalar)
	if err != nil {
		return nil, fmt.Errorf("%w for %v: %w", errScalar, g, err)
	}
	return curveExchange{g, key}, nil
}

func (x curveExchange) Group() uint16 { return x.group.id }

func (x curveExchange) Public() []byte {
	public := x.key.PublicKey().Bytes()
	if x.group.id == GroupCurve25519 {
		return public
	}
	return public[1:]
}

func (x curveExchange) Shared(peer []byte) ([]byte, error) {
	if err := x.group.checkPeerLen(peer); err != nil {
		return nil, err
	}
	if x.group.id != GroupCurve25519 {
		peer = bytes.Join([][]byte{{uncompressed}, peer}, nil)
	}
	// RFC 6989 §2.3: the point must be on the curve; NewPublicKey checks it and refuses infinity.
	public, err := x.group.curve().NewPublicKey(peer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeerKey, err)
	}
	// RFC 8031 §5, RFC 7748 §6.1: an all-zero result is refused; ECDH returns an error for it.
	secret, err := x.key.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeerKey, err)
	}
	return secret, nil
}

// String hides the scalar from every print verb.
func (x curveExchange) String() string { return x.group.String() + " exchange (scalar hidden)" }

// GoString hides the scalar from %#v.
func (x curveExchange) GoString() string { return x.String() }
