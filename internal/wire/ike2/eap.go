package ike2

import "encoding/binary"

// EAP is the Extensible Authentication Protocol payload: one EAP message as it is, with its own code,
// identifier and length (RFC 7296 §3.16, RFC 3748 §4).
type EAP struct {
	Data []byte
}

// Type is PayloadEAP.
func (e *EAP) Type() PayloadType { return PayloadEAP }

// AppendBody implements Payload.
func (e *EAP) AppendBody(b []byte) []byte { return append(b, e.Data...) }

// parseEAP checks that the message's own length is that of the payload (RFC 7296 §3.16).
func parseEAP(b []byte) (*EAP, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "EAP message of %d octets, at least 4 are needed", len(b))
	}
	if n := int(binary.BigEndian.Uint16(b[2:])); n != len(b) {
		return nil, syntaxf(2, "EAP length %d in a body of %d octets", n, len(b))
	}
	return &EAP{Data: b}, nil
}
