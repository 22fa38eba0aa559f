package ike2

import "encoding/binary"

// CPKind says which part of a configuration exchange a CP payload is (RFC 7296 §3.15).
type CPKind uint8

// Kinds of configuration payloads (RFC 7296 §3.15).
const (
	CPRequest CPKind = 1
	CPReply   CPKind = 2
	CPSet     CPKind = 3
	CPAck     CPKind = 4
)

// MaxCPAttributes bounds the attributes of one CP payload.
const MaxCPAttributes = 1024

// CP is the Configuration payload (RFC 7296 §3.15). What the attributes mean, and how long each may be, is not
// looked at.
type CP struct {
	Kind       CPKind
	Attributes []CPAttribute
}

// CPAttribute is one attribute of a CP payload. An empty value is a question (RFC 7296 §3.15.1).
type CPAttribute struct {
	Type  uint16 // 15 bits: the high one is reserved and ignored
	Value []byte
}

// Type is PayloadCP.
func (c *CP) Type() PayloadType { return PayloadCP }

// AppendBody implements Payload.
func (c *CP) AppendBody(b []byte) []byte {
	b = append(b, byte(c.Kind), 0, 0, 0)
	for _, a := range c.Attributes {
		b = binary.BigEndian.AppendUint16(b, a.Type&0x7fff)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.Value)))
		b = append(b, a.Value...)
	}
	return b
}

func parseCP(b []byte) (*CP, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	c := &CP{Kind: CPKind(b[0])}
	for off := 4; off < len(b); {
		if len(c.Attributes) == MaxCPAttributes {
			return nil, syntaxf(off, "more than %d attributes", MaxCPAttributes)
		}
		rest := b[off:]
		if len(rest) < 4 {
			return nil, syntaxf(off, "%d octets are left for an attribute of at least 4", len(rest))
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n > len(rest)-4 {
			return nil, syntaxf(off+2, "attribute of %d octets, %d are left", n, len(rest)-4)
		}
		c.Attributes = append(c.Attributes, CPAttribute{binary.BigEndian.Uint16(rest) & 0x7fff, rest[4 : 4+n : 4+n]})
		off += 4 + n
	}
	return c, nil
}
