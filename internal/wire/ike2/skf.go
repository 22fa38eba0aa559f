package ike2

import "encoding/binary"

// SKF is one Encrypted Fragment payload, sealed (RFC 7383 §2.5). It is the last payload of its message.
type SKF struct {
	First  PayloadType // of the first payload of the whole; PayloadNone in all fragments but the first
	Number uint16      // from 1
	Total  uint16
	Body   []byte // IV | ciphertext | ICV
}

// Type is PayloadSKF.
func (s *SKF) Type() PayloadType { return PayloadSKF }

// AppendBody implements Payload.
func (s *SKF) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, s.Number)
	b = binary.BigEndian.AppendUint16(b, s.Total)
	return append(b, s.Body...)
}

// parseSKF reads a fragment; its number must lie within 1 to the total (RFC 7383 §2.6).
func parseSKF(first PayloadType, b []byte) (*SKF, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	s := &SKF{First: first, Number: binary.BigEndian.Uint16(b), Total: binary.BigEndian.Uint16(b[2:]), Body: b[4:]}
	if s.Number == 0 || s.Number > s.Total {
		return nil, syntaxf(0, "fragment %d of %d", s.Number, s.Total)
	}
	return s, nil
}
