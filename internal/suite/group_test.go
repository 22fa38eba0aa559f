package suite

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
)

func mustGroup(t testing.TB, id uint16) Group {
	t.Helper()
	g, ok := GroupByID(id)
	if !ok {
		t.Fatalf("group %d is not supported", id)
	}
	return g
}

// piTimes2 gives floor(2^n * pi) by Machin's formula with 64 guard bits.
func piTimes2(n uint) *big.Int {
	scale := n + 64
	arctan := func(inverse int64) *big.Int {
		x := big.NewInt(inverse)
		square := new(big.Int).Mul(x, x)
		term := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), scale), x)
		sum := new(big.Int).Set(term)
		for k := int64(3); term.Sign() != 0; k += 2 {
			term.Div(term, square)
			part := new(big.Int).Div(term, big.NewInt(k))
			if k%4 == 3 {
				sum.Sub(sum, part)
			} else {
				sum.Add(sum, part)
			}
		}
		return sum
	}
	pi := new(big.Int).Mul(arctan(5), big.NewInt(16))
	pi.Sub(pi, new(big.Int).Mul(arctan(239), big.NewInt(4)))
	return pi.Rsh(pi, 64)
}

func TestMODP2048IsThePrimeOfItsFormula(t *testing.T) {
	// RFC 3526 §3: 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476).
	one := big.NewInt(1)
	p := new(big.Int).Lsh(one, 2048)
	p.Sub(p, new(big.Int).Lsh(one, 1984)).Sub(p, one)
	k := new(big.Int).Add(piTimes2(1918), big.NewInt(124476))
	p.Add(p, k.Lsh(k, 64))
	if got := strings.ToUpper(hex.EncodeToString(p.Bytes())); got != modp2048 {
		t.Fatalf("the formula gives %s", got)
	}
	const digest = "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e"
	if sum := sha256.Sum256(p.Bytes()); hex.EncodeToString(sum[:]) != digest {
		t.Errorf("SHA-256 of the prime is %x", sum)
	}
	half := new(big.Int).Rsh(p, 1)
	if !p.ProbablyPrime(10) || !half.ProbablyPrime(10) {
		t.Error("not a safe prime")
	}
}

func TestGroupsAgreeAndPadToFullLength(t *testing.T) {
	for _, id := range []uint16{GroupMODP2048, GroupECP256, GroupECP384, GroupCurve25519} {
		g := mustGroup(t, id)
		a, err := g.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b, err := g.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ab, err1 := a.Shared(b.Public())
		ba, err2 := b.Shared(a.Public())
		if err1 != nil || err2 != nil || !bytes.Equal(ab, ba) {
			t.Errorf("%v: %x and %x (%v, %v)", g, ab, ba, err1, err2)
		}
		if len(a.Public()) != g.PublicLen() || bytes.Equal(a.Public(), b.Public()) {
			t.Errorf("%v: public values %x and %x", g, a.Public(), b.Public())
		}
	}
}

func TestECP256GivesTheSecretOfRFC5903(t *testing.T) {
	// §8.1.
	g := mustGroup(t, GroupECP256)
	i, err := g.FromPrivate(unhex(t, "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.FromPrivate(unhex(t, "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53"))
	if err != nil {
		t.Fatal(err)
	}
	public := unhex(t, "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"+"5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3")
	if !bytes.Equal(i.Public(), public) {
		t.Errorf("public value %x", i.Public())
	}
	shared, err := r.Shared(public)
	if err != nil || !bytes.Equal(shared, unhex(t, "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE")) {
		t.Errorf("shared %x, %v", shared, err)
	}
}

func TestGroupsGiveThePublishedSecrets(t *testing.T) {
	tried := map[uint16]int{}
	for file, ids := range map[string]map[string]uint16{
		"modp": {"MODP_2048_BIT": GroupMODP2048}, "curve25519": {"CURVE_25519": GroupCurve25519},
		"ecp": {"ECP_256_BIT": GroupECP256, "ECP_384_BIT": GroupECP384},
	} {
		var vectors []struct {
			Method, Seed, Shared string
			PubI                 string `json:"pub_i"`
			PubR                 string `json:"pub_r"`
		}
		load(t, "strongswan-vectors/"+file+".json", &vectors)
		for _, v := range vectors {
			id, ours := ids[v.Method]
			if !ours {
				continue
			}
			tried[id]++
			seed, want := unhex(t, v.Seed), unhex(t, v.Shared)
			publics := [2][]byte{unhex(t, v.PubI), unhex(t, v.PubR)}
			for side := range 2 { // the seed is both scalars, one behind the other
				kx, err := mustGroup(t, id).FromPrivate(seed[side*len(seed)/2:][:len(seed)/2])
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(kx.Public(), publics[side]) {
					t.Errorf("%s: public value %x", v.Method, kx.Public())
				}
				if got, err := kx.Shared(publics[1-side]); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: shared %x, %v", v.Method, got, err)
				}
			}
		}
	}
	if len(tried) != 4 {
		t.Errorf("vectors for %v only", tried)
	}
}

func TestWycheproofAgreesOnEveryPoint(t *testing.T) {
	for _, c := range []struct {
		file  string
		group uint16
		point bool // public is an uncompressed point, 04 first
	}{
		{"ecdh_secp256r1_ecpoint_test", GroupECP256, true},
		{"ecdh_secp384r1_ecpoint_test", GroupECP384, true},
		{"x25519_test", GroupCurve25519, false},
	} {
		var doc struct {
			TestGroups []struct {
				Tests []struct {
					TcID                    int
					Comment                 string
					Public, Private, Shared string
					Result                  string
				}
			}
		}
		load(t, "wycheproof/"+c.file+".json", &doc)
		g, tried := mustGroup(t, c.group), 0
		for _, group := range doc.TestGroups {
			for _, v := range group.Tests {
				public := unhex(t, v.Public)
				if c.point {
					if len(public) != g.PublicLen()+1 || public[0] != 4 {
						continue // IKE has no encoding for it (RFC 5903 §7)
					}
					public = public[1:]
				}
				private := unhex(t, v.Private)
				for len(private) > g.scalarLen() && private[0] == 0 {
					private = private[1:]
				}
				private = append(make([]byte, g.scalarLen()-len(private)), private...)
				kx, err := g.FromPrivate(private)
				if err != nil {
					t.Fatalf("%s %d: %v", c.file, v.TcID, err)
				}
				tried++
				shared, err := kx.Shared(public)
				// RFC 8031 §5: an all-zero X25519 output is refused; x = 0 is a point like another on the NIST curves.
				zero := !c.point && bytes.Equal(unhex(t, v.Shared), make([]byte, len(v.Shared)/2))
				if wanted := v.Result != "invalid" && !zero; !wanted {
					if !errors.Is(err, ErrPeerKey) {
						t.Errorf("%s %d (%s): accepted: %x, %v", c.file, v.TcID, v.Comment, shared, err)
					}
				} else if err != nil || !bytes.Equal(shared, unhex(t, v.Shared)) {
					t.Errorf("%s %d (%s): %x, %v", c.file, v.TcID, v.Comment, shared, err)
				}
			}
		}
		if tried < 100 {
			t.Errorf("%s: only %d cases tried", c.file, tried)
		}
	}
}

func TestBadKeyExchangeValuesAreRefused(t *testing.T) {
	p := unhex(t, strings.ToLower(modp2048))
	minusOne := append([]byte(nil), p...)
	minusOne[len(minusOne)-1]--
	small := func(v byte) []byte { return append(make([]byte, 255), v) }
	for name, c := range map[string]struct {
		group uint16
		peer  []byte
	}{
		"MODP 0":                {GroupMODP2048, small(0)},
		"MODP 1":                {GroupMODP2048, small(1)},
		"MODP p-1":              {GroupMODP2048, minusOne},
		"MODP p":                {GroupMODP2048, p},
		"MODP short":            {GroupMODP2048, small(2)[1:]},
		"MODP long":             {GroupMODP2048, append([]byte{0}, small(2)...)},
		"P-256 off the curve":   {GroupECP256, bytes.Repeat([]byte{1}, 64)},
		"P-256 infinity":        {GroupECP256, make([]byte, 64)},
		"P-384 off the curve":   {GroupECP384, bytes.Repeat([]byte{1}, 96)},
		"X25519 zero":           {GroupCurve25519, make([]byte, 32)},
		"X25519 low order, one": {GroupCurve25519, append([]byte{1}, make([]byte, 31)...)},
		"X25519 empty":          {GroupCurve25519, nil},
	} {
		kx, err := mustGroup(t, c.group).Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if shared, err := kx.Shared(c.peer); !errors.Is(err, ErrPeerKey) {
			t.Errorf("%s: %x, %v", name, shared, err)
		}
	}
}

func TestGenerateTakesItsScalarFromTheGivenSource(t *testing.T) {
	for _, id := range []uint16{GroupMODP2048, GroupECP256, GroupECP384, GroupCurve25519} {
		g := mustGroup(t, id)
		a, err := g.Generate(&counting{})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := g.Generate(&counting{})
		if !bytes.Equal(a.Public(), b.Public()) {
			t.Errorf("%v: the same source gave two keys", g)
		}
		if _, err := g.Generate(strings.NewReader("dry")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: a source that runs dry gave %v", g, err)
		}
	}
	zeros := bytes.NewReader(make([]byte, 4096))
	if _, err := mustGroup(t, GroupECP256).Generate(zeros); err == nil {
		t.Error("scalar zero was taken")
	}
}
