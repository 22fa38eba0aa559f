package evidence

import (
	"fmt"
	"net/netip"
	"time"
)

// Source is a place in the evidence. Line counts from 1; for packets it is the packet's number.
type Source struct {
	File string
	Line int
}

func (s Source) String() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// Quote is a piece of evidence as it stands in its source.
type Quote struct {
	Source
	Text string
}

// Stamp is a time with what it is worth.
type Stamp struct {
	At    time.Time     // zero: the source has none
	Grain time.Duration // the true time lies in [At, At+Grain)
	Clock int           // stamps of one Clock may be subtracted; a clock that jumped is another Clock
	Unset bool          // the device itself says that its clock is not authoritative
	// Relayed: it may be when a relay got the line, not when the device wrote it. Two relays have one message at two times.
	Relayed bool
}

// Gap is the least time that can have passed between two stamps. It is zero where they cannot be compared.
func Gap(a, b Stamp) time.Duration {
	if a.At.IsZero() || b.At.IsZero() || a.Clock != b.Clock {
		return 0
	}
	if b.At.Before(a.At) {
		a, b = b, a
	}
	return max(0, b.At.Sub(a.At)-a.Grain)
}

// Since is how long a was before b, negative if it was after it: by the device's clock, else by the relay's.
func Since(a, b *Event) (time.Duration, bool) {
	switch {
	case !a.At.IsZero() && !b.At.IsZero() && a.Clock == b.Clock:
		return b.At.Sub(a.At), true
	case !a.Relay.At.IsZero() && !b.Relay.At.IsZero() && a.Relay.Clock == b.Relay.Clock:
		return b.Relay.At.Sub(a.Relay.At), true
	}
	return 0, false
}

// Flow is what the tech note calls a flow, with the protocol: 50 is ESP, in UDP too; 51 is AH.
type Flow struct {
	Src, Dst netip.Addr
	Proto    uint8
	SPI      uint32
}

func (f Flow) String() string { return fmt.Sprintf("%v -> %v spi 0x%08X", f.Src, f.Dst, f.SPI) }

// Event is one thing that a device said. For an inbound packet Src is the sender; for everything else Peer is the other
// end as the device sees it, and Local its own address where it says so.
type Event struct {
	Stamp
	Quote
	Kind   Kind
	Relay  Stamp  // when a relay had it; no time: not told. After a restart it is often the only clock that can be trusted.
	Device string // who says it: its name, or the file where no name is given
	Platform
	Flow  // of packets; SPI alone also of SAs
	Peer  netip.Addr
	Local netip.Addr
	Count uint64 // occurrences that this line stands for; 0: one
	Word  string // what the source adds: a reason, a state, a mnemonic
	Limit time.Duration
	// Limit: the source prints at most one such line in this time; 0: it prints all.
}

// Platform is what kind of device speaks.
type Platform uint8

const (
	AnyPlatform Platform = iota
	IOS                  // and IOS XE, and Lockstep, which speaks as they do
	ASA                  // and FTD
	Linux                // XFRM without a daemon that is known
	StrongSwan
	Libreswan
)

func (p Platform) String() string {
	return [...]string{"", "IOS", "ASA", "Linux", "strongSwan", "libreswan"}[p]
}

// Kind is what happened.
type Kind uint8

const (
	Other          Kind = iota
	InvalidSPI          // a packet came on an SPI without SA
	NoDelete            // as InvalidSPI, and there was no IKE SA to tell the sender
	Suppressed          // so many more of the line before
	DeleteSent          // a Delete for SPI, or for the IKE SA, went to Peer
	DeleteGot           // and came from Peer
	DeleteUnknown       // a Delete from Peer named an SA that is not there
	NotifySent          // INVALID_SPI went to Peer
	NotifyGot           // and came from Peer
	InitialContact      // Peer's INITIAL_CONTACT removed the SAs with it
	Negotiating         // Peer and the device began an IKE exchange
	IKEUp               // an IKE SA with Peer is there
	IKEDown             // an IKE SA with Peer ended
	ChildUp             // an IPsec SA with Peer is there; SPI if told
	ChildDown           // an IPsec SA ended; Word says why if told
	Installed           // the device can receive on SPI
	Rekey               // a rekey began or ended
	Expired             // SPI's lifetime ran out; Word is "time", "volume" or empty
	Reauth              // an IKE SA is being replaced by a new authentication
	Collision           // both ends rekeyed at once
	DeadPeer            // DPD or liveness gave Peer up
	Restart             // the device started
	Reload              // the device was told to restart
	Cleared             // an operator removed SAs, of Peer or all
	Failover            // the device became active in a redundant pair
	NoIKESA             // Peer sent IKE under an IKE SA that is not there
	Replay              // a packet on a known SPI was dropped as replayed
	BadICV              // a packet on a known SPI failed its integrity check
	Plain               // a packet came in the clear that should be ESP
	BadSelector         // a packet on a known SPI carried what the SA does not allow
	Refused             // a negotiation failed; Word says at what
	BadSyntax           // INVALID_SYNTAX was answered
	Healed              // Lockstep says that traffic is back; Word names healer and cause
	Recovering          // Lockstep acts
	NoSACounter         // a counter of packets without SA rose; Count is its value
	Moved               // Peer's address or port changed
	StrayESP            // a packet without SA, of which the source tells no SPI
	ClockSet            // the device's clock was set; readers keep it to themselves
	kinds
)

var kindNames = [...]string{
	Other: "other", InvalidSPI: "invalid SPI", NoDelete: "no IKE SA to send a Delete over", Suppressed: "repeats not printed",
	DeleteSent: "Delete sent", DeleteGot: "Delete received", DeleteUnknown: "Delete for an unknown SA",
	NotifySent: "INVALID_SPI sent", NotifyGot: "INVALID_SPI received", InitialContact: "INITIAL_CONTACT",
	Negotiating: "negotiation begins", IKEUp: "IKE SA up", IKEDown: "IKE SA down", ChildUp: "IPsec SA up",
	ChildDown: "IPsec SA down", Installed: "SA installed", Rekey: "rekey", Expired: "lifetime over", Reauth: "reauthentication",
	Collision: "rekey collision", DeadPeer: "peer declared dead", Restart: "device started", Reload: "reload ordered",
	Cleared: "cleared by an operator", Failover: "became active", NoIKESA: "IKE without an SA", Replay: "anti-replay drop",
	BadICV: "integrity check failed", Plain: "clear text instead of ESP", BadSelector: "selectors do not fit", Refused: "negotiation failed",
	BadSyntax: "INVALID_SYNTAX", Healed: "healed", Recovering: "recovery acts", NoSACounter: "drops without SA",
	Moved: "peer moved", StrayESP: "ESP without SA", ClockSet: "clock set",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Sighting reports that the event is a packet on an SPI without SA.
func (k Kind) Sighting() bool { return k == InvalidSPI || k == NoDelete }
