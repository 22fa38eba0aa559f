package sa

import (
	"fmt"
	"net/netip"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

// SPI is an ESP security parameters index as the integer of its wire octets (RFC 4303 §2.1).
type SPI uint32

// String gives the form of IOS messages: 0x, eight upper-case digits, the decimal in parentheses.
func (s SPI) String() string { return fmt.Sprintf("0x%08X(%d)", uint32(s), uint32(s)) }

// Owner is the peer an SA belongs to: policy.Peer.ID of the running configuration, or NoOwner.
type Owner int32

// NoOwner is the owner of SAs and evidence that belong to nobody we know.
const NoOwner Owner = -1

// Encap says how ESP of one SA travels.
type Encap uint8

const (
	EncapNone Encap = iota // protocol 50
	EncapUDP               // UDP 4500 (RFC 3948)
)

func (e Encap) String() string {
	if e == EncapUDP {
		return "UDP-Encaps"
	}
	return "ESP"
}

// Half names one direction of a child SA, or both.
type Half uint8

const (
	InboundHalf  Half = 1
	OutboundHalf Half = 2
	BothHalves   Half = 3
)

// Child describes a child SA to be installed: what IKE negotiated, and nothing that changes afterwards.
// Keys are KEYMAT of one direction each, in the order of RFC 7296 §2.17 (encryption key with salt, then integrity key).
type Child struct {
	Owner    Owner
	Tunnel   int    // unit of the tunnel interface
	IKE      uint64 // our SPI of the IKE SA that made it
	In, Out  SPI
	Cipher   suite.Cipher
	ESN      bool
	KeyIn    policy.Secret
	KeyOut   policy.Secret
	TSLocal  []ike2.Selector // what may be sent from our side (narrowed)
	TSRemote []ike2.Selector
	Local    netip.AddrPort // outer; the ports count for EncapUDP only
	Remote   netip.AddrPort
	Encap    Encap
	// ReplayWindow in packets; 0: no replay protection.
	ReplayWindow int
	// Soft limits after which Traffic inputs ask for a rekey; hard ones stop the SA. Zero: none.
	SoftBytes, HardBytes uint64
	SoftPackets          uint64
	Replaces             SPI // inbound SPI of the SA that this one rekeys; 0: none
	Initiator            bool
	Created              time.Time
	Hard                 time.Time // end of life by time
}

// TombReason says why an inbound SPI went; it is kept in its tombstone (protocol.md §1.2 K7).
type TombReason uint8

const (
	TombRekeyed TombReason = iota + 1
	TombPeerDeleted
	TombCleared
	TombExpiredTime
	TombExpiredVolume
	TombIKEDeleted
	TombDPD
	TombReauth
	TombCollisionLoser
	TombInstallFailed
	TombInitialContact // the peer said it lost everything (RFC 7296 §2.4)
	TombShutdown
)

var tombNames = [...]string{"", "rekeyed", "peer deleted", "cleared", "lifetime expired", "volume expired", "IKE SA deleted",
	"dead peer", "reauthentication", "collision loser", "install failed", "initial contact", "shutdown"}

func (r TombReason) String() string {
	if int(r) < len(tombNames) {
		return tombNames[r]
	}
	return "unknown"
}

// Grace is how long packets on a removed SPI are expected and only counted (protocol.md §1.2 "Grace values").
func (r TombReason) Grace() time.Duration {
	switch r {
	case TombRekeyed, TombCollisionLoser:
		return 5 * time.Second
	case TombPeerDeleted, TombIKEDeleted, TombInitialContact, TombReauth:
		return 2 * time.Second
	case TombCleared, TombExpiredTime, TombExpiredVolume, TombShutdown:
		return 3 * time.Second
	}
	return 0
}

// Tombstone remembers a removed inbound SPI.
type Tombstone struct {
	SPI     SPI
	Owner   Owner
	Tunnel  int
	IKE     uint64
	Remote  netip.AddrPort
	Created time.Time // of the SA
	Deleted time.Time
	Why     TombReason
}
