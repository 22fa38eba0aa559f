package story

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/wire/isakmp"
)

// Claims that are read from the wire alone, by somebody without keys.

// message tells one IKE message from others: its retransmissions are the same one.
type ikeMessage struct {
	spii     isakmp.SPI
	from     netip.Addr
	id       uint32
	response bool
}

func messageOf(s *sighting) ikeMessage {
	return ikeMessage{s.ike.SPIi, s.src.Addr(), s.ike.MessageID, s.ike.Response()}
}

// firsts leaves out retransmissions, and what the network made twice.
func firsts(list []sighting) []sighting {
	seen := map[ikeMessage]bool{}
	return where(list, func(s *sighting) bool {
		m := messageOf(s)
		again := seen[m]
		seen[m] = true
		return !again
	})
}

func isRequest(e isakmp.Exchange) func(*sighting) bool {
	return func(s *sighting) bool { return s.ike.Exchange == e && !s.ike.Response() }
}

func parseCrossed(p *parser, w *words) judgement {
	e := w.exchange()
	a, b := p.pair(w)
	return func(_ context.Context, st *stage) evaluation {
		siteA, siteB := st.sites[a], st.sites[b]
		fromA, fromB := st.arrived(e, siteA, siteB), st.arrived(e, siteB, siteA)
		for _, x := range fromA {
			for _, y := range fromB {
				if apart := x.at.Sub(y.at).Abs(); apart < st.story.delay {
					return holds("both sent a request of %v within %s, and each takes %v", e, milliseconds(apart), st.story.delay)
				}
			}
		}
		none := fails
		if len(fromA) > 0 && len(fromB) > 0 {
			none = late // a busy machine is why
		}
		return none("%d requests of %v from %s, %d from %s: none crossed another", len(fromA), e, a, len(fromB), b)
	}
}

// requests lists those of an exchange type that one site sent to another, each once.
func (st *stage) requests(e isakmp.Exchange, from, to *site) []sighting {
	return firsts(where(st.eyes.departures(sawIKE, from.addr(), to.addr(), time.Time{}), isRequest(e)))
}

// arrived lists those that got there, with the times at which they were sent.
func (st *stage) arrived(e isakmp.Exchange, from, to *site) []sighting {
	there := map[ikeMessage]bool{}
	for _, s := range st.eyes.arrivals(sawIKE, from.addr(), to.addr(), time.Time{}) {
		there[messageOf(&s)] = true
	}
	return where(st.requests(e, from, to), func(s *sighting) bool { return there[messageOf(s)] })
}

func parseRequests(p *parser, w *words) judgement {
	e := w.exchange()
	a, b := p.pair(w)
	n := w.count("how many", 0, 1000)
	return func(_ context.Context, st *stage) evaluation {
		if got := len(st.requests(e, st.sites[a], st.sites[b])); got != n {
			return fails("%d", got)
		}
		return holds("%d, retransmissions not counted", n)
	}
}

func parseUsed(p *parser, w *words) judgement {
	what := w.oneOf("what was used", "child", "ike")
	a, b := p.pair(w)
	least := w.flag("least")
	n := w.count("how many", 0, 1000)
	return func(_ context.Context, st *stage) evaluation {
		used := map[uint64]bool{}
		if what == "child" {
			for _, s := range st.eyes.departures(sawESP, st.sites[a].addr(), st.sites[b].addr(), time.Time{}) {
				used[uint64(s.spi)] = true
			}
		} else {
			for _, s := range st.eyes.departures(sawIKE, st.sites[a].addr(), st.sites[b].addr(), time.Time{}) {
				if s.ike.Exchange != isakmp.IKESAInit {
					used[uint64(s.ike.SPIi)] = true
				}
			}
		}
		if len(used) < n || !least && len(used) > n {
			return fails("%d", len(used))
		}
		return holds("%d", len(used))
	}
}

func parseRepeated(p *parser, w *words) judgement {
	name := p.gateway(w)
	return func(_ context.Context, st *stage) evaluation {
		s := st.sites[name]
		first := map[ikeMessage]uint64{}
		again := 0
		for _, x := range st.eyes.all(sawIKE, s.addr()) {
			m := messageOf(&x)
			switch sum, seen := first[m]; {
			case !seen:
				first[m] = x.sum
			case sum != x.sum:
				return fails("%v %s %d was not the same when it was sent again", x.ike.Exchange, messageName(m.response), m.id)
			default:
				again++
			}
		}
		if again == 0 {
			return fails("nothing was sent again")
		}
		return holds("%d messages were sent again, to the bit as before", again)
	}
}

func parseCarried(p *parser, w *words) judgement {
	a, b := p.partnered(w), p.partnered(w)
	return func(_ context.Context, st *stage) evaluation {
		from, to := st.sites[a], st.sites[b]
		f := st.flow(from, to)
		if f == nil {
			return fails("%s and %s have no traffic", a, b)
		}
		v := f.view()
		sent := st.eyes.departures(sawESP, from.addr(), to.addr(), time.Time{})
		came := distinct(st.eyes.arrivals(sawESP, from.addr(), to.addr(), time.Time{}))
		if len(sent) != len(v.sent) || came != len(v.got) || v.twice > 0 {
			return fails("%d packets went to %s, which sent %d; %d different ones came to %s, and %d came out, %d twice", len(v.sent), a, len(sent), came, b, len(v.got), v.twice)
		}
		return holds("%d packets sent, %d lost by the network, %d came to %s and came out, none twice", len(sent), len(sent)-came, came, b)
	}
}

// distinct counts ESP packets by SPI and sequence number.
func distinct(list []sighting) int {
	by := func(x, y sighting) int { return cmp.Or(cmp.Compare(x.spi, y.spi), cmp.Compare(x.seq, y.seq)) }
	slices.SortFunc(list, by)
	return len(slices.CompactFunc(list, func(x, y sighting) bool { return by(x, y) == 0 }))
}

func parseUnbroken(p *parser, w *words) judgement {
	name := p.partnered(w)
	return func(_ context.Context, st *stage) evaluation {
		s := st.sites[name]
		offered := len(st.flow(s, st.partner(s)).view().sent)
		sent := len(st.eyes.departures(sawESP, s.addr(), st.partner(s).addr(), time.Time{}))
		if sent != offered {
			return fails("it sent %d of %d packets", sent, offered)
		}
		return holds("it sent all of %d packets", offered)
	}
}
