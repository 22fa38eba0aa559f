package story

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"lockstep/internal/recovery"
)

// evaluation is what a claim came to.
type evaluation struct {
	held, timing bool // timing: only a time was wrong
	value        string
}

func holds(format string, args ...any) evaluation {
	return evaluation{held: true, value: fmt.Sprintf(format, args...)}
}

func fails(format string, args ...any) evaluation {
	return evaluation{value: fmt.Sprintf(format, args...)}
}

// late is a failure of nothing but time.
func late(format string, args ...any) evaluation {
	return evaluation{timing: true, value: fmt.Sprintf(format, args...)}
}

// judgement looks at a stage on which nothing moves any more.
type judgement func(ctx context.Context, st *stage) evaluation

// claimKind is one kind of claim: how it is written, and what reads its words.
type claimKind struct {
	usage string
	parse func(p *parser, w *words) judgement
}

// claimKinds are the claims that a story can make. NAME is a gateway with traffic that has crashed and is back.
//
//	claim traffic NAME        packets come through both ways again, up to the last ones
//	claim agree NAME NAME     both gateways hold one IKE SA and one child SA, the same ones
//	claim healed NAME within N round trips and DURATION
//	                          from the first packet on a lost SPI that reached it to the first inner packet delivered
//	claim lost NAME           either way no more packets than rate × dark time + 1, and none after it
//	claim message NAME        one %CRYPTO-4-RECVD_PKT_INV_SPI line, byte for byte
//	claim counters NAME       IpsecInput and its row 4 are the packets on lost SPIs that reached it
//	claim healer NAME HEALER CAUSE
//	                          one incident, by that healer and of that cause; recovery: it said nothing before the first
//	                          packet on a lost SPI
//	claim figures NAME        the incident's milliseconds, round trips and packets are those that the taps saw
//	claim missing NAME NAME N of the packets from the first to the second exactly so many did not come out
//	claim crossed EXCHANGE NAME NAME
//	                          both sent a request of that type before that of the other was there
//	claim requests EXCHANGE NAME NAME N
//	                          so many the first sent to the second, retransmissions not counted
//	claim used child|ike NAME NAME [least] N
//	                          on so many SAs, or more, the first sent to the second: traffic, or messages but IKE_SA_INIT
//	claim repeated NAME       at least one message was sent again, and each was the same to the bit
//	claim follows NAME NAME   the first sends to the new mapping of the NAT before the second once a packet has come from
//	                          there, and never to anybody else
//	claim carried NAME NAME   each packet was sent through the tunnel, and each that the network did not lose came out
//	claim unbroken NAME       each packet of the hosts behind it was sent through the tunnel
//	claim flows NAME NAME     the last packets from the first came out at the second, without a gap
//	claim gap NAME NAME at most DURATION
//	                          the longest time in which nothing came out at the second
//	claim few EXCHANGE NAME NAME N
//	                          at most so many requests the first sent to the second, retransmissions not counted
//	claim early NAME NAME     ESP of the first on a new SPI reached the second before the answer that makes its SA
//	claim incidents NAME HEALER CAUSE N
//	                          so many incidents in all, all of that cause and healed by that healer
//	claim steady N            in the hours rehearsed, the stream changed its SA at most N times an hour before its lifetime
//	                          asked for it, and every packet came out
//	claim clear               every datagram was IKE or ESP, and no inner address was in any
var claimKinds = map[string]claimKind{
	"traffic":   {"claim traffic NAME", ofSite(claimTraffic)},
	"agree":     {"claim agree NAME NAME", parseAgree},
	"healed":    {"claim healed NAME within N round trips and DURATION", parseHealed},
	"lost":      {"claim lost NAME", ofSite(claimLost)},
	"message":   {"claim message NAME", ofSite(claimMessage)},
	"counters":  {"claim counters NAME", ofSite(claimCounters)},
	"healer":    {"claim healer NAME HEALER CAUSE", parseHealer},
	"figures":   {"claim figures NAME", ofSite(claimFigures)},
	"missing":   {"claim missing NAME NAME N", parseMissing},
	"flows":     {"claim flows NAME NAME", parseFlows},
	"gap":       {"claim gap NAME NAME at most DURATION", parseGap},
	"few":       {"claim few EXCHANGE NAME NAME N", parseFew},
	"early":     {"claim early NAME NAME", parseEarly},
	"steady":    {"claim steady N", parseSteady},
	"incidents": {"claim incidents NAME HEALER CAUSE N", parseIncidents},
	"clear":     {"claim clear", func(*parser, *words) judgement { return claimClear }},

	"crossed":  {"claim crossed EXCHANGE NAME NAME", parseCrossed},
	"requests": {"claim requests EXCHANGE NAME NAME N", parseRequests},
	"used":     {"claim used child|ike NAME NAME [least] N", parseUsed},
	"repeated": {"claim repeated NAME", parseRepeated},
	"follows":  {"claim follows NAME NAME", parseFollows},
	"carried":  {"claim carried NAME NAME", parseCarried},
	"unbroken": {"claim unbroken NAME", parseUnbroken},
}

func claimNames() []string { return slices.Sorted(maps.Keys(claimKinds)) }

func parseClaim(p *parser, w *words) action {
	written := w.rest
	kind := w.oneOf("the kind of a claim", claimNames()...)
	if w.err != nil {
		return nil
	}
	k := claimKinds[kind]
	judge := k.parse(p, w)
	if w.end(); w.err != nil {
		w.err = fmt.Errorf("%w: %s", w.err, k.usage)
		return nil
	}
	p.s.kinds = append(p.s.kinds, kind)
	text := written[0].text
	for _, x := range written[1:] {
		text += " " + x.text
	}
	return func(ctx context.Context, st *stage) error {
		e := judge(ctx, st)
		if ctx.Err() != nil {
			return ctx.Err() // a gateway that was stopped in the middle proves nothing
		}
		st.judge(Claim{Claim: text, Kind: kind, Held: e.held, Timing: e.timing, Value: e.value})
		return nil
	}
}

// ofSite reads the name of a gateway whose return is judged.
func ofSite(judge func(ctx context.Context, st *stage, m *measured) evaluation) func(*parser, *words) judgement {
	return func(p *parser, w *words) judgement { return ofNamed(p.partnered(w), judge) }
}

func ofNamed(name string, judge func(ctx context.Context, st *stage, m *measured) evaluation) judgement {
	return func(ctx context.Context, st *stage) evaluation {
		m := st.measure(st.sites[name])
		if m.restarted.IsZero() {
			return fails("%s has not come back", name)
		}
		if m.site.gw == nil || m.partner.gw == nil {
			return fails("a gateway does not run")
		}
		return judge(ctx, st, &m)
	}
}

// settledPackets is how many of the last packets of each direction must all have arrived.
const settledPackets = 10

func claimTraffic(_ context.Context, st *stage, m *measured) evaluation {
	in := st.flow(m.partner, m.site).view().lastArrived()
	out := st.flow(m.site, m.partner).view().lastArrived()
	value := fmt.Sprintf("%d packets came out at %s and %d at %s since the restart, the last %d and %d without a gap",
		len(m.delivered), m.site.name, len(m.reached), m.partner.name, in, out)
	if len(m.delivered) == 0 || len(m.reached) == 0 || in < settledPackets || out < settledPackets {
		return fails("%s", value)
	}
	return holds("%s", value)
}

func parseHealed(p *parser, w *words) judgement {
	name := p.partnered(w)
	w.literal("within")
	trips := w.count("round trips", 1, 10)
	w.literal("round trips and")
	slack := w.duration("a time for the rest", 0, time.Second)
	return ofNamed(name, func(_ context.Context, st *stage, m *measured) evaluation {
		bound := time.Duration(2*trips)*st.story.delay + slack
		switch {
		case len(m.strays) == 0:
			return fails("no packet on a lost SPI reached %s", name)
		case !m.healed():
			return fails("no packet came through after the first on a lost SPI")
		case m.dark() > bound: // where a machine stands still, more exchanges end meanwhile
			return late("%s, at most %s, with %d round trips", milliseconds(m.dark()), milliseconds(bound), m.exchanges)
		case m.exchanges > trips:
			return fails("%d round trips, at most %d", m.exchanges, trips)
		}
		return holds("%s of at most %s, %d round trips", milliseconds(m.dark()), milliseconds(bound), m.exchanges)
	})
}

// earlyPackets is how many packets on an SPI whose SA is not installed yet a gateway keeps: more come only where the
// install is late.
const earlyPackets = 32

func claimLost(_ context.Context, st *stage, m *measured) evaluation {
	if !m.healed() || m.spoke.IsZero() {
		return fails("traffic is not back")
	}
	bound := func(dark time.Duration) int { return int(m.rate*dark.Seconds()) + 1 }
	in, out := bound(m.dark()), bound(m.mute())
	pathIn, pathOut := st.lostOnPath(m.partner, m.site, m.restarted), st.lostOnPath(m.site, m.partner, m.restarted)
	value := fmt.Sprintf("%d to %s in %s (at most %d), %d from it in %s (at most %d)",
		m.lostIn(), m.site.name, milliseconds(m.dark()), in, m.lostOut(), milliseconds(m.mute()), out)
	switch {
	case m.lostIn() != len(m.strays) && m.dark() > 4*st.story.delay+time.Duration(earlyPackets/m.rate*float64(time.Second)):
		return late("%s: so late that early packets found no room", value)
	case m.lostIn() != len(m.strays):
		return fails("%s: %d of those to it were on lost SPIs, the others got lost in another way", value, len(m.strays))
	case pathIn+pathOut > 0 || m.sent != len(m.reached)+pathOut:
		return fails("%s: and after that %d and %d on the path, %d in %s", value, pathIn, pathOut, m.sent-pathOut-len(m.reached), m.partner.name)
	case m.twice > 0:
		return fails("%s: %d packets came out twice", value, m.twice)
	case m.lostIn() > in || m.lostOut() > out:
		return late("%s", value)
	}
	return holds("%s, none after that", value)
}

func parseMissing(p *parser, w *words) judgement {
	from, to, n := p.partnered(w), p.partnered(w), w.count("how many packets", 0, 1_000_000)
	return func(ctx context.Context, st *stage) evaluation {
		f := st.flow(st.sites[from], st.sites[to])
		if f == nil {
			return fails("%s and %s have no traffic", from, to)
		}
		st.settles(ctx, func() bool { v := f.view(); return v.missing() <= n })
		v := f.view()
		value := fmt.Sprintf("%d of %d%s", v.missing(), len(v.sent), v.gone())
		if v.missing() != n || v.twice > 0 {
			return fails("%s, %d came out twice", value, v.twice)
		}
		return holds("%s", value)
	}
}

// lostOnPath counts ESP that left a gateway for another one and did not arrive, from the first that did on: before that
// nobody listened.
func (st *stage) lostOnPath(from, to *site, since time.Time) int {
	type packet struct{ spi, seq uint32 }
	arrived := map[packet]bool{}
	for _, s := range st.eyes.arrivals(sawESP, from.addr(), to.addr(), since) {
		arrived[packet{s.spi, s.seq}] = true
	}
	lost, listens := 0, false
	for _, s := range st.eyes.departures(sawESP, from.addr(), to.addr(), since.Add(-2*st.story.delay)) {
		if arrived[packet{s.spi, s.seq}] {
			listens = true
		} else if listens {
			lost++
		}
	}
	return lost
}

func parseHealer(p *parser, w *words) judgement {
	name := p.partnered(w)
	healers := []string{string(recovery.ByRecovery), string(recovery.ByBoot), string(recovery.ByPeer), string(recovery.ByDPD), string(recovery.ByLifetime), string(recovery.ByOperator)}
	healer := w.oneOf("a healer", healers...)
	cause := w.plain("a D-code or " + recovery.UnknownCause)
	return ofNamed(name, func(_ context.Context, st *stage, m *measured) evaluation {
		i, problem := m.incident()
		if problem != "" {
			return fails("%s", problem)
		}
		value := fmt.Sprintf("by %s, cause %s (%s)", i.Healer, i.Cause, i.Class.Code())
		if string(i.Healer) != healer || i.Cause != cause {
			return fails("%s", value)
		}
		before := where(st.eyes.departures(sawIKE, m.site.addr(), m.partner.addr(), m.restarted), func(s *sighting) bool { return s.at.Before(m.first) })
		if i.Healer == recovery.ByRecovery && len(before) > 0 {
			return fails("%s, but it had sent IKE messages before the first packet on a lost SPI came: %d", value, len(before))
		}
		return holds("%s", value)
	})
}
