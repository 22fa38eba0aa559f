package story

import (
	"slices"
	"time"
)

// measured is what taps and numbered packets tell of the return of one site: nothing in it comes from a gateway.
type measured struct {
	outage
	site, partner *site
	rate          float64 // packets a second, each way

	// Towards the site, from its restart on.
	strays    []sighting // on lost SPIs
	others    int        // ESP on other SPIs
	delivered []delivery // what came out of its tunnel
	first     time.Time  // stray; zero: none
	back      time.Time  // first delivery after it; zero: none
	exchanges int        // IKE responses to the site in that time

	// From the site, from its restart on.
	offered int       // packets of the hosts behind it
	sent    int       // ESP that it sent
	spoke   time.Time // when the first of it entered the path; zero: never
	reached []delivery
	twice   int // numbers that came out twice, both ways, since the beginning
}

func (st *stage) measure(s *site) measured {
	m := measured{site: s, partner: st.partner(s)}
	o, over := s.outage()
	if !over || m.partner == nil {
		return m
	}
	m.outage = o
	to, from := st.flow(m.partner, s), st.flow(s, m.partner)
	m.rate = float64(time.Second) / float64(to.every)
	in, out := to.view(), from.view()
	m.delivered, m.twice = in.since(o.restarted), in.twice+out.twice
	m.reached = slices.DeleteFunc(out.since(o.restarted), func(d delivery) bool { return out.sent[d.number].at.Before(o.restarted) })
	for _, x := range st.eyes.arrivals(sawESP, m.partner.addr(), s.addr(), o.restarted) {
		if o.lost[x.spi] {
			m.strays = append(m.strays, x)
		} else {
			m.others++
		}
	}
	m.offered = out.sentSince(o.restarted)
	sent := where(st.eyes.departures(sawESP, s.addr(), m.partner.addr(), o.restarted), func(x *sighting) bool { return !o.left[x.spi] })
	if m.sent = len(sent); m.sent > 0 {
		m.spoke = sent[0].at
	}
	m.settle(st)
	return m
}

// settle finds the beginning and the end of the dark time.
func (m *measured) settle(st *stage) {
	if len(m.strays) == 0 {
		return
	}
	m.first = m.strays[0].at
	for _, d := range m.delivered {
		if !d.at.Before(m.first) {
			m.back = d.at
			break
		}
	}
	type exchange struct {
		spi uint64
		id  uint32
	}
	answered := map[exchange]bool{}
	for _, x := range st.eyes.arrivals(sawIKE, m.partner.addr(), m.site.addr(), m.first) {
		if x.ike.Response() && (m.back.IsZero() || x.at.Before(m.back)) {
			answered[exchange{uint64(x.ike.SPIi), x.ike.MessageID}] = true
		}
	}
	m.exchanges = len(answered)
}

// healed says that a stray came, and a packet came through after it.
func (m *measured) healed() bool { return !m.back.IsZero() }

// returned says that traffic is back both ways.
func (m *measured) returned() bool { return len(m.delivered) > 0 && len(m.reached) > 0 }

// dark is how long nothing came through although packets arrived.
func (m *measured) dark() time.Duration { return m.back.Sub(m.first) }

// lostIn counts packets that reached the site and did not come out of its tunnel.
func (m *measured) lostIn() int { return len(m.strays) + m.others - len(m.delivered) }

// mute is how long the site was back before it sent anything through the tunnel.
func (m *measured) mute() time.Duration { return m.spoke.Sub(m.restarted) }

// lostOut counts packets of the hosts behind the site that it did not send.
func (m *measured) lostOut() int { return m.offered - m.sent }
