package ike2

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Traffic selector types (RFC 7296 §3.13.1).
const (
	tsIPv4Range = 7
	tsIPv6Range = 8
)

const (
	tsHeaderLen   = 4 // count and reserved octets, before the selectors
	selectorFixed = 8 // of a selector, before the addresses
)

// TS is a Traffic Selector payload, TSi or TSr: a packet fits if it fits one of the selectors (RFC 7296 §3.13).
// Selectors of types that are not known are left out when parsing, so it may be empty (RFC 7296 §2.9).
type TS struct {
	Initiator bool // TSi
	Selectors []Selector
}

// Type is PayloadTSi or PayloadTSr.
func (t *TS) Type() PayloadType {
	if t.Initiator {
		return PayloadTSi
	}
	return PayloadTSr
}

// String is all selectors, separated by spaces.
func (t *TS) String() string {
	names := make([]string, len(t.Selectors))
	for i, s := range t.Selectors {
		names[i] = s.String()
	}
	return strings.Join(names, " ")
}

// AppendBody implements Payload. Both addresses of a selector must be of one family.
func (t *TS) AppendBody(b []byte) []byte {
	b = append(b, byte(len(t.Selectors)), 0, 0, 0)
	for _, s := range t.Selectors {
		kind := byte(tsIPv4Range)
		if s.Start.Is6() {
			kind = tsIPv6Range
		}
		from, to := s.Start.AsSlice(), s.End.AsSlice()
		b = append(b, kind, s.Protocol)
		b = binary.BigEndian.AppendUint16(b, uint16(selectorFixed+len(from)+len(to)))
		b = binary.BigEndian.AppendUint16(b, s.StartPort)
		b = binary.BigEndian.AppendUint16(b, s.EndPort)
		b = append(append(b, from...), to...)
	}
	return b
}

// parseTS reads as many selectors as announced, which must fill b.
func parseTS(initiator bool, b []byte) (*TS, *SyntaxError) {
	if len(b) < tsHeaderLen {
		return nil, syntaxf(0, "body of %d octets, at least %d are needed", len(b), tsHeaderLen)
	}
	t := &TS{Initiator: initiator}
	off := tsHeaderLen
	for range int(b[0]) {
		rest := b[off:]
		if len(rest) < 4 {
			return nil, syntaxf(off, "%d octets are left for a selector of at least 4", len(rest))
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < 4 || n > len(rest) {
			return nil, syntaxf(off+2, "selector length %d, must be 4 to %d", n, len(rest))
		}
		if rest[0] == tsIPv4Range || rest[0] == tsIPv6Range {
			s, err := parseSelector(rest[:n])
			if err != nil {
				err.Offset += off
				return nil, err
			}
			t.Selectors = append(t.Selectors, s)
		}
		off += n
	}
	if off != len(b) {
		return nil, syntaxf(off, "%d octets after selector %d, the last", len(b)-off, b[0])
	}
	return t, nil
}

// parseSelector reads an address range, which fills b. Ranges must not run backwards, except for the ports
// 65535 to 0, which mean OPAQUE (RFC 7296 §3.13.1).
func parseSelector(b []byte) (Selector, *SyntaxError) {
	size := 4
	if b[0] == tsIPv6Range {
		size = 16
	}
	if want := selectorFixed + 2*size; len(b) != want {
		return Selector{}, syntaxf(2, "selector length %d, must be %d", len(b), want)
	}
	from, _ := netip.AddrFromSlice(b[selectorFixed : selectorFixed+size])
	to, _ := netip.AddrFromSlice(b[selectorFixed+size:])
	s := Selector{
		Protocol:  b[1],
		StartPort: binary.BigEndian.Uint16(b[4:]),
		EndPort:   binary.BigEndian.Uint16(b[6:]),
		Start:     from,
		End:       to,
	}
	if s.StartPort > s.EndPort && !s.Opaque() {
		return s, syntaxf(4, "ports %d to %d", s.StartPort, s.EndPort)
	}
	if to.Less(from) {
		return s, syntaxf(selectorFixed, "addresses %v to %v", from, to)
	}
	return s, nil
}
