package recovery

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// Key names a flow and its incident (protocol.md §1.3; one realm, protocol 50).
type Key struct {
	Src, Dst netip.Addr
	SPI      sa.SPI
}

// Seen is what the packet path tells of a flow.
type Seen struct {
	Src, Dst      netip.AddrPort // ports 0 for protocol 50
	SPI           sa.SPI
	Encap         sa.Encap
	First, At     time.Time // first and last packet of this hand-over
	Count, Octets uint64    // packets and octets since the last hand-over of this flow
	MinLen        int       // shortest packet, octets from the SPI on
	Owner         sa.Owner
	OwnerBy       string // how the owner was found: "tombstone", "live IKE SA", "configuration"
}

// Origin says when an SPI of ours was issued, as far as the identity file tells.
type Origin uint8

const (
	OriginNotTold Origin = iota
	OriginEarlier        // before this start of the gateway
	OriginThisRun
)

// Evidence is a finding about packets on an SPI that we do not have. Its constructors are the classes: there is none for
// an SPI that is offered, being installed or installed (protocol.md §9 trap 1).
type Evidence struct {
	seen   Seen
	class  Class
	tomb   sa.Tombstone
	origin Origin
}

// FromTombstone is K7. The owner is the tombstone's.
func FromTombstone(s Seen, t sa.Tombstone) Evidence {
	s.Owner, s.OwnerBy = t.Owner, "tombstone"
	return Evidence{seen: s, class: Tombstone, tomb: t}
}

// FromLost is K10: issued by us, no record.
func FromLost(s Seen, o Origin) Evidence { return Evidence{seen: s, class: Lost, origin: o} }

// FromNeverOurs is K11.
func FromNeverOurs(s Seen) Evidence { return Evidence{seen: s, class: NeverOurs} }

// FromUnknown is K12: we cannot tell whether we issued it.
func FromUnknown(s Seen) Evidence { return Evidence{seen: s, class: Unknown} }

// FromForeignOwner is K9: another member issued it.
func FromForeignOwner(s Seen) Evidence { return Evidence{seen: s, class: ForeignOwner} }

// Class is the finding.
func (e Evidence) Class() Class { return e.class }

// Input is what can happen to an Engine: Evidence, Told, Ended, Inbound, Configured, Operator, Tick.
type Input interface{ input() }

// Told is a fact about a peer.
type Told struct{ ike.Notice }

// Ended is the end of an Order.
type Ended struct{ ike.Outcome }

// Inbound says that a packet was verified on an SA of the owner at that time or later: proof of traffic where no first
// packet is to come, because the good SA is older than the trouble.
type Inbound struct {
	Owner sa.Owner
	At    time.Time
}

// Configured replaces the settings; owners keep their state by name.
type Configured struct{ Settings }

// Operator is `clear crypto recovery`: pauses, quarantines and pending rungs end. NoOwner: of everybody.
type Operator struct{ Owner sa.Owner }

// Tick says that time has passed.
type Tick struct{}

func (Evidence) input()   {}
func (Told) input()       {}
func (Ended) input()      {}
func (Inbound) input()    {}
func (Configured) input() {}
func (Operator) input()   {}
func (Tick) input()       {}

// Action is what the caller shall do: an Order or a Report.
type Action interface{ action() }

// Order is a command for the IKE engine. Command.Ref is ours, and its Outcome must come back as Ended, also when it
// could not be posted (Result Busy).
type Order struct {
	Owner   sa.Owner
	Command ike.Command
	Why     string
}

// ReportKind says what a Report is about.
type ReportKind uint8

const (
	Opened    ReportKind = iota + 1
	Acting               // the first order for this incident, or the next rung
	Delivered            // first good packet; not confirmed yet
	Healed
	Closed // without healing: transient, or no more packets
	GaveUp
	Recurring
	Noted        // anything else in the timeline
	OneWayMarked // nothing comes back, and nothing more is done until Next
)

// Report is news for people. Incident is a snapshot; its ID is 0 where none is meant.
type Report struct {
	Kind     ReportKind
	At       time.Time
	Peer     string
	Remote   netip.Addr
	Incident Incident
	What     string
	Why      string
	Next     time.Time    // of OneWayMarked
	Causes   []CauseCount // of Recurring: those of 24 hours, the most frequent first; never empty
}

func (Order) action()  {}
func (Report) action() {}

// Packets is how many packets it stands for.
func (e Evidence) Packets() uint64 { return e.seen.Count }
