package ike2

import "encoding/binary"

// Notify is the Notify payload (RFC 7296 §3.10). Without an SPI, Protocol is sent as 0 and means nothing on
// receipt.
type Notify struct {
	Protocol Protocol
	SPI      []byte // of a child SA: 4 octets. Most notifies have none
	Kind     NotifyType
	Data     []byte
}

// Type is PayloadNotify.
func (n *Notify) Type() PayloadType { return PayloadNotify }

// AppendBody implements Payload.
func (n *Notify) AppendBody(b []byte) []byte {
	b = append(b, byte(n.Protocol), byte(len(n.SPI)))
	b = binary.BigEndian.AppendUint16(b, uint16(n.Kind))
	return append(append(b, n.SPI...), n.Data...)
}

// parseNotify takes every protocol and SPI size whose length is consistent: a notify that makes no sense is to
// be ignored, and must never cost an IKE SA (RFC 7296 §3.10, §2.21).
func parseNotify(b []byte) (*Notify, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	n := &Notify{Protocol: Protocol(b[0]), Kind: NotifyType(binary.BigEndian.Uint16(b[2:]))}
	end := 4 + int(b[1])
	if end > len(b) {
		return nil, syntaxf(1, "SPI of %d octets, %d are left", b[1], len(b)-4)
	}
	if end > 4 {
		n.SPI = b[4:end:end]
	}
	if end < len(b) {
		n.Data = b[end:]
	}
	return n, nil
}

// NotifyChild makes a notify about a child SA, such as REKEY_SA or CHILD_SA_NOT_FOUND: protocol ESP, the SPI in
// the SPI field, no data (RFC 7296 §3.10).
func NotifyChild(kind NotifyType, spi uint32) *Notify {
	return &Notify{Protocol: ProtoESP, SPI: binary.BigEndian.AppendUint32(nil, spi), Kind: kind}
}

// NotifyInvalidSPI makes INVALID_SPI: the offending SPI stands in the data, the SPI field is empty (RFC 7296
// §1.5, §3.10).
func NotifyInvalidSPI(spi uint32) *Notify {
	return &Notify{Kind: InvalidSPI, Data: binary.BigEndian.AppendUint32(nil, spi)}
}

// NotifyInvalidKE makes INVALID_KE_PAYLOAD: the data are the group that would be accepted (RFC 7296 §1.2).
func NotifyInvalidKE(group uint16) *Notify {
	return &Notify{Kind: InvalidKEPayload, Data: binary.BigEndian.AppendUint16(nil, group)}
}

// ChildSPI is the SPI in the SPI field of a notify about a child SA: protocol AH or ESP, four octets.
func (n *Notify) ChildSPI() (uint32, bool) {
	if len(n.SPI) != 4 || n.Protocol != ProtoAH && n.Protocol != ProtoESP {
		return 0, false
	}
	return binary.BigEndian.Uint32(n.SPI), true
}

// OffendingSPI is the SPI that an INVALID_SPI complains about. The RFC puts it into the data (§1.5); older
// implementations fill the SPI field, with or without data. An SPI field of four octets wins, or else the first
// four octets of the data; the protocol is not looked at. False: the notify has another type, or names no SPI,
// and is to be ignored.
func (n *Notify) OffendingSPI() (uint32, bool) {
	switch {
	case n.Kind != InvalidSPI:
		return 0, false
	case len(n.SPI) == 4:
		return binary.BigEndian.Uint32(n.SPI), true
	case len(n.SPI) == 0 && len(n.Data) >= 4:
		return binary.BigEndian.Uint32(n.Data), true
	}
	return 0, false
}

// WantedGroup is the group that an INVALID_KE_PAYLOAD asks for (RFC 7296 §1.2).
func (n *Notify) WantedGroup() (uint16, bool) {
	if n.Kind != InvalidKEPayload || len(n.Data) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(n.Data), true
}
