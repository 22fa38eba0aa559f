package diagnose

import (
	"fmt"
	"net/netip"

	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

// ends are two endpoints in the direction of the packets.
type ends struct{ from, to netip.Addr }

// pairFindings compares captures of both ends: an SPI that one end sends on must be one that the other receives on.
func (r *run) pairFindings() {
	inbound := map[ends][]evidence.SA{}
	for _, sa := range r.known.SAs {
		if sa.Inbound {
			inbound[ends{sa.Remote, sa.Local}] = append(inbound[ends{sa.Remote, sa.Local}], sa)
		}
	}
	for _, out := range r.known.SAs {
		if out.Inbound || !out.Current {
			continue
		}
		there := inbound[ends{out.Local, out.Remote}]
		if len(there) == 0 || out.Device == there[0].Device {
			continue
		}
		if holds(there, out.SPI) {
			r.finding("note", "spi-agrees", fmt.Sprintf("%v sends to %v on SPI 0x%08X, which the other end has", out.Local, out.Remote, out.SPI), out.Quote, there[0].Quote)
			continue
		}
		r.finding("error", "spi-mismatch", fmt.Sprintf("%v sends to %v on SPI 0x%08X, which the other end does not have (it has %s): a black hole, unless a rekey passed between the two captures", out.Local, out.Remote, out.SPI, spis(there)), out.Quote, there[0].Quote)
	}
	r.noIKE()
}

func holds(sas []evidence.SA, spi uint32) bool {
	for _, sa := range sas {
		if sa.SPI == spi {
			return true
		}
	}
	return false
}

func spis(sas []evidence.SA) string {
	out := ""
	for i, sa := range sas {
		if i > 0 {
			out += ", "
		}
		if i == 4 {
			return out + "…"
		}
		out += fmt.Sprintf("0x%08X", sa.SPI)
	}
	return out
}

// noIKE notices IPsec SAs whose IKE SA is gone: there is nothing over which a Delete could go.
func (r *run) noIKE() {
	for _, sa := range r.known.IKE {
		if sa.State == "UP-NO-IKE" || sa.State == "MM_NO_STATE" {
			r.finding("warning", "no-ike-sa", fmt.Sprintf("%v and %v: %s: without an IKE SA the default Delete cannot be sent", sa.Local, sa.Remote, sa.State), sa.Quote)
		}
	}
}

// lookalikes are events that are mistaken for lost SAs.
var lookalikes = []struct {
	kind evidence.Kind
	code string
	text string
}{
	{evidence.Replay, "not-desync-replay", "anti-replay drops: the SA is there; look at reordering (QoS), at the window, and for a sender that restarted its counter (D24)"},
	{evidence.BadICV, "not-desync-icv", "integrity checks failed: the SA is there; look at the path, or for two SAs with one SPI (D25)"},
	{evidence.BadSelector, "not-desync-selectors", "packets that the SA does not allow: compare the selectors of both ends (D22)"},
	{evidence.Plain, "clear-text", "packets in the clear that should be ESP: the peer does not protect this traffic"},
	{evidence.NotifyGot, "invalid-spi-notified", "INVALID_SPI came: the other end says that it has no SA for what was sent to it; outside of an IKE SA anybody can send that, and it proves nothing by itself"},
	{evidence.Refused, "refused", "negotiations failed: compare the proposals, selectors and keys of both ends"},
	{evidence.NoIKESA, "no-ike", "peers speak under IKE SAs that are gone: they have not noticed a restart here"},
	{evidence.StrayESP, "stray-esp", "ESP without SA, of which this source tells neither SPI nor peer: no flow can be judged from it"},
}

func (r *run) otherFindings() {
	for _, l := range lookalikes {
		if n, first := r.tracker.Count(l.kind); n > 0 {
			r.finding("note", l.code, fmt.Sprintf("%s: %s", count(n, "line"), l.text), first)
		}
	}
	perPair := map[ends]int{}
	pairs := []ends{}
	for _, f := range r.res.Flows {
		if f.Verdict == verdict.Transient {
			p := ends{f.Src, f.Dst}
			if perPair[p]++; perPair[p] == 3 {
				pairs = append(pairs, p)
			}
		}
	}
	for _, p := range pairs {
		r.finding("warning", "recurring", fmt.Sprintf("%d transients from %v to %v: harmless one by one, but each rekey loses packets; the once-a-minute limit could also hide a black hole of many SPIs", perPair[p], p.from, p.to))
	}
	r.hiddenByLimit()
	if r.res.Evicted > 0 {
		r.finding("warning", "flows-forgotten", fmt.Sprintf("%d flows were forgotten: more than %d at once", r.res.Evicted, verdict.MaxFlows))
	}
	if r.res.Repeated > 0 {
		r.finding("note", "delivered-twice", fmt.Sprintf("%s had the very stamp and flow of another: delivered by two relays, counted once", count(r.res.Repeated, "line")))
	}
}

// hiddenByLimit warns of many transients of one receiver in a short time: after a restart, black holes that share one
// line a minute look like that.
func (r *run) hiddenByLimit() {
	var first, last verdict.Judged
	n := 0
	for _, f := range r.res.Flows {
		if f.Verdict != verdict.Transient || !f.Crowded {
			continue
		}
		if n++; n == 1 {
			first = f
		}
		last = f
	}
	if n < 3 {
		return
	}
	r.finding("warning", "hidden-by-limit", fmt.Sprintf("%d flows, each seen once, in the same minutes: a device that prints one such line a minute for all flows together shows several black holes like that; look at the counters", n), first.Evidence[0], last.Evidence[0])
}

func (r *run) bugFindings() {
	seen := map[string]bool{}
	for _, f := range r.res.Flows {
		for _, b := range f.Bugs {
			if !seen[b.ID] {
				seen[b.ID] = true
				r.res.Findings = append(r.res.Findings, advise.Finding{Severity: "warning", Code: b.ID, Text: "fits the known bug " + b.ID + ": " + b.Title + "; " + b.Why, Quotes: b.Quotes})
			}
		}
	}
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
