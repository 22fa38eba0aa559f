// Package reason is the closed set of reasons for which a packet or an IKE message is discarded, and their catalogue:
// mnemonic, IOS XE's QFP names and row, metric, meaning and what to do. Nothing is discarded without one. Pure.
package reason

// Drop is one reason. Its zero value means "not dropped".
type Drop uint8

const (
	None Drop = iota

	// ESP in (protocol.md §1.2).
	InvalidSPI       // K7..K12 on IPv4 to us: no SA for the SPI
	InvalidSPIv6     // the same on IPv6
	TransitSPI       // ESP not addressed to us
	SPIZero          // K0
	SPIReserved      // K1
	ESPTruncated     // K2
	LarvalOverflow   // K4/K5: more early packets than may be parked
	LarvalTimeout    // parked too long
	ReplayOld        // below the window
	ReplayDuplicate  // already seen
	BadICV           //
	BadPadding       //
	SelectorMismatch // inner packet outside the child's selectors
	InnerMalformed   //
	DummyPacket      // next header 59 (RFC 4303 §2.6): not an error
	WrongNextHeader  // neither IP nor dummy in tunnel mode
	HardExpired      // SA past its hard lifetime
	OuterMalformed   //
	KeepaliveNAT     // one octet 0xFF (RFC 3948 §2.3): not an error
	ShortNonESP      // UDP 4500 datagram too short for ESP or IKE (RFC 3948)

	// Out.
	NoOutboundSA    // no child for the tunnel yet
	NoSelectorMatch // children exist, none carries these selectors
	TooBigDF        // larger than the tunnel MTU with DF, or IPv6: ICMP sent
	SeqExhausted    // sequence space used up (RFC 4303 §3.3.3)
	LeaseWait       // the next sequence block is not granted yet
	RecursiveRoute  // outer packet would enter a tunnel
	DeviceMalformed // not an IP packet from the TUN
	WireSendFailed  // the socket refused
	DeviceWriteFailed
	TTLExpired

	// IKE.
	IKEMalformed       // header or payload syntax, outside protection
	IKEUnknownSPI      // no IKE SA with that SPI
	IKEBadVersion      // major version above 2
	IKEv1Unsupported   // version 1: later issue
	IKEBadICV          //
	IKEBadMessageID    // outside the window
	IKEDuplicate       // answered from the cache or ignored
	IKENoPolicy        // first message from an address without a configured peer
	IKEHalfOpenLimit   // half-open table full
	IKECookieSent      // asked for a cookie, no state made
	IKEMailboxFull     // shard overloaded
	IKEUnexpected      // exchange or role makes no sense in this state
	IKEStaleInit       // waited too long in the queue (CSCvc12306)
	IKECritical        // unknown critical payload
	IKEUnauthenticated // unprotected notify: at most a hint (RFC 7296 §2.21.4)
	IKETooLarge        //
	IKEReflected       // our own message came back
	IKEPanic           // a machine failed and was closed

	// The packet path again.
	CongestionLost // the outer header met congestion, the inner packet cannot say so (RFC 6040 §4.2)
	PathPanic      // a packet loop failed on it

	count
)

// Count is the number of reasons, None included: the size of a counter array.
const Count = int(count)
