package verdict

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// Judged is the verdict on one flow, with everything it rests on.
type Judged struct {
	evidence.Flow
	Device      string
	Platform    evidence.Platform
	Verdict     Verdict
	Sure        Confidence // of the verdict
	Class       Class
	Entry       Entry  // of the receiver's configuration; zero: none is known
	Count       uint64 // lines seen
	Least       uint64 // packets that there were at least
	First, Last evidence.Stamp
	Spread      time.Duration // surely between the first and the last on one clock
	Outage      time.Duration // estimate: from the first sighting to the end of it, or to the last sighting
	Ended       string        // by what; "not seen" where nothing tells
	EndedAt     time.Time
	EndedSure   Confidence // Possible where only a capture points to it; else Unknown: how sure is not said
	Cause       string     // D-code or unknown
	Confidence  Confidence
	Others      []Candidate // causes that fit as well
	Why         []string    // sentences, each true by itself
	Evidence    []evidence.Quote
	Bugs        []Bug
	Crowded     bool // other flows took the lines in which a repeat could have stood
	order       int
}

// Judge gives the verdict on every flow, the gravest first. now is the end of what was seen, for live use; zero: what
// the files cover.
func (t *Tracker) Judge(k Known, now time.Time) []Judged {
	k.index()
	out := make([]Judged, 0, len(t.flows))
	t.starts = map[string][]time.Time{}
	for _, f := range t.flows {
		if f.limited > 0 && !f.first.At.IsZero() {
			t.starts[f.device] = append(t.starts[f.device], f.first.At)
		}
	}
	for _, s := range t.starts {
		slices.SortFunc(s, time.Time.Compare)
	}
	for _, f := range t.flows {
		out = append(out, t.judge(f, k, now))
	}
	slices.SortFunc(out, func(a, b Judged) int {
		return cmp.Or(cmp.Compare(rank(a.Verdict), rank(b.Verdict)), cmp.Compare(a.order, b.order))
	})
	return out
}

func rank(v Verdict) int { return [...]int{Persistent: 0, Transient: 1, Stranger: 2}[v] }

// JudgeFlow gives the verdict on one flow.
func (t *Tracker) JudgeFlow(flow evidence.Flow, k Known, now time.Time) (Judged, bool) {
	f, ok := t.flows[flow]
	if !ok {
		return Judged{}, false
	}
	k.index()
	return t.judge(f, k, now), true
}

func (t *Tracker) judge(f *track, k Known, now time.Time) Judged {
	s := scene{f, &t.context}
	j := Judged{Flow: f.flow, Device: f.device, Platform: f.platform, Count: f.lines, Least: f.least(), First: f.first.Stamp, Last: f.last.Stamp,
		Spread: f.widest, order: f.firstSeen, Cause: UnknownCause}
	j.Evidence = append(j.Evidence, f.first.Quote)
	if f.hidden > 0 {
		j.say("the device counts %d repeats that it did not print", f.hidden)
	}
	t.measureTraffic(&j)
	var why []string
	j.Class, j.Entry, why = k.classify(s)
	j.Why = append(j.Why, why...)
	if t.stranger(&j, s) {
		return j
	}
	weigh(&j, s)
	swapped(&j, s)
	corroborate(&j, s, k)
	t.end(&j, s, now)
	t.renewed(&j)
	causes(&j, s, k)
	if j.Verdict == Transient && j.Sure != Certain {
		t.silence(&j, f, now)
		t.crowded(&j, f)
	}
	j.Bugs = bugs(j, s)
	j.dedupe()
	return j
}

func (j *Judged) say(format string, args ...any) { j.Why = append(j.Why, fmt.Sprintf(format, args...)) }

func (j *Judged) quote(q evidence.Quote) {
	if q.File != "" && len(j.Evidence) < 12 {
		j.Evidence = append(j.Evidence, q)
	}
}

// dedupe leaves each place once, in the order in which it was quoted.
func (j *Judged) dedupe() {
	seen := map[evidence.Source]bool{}
	j.Evidence = slices.DeleteFunc(j.Evidence, func(q evidence.Quote) bool {
		again := seen[q.Source]
		seen[q.Source] = true
		return again
	})
}

// weigh applies the rule: again, surely at least T later, is persistent.
func weigh(j *Judged, s scene) {
	f := s.f
	if f.limited > 0 {
		j.say("the device prints this message at most once in %s: the number of packets is not known from it", plain(f.limited))
	}
	if f.clocks > 0 {
		j.say("its lines come by clocks that cannot be compared: gaps between those were not counted")
	}
	if !f.proof.At.IsZero() {
		j.Verdict, j.Sure = Persistent, Likely
		j.say("the same flow and SPI came again, surely at least %s later: by the tech note's rule the SAs are out of step", plain(f.widest.Truncate(time.Millisecond)))
		j.quote(f.proof.Quote)
		j.quote(f.last.Quote)
		return
	}
	j.Verdict, j.Sure = Transient, Likely
	if f.lines > 1 {
		j.quote(f.last.Quote)
		j.say("that a second passed between its %d lines cannot be shown: their stamps prove a gap of %s", f.lines, plain(f.widest))
		if f.doubtful > 0 {
			j.say("%d of them came sooner after another than the device prints the message, by the times of relays: it may be one that was delivered twice", f.doubtful)
		}
		if f.doubtful > 0 || f.clocks > 0 || f.first.At.IsZero() || f.last.At.Add(f.last.Grain).Sub(f.first.At) > longestCrossing {
			j.Sure = Possible
			j.say("whether time passed between its lines cannot be told from their stamps")
		}
	} else {
		j.say("seen once: as the tech note has it, most likely a packet that crossed a rekey")
	}
}

// corroborate makes a black hole certain where an end itself says that the SPI was in use between the two: whoever can
// forge a source address can send ESP on any number, so sightings alone are never more than likely.
func corroborate(j *Judged, s scene, k Known) {
	if j.Verdict != Persistent {
		return
	}
	for _, sa := range k.between[[2]netip.Addr{j.Src, j.Dst}] {
		if sa.SPI == j.SPI && !sa.Inbound {
			j.Sure = Certain
			j.say("the sender's own capture has this SPI as outbound")
			j.quote(sa.Quote)
			break
		}
	}
	for _, e := range s.ofSPI(true) {
		if since, ok := s.since(e); ok && since > 0 && owned(e.Kind) {
			j.Sure = Certain
			j.say("%s itself had this SPI before", s.f.device)
			j.quote(e.Quote)
			break
		}
	}
	if j.Sure != Certain {
		j.say("ESP does not prove who sent it: that %v really sends on this SPI, its own show commands would tell", j.Src)
	}
	if s.f.noIKE.File != "" {
		j.say("%s had no IKE SA over which to send a Delete", s.f.device)
		j.quote(s.f.noIKE)
	}
	unaided(j, k)
}

// swapped notices that the number is one of the device's own SPIs with its octets the other way round, as some releases of
// ASA print it (CSCvx23833). It is told, and decides nothing.
func swapped(j *Judged, s scene) {
	if s.f.platform != evidence.ASA {
		return
	}
	for _, e := range s.c.bySPI[bits.ReverseBytes32(j.SPI)] {
		if since, ok := s.since(e); ok && since > 0 && e.Device == s.f.device && owned(e.Kind) && e.SPI != j.SPI {
			j.say("0x%08X read the other way round is 0x%08X, an SPI of %s itself: some releases of ASA print it so", j.SPI, e.SPI, s.f.device)
			j.quote(e.Quote)
			return
		}
	}
}

// owned reports that the device says by such an event that it had the SPI. A Delete says it not: IOS sends one for every
// SPI that it does not know, and its debug line stands before the message that it answers.
func owned(k evidence.Kind) bool {
	switch k {
	case evidence.Installed, evidence.ChildUp, evidence.ChildDown, evidence.Rekey, evidence.Expired, evidence.Replay, evidence.BadICV, evidence.BadSelector:
		return true
	}
	return false
}

// unaided says how it would end if nobody did anything.
func unaided(j *Judged, k Known) {
	sender := k.end(j.Src, "")
	if sender == nil {
		j.say("unaided it lasts until the sender's SA expires (by IOS's default an hour after it was made) or the sender's DPD notices")
		return
	}
	life, ok := sender.Life[j.Dst]
	if !ok {
		return
	}
	dpd := "; it has DPD, which notices only if IKE is dead too"
	if !sender.DPD {
		dpd = "; it has no DPD that could notice before"
	}
	j.say("unaided it lasts until the sender's SA expires, %d s after it was made%s", life.Seconds, dpd)
}

// silence says whether a repeat would have been seen.
func (t *Tracker) silence(j *Judged, f *track, now time.Time) {
	end := t.covered[f.device]
	if !now.IsZero() {
		end = now
	}
	window := max(2*f.limited, 5*time.Second)
	if end.IsZero() || f.last.At.IsZero() || end.Sub(f.last.At) >= window {
		return
	}
	j.Sure = Possible
	j.say("the log of %s ends %s later, before a repeat would have been printed: it may have been the beginning of a black hole", f.device, plain(end.Sub(f.last.At)))
}

// crowded says that other flows had the lines in which a repeat could have stood: whether the limit is each flow's or
// that of the message, devices do not tell.
func (t *Tracker) crowded(j *Judged, f *track) {
	if f.limited == 0 || f.lines > 1 {
		return
	}
	starts := t.starts[f.device]
	from, _ := slices.BinarySearchFunc(starts, f.first.At.Add(1), time.Time.Compare)
	to, _ := slices.BinarySearchFunc(starts, f.first.At.Add(4*f.limited), time.Time.Compare)
	if to-from >= 2 && j.Sure == Likely {
		j.Sure, j.Crowded = Possible, true
		j.say("%d other flows began in the %s after it: if the device limits the message as a whole, they hide repeats of this one", to-from, plain(4*f.limited))
	}
}

// Covers tells up to when a device's log goes, where lines that say nothing of IPsec show it.
func (t *Tracker) Covers(device string, until time.Time) {
	if until.After(t.covered[device]) {
		t.covered[device] = until
	}
}

// stranger decides that nobody we know sends: then nothing is out of step.
func (t *Tracker) stranger(j *Judged, s scene) bool {
	w := t.scans[j.SPI]
	switch {
	case j.SPI < 256:
		j.say("SPI %d is reserved and is never negotiated (RFC 4303 §2.1)", j.SPI)
		j.Sure = Certain
	case j.Class == NotAPeer:
		j.Sure = Likely
	case w != nil && w.sources >= 3 && j.Class != ConfiguredPeer && j.Class != IKEPeer:
		j.say("%d sources sent on this one SPI; an SPI is agreed with one peer, so this is a scan or forged", w.sources)
		for _, f := range w.flows {
			if other := t.flows[f]; other != nil {
				j.quote(other.first.Quote)
			}
		}
		j.Sure = Likely
	default:
		return false
	}
	j.Verdict, j.Ended = Stranger, "not ours"
	j.quote(s.f.last.Quote)
	if j.Class != ConfiguredPeer {
		j.Class = NotAPeer
	}
	j.dedupe()
	return true
}

// measureTraffic takes the true number of packets from a capture of the same flow.
func (t *Tracker) measureTraffic(j *Judged) {
	p, ok := t.traffic[j.Flow]
	if !ok || p.Packets <= j.Least {
		return
	}
	j.Least = p.Packets
	j.say("the capture %s has %d packets on this SPI, the longest pause between them %s", p.Source, p.Packets, plain(p.Longest))
	j.quote(evidence.Quote{Source: p.Source, Text: fmt.Sprintf("%d ESP packets %v, sequence numbers %d to %d", p.Packets, p.Flow, p.SeqFirst, p.SeqLast)})
}

// plain is a duration as people say it.
func plain(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 2*time.Minute:
		return fmt.Sprintf("%gs", d.Round(100*time.Millisecond).Seconds())
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
