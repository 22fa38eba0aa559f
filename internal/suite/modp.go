package suite

import (
	"encoding/hex"
	"fmt"

	"filippo.io/bigmod"
)

// modp2048 is the prime of group 14, 2^2048 - 2^1984 - 1 + 2^64 * (floor(2^1918 pi) + 124476), generator 2
// (RFC 3526 §3). A test recomputes it from that formula.
const modp2048 = "" +
	"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74" +
	"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437" +
	"4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
	"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05" +
	"98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB" +
	"9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B" +
	"E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718" +
	"3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF"

// modpExchange is finite-field Diffie-Hellman over bigmod: the time depends on lengths only, never on values.
type modpExchange struct {
	group  Group
	p      *bigmod.Modulus
	x      []byte
	public []byte
}

func newMODP(g Group, scalar []byte) (KeyExchange, error) {
	if len(scalar) == 0 || len(scalar) > g.PublicLen() {
		return nil, fmt.Errorf("%w for %v: %d octets", errScalar, g, len(scalar))
	}
	prime, err := hex.DecodeString(modp2048)
	if err != nil {
		return nil, fmt.Errorf("prime of %v: %w", g, err)
	}
	p, err := bigmod.NewModulus(prime)
	if err != nil {
		return nil, fmt.Errorf("prime of %v: %w", g, err)
	}
	two := bigmod.NewNat().SetUint(2).ExpandFor(p)
	y := bigmod.NewNat().Exp(two, scalar, p)
	if trivial(y, p) { // scalar 0 or a multiple of (p-1)/2: the secret would be known to all
		return nil, fmt.Errorf("%w for %v", errScalar, g)
	}
	return &modpExchange{g, p, append([]byte(nil), scalar...), y.Bytes(p)}, nil
}

// trivial reports y in {0, 1, p-1}: the values that lie in no large subgroup of a safe-prime group.
func trivial(y *bigmod.Nat, p *bigmod.Modulus) bool {
	return y.IsZero()|y.IsOne()|y.IsMinusOne(p) != 0
}

func (x *modpExchange) Group() uint16  { return x.group.id }
func (x *modpExchange) Public() []byte { return append([]byte(nil), x.public...) }

func (x *modpExchange) Shared(peer []byte) ([]byte, error) {
	if err := x.group.checkPeerLen(peer); err != nil {
		return nil, err
	}
	// RFC 6989 §2.1: for safe primes 1 < y < p-1 is the whole check.
	y, err := bigmod.NewNat().SetBytes(peer, x.p)
	if err != nil {
		return nil, fmt.Errorf("%w: not below the prime of %v", ErrPeerKey, x.group)
	}
	if trivial(y, x.p) {
		return nil, fmt.Errorf("%w: 0, 1 or p-1 of %v", ErrPeerKey, x.group)
	}
	return bigmod.NewNat().Exp(y, x.x, x.p).Bytes(x.p), nil
}

// String hides the scalar from every print verb.
func (x *modpExchange) String() string { return x.group.String() + " exchange (scalar hidden)" }

// GoString hides the scalar from %#v.
func (x *modpExchange) GoString() string { return x.String() }
