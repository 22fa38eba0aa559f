package ike2

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// IDType says what an identity's data are (RFC 7296 §3.5).
type IDType uint8

// Identity types (RFC 7296 §3.5).
const (
	IDIPv4Addr   IDType = 1
	IDFQDN       IDType = 2
	IDRFC822Addr IDType = 3
	IDIPv6Addr   IDType = 5
	IDDERASN1DN  IDType = 9
	IDDERASN1GN  IDType = 10
	IDKeyID      IDType = 11
)

// String is the RFC's name of the type without its ID_, or the number.
func (t IDType) String() string {
	switch t {
	case IDIPv4Addr:
		return "IPV4_ADDR"
	case IDFQDN:
		return "FQDN"
	case IDRFC822Addr:
		return "RFC822_ADDR"
	case IDIPv6Addr:
		return "IPV6_ADDR"
	case IDDERASN1DN:
		return "DER_ASN1_DN"
	case IDDERASN1GN:
		return "DER_ASN1_GN"
	case IDKeyID:
		return "KEY_ID"
	}
	return "id-" + strconv.Itoa(int(t))
}

// ID is an Identification payload, IDi or IDr (RFC 7296 §3.5). It says who a party is; it need not match the
// address that the party's packets come from.
type ID struct {
	Initiator bool // IDi
	Kind      IDType
	Data      []byte

	// Reserved is as received, zero in what we send. It means nothing, but AUTH covers it (RFC 7296 §2.15, §3.5).
	Reserved [3]byte
}

// IDFromAddr is the identity of type IPV4_ADDR or IPV6_ADDR, whichever the address is. An IPv4 address inside
// IPv6 counts as IPv4.
func IDFromAddr(initiator bool, a netip.Addr) *ID {
	a = a.Unmap()
	if a.Is4() {
		return &ID{Initiator: initiator, Kind: IDIPv4Addr, Data: a.AsSlice()}
	}
	return &ID{Initiator: initiator, Kind: IDIPv6Addr, Data: a.AsSlice()}
}

// IDFromFQDN is the identity of type FQDN.
func IDFromFQDN(initiator bool, name string) *ID {
	return &ID{Initiator: initiator, Kind: IDFQDN, Data: []byte(name)}
}

// IDFromEmail is the identity of type RFC822_ADDR.
func IDFromEmail(initiator bool, addr string) *ID {
	return &ID{Initiator: initiator, Kind: IDRFC822Addr, Data: []byte(addr)}
}

// IDFromKeyID is the identity of type KEY_ID.
func IDFromKeyID(initiator bool, key []byte) *ID {
	return &ID{Initiator: initiator, Kind: IDKeyID, Data: bytes.Clone(key)}
}

// Equal says that both name the same party: same type, same octets, except that letters of an FQDN compare
// without case (RFC 4343). Whether it stands in IDi or IDr does not matter, nor do reserved octets.
func (id *ID) Equal(other *ID) bool {
	if id == nil || other == nil {
		return id == other
	}
	if id.Kind != other.Kind {
		return false
	}
	if id.Kind == IDFQDN {
		return equalFoldASCII(id.Data, other.Data)
	}
	return bytes.Equal(id.Data, other.Data)
}

// equalFoldASCII, not bytes.EqualFold: that one also holds U+212A, the Kelvin sign, for a k.
func equalFoldASCII(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Addr is the address of an identity that is one.
func (id *ID) Addr() (netip.Addr, bool) {
	if id.Kind != IDIPv4Addr && id.Kind != IDIPv6Addr {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(id.Data)
}

// String is the identity for people: an address, a name, or hexadecimal digits for what is neither or has
// characters that a terminal must not get from a stranger.
func (id *ID) String() string {
	if id == nil {
		return "none"
	}
	if a, ok := id.Addr(); ok {
		return a.String()
	}
	switch id.Kind {
	case IDFQDN, IDRFC822Addr, IDKeyID:
		if printable(id.Data) {
			return string(id.Data)
		}
	}
	return id.Kind.String() + ":" + hex.EncodeToString(id.Data)
}

func printable(b []byte) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Type is PayloadIDi or PayloadIDr.
func (id *ID) Type() PayloadType {
	if id.Initiator {
		return PayloadIDi
	}
	return PayloadIDr
}

// AppendBody implements Payload. AUTH covers these octets; those of a parsed ID are the ones that the peer sent
// (RFC 7296 §2.15).
func (id *ID) AppendBody(b []byte) []byte {
	b = append(append(b, byte(id.Kind)), id.Reserved[:]...)
	return append(b, id.Data...)
}

// parseID wants addresses of their length; names may have any, and be empty.
func parseID(initiator bool, b []byte) (*ID, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	id := &ID{Initiator: initiator, Kind: IDType(b[0]), Data: b[4:], Reserved: [3]byte(b[1:4])}
	want := len(id.Data)
	switch id.Kind {
	case IDIPv4Addr:
		want = 4
	case IDIPv6Addr:
		want = 16
	}
	if len(id.Data) != want {
		return nil, syntaxf(4, "%v of %d octets, must be %d", id.Kind, len(id.Data), want)
	}
	return id, nil
}
