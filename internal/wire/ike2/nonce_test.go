package ike2

import (
	"bytes"
	"strings"
	"testing"
)

func TestNonceRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadNonce, []body{
		{"shortest", strings.Repeat("a5", 16), &Nonce{bytes.Repeat([]byte{0xa5}, 16)}, ""},
		{"longest", strings.Repeat("5a", 256), &Nonce{bytes.Repeat([]byte{0x5a}, 256)}, ""},
	})
}

func TestNonceRefused(t *testing.T) {
	bodiesRefused(t, PayloadNonce, []flaw{
		{"empty", "", 0}, {"15 octets", strings.Repeat("00", 15), 0}, {"257 octets", strings.Repeat("00", 257), 0},
	})
}

func FuzzNonce(f *testing.F) { fuzzBody(f, PayloadNonce, strings.Repeat("a5", 16), "00") }
