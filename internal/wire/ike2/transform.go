package ike2

import "encoding/binary"

// TransformType says what a transform chooses (RFC 7296 §3.3.2). Others, as the additional key exchanges of
// RFC 9370, keep their number.
type TransformType uint8

// Transform types (RFC 7296 §3.3.2).
const (
	ENCR  TransformType = 1
	PRF   TransformType = 2
	INTEG TransformType = 3
	DH    TransformType = 4
	ESN   TransformType = 5
)

// Transform is one algorithm of a proposal (RFC 7296 §3.3.2).
type Transform struct {
	Type      TransformType
	ID        uint16
	KeyLength uint16 // bits, 0: absent (RFC 7296 §3.3.5)

	// UnknownAttribute says that the transform carries an attribute that is not understood, or Key Length in a
	// form that is none. Such a transform must not be chosen; the others of its type may (RFC 7296 §3.3.6).
	UnknownAttribute bool
}

// Transform attributes (RFC 7296 §3.3.5).
const (
	attributeTV        = 0x8000 // value of two octets in place of the length
	attributeKeyLength = 14
	attributeUnknown   = 0x7fff // private use: stands for what was not understood when such a transform is written
	attributeLen       = 4
)

func (t Transform) append(b []byte, last bool) []byte {
	start := len(b)
	b = append(b, substructure(last, moreTransforms), 0, 0, 0, byte(t.Type), 0)
	b = binary.BigEndian.AppendUint16(b, t.ID)
	if t.KeyLength != 0 {
		b = binary.BigEndian.AppendUint16(b, attributeTV|attributeKeyLength)
		b = binary.BigEndian.AppendUint16(b, t.KeyLength)
	}
	if t.UnknownAttribute {
		// What nobody could choose must not turn into something to choose on its way through us.
		b = binary.BigEndian.AppendUint16(b, attributeTV|attributeUnknown)
		b = binary.BigEndian.AppendUint16(b, 0)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// parseTransform reads one transform, which fills b: at least its fixed part.
func parseTransform(b []byte) (Transform, *SyntaxError) {
	t := Transform{Type: TransformType(b[4]), ID: binary.BigEndian.Uint16(b[6:])}
	for off := transformLen; off < len(b); {
		rest := b[off:]
		if len(rest) < attributeLen {
			return t, syntaxf(off, "%d octets are left for an attribute of at least %d", len(rest), attributeLen)
		}
		kind, value := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		off += attributeLen
		switch {
		case kind&attributeTV == 0: // a length, and as many octets
			if int(value) > len(rest)-attributeLen {
				return t, syntaxf(off-2, "attribute of %d octets, %d are left", value, len(rest)-attributeLen)
			}
			off += int(value)
			t.UnknownAttribute = true // Key Length in this form included: §3.3.5 forbids it for two octets
		case kind == attributeTV|attributeKeyLength && t.KeyLength == 0 && value != 0:
			t.KeyLength = value
		default:
			t.UnknownAttribute = true // also a second Key Length: §3.3 forbids two of one type
		}
	}
	return t, nil
}
