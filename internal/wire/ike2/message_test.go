package ike2

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lockstep/internal/wire/isakmp"
)

// header is an IKE header in hexadecimal, for a first payload and a total length.
func header(first PayloadType, length int) string {
	return fmt.Sprintf("0102030405060708 0000000000000000 %02x 20 25 08 00000000 %08x", uint8(first), length)
}

// The unprotected INVALID_SPI: 40 octets.
var invalidSPIMessage = header(PayloadNotify, 40) + "00 00 000c 00 00 000b f4dc0ae5"

func TestMessageRoundTrip(t *testing.T) {
	h := isakmp.Header{SPIi: 0x0102030405060708, Version: isakmp.Version2, Exchange: isakmp.Informational, Flags: isakmp.FlagInitiator}
	for name, c := range map[string]struct {
		in   string
		want []Payload
	}{
		"no payload":             {header(PayloadNone, 28), nil},
		"INVALID_SPI":            {invalidSPIMessage, []Payload{NotifyInvalidSPI(0xf4dc0ae5)}},
		"sealed and empty":       {header(PayloadSK, 36) + "00 00 0008 aabbccdd", []Payload{&SK{Body: []byte{0xaa, 0xbb, 0xcc, 0xdd}}}},
		"payload before SK":      {header(PayloadVendor, 37) + "2e 00 0005 ff 29 00 0004", []Payload{&Vendor{[]byte{0xff}}, &SK{First: PayloadNotify, Body: nil}}},
		"fragment":               {header(PayloadSKF, 37) + "00 00 0009 0002 0002 77", []Payload{&SKF{Number: 2, Total: 2, Body: []byte{0x77}}}},
		"unknown is kept":        {header(200, 33) + "00 00 0005 01", []Payload{&Unknown{Kind: 200, Body: []byte{1}}}},
		"the same payload again": {header(PayloadVendor, 36) + "2b 00 0004 00 00 0004", []Payload{&Vendor{}, &Vendor{}}},
	} {
		t.Run(name, func(t *testing.T) {
			in := unhex(t, c.in)
			m, err := Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(c.want, m.Payloads); d != "" {
				t.Error(d)
			}
			out := Message{Header: h, Payloads: c.want}
			if d := diff(in, out.Append([]byte("x"))[1:]); d != "" {
				t.Error(d)
			}
			if out.NextPayload != 0 || out.Length != 0 {
				t.Error("writing changed the message")
			}
		})
	}
}

// RFC 7296 §2.5: the order of payloads is never a reason to refuse.
func TestPayloadOrderDoesNotMatter(t *testing.T) {
	ps := []Payload{&Vendor{[]byte{1}}, NotifyInvalidSPI(7), &KE{31, []byte{1}}, &Nonce{make([]byte, 16)}}
	for i := range ps {
		order := append(append([]Payload{}, ps[i:]...), ps[:i]...)
		m := Message{Header: isakmp.Header{Version: isakmp.Version2}, Payloads: order}
		got, err := Parse(m.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(order, got.Payloads); d != "" {
			t.Error(d)
		}
	}
}

func TestMessageRefused(t *testing.T) {
	for name, c := range map[string]struct {
		in      string
		payload PayloadType
		offset  int
	}{
		"shorter than a header":         {"0102030405060708 0000000000000000 00 20 25 08 00000000 00001b", PayloadNone, 0},
		"longer than it says":           {header(PayloadNone, 28) + "00", PayloadNone, 0},
		"shorter than it says":          {header(PayloadNone, 29), PayloadNone, 0},
		"version 1":                     {strings.Replace(header(PayloadNone, 28), " 20 ", " 10 ", 1), PayloadNone, 17},
		"version 3":                     {strings.Replace(header(PayloadNone, 28), " 20 ", " 30 ", 1), PayloadNone, 17},
		"octets and no payload":         {header(PayloadNone, 32) + "00 00 0004", PayloadNone, 28},
		"payload announced, none there": {header(PayloadVendor, 28), PayloadVendor, 28},
		"half a generic header":         {header(PayloadVendor, 30) + "0000", PayloadVendor, 28},
		"payload length 0":              {header(PayloadVendor, 32) + "2b 00 0000", PayloadVendor, 30},
		"payload length 3":              {header(PayloadVendor, 32) + "00 00 0003", PayloadVendor, 30},
		"payload beyond the message":    {header(PayloadVendor, 32) + "00 00 0005", PayloadVendor, 30},
		"octets after the last payload": {header(PayloadVendor, 33) + "00 00 0004 00", PayloadNone, 32},
		"payload after SK":              {header(PayloadSK, 36) + "2b 00 0004 00 00 0004", PayloadNone, 32},
		"payload after SKF":             {header(PayloadSKF, 40) + "00 00 0008 0001 0001 00 00 0004", PayloadNone, 36},
		"flaw in a payload":             {header(PayloadVendor, 39) + "28 00 0004 00 00 0007 010203", PayloadNonce, 36},
		"flaw inside an SA":             {header(PayloadSA, 40) + "00 00 000c 00 00 0008 01 03 00 00", PayloadSA, 38},
		"65 payloads":                   {header(PayloadVendor, 28+65*4) + strings.Repeat("2b 00 0004", 64) + "00 00 0004", PayloadVendor, 28 + 64*4},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(unhex(t, c.in))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%v: want a syntax error", err)
			}
			if syntax.Payload != c.payload || syntax.Offset != c.offset || m == nil || m.Payloads != nil {
				t.Errorf("%v in %v, want octet %d of %v", err, m, c.offset, c.payload)
			}
		})
	}
}

func TestMessageLongerThanADatagramIsRefused(t *testing.T) {
	m := Message{Header: isakmp.Header{Version: isakmp.Version2}, Payloads: []Payload{&Vendor{make([]byte, 40000)}, &Vendor{make([]byte, 40000)}}}
	if _, err := Parse(m.Append(nil)); err == nil {
		t.Error("accepted")
	}
	m.Payloads[1] = &Vendor{make([]byte, MaxMessage-isakmp.HeaderLen-40000-2*genericLen)}
	if _, err := Parse(m.Append(nil)); err != nil {
		t.Errorf("the longest that is allowed: %v", err)
	}
}

func TestRefusedMessageStillTellsWhoseItIs(t *testing.T) {
	m, err := Parse(unhex(t, header(PayloadVendor, 28)))
	if err == nil || m.SPIi != 0x0102030405060708 || m.Exchange != isakmp.Informational {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestEncryptedInsideEncryptedIsRefused(t *testing.T) {
	for _, kind := range []PayloadType{PayloadSK, PayloadSKF} {
		for _, in := range []string{"00 00 0008 0001 0001", "00 80 0008 0001 0001"} {
			_, err := ParsePayloads(kind, unhex(t, in))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Payload != kind {
				t.Errorf("%v: %v", kind, err)
			}
		}
	}
}

func TestParsedMessageSharesNoMemory(t *testing.T) {
	b := unhex(t, invalidSPIMessage)
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	inner := b[isakmp.HeaderLen:]
	ps, err := ParsePayloads(PayloadNotify, inner)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	for _, ps := range [][]Payload{m.Payloads, ps} {
		if spi, ok := FindNotify(ps, InvalidSPI).OffendingSPI(); spi != 0xf4dc0ae5 || !ok {
			t.Errorf("SPI %08x after the buffer was used again", spi)
		}
	}
}

// A body that is appended to must not write into its neighbour.
func TestGrowingAPayloadLeavesTheNextAlone(t *testing.T) {
	ps, err := ParsePayloads(PayloadVendor, unhex(t, "2b 00 0005 01 00 00 0005 02"))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(ps[0].(*Vendor).Data, 9, 9, 9, 9, 9)
	if d := diff([]Payload{&Vendor{[]byte{1}}, &Vendor{[]byte{2}}}, ps); d != "" {
		t.Error(d)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	_, err := Parse(unhex(t, header(PayloadVendor, 39)+"28 00 0004 00 00 0007 010203"))
	if want := "Nonce payload, octet 36: nonce of 3 octets, must be 16 to 256"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = Parse(unhex(t, header(PayloadNone, 32)+"00 00 0004"))
	if want := "message, octet 28: 4 octets after the last payload"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestPayloadTypeNames(t *testing.T) {
	want := "SA KE IDi IDr CERT CERTREQ AUTH Nonce N D V TSi TSr SK CP EAP payload-49"
	var got []string
	for p := PayloadSA; p <= 49; p++ {
		got = append(got, p.String())
	}
	if s := strings.Join(got, " "); s != want || PayloadNone.String() != "none" || PayloadSKF.String() != "SKF" {
		t.Errorf("%s, want %s", s, want)
	}
	for p, want := range map[Protocol]string{ProtoNone: "none", ProtoIKE: "IKE", ProtoAH: "AH", ProtoESP: "ESP", 9: "protocol-9"} {
		if p.String() != want {
			t.Errorf("%v, want %s", p, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{header(PayloadNone, 28), invalidSPIMessage, header(PayloadSK, 36) + "00 00 0008 aabbccdd",
		header(PayloadVendor, 37) + "2e 00 0005 ff 29 00 0004", header(200, 33) + "00 80 0005 01", header(PayloadSKF, 37) + "00 00 0009 0002 0002 77"} {
		f.Add(unhex(f, s))
	}
	for _, path := range captures(f) {
		for _, b := range capturedIKE(f, path) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if m == nil {
			t.Fatal("no header")
		}
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil {
			t.Fatalf("%+v does not parse again: %v", m, err)
		}
		again.Length = m.Length // what is left out in between, such as unknown selectors, makes it shorter
		if d := diff(m, again); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzPayloads(f *testing.F) {
	f.Add(uint8(PayloadNotify), unhex(f, "2b 00 000c 00 00 000b f4dc0ae5 00 00 0004"))
	f.Add(uint8(PayloadTSi), unhex(f, "2d 00 0018 01 000000"+ts4+"00 00 0018 01 000000"+ts4))
	f.Add(uint8(PayloadSK), unhex(f, "00 00 0004"))
	f.Fuzz(func(t *testing.T, first uint8, b []byte) {
		ps, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			return
		}
		again, err := ParsePayloads(First(ps), AppendPayloads(nil, ps))
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(ps, again); d != "" {
			t.Fatal(d)
		}
	})
}
