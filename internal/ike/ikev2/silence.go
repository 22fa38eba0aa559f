package ikev2

import (
	"time"

	"lockstep/internal/ike"
)

// What a child that sends and hears nothing is told by. The machine gives the fact; what to do about it is recovery's
// (protocol.md §1.1 D16, D24, D32: black holes in which no packet ever meets an unknown SPI).

// leastSpoken is how many notes of outgoing traffic, a second or more apart, make a sender: one packet an hour that nobody
// answers says nothing.
const leastSpoken = 3

// speech is what a child sent since something last came on it.
type speech struct {
	since time.Time // the first note
	notes int
	told  time.Time // last ChildSilent; zero: not told
}

// spokeOn takes a note that packets went out on c.
func (m *machine) spokeOn(c *child) {
	s := &c.speech
	if s.notes++; s.notes == 1 {
		s.since = m.now
	}
	switch {
	case s.notes < leastSpoken, m.now.Sub(s.since) < m.tune.Silent:
	case !s.told.IsZero() && m.now.Sub(s.told) < m.tune.Silent:
	case !c.usable():
	default:
		s.told = m.now
		m.notice(ike.Notice{Kind: ike.ChildSilent, In: c.spec.In, Out: c.spec.Out, Since: s.since, Initiator: c.spec.Initiator})
	}
}

// hearOn takes a note that a packet was verified on c. It answers what was sent on any child of the same selectors: the peer
// may not have left this one yet, or prefer it.
func (m *machine) hearOn(c *child) {
	m.hear()
	c.heard = m.now
	for _, o := range m.children {
		if o != c && !carries(c, o.spec.TSLocal, o.spec.TSRemote) {
			continue
		}
		told := !o.speech.told.IsZero() || o == c && o.replays
		o.speech, o.replays = speech{}, o != c && o.replays
		if told {
			m.notice(ike.Notice{Kind: ike.ChildHeard, In: o.spec.In, Out: o.spec.Out})
		}
	}
}

// replaysOn takes a note that the peer's sequence numbers have gone back.
func (m *machine) replaysOn(c *child, packets uint64) {
	c.replays = true
	m.notice(ike.Notice{Kind: ike.ChildReplays, In: c.spec.In, Out: c.spec.Out, Count: packets, Initiator: c.spec.Initiator})
}

// silentSince is when it began that c sends and hears nothing; zero: it does not, or not long enough to tell.
func (c *child) silentSince() time.Time {
	if c.speech.told.IsZero() {
		return time.Time{}
	}
	return c.speech.since
}
