package story

import (
	"fmt"
	"time"

	"lockstep/internal/story/relay"
)

// Moment is one line of a timeline.
type Moment struct {
	At   time.Duration // since the story began
	Kind string        // "net", "fault", "log", "ike", "stray", "healed", "show", "claim"
	Who  string        // a gateway, "a#" for its operator, "a>b" for what is on the wire, or "net"; empty for a claim
	Text string
	Held *bool // of a claim
}

// tell adds to the timeline what happens now, from any goroutine.
func (st *stage) tell(kind, who, text string) { st.tellOf(time.Now(), kind, who, text) }

// tellOf adds what happened a moment ago.
func (st *stage) tellOf(at time.Time, kind, who, text string) {
	st.tellAll(Moment{Kind: kind, Who: who, Text: text}, at)
}

func (st *stage) tellAll(m Moment, at time.Time) {
	if st.opt.Tell == nil {
		return
	}
	m.At = at.Sub(st.began)
	st.telling.Lock()
	defer st.telling.Unlock()
	st.opt.Tell(m)
}

// entered sees what enters the path.
func (st *stage) entered(p relay.Packet) {
	s := st.eyes.enter(p)
	st.remember(&s, p.Payload)
	if s.kind != sawIKE {
		return
	}
	what := "request"
	if s.ike.Response() {
		what = "response"
	}
	st.tellOf(s.at, "ike", st.nameAt(s), fmt.Sprintf("%v %s %d", s.ike.Exchange, what, s.ike.MessageID))
}

// nameAt is "a>b".
func (st *stage) nameAt(s sighting) string {
	name := func(x *site, otherwise string) string {
		if x == nil {
			return otherwise
		}
		return x.name
	}
	return name(st.siteAt(s.src.Addr()), s.src.Addr().String()) + ">" + name(st.siteAt(s.dst.Addr()), s.dst.Addr().String())
}

// left sees what leaves the path into a gateway's socket.
func (st *stage) left(p relay.Packet) {
	s := st.eyes.leave(p)
	if s.kind != sawESP {
		return
	}
	st.mu.Lock()
	h := st.hunts[s.dst.Addr()]
	first := h != nil && h.first.IsZero() && h.lost[s.spi]
	if first {
		h.first = s.at
	}
	st.mu.Unlock()
	if first {
		st.tellOf(s.at, "stray", h.site.name, fmt.Sprintf("the first packet on a lost SPI arrives: 0x%08X, sequence number %d", s.spi, s.seq))
	}
}

// hunt follows the return of a site from now on.
func (st *stage) hunt(s *site, lost map[uint32]bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hunts[s.addr()] = &hunt{site: s, lost: lost}
	st.net.Late() // what was before does not count
}

// delivered: a numbered packet came out of a tunnel at s.
func (st *stage) delivered(s *site, at time.Time) {
	st.mu.Lock()
	h := st.hunts[s.addr()]
	back := h != nil && !h.back && !h.first.IsZero()
	if back {
		h.back = true
	}
	st.mu.Unlock()
	if back {
		st.tellOf(at, "healed", s.name, fmt.Sprintf("a packet comes through again, %s after the first on a lost SPI", milliseconds(at.Sub(h.first))))
	}
}

// milliseconds prints a time as people compare them.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
