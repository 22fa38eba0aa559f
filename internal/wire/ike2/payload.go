package ike2

import "strconv"

// PayloadType is the type of a payload, as the Next Payload fields carry it (RFC 7296 §3.2).
type PayloadType uint8

// Payload types (RFC 7296 §3.2; SKF: RFC 7383 §2.5).
const (
	PayloadNone    PayloadType = 0 // ends the chain
	PayloadSA      PayloadType = 33
	PayloadKE      PayloadType = 34
	PayloadIDi     PayloadType = 35
	PayloadIDr     PayloadType = 36
	PayloadCERT    PayloadType = 37
	PayloadCERTREQ PayloadType = 38
	PayloadAUTH    PayloadType = 39
	PayloadNonce   PayloadType = 40
	PayloadNotify  PayloadType = 41
	PayloadDelete  PayloadType = 42
	PayloadVendor  PayloadType = 43
	PayloadTSi     PayloadType = 44
	PayloadTSr     PayloadType = 45
	PayloadSK      PayloadType = 46
	PayloadCP      PayloadType = 47
	PayloadEAP     PayloadType = 48
	PayloadSKF     PayloadType = 53
)

// String is the RFC's notation of the payload, or its number.
func (t PayloadType) String() string {
	switch t {
	case PayloadNone:
		return "none"
	case PayloadSA:
		return "SA"
	case PayloadKE:
		return "KE"
	case PayloadIDi:
		return "IDi"
	case PayloadIDr:
		return "IDr"
	case PayloadCERT:
		return "CERT"
	case PayloadCERTREQ:
		return "CERTREQ"
	case PayloadAUTH:
		return "AUTH"
	case PayloadNonce:
		return "Nonce"
	case PayloadNotify:
		return "N"
	case PayloadDelete:
		return "D"
	case PayloadVendor:
		return "V"
	case PayloadTSi:
		return "TSi"
	case PayloadTSr:
		return "TSr"
	case PayloadSK:
		return "SK"
	case PayloadCP:
		return "CP"
	case PayloadEAP:
		return "EAP"
	case PayloadSKF:
		return "SKF"
	}
	return "payload-" + strconv.Itoa(int(t))
}

// Payload is one payload of a message. Pointers to the structs of this package implement it.
type Payload interface {
	// Type is the payload's type number.
	Type() PayloadType
	// AppendBody appends what follows the generic payload header. No field may exceed what its length field
	// can express, and a body must fit MaxBody.
	AppendBody([]byte) []byte
}

// MaxBody is the longest body that a payload's 16-bit length can express, in octets.
const MaxBody = 0xffff - genericLen

// Protocol is a security protocol identifier (RFC 7296 §3.3.1).
type Protocol uint8

// Security protocols (RFC 7296 §3.3.1).
const (
	ProtoNone Protocol = 0 // in a Notify without SPI
	ProtoIKE  Protocol = 1
	ProtoAH   Protocol = 2
	ProtoESP  Protocol = 3
)

// String is the protocol's name, or its number.
func (p Protocol) String() string {
	switch p {
	case ProtoNone:
		return "none"
	case ProtoIKE:
		return "IKE"
	case ProtoAH:
		return "AH"
	case ProtoESP:
		return "ESP"
	}
	return "protocol-" + strconv.Itoa(int(p))
}
