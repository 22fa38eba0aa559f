package suite

import (
	"bytes"
	"errors"
	"testing"
)

func mustSK(t testing.TB, c Cipher) *SK {
	t.Helper()
	keys := keymat(c)
	sk, err := NewSK(c, keys[:c.KeyLen()], keys[c.KeyLen():])
	if err != nil {
		t.Fatal(err)
	}
	return sk
}

func TestSKMessagesOpenAndEveryChangeIsRefused(t *testing.T) {
	header := []byte("the IKE header and the generic header of SK")
	for _, c := range espCiphers {
		sk := mustSK(t, c)
		for _, n := range []int{0, 1, 14, 15, 16, 17, 300} {
			plain := bytes.Repeat([]byte{0x29}, n)
			body, err := sk.Seal(header, 1, &counting{}, plain)
			if err != nil || len(body) != sk.BodyLen(n) {
				t.Fatalf("%v: %d octets for %d, %v", c, len(body), n, err)
			}
			if got, err := sk.Open(header, body); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%v: %x, %v", c, got, err)
			}
			for i := range body {
				bad := append([]byte(nil), body...)
				bad[i] ^= 1
				if _, err := sk.Open(header, bad); !errors.Is(err, ErrICV) {
					t.Fatalf("%v: octet %d changed: %v", c, i, err)
				}
			}
			if _, err := sk.Open(append([]byte("X"), header[1:]...), body); !errors.Is(err, ErrICV) {
				t.Errorf("%v: header changed: %v", c, err)
			}
			for cut := range body {
				if _, err := sk.Open(header, body[:cut]); err == nil {
					t.Errorf("%v: opened when cut to %d octets", c, cut)
				}
			}
		}
	}
}

func TestSKAcceptsAnyPaddingAndRefusesTooMuch(t *testing.T) {
	// RFC 7296 §3.14: a receiver takes any length and content of padding, once the ICV holds.
	c := Cipher{EncrAESGCM16, 128, IntegNone}
	sk, header := mustSK(t, c), []byte("header")
	for _, v := range []struct {
		inner []byte // payloads, padding, pad length
		plain []byte
		err   error
	}{
		{[]byte{1, 2, 3, 9, 9, 9, 3}, []byte{1, 2, 3}, nil},
		{[]byte{7, 7, 2}, []byte{}, nil},
		{[]byte{0}, []byte{}, nil},
		{[]byte{7, 7, 3}, nil, ErrPad},
		{[]byte{255}, nil, ErrPad},
	} {
		body := make([]byte, 8, 64)
		body = sk.aead.Seal(body, sk.nonce(body), v.inner, header)
		got, err := sk.Open(header, body)
		if !errors.Is(err, v.err) || !bytes.Equal(got, v.plain) {
			t.Errorf("%x: %x, %v", v.inner, got, err)
		}
	}
}

func FuzzSKOpen(f *testing.F) {
	f.Add(true, []byte("0123456789abcdef0123456789abcdef"))
	f.Add(false, make([]byte, 64))
	f.Add(false, make([]byte, 17))
	f.Fuzz(func(t *testing.T, gcm bool, body []byte) {
		c := espCiphers[2]
		if gcm {
			c = espCiphers[0]
		}
		if plain, err := mustSK(t, c).Open([]byte("header"), body); err == nil {
			t.Errorf("a forged body opens to %x", plain)
		}
		_, o := pair(t, c, 0x100, false)
		if plain, _, err := o.Open(append([]byte(nil), body...), 0); err == nil {
			t.Errorf("a forged packet opens to %x", plain)
		}
	})
}
