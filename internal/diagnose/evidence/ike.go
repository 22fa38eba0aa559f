package evidence

import (
	"net/netip"
	"time"
)

// IKE is what a packet capture has of one IKE SA: the messages of one pair of SPIs (IKEv1: cookies) between two addresses.
// Their contents are encrypted, so it tells that exchanges took place and not what came of them.
type IKE struct {
	Source                          // its first packet
	Initiator, Responder netip.Addr // of the IKE SA, as far as the messages tell: IKEv1 tells only while it begins
	SPIi, SPIr           uint64     // SPIr 0: nobody answered
	Version              uint8      // 1 or 2
	Began                string     // the exchange that began it; empty: not in the capture, or it came of a rekey
	First, Last          time.Time
	Made                 time.Time // when the first exchange was answered that can have made IPsec SAs of a new IKE SA; zero: none was
	Messages             uint64
	Repeated             uint64 // of them, the very octets of one before in the same direction
	Unanswered           uint64 // exchanges that expect an answer and had none in the capture
	Exchanges            []Exchanges
}

// Exchanges counts those of one type.
type Exchanges struct {
	Type  string
	Count uint64
}

// New reports that an IKE SA began in the capture, and that an exchange was answered that can have made IPsec SAs of it.
func (i IKE) New() bool { return i.Began != "" && !i.Made.IsZero() }
