package isakmp

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	request  = "0001020304050607 0000000000000000 21 20 22 08 00000000 0000001c"
	response = "0001020304050607 c02e7a3031a03188 2e 20 25 20 80000001 00000020 00000000"
)

func TestHeaderRoundTrip(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want Header
	}{
		"request": {request, Header{SPIi: 0x0001020304050607, NextPayload: 33, Version: Version2, Exchange: IKESAInit,
			Flags: FlagInitiator, Length: 28}},
		"response": {response, Header{SPIi: 0x0001020304050607, SPIr: 0xc02e7a3031a03188, NextPayload: 46, Version: Version2,
			Exchange: Informational, Flags: FlagResponse, MessageID: 0x80000001, Length: 32}},
	} {
		t.Run(name, func(t *testing.T) {
			in := unhex(t, c.in)
			got, err := ParseHeader(in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(append([]byte("x"), in[:HeaderLen]...), got.Append([]byte("x"))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseHeaderRefusesWrongLengths(t *testing.T) {
	whole := unhex(t, request)
	for n := range HeaderLen {
		if _, err := ParseHeader(whole[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
	for _, length := range []string{"00000000", "0000001b", "0000001d", "8000001c", "ffffffff"} {
		b := append(whole[:24:24], unhex(t, length)...)
		if h, err := ParseHeader(b); !errors.Is(err, ErrLength) || h.SPIi != 0x0001020304050607 {
			t.Errorf("length %s: %v, SPIi %v", length, err, h.SPIi)
		}
	}
}

func TestReceiverSPIIsAtTheReceiversPosition(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, Flags: FlagInitiator}
	if !h.FromInitiator() || h.Response() || h.ReceiverSPI() != 2 {
		t.Errorf("from the initiator: %v", h.ReceiverSPI())
	}
	h.Flags = FlagResponse
	if h.FromInitiator() || !h.Response() || h.ReceiverSPI() != 1 {
		t.Errorf("from the responder: %v", h.ReceiverSPI())
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{SPI(0xab).String(), "00000000000000AB"},
		{IKESAInit.String(), "IKE_SA_INIT"},
		{IKEAuth.String(), "IKE_AUTH"},
		{CreateChildSA.String(), "CREATE_CHILD_SA"},
		{Informational.String(), "INFORMATIONAL"},
		{IKEIntermediate.String(), "IKE_INTERMEDIATE"},
		{IKEFollowupKE.String(), "IKE_FOLLOWUP_KE"},
		{Exchange(2).String(), "exchange-2"},
		{Flags(0).String(), "none"},
		{(FlagInitiator | FlagResponse | 0x41).String(), "initiator|response|0x41"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if (Header{Version: 0x21}).Major() != 2 || (Header{Version: Version1}).Major() != 1 {
		t.Error("major version")
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(unhex(f, request))
	f.Add(unhex(f, response))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if d := cmp.Diff(b[:HeaderLen], h.Append(nil)); d != "" {
			t.Fatal(d)
		}
	})
}
