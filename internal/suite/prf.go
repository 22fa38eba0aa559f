package suite

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha1" // PRF_HMAC_SHA1, for old peers
	_ "crypto/sha256"
	_ "crypto/sha512"
	"fmt"
	"hash"
)

// Transform type 2, pseudorandom functions (RFC 7296 §3.3.2, RFC 4868).
const (
	PRFHMACSHA1   uint16 = 2
	PRFHMACSHA256 uint16 = 5
	PRFHMACSHA384 uint16 = 6
	PRFHMACSHA512 uint16 = 7
)

// PRF is one negotiated pseudorandom function. The zero value is not usable: take one from PRFByID.
type PRF struct {
	id   uint16
	hash crypto.Hash
}

// PRFByID returns the function for a transform type 2 identifier, false if it is not supported.
func PRFByID(id uint16) (PRF, bool) {
	h := prfHash(id)
	return PRF{id, h}, h != 0
}

func prfHash(id uint16) crypto.Hash {
	switch id {
	case PRFHMACSHA1:
		return crypto.SHA1
	case PRFHMACSHA256:
		return crypto.SHA256
	case PRFHMACSHA384:
		return crypto.SHA384
	case PRFHMACSHA512:
		return crypto.SHA512
	}
	return 0
}

// ID is the transform identifier.
func (p PRF) ID() uint16 { return p.id }

// String is the name that IOS prints after "PRF:".
func (p PRF) String() string {
	switch p.id {
	case PRFHMACSHA1:
		return "SHA1"
	case PRFHMACSHA256:
		return "SHA256"
	case PRFHMACSHA384:
		return "SHA384"
	case PRFHMACSHA512:
		return "SHA512"
	}
	return fmt.Sprintf("PRF-%d", p.id)
}

// Size is the length of the output in octets, which for HMAC is also the preferred key length: that of SK_d, SK_pi
// and SK_pr (RFC 7296 §2.14).
func (p PRF) Size() int { return p.hash.Size() }

func (p PRF) keyed(key []byte) hash.Hash { return hmac.New(p.hash.New, key) }

// Sum is prf(key, parts[0] | parts[1] | …), Size octets.
func (p PRF) Sum(key []byte, parts ...[]byte) []byte {
	mac := p.keyed(key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// Plus is the first n octets of prf+(key, parts[0] | parts[1] | …), RFC 7296 §2.13:
// T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n). It fails past 255 blocks, where the counter octet would wrap.
func (p PRF) Plus(key []byte, n int, parts ...[]byte) ([]byte, error) {
	size := p.Size()
	if n < 0 || n > 255*size {
		return nil, fmt.Errorf("prf+ of %d octets: %v gives at most 255 blocks of %d", n, p, size)
	}
	out := make([]byte, 0, n+size)
	mac := p.keyed(key)
	for block := byte(1); len(out) < n; block++ {
		mac.Reset()
		if block > 1 {
			mac.Write(out[len(out)-size:])
		}
		for _, part := range parts {
			mac.Write(part)
		}
		mac.Write([]byte{block})
		out = mac.Sum(out)
	}
	return out[:n:n], nil
}
