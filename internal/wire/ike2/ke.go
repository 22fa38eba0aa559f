package ike2

import "encoding/binary"

// KE is the Key Exchange payload (RFC 7296 §3.4). Whether Data has the length of its group, and is a valid
// element, is for the key exchange to check.
type KE struct {
	Group uint16 // a transform ID of type DH
	Data  []byte
}

// Type is PayloadKE.
func (k *KE) Type() PayloadType { return PayloadKE }

// AppendBody implements Payload.
func (k *KE) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, k.Group)
	return append(append(b, 0, 0), k.Data...)
}

func parseKE(b []byte) (*KE, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	return &KE{Group: binary.BigEndian.Uint16(b), Data: b[4:]}, nil
}
