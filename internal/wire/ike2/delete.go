package ike2

import "encoding/binary"

// Delete is the Delete payload: SAs that its sender has removed (RFC 7296 §3.11). The SPIs are those that the
// sender expected in inbound packets, so the receiver finds them among its outbound ones. For ProtoIKE there
// are none: it is the IKE SA that carries the message.
type Delete struct {
	Protocol Protocol
	SPIs     []uint32
}

// Type is PayloadDelete.
func (d *Delete) Type() PayloadType { return PayloadDelete }

// AppendBody implements Payload.
func (d *Delete) AppendBody(b []byte) []byte {
	if d.Protocol == ProtoIKE {
		return append(b, byte(ProtoIKE), 0, 0, 0)
	}
	b = append(b, byte(d.Protocol), 4)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.SPIs)))
	for _, spi := range d.SPIs {
		b = binary.BigEndian.AppendUint32(b, spi)
	}
	return b
}

// parseDelete wants SPIs of no octets for IKE and of four otherwise, as many as announced. Deviation: the
// number of SPIs is ignored where their size is zero, since there is nothing that it could miscount.
func parseDelete(b []byte) (*Delete, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	d := &Delete{Protocol: Protocol(b[0])}
	size, count := int(b[1]), int(binary.BigEndian.Uint16(b[2:]))
	if size != 0 && size != 4 || d.Protocol == ProtoIKE && size != 0 {
		return nil, syntaxf(1, "SPIs of %d octets for %v", size, d.Protocol)
	}
	if size*count != len(b)-4 {
		return nil, syntaxf(2, "%d SPIs of %d octets in %d octets", count, size, len(b)-4)
	}
	for off := 4; off < len(b); off += 4 {
		d.SPIs = append(d.SPIs, binary.BigEndian.Uint32(b[off:]))
	}
	return d, nil
}
