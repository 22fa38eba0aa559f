package isakmp

import (
	"strconv"
	"strings"
)

// Exchange is the exchange type of a message.
type Exchange uint8

// Exchange types of IKEv2 (RFC 7296 §3.1; RFC 9242 §4.1; RFC 9370 §4.1).
const (
	IKESAInit       Exchange = 34
	IKEAuth         Exchange = 35
	CreateChildSA   Exchange = 36
	Informational   Exchange = 37
	IKEIntermediate Exchange = 43
	IKEFollowupKE   Exchange = 44
)

// String is the RFC's name of the exchange, or its number.
func (e Exchange) String() string {
	switch e {
	case IKESAInit:
		return "IKE_SA_INIT"
	case IKEAuth:
		return "IKE_AUTH"
	case CreateChildSA:
		return "CREATE_CHILD_SA"
	case Informational:
		return "INFORMATIONAL"
	case IKEIntermediate:
		return "IKE_INTERMEDIATE"
	case IKEFollowupKE:
		return "IKE_FOLLOWUP_KE"
	}
	return "exchange-" + strconv.Itoa(int(e))
}

// Flags are the flag bits of the header. Bits without a name are sent 0 and ignored (RFC 7296 §3.1).
type Flags uint8

// Flag bits of IKEv2 (RFC 7296 §3.1).
const (
	FlagInitiator Flags = 0x08 // the sender is the original initiator of the IKE SA
	FlagVersion   Flags = 0x10 // the sender speaks a higher major version: sent 0, ignored
	FlagResponse  Flags = 0x20 // the message is a response
)

// String lists the flags that are set: "initiator|response", what has no name in hexadecimal, "none" for none.
func (f Flags) String() string {
	var names []string
	for _, n := range [...]struct {
		bit  Flags
		name string
	}{{FlagInitiator, "initiator"}, {FlagVersion, "version"}, {FlagResponse, "response"}} {
		if f&n.bit != 0 {
			names = append(names, n.name)
			f &^= n.bit
		}
	}
	if f != 0 {
		names = append(names, "0x"+strconv.FormatUint(uint64(f), 16))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "|")
}
