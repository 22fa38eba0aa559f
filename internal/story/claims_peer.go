package story

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/recovery"
	"lockstep/internal/wire/isakmp"
)

// Claims about a peer that nothing crashed at.

func parseFlows(p *parser, w *words) judgement {
	from, to := p.partnered(w), p.partnered(w)
	return func(ctx context.Context, st *stage) evaluation {
		f := st.flow(st.sites[from], st.sites[to])
		if f == nil {
			return fails("%s and %s have no traffic", from, to)
		}
		var v flowView
		st.settles(ctx, func() bool {
			v = f.view().sentBefore(time.Now().Add(-underWay))
			return v.lastArrived() >= settledPackets
		})
		value := fmt.Sprintf("the last %d of %d packets came out at %s without a gap", v.lastArrived(), len(v.sent), to)
		if v.lastArrived() < settledPackets {
			return fails("%s", value)
		}
		return holds("%s", value)
	}
}

// underWay is how young a packet may be that has not arrived: traffic may go on while it is looked at.
const underWay = 300 * time.Millisecond

// arriveBy is how long a claim about packets waits for the last of them: a machine with other work may stand still.
const arriveBy = time.Second

// settles waits for something, at most so long.
func (st *stage) settles(ctx context.Context, holds func() bool) {
	_ = st.until(ctx, arriveBy, "", holds)
}

// sentBefore leaves out what was sent later.
func (v flowView) sentBefore(t time.Time) flowView {
	v.sent = v.sent[:len(v.sent)-v.sentSince(t)]
	return v
}

// parseGap: how long nothing came out. A machine that is late makes every gap longer.
func parseGap(p *parser, w *words) judgement {
	from, to := p.partnered(w), p.partnered(w)
	w.literal("at most")
	most := w.duration("how long at most", 0, maxWait)
	return func(_ context.Context, st *stage) evaluation {
		f := st.flow(st.sites[from], st.sites[to])
		if f == nil {
			return fails("%s and %s have no traffic", from, to)
		}
		v := f.view()
		if len(v.got) == 0 || v.lastArrived() == 0 {
			return fails("nothing comes out at %s at the end", to)
		}
		gap := v.gap()
		value := fmt.Sprintf("nothing came out at %s for %s at the longest, %d packets missing", to, milliseconds(gap), v.missing())
		if gap > most {
			return late("%s", value)
		}
		return holds("%s", value)
	}
}

// gap is the longest time between two deliveries.
func (v flowView) gap() time.Duration {
	var most time.Duration
	for i := 1; i < len(v.got); i++ {
		most = max(most, v.got[i].at.Sub(v.got[i-1].at))
	}
	return most
}

func parseFew(p *parser, w *words) judgement {
	e := w.exchange()
	a, b := p.pair(w)
	most := w.count("how many at most", 0, 1000)
	return func(_ context.Context, st *stage) evaluation {
		n := len(st.requests(e, st.sites[a], st.sites[b]))
		if n > most {
			return fails("%d", n)
		}
		return holds("%d of at most %d", n, most)
	}
}

func parseEarly(p *parser, w *words) judgement {
	from, to := p.pair(w)
	return func(_ context.Context, st *stage) evaluation {
		a, b := st.sites[from], st.sites[to]
		n := st.eyes.aheadOfAnswer(a, b)
		if n == 0 {
			return fails("no ESP on a new SPI reached %s before the answer that makes its SA", to)
		}
		return holds("%d ESP packets on a new SPI reached %s before the answer that makes its SA", n, to)
	}
}

// aheadOfAnswer counts ESP on SPIs that were new between a CREATE_CHILD_SA request of to and its answer.
func (w *witness) aheadOfAnswer(from, to *site) int {
	first := map[uint32]time.Time{}
	packets := w.arrivals(sawESP, from.addr(), to.addr(), time.Time{})
	for _, s := range packets {
		if first[s.spi].IsZero() {
			first[s.spi] = s.at
		}
	}
	n := 0
	for _, q := range w.departures(sawIKE, to.addr(), from.addr(), time.Time{}) {
		if q.ike.Exchange != isakmp.CreateChildSA || q.ike.Response() {
			continue
		}
		answers := where(w.arrivals(sawIKE, from.addr(), to.addr(), q.at), func(s *sighting) bool {
			return s.ike.Response() && s.ike.SPIi == q.ike.SPIi && s.ike.MessageID == q.ike.MessageID
		})
		if len(answers) == 0 {
			continue
		}
		n += len(where(packets, func(s *sighting) bool {
			return first[s.spi].After(q.at) && s.at.Before(answers[0].at)
		}))
	}
	return n
}

func parseIncidents(p *parser, w *words) judgement {
	name := p.gateway(w)
	healer := w.oneOf("a healer", string(recovery.ByRecovery), string(recovery.ByBoot), string(recovery.ByPeer), string(recovery.ByDPD), string(recovery.ByLifetime), string(recovery.ByOperator))
	cause := w.plain("a D-code or " + recovery.UnknownCause)
	n := w.count("how many", 0, 1000)
	return func(_ context.Context, st *stage) evaluation {
		g := st.sites[name].gw
		if g == nil {
			return fails("%s does not run", name)
		}
		var all []string
		got := 0
		for _, i := range g.Incidents() {
			all = append(all, fmt.Sprintf("%s %s by %s", i.Cause, i.Result, orElse(string(i.Healer), "nobody")))
			if !i.Delivered.IsZero() && string(i.Healer) == healer && i.Cause == cause {
				got++
			}
		}
		slices.Sort(all)
		value := orElse(strings.Join(all, "; "), "no incident")
		if got != n || len(all) != n {
			return fails("%s", value)
		}
		return holds("%s", value)
	}
}

// gone says which packets did not arrive, as far as a line holds them.
func (v flowView) gone() string {
	have := map[uint64]bool{}
	for _, d := range v.got {
		have[d.number] = true
	}
	const most = 8
	var out []string
	for n, d := range v.sent {
		if !have[uint64(n)] && len(out) < most {
			out = append(out, fmt.Sprintf("%d sent at %s", n, d.at.Format("05.000")))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}
