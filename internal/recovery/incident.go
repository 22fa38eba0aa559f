package recovery

import (
	"fmt"
	"net/netip"
	"time"

	"lockstep/internal/sa"
)

// Healer is who brought the traffic back.
type Healer string

const (
	ByRecovery Healer = "recovery"
	ByBoot     Healer = "boot" // our normal start-up initiation
	ByPeer     Healer = "peer"
	ByDPD      Healer = "dpd"
	ByLifetime Healer = "lifetime"
	ByOperator Healer = "operator"
)

// Result is how an incident stands.
type Result uint8

const (
	Open       Result = iota + 1
	WasHealed         // inbound proof, and the key silent or its Delete acknowledged
	Passed            // transient: nothing was lost, or an exchange explained it
	Unproven          // the packets ended; none arrived on a good SA
	Superseded        // made room for more recent keys of the same peer
	ByNature          // traffic of this tunnel goes one way, as far as can be told
)

var resultNames = [...]string{"", "open", "healed", "transient", "no proof", "superseded", "one-way by nature"}

func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return "invalid"
}

// Entry is one line of an incident's timeline.
type Entry struct {
	At   time.Time
	What string
	Why  string
}

// Incident is the story of one SPI, from the first packet on it. A published one never changes.
type Incident struct {
	ID        uint64
	Owner     sa.Owner
	Peer      string // interface name
	Remote    netip.Addr
	Key       Key
	Encap     sa.Encap
	Class     Class
	Verdict   Verdict
	Revised   bool   // the verdict was another one before
	Cause     string // D-code of protocol.md §1.1, or "unknown"
	Evidence  []string
	First     time.Time // first packet on the SPI
	Last      time.Time
	Delivered time.Time // first packet on a good SA; zero: none yet
	Closed    time.Time // zero: open
	Result    Result
	Healer    Healer
	// Quarantined is until when nothing is done about the key, for the peer has acknowledged every rung; zero: it never was.
	Quarantined time.Time
	Lost        uint64 // packets until Delivered
	// RoundTrips are those of our orders, or of all IKE exchanges with the peer until Delivered where none was ours.
	RoundTrips int
	// How it would have ended unaided; zero: not known. ByDPD supposes that the peer's DPD is set like ours.
	ByLifetime, ByDPD time.Time
	Timeline          []Entry
	Omitted           int // entries left out in the middle
}

// HealTime is from the first packet on the lost SPI to the first on a good SA; 0: not healed.
func (i Incident) HealTime() time.Duration {
	if i.Delivered.IsZero() {
		return 0
	}
	return i.Delivered.Sub(i.First)
}

// Unaided says when it would have ended without us.
func (i Incident) Unaided() string {
	dpd := "by DPD: not known"
	if !i.ByDPD.IsZero() {
		dpd = fmt.Sprintf("by DPD at %s if the peer's is set like ours", i.ByDPD.Format(time.TimeOnly))
	}
	if i.ByLifetime.IsZero() {
		return "by lifetime: not known, " + dpd
	}
	return fmt.Sprintf("by lifetime at %s at the latest, %s", i.ByLifetime.Format(time.TimeOnly), dpd)
}

const (
	maxEntries  = 48
	keepEntries = 8 // of the beginning, when the middle goes
)

// incident is an open or remembered Incident with what only the engine needs.
type incident struct {
	Incident
	flow      *flow
	started   bool // an order was given for it
	acked     time.Time
	rung      int  // next one over a live IKE SA
	deleteOK  bool // acked was the answer to a Delete or a rekey
	explained bool // an exchange was outstanding when it was seen, or something else carried the traffic
	hadChild  bool // a proven child was there when it opened
	trips     int  // of our orders
	exchanges int  // ended since First
	told      string
}

// note adds to the timeline; the entries before stay as they are, for published snapshots share them.
func (i *incident) note(at time.Time, what, why string) {
	t := i.Timeline
	if len(t) >= maxEntries {
		i.Omitted++
		t = append(append(make([]Entry, 0, maxEntries), t[:keepEntries]...), t[keepEntries+1:]...)
	}
	i.Timeline = append(t[:len(t):len(t)], Entry{at, what, why})
}

// snapshot is what is published.
func (i *incident) snapshot() Incident { return i.Incident }

// seenSinceAck says that the peer still sends although it acknowledged the reaction.
func (i *incident) seenSinceAck() bool {
	return !i.acked.IsZero() && i.Last.Sub(i.acked) >= seenAgain
}

// unanswered says that the key wants a reaction: it is recent, and was seen again some time after the last reaction was
// acknowledged, or after traffic was back on a good SA.
func (i *incident) unanswered(now time.Time) bool {
	switch {
	case i.Class.silent():
		return false // quiet.go has it
	case now.Before(i.Quarantined):
		return false
	case now.Sub(i.Last) >= freshFor:
		return false
	case !i.acked.IsZero():
		return i.seenSinceAck()
	case !i.Delivered.IsZero():
		return i.Last.Sub(i.Delivered) >= seenAgain
	}
	return true
}
