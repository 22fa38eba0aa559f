package ike2

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
}

// body is a payload body in hexadecimal, and the value that it stands for.
type body struct {
	name, in string
	want     Payload
	out      string // what want is written as, where that is not in
}

// bodiesRoundTrip parses each body as kind, compares, and writes it again.
func bodiesRoundTrip(t *testing.T, kind PayloadType, bodies []body) {
	for _, c := range bodies {
		t.Run(c.name, func(t *testing.T) {
			in := unhex(t, c.in)
			got, err := parseBody(kind, false, PayloadNone, in)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(c.want, got); d != "" {
				t.Error(d)
			}
			if got.Type() != kind {
				t.Errorf("type %v, want %v", got.Type(), kind)
			}
			out := in
			if c.out != "" {
				out = unhex(t, c.out)
			}
			if w := c.want.AppendBody([]byte("x")); !bytes.Equal(w[1:], out) || w[0] != 'x' {
				t.Errorf("written\n%x, want\n%x", w[1:], out)
			}
		})
	}
}

// flaw is a payload body that must be refused, with the octet that the error points at.
type flaw struct {
	name, in string
	offset   int
}

func bodiesRefused(t *testing.T, kind PayloadType, flaws []flaw) {
	for _, c := range flaws {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseBody(kind, false, PayloadNone, unhex(t, c.in))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%v, %v: want a syntax error", got, err)
			}
			if got != nil || syntax.Offset != c.offset || syntax.What == "" {
				t.Errorf("%v, want offset %d", err, c.offset)
			}
		})
	}
}

// fuzzBody asserts of any body: no panic, and what parses is written as something that parses to the same.
func fuzzBody(f *testing.F, kind PayloadType, seeds ...string) {
	for _, s := range seeds {
		f.Add(unhex(f, s))
	}
	for _, b := range capturedBodies(f, kind) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseBody(kind, false, PayloadNone, b)
		if err != nil {
			if p != nil || err.Error() == "" {
				t.Fatalf("%v with error %v", p, err)
			}
			return
		}
		again, err := parseBody(kind, false, PayloadNone, p.AppendBody(nil))
		if err != nil {
			t.Fatalf("%+v does not parse again: %v", p, err)
		}
		if d := diff(p, again); d != "" {
			t.Fatal(d)
		}
		if s, ok := p.(interface{ String() string }); ok {
			_ = s.String()
		}
	})
}

// capturedBodies are the bodies of that kind in the captures, none without captures.
func capturedBodies(t testing.TB, kind PayloadType) [][]byte {
	var bodies [][]byte
	for _, path := range captures(t) {
		for _, b := range capturedIKE(t, path) {
			m, err := Parse(b)
			if err != nil {
				continue
			}
			for _, p := range m.Payloads {
				if p.Type() == kind {
					bodies = append(bodies, p.AppendBody(nil))
				}
			}
		}
	}
	return bodies
}
