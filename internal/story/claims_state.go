package story

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// Claims that compare what gateways tell an operator with each other, and with what the taps saw.

func parseAgree(p *parser, w *words) judgement {
	a, b := p.pair(w)
	return func(ctx context.Context, st *stage) evaluation { return agree(ctx, st.sites[a], st.sites[b]) }
}

// agree: one IKE SA and one child SA at each, and what one sends on is what the other receives on.
func agree(ctx context.Context, a, b *site) evaluation {
	if a.gw == nil || b.gw == nil {
		return fails("a gateway does not run")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ikeA, ikeB := established(a.gw.IKE(ctx)), established(b.gw.IKE(ctx))
	childA, childB := inForce(a.gw.Children(), b.gw.Children()), inForce(b.gw.Children(), a.gw.Children())
	if len(ikeA) != 1 || len(ikeB) != 1 || len(childA) != 1 || len(childB) != 1 {
		return fails("%s has %d IKE SAs and %d child SAs (%s), %s has %d and %d (%s)",
			a.name, len(ikeA), len(childA), spis(childA), b.name, len(ikeB), len(childB), spis(childB))
	}
	x, y := childA[0], childB[0]
	switch {
	case ikeA[0].LocalSPI != ikeB[0].RemoteSPI || ikeA[0].RemoteSPI != ikeB[0].LocalSPI:
		return fails("the IKE SAs are not the same: %v-%v and %v-%v", ikeA[0].LocalSPI, ikeA[0].RemoteSPI, ikeB[0].LocalSPI, ikeB[0].RemoteSPI)
	case !x.Both || !y.Both:
		return fails("a half of the child SA is missing")
	case x.Child.Out != y.Child.In || x.Child.In != y.Child.Out:
		return fails("%s sends on 0x%08X and receives on 0x%08X, %s on 0x%08X and 0x%08X", a.name, uint32(x.Child.Out), uint32(x.Child.In),
			b.name, uint32(y.Child.Out), uint32(y.Child.In))
	}
	return holds("one IKE SA, one child SA: %s > %s on 0x%08X, %s > %s on 0x%08X", a.name, b.name, uint32(x.Child.Out), b.name, a.name, uint32(y.Child.Out))
}

// established leaves out calls that have come no further than IKE_SA_INIT: where both ends call at once, one is left to
// run out.
func established(all []ike.Status) []ike.Status {
	return slices.DeleteFunc(all, func(s ike.Status) bool { return s.State == "IN-NEG" })
}

// inForce leaves out what a rekey has left for late packets: inbound halves on which the peer does not send any more.
func inForce(ours, theirs []sa.Pair) []sa.Pair {
	return slices.DeleteFunc(slices.Clone(ours), func(p sa.Pair) bool {
		return !p.Both && !slices.ContainsFunc(theirs, func(t sa.Pair) bool { return t.Both && t.Child.Out == p.Child.In })
	})
}

func spis(ps []sa.Pair) string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("in 0x%08X, out 0x%08X", uint32(p.Child.In), uint32(p.Child.Out)))
	}
	return strings.Join(out, "; ")
}

const invalidSPI = "%CRYPTO-4-RECVD_PKT_INV_SPI: "

func claimMessage(_ context.Context, _ *stage, m *measured) evaluation {
	if len(m.strays) == 0 {
		return fails("no packet on a lost SPI reached %s", m.site.name)
	}
	spi := m.strays[0].spi
	want := invalidSPI + fmt.Sprintf("decaps: rec'd IPSEC packet has invalid spi for destaddr=%v, prot=50, spi=0x%08X(%d), srcaddr=%v",
		m.site.addr(), spi, spi, m.partner.addr())
	got := m.site.logged(invalidSPI)
	if len(got) != 1 || message(got[0]) != want {
		return fails("want the one line %q, got %q", want, got)
	}
	return holds("%s", want)
}

// counterRow finds a counter in what `show platform hardware qfp active` prints.
func counterRow(text, pattern string) (int, error) {
	row := regexp.MustCompile(`(?m)^` + pattern + `\s+(\d+)`).FindStringSubmatch(text)
	if row == nil {
		return 0, nil // rows of zero are left out
	}
	return strconv.Atoi(row[1])
}

func claimCounters(ctx context.Context, _ *stage, m *measured) evaluation {
	var got []int
	for _, c := range []struct{ command, row string }{
		{"show platform hardware qfp active statistics drop", "IpsecInput"},
		{"show platform hardware qfp active feature ipsec datapath drops", `\s*4\s+IN_US_V4_PKT_SA_NOT_FOUND_SPI`},
	} {
		text, err := m.site.ask(ctx, c.command)
		if err != nil {
			return fails("%v", err)
		}
		n, err := counterRow(text, c.row)
		if err != nil {
			return fails("%s: %v", c.command, err)
		}
		got = append(got, n)
	}
	value := fmt.Sprintf("IpsecInput %d, IN_US_V4_PKT_SA_NOT_FOUND_SPI %d, %d on lost SPIs reached %s", got[0], got[1], len(m.strays), m.site.name)
	if got[0] != len(m.strays) || got[1] != len(m.strays) || len(m.strays) == 0 {
		return fails("%s", value)
	}
	return holds("%s", value)
}

// incident is the only one since the restart, on the SPI that the taps saw first; else what is wrong.
func (m *measured) incident() (recovery.Incident, string) {
	all := m.site.gw.Incidents()
	switch {
	case len(m.strays) == 0:
		return recovery.Incident{}, "no packet on a lost SPI reached " + m.site.name
	case len(all) != 1:
		return recovery.Incident{}, fmt.Sprintf("%d incidents", len(all))
	case uint32(all[0].Key.SPI) != m.strays[0].spi:
		return recovery.Incident{}, fmt.Sprintf("the incident is about %v, the packets were on 0x%08X", all[0].Key.SPI, m.strays[0].spi)
	case all[0].Delivered.IsZero():
		return recovery.Incident{}, fmt.Sprintf("the incident saw no healing: %v, %s", all[0].Result, lastEntry(all[0]))
	}
	return all[0], ""
}

func lastEntry(i recovery.Incident) string {
	if len(i.Timeline) == 0 {
		return "without a timeline"
	}
	e := i.Timeline[len(i.Timeline)-1]
	return e.What + ": " + e.Why
}

// clockTolerance is between a tap and a gateway that saw the same packet.
const clockTolerance = 5 * time.Millisecond

func claimFigures(_ context.Context, _ *stage, m *measured) evaluation {
	i, problem := m.incident()
	if problem != "" {
		return fails("%s", problem)
	}
	value := fmt.Sprintf("incident: %s, %d round trips, %d packets; taps: %s, %d, %d",
		milliseconds(i.HealTime()), i.RoundTrips, i.Lost, milliseconds(m.dark()), m.exchanges, m.lostIn())
	apart := (i.HealTime() - m.dark()).Abs()
	switch {
	case i.Lost != uint64(m.lostIn()):
		return fails("%s", value)
	case apart > clockTolerance: // an exchange may have ended between the two sights of one packet
		return late("%s: %s apart", value, milliseconds(apart))
	case i.RoundTrips != m.exchanges:
		return fails("%s", value)
	}
	return holds("%s", value)
}

func claimClear(_ context.Context, st *stage) evaluation {
	bare, datagrams, forgotten := st.eyes.exposed()
	switch {
	case len(bare) > 0:
		return fails("%d of %d datagrams, the first: %s", len(bare), datagrams, bare[0])
	case datagrams == 0 || forgotten > 0:
		return fails("%d datagrams seen, %d more than could be kept", datagrams, forgotten)
	}
	return holds("%d datagrams, each IKE or ESP, none with an inner address", datagrams)
}
