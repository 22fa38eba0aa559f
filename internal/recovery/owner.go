package recovery

import (
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// State is where the machine of one owner stands; the diagram is in doc.go.
type State uint8

const (
	Idle State = iota
	Watching
	Deleting
	Probing
	Recreating
	Reauth
	Healing // called Healed in protocol.md §2.6: the reaction ended well, ten seconds of observation
	Backoff
)

var stateNames = [...]string{"Idle", "Watching", "Deleting", "Probing", "Recreating", "Reauth", "Healed", "Backoff"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// flying says that an order is under way: single flight.
func (s State) flying() bool { return s >= Deleting && s <= Reauth }

// up is what is remembered of an IKE SA that came up.
type up struct {
	ref       uint64
	initiator bool
	at        time.Time
}

// child is a working child SA.
type child struct {
	ike       isakmp.SPI
	ref       uint64
	initiator bool
	at        time.Time
	proven    bool // a packet was verified on it
}

// flight is the one reaction under way.
type flight struct {
	refs  map[uint64]ike.Command // without an Outcome yet
	incs  []*incident
	rung  int
	trips int
	moot  map[sa.SPI]bool
	worst ike.Outcome // the first result that was neither OK nor moot; zero: none
	// closing: it deletes the IKE SA.
	closing bool
	quiet   bool // for a silence, not for evidence
}

// putOff is a peer that says nothing but TEMPORARY_FAILURE.
type putOff struct{ since, last time.Time }

// owner is one machine.
type owner struct {
	Owner
	state State
	why   string
	until time.Time // of state; zero: open
	retry time.Time // a budget is free again then
	since time.Time

	ups          int       // live IKE SAs
	goneAt       time.Time // one of them ended, and the second sign of it is awaited; zero: none is
	goneByNotice bool      // what told first
	putOff       putOff
	lastUps      map[isakmp.SPI]up
	lastUp       up
	children     map[sa.SPI]child
	asking       map[isakmp.SPI]time.Time // exchanges outstanding, since when
	ended        time.Time                // the last exchange
	srtt         time.Duration
	offers       int       // exchanges that may have offered a child, since the start
	childUps     int       // of them, those that made one
	dpdAt        time.Time // an IKE SA was found dead
	noM2         bool      // the peer could not read a protected INVALID_SPI

	quiet  quiet
	open   []*incident
	flight *flight
	kept   []kept // in quarantine, the first to leave it first
	budget budget
	alarm  bool // the operator was told that nothing helps

	healed    []healing // of the last week, oldest first
	alarmedAt time.Time // RECURRING
	wake      time.Time // in the heap; zero: not in it
	index     int
}

func newOwner(o Owner) *owner {
	return &owner{Owner: o, lastUps: map[isakmp.SPI]up{}, children: map[sa.SPI]child{}, asking: map[isakmp.SPI]time.Time{}, index: -1}
}

// to is the only writer of state.
func (o *owner) to(s State, now, until time.Time, why string) {
	if s != o.state {
		o.since = now
	}
	o.state, o.until, o.why = s, until, why
}

// T and G of protocol.md §1.3.
func (o *owner) t() time.Duration { return min(max(4*o.srtt, leastT), mostT) }
func (o *owner) g() time.Duration { return max(leastG, 4*o.srtt) }

// busy says that an exchange is outstanding, or ended less than G ago; until is when that is over at the latest.
func (o *owner) busy(now time.Time) (until time.Time, busy bool) {
	for spi, since := range o.asking {
		if now.Sub(since) >= longestWait {
			delete(o.asking, spi) // its end was never told
			continue
		}
		if end := since.Add(longestWait); end.After(until) {
			until = end
		}
	}
	if end := o.ended.Add(o.g()); until.IsZero() && !o.ended.IsZero() && now.Before(end) {
		until = end
	}
	return until, !until.IsZero()
}

// disown forgets a child on whose inbound SPI packets find no SA: whatever IKE holds, it does not work (D33). True: there
// was one.
func (o *owner) disown(spi sa.SPI) bool {
	_, held := o.children[spi]
	delete(o.children, spi)
	return held
}

// working says that a child is there; proven, that a packet was verified on one.
func (o *owner) working() bool { return len(o.children) > 0 }

func (o *owner) proven() bool {
	for _, c := range o.children {
		if c.proven {
			return true
		}
	}
	return false
}

// todo lists the open incidents that want a reaction, longest known first.
func (o *owner) todo(now time.Time) []*incident {
	var out []*incident
	for _, i := range o.open {
		if i.unanswered(now) {
			out = append(out, i)
		}
	}
	return out
}

func (o *owner) forget(i *incident) {
	o.open = slices.DeleteFunc(o.open, func(other *incident) bool { return other == i })
}

// most bounds maps that a lost notice could let grow.
const most = 1024

func (o *owner) upNotice(n ike.Notice) {
	if len(o.lastUps) >= 16 {
		clear(o.lastUps)
	}
	o.lastUp = up{n.ByCommand, n.Initiator, n.At}
	o.lastUps[n.IKE] = o.lastUp
}

func (o *owner) upOf(c child) up {
	if u, ok := o.lastUps[c.ike]; ok {
		return u
	}
	return o.lastUp
}
