package verdict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// Candidate is a cause that some evidence points to.
type Candidate struct {
	Code   string
	Sure   Confidence
	Why    string
	Quotes []evidence.Quote
}

// causes chooses among what the evidence points to. Two codes with equal force leave the cause unknown: naming one of
// them would be a guess.
func causes(j *Judged, s scene, k Known) {
	found := append(larval(j, s), removed(j, s)...)
	found = append(found, lostState(j, s)...)
	found = append(found, rekeys(j, s)...)
	found = append(found, told(j, s)...)
	found = append(found, captured(j, k)...)
	if len(found) == 0 {
		found = configured(j, k)
	}
	found = slices.DeleteFunc(found, func(c Candidate) bool { return c.Code == "" })
	best := Unknown
	for _, c := range found {
		best = max(best, c.Sure)
	}
	codes := map[string]bool{}
	var top Candidate
	for _, c := range found {
		if c.Sure == best {
			codes[c.Code] = true
			top = c
		}
	}
	switch len(codes) {
	case 0:
		j.say("no line tells why: debugs of both ends at the next occurrence would")
		return
	case 1:
		j.Cause, j.Confidence = top.Code, top.Sure
		j.say("cause %s: %s", top.Code, Causes[top.Code])
		for _, c := range found {
			if c.Code == top.Code {
				j.say("%s", c.Why)
				for _, q := range c.Quotes {
					j.quote(q)
				}
			} else {
				j.Others = append(j.Others, c)
			}
		}
		return
	}
	j.Others = found
	var names []string
	for _, c := range found {
		if c.Sure == best && !slices.Contains(names, c.Code) {
			names = append(names, c.Code)
		}
		j.say("%s (%s)", c.Why, c.Code)
		for _, q := range c.Quotes {
			j.quote(q)
		}
	}
	slices.Sort(names)
	j.say("the cause is not known: %s fit equally", strings.Join(names, " and "))
}

func candidate(code string, sure Confidence, e *evidence.Event, format string, args ...any) Candidate {
	c := Candidate{Code: code, Sure: sure, Why: fmt.Sprintf(format, args...)}
	if e != nil {
		c.Quotes = []evidence.Quote{e.Quote}
	}
	return c
}

// larval: the receiver installed this very SPI soon after, so the packet came too early (D04).
func larval(j *Judged, s scene) []Candidate {
	for _, e := range s.ofSPI(true) {
		since, ok := s.since(e)
		if !ok || e.Kind != evidence.Installed || since > 0 || -since > around {
			continue
		}
		if j.Verdict == Persistent {
			return nil // it went on after the installation: something else
		}
		j.Sure = Certain
		return []Candidate{candidate("D04", Certain, e, "%s installed this SPI %s after the packet", s.f.device, plain(-since))}
	}
	return nil
}

// removed: the receiver tells that it had this SPI, and why it went.
func removed(j *Judged, s scene) []Candidate {
	var last *evidence.Event
	had := false
	for _, e := range s.ofSPI(true) {
		since, ok := s.since(e)
		if !ok || since < 0 || since > beforeFirst {
			continue
		}
		had = had || owned(e.Kind)
		switch e.Kind {
		case evidence.ChildDown, evidence.Expired, evidence.DeleteSent, evidence.DeleteGot, evidence.Installed:
			if newer(e, last) {
				last = e
			}
		}
	}
	if last == nil || last.Kind == evidence.Installed {
		return nil
	}
	since, _ := s.since(last)
	ago := plain(since)
	switch {
	case last.Kind == evidence.DeleteSent && !had && since < reaction:
		return nil // it may answer this very packet, or one whose line the limit hid
	case last.Kind == evidence.Expired:
		return expired(last, ago)
	case last.Kind == evidence.DeleteSent && j.Verdict == Persistent:
		return deleted(s, last, ago)
	case last.Kind == evidence.DeleteGot:
		return []Candidate{candidate("D03", Likely, last, "the sender itself had deleted this SA %s before, and sends on", ago)}
	case last.Kind == evidence.ChildDown && j.Verdict == Persistent:
		return nil // it went, and nothing says why
	case since <= time.Minute:
		return []Candidate{candidate("D06", Likely, last, "%s had removed this SPI %s before", s.f.device, ago)}
	}
	return nil
}

func expired(e *evidence.Event, ago string) []Candidate {
	if e.Word == "volume" {
		return []Candidate{candidate("D13", Likely, e, "the volume of this SA had run out %s before", ago)}
	}
	return []Candidate{candidate("D12", Likely, e, "the lifetime of this SA had run out %s before", ago)}
}

// deleted: we told the sender, and it goes on. Its own log says whether it heard.
func deleted(s scene, sent *evidence.Event, ago string) []Candidate {
	for _, e := range s.ofSPI(false) {
		if e.Kind == evidence.DeleteGot || e.Kind == evidence.DeleteUnknown {
			return []Candidate{{Code: "D06", Sure: Certain, Why: fmt.Sprintf("%s sent a Delete for this SPI %s before; %s received it and sends on", s.f.device, ago, e.Device),
				Quotes: []evidence.Quote{sent.Quote, e.Quote}}}
		}
	}
	if len(s.atSender()) > 0 {
		return []Candidate{candidate("D03", Likely, sent, "%s sent a Delete for this SPI %s before; the sender's log has no receipt of it", s.f.device, ago)}
	}
	return []Candidate{
		candidate("D03", Possible, sent, "%s sent a Delete for this SPI %s before: it may be lost", s.f.device, ago),
		candidate("D06", Possible, sent, "the sender may have received it and send on"),
	}
}

// losses are what takes SAs away from a device as a whole, or those with one peer.
var losses = map[evidence.Kind]struct {
	code string
	what string
}{
	evidence.Restart:  {"D01", "restarted"},
	evidence.Cleared:  {"D14", "had SAs cleared by an operator"},
	evidence.Failover: {"D20", "took over from another member"},
	evidence.DeadPeer: {"D15", "gave the peer up"},
}

// lostState: the newest such event before the first sighting, unless SAs with the sender came up after it.
func lostState(j *Judged, s scene) []Candidate {
	var last *evidence.Event
	for _, e := range s.atReceiver() {
		since, ok := s.since(e)
		if _, loss := losses[e.Kind]; !loss || !ok || since < 0 || since > beforeFirst {
			continue
		}
		if e.Peer.IsValid() && e.Peer != j.Src {
			continue
		}
		if newer(e, last) {
			last = e
		}
	}
	if last == nil || s.upBetween(last) {
		return nil
	}
	since, _ := s.since(last)
	l := losses[last.Kind]
	installed := s.lastBefore(last)
	if installed != nil && installed.Kind != evidence.Installed {
		return nil // this SPI had gone before that
	}
	if installed != nil && within(installed, last, unseenRekey) {
		return []Candidate{{Code: l.code, Sure: Certain, Why: fmt.Sprintf("%s had this SPI, and %s %s before the packet", s.f.device, l.what, plain(since)),
			Quotes: []evidence.Quote{installed.Quote, last.Quote}}}
	}
	up := s.reportsUps(last)
	if up == nil {
		return []Candidate{candidate(l.code, Possible, last, "%s %s %s before; that no SA with %v came up in between cannot be told: nothing shows that it logs that", s.f.device, l.what, plain(since), j.Src)}
	}
	return []Candidate{{Code: l.code, Sure: Likely, Why: fmt.Sprintf("%s %s %s before, and no SA with %v came up in between, which it logs", s.f.device, l.what, plain(since), j.Src),
		Quotes: []evidence.Quote{last.Quote, up.Quote}}}
}

// newer reports that e is not older than last. Both are known to be before the same sighting.
func newer(e, last *evidence.Event) bool {
	if last == nil {
		return true
	}
	ago, ok := evidence.Since(last, e)
	return ok && ago >= 0
}

// lastBefore is the newest event about this very SPI before a loss.
func (s scene) lastBefore(loss *evidence.Event) *evidence.Event {
	var last *evidence.Event
	for _, e := range s.ofSPI(true) {
		if age, ok := evidence.Since(e, loss); ok && age > 0 && newer(e, last) {
			last = e
		}
	}
	return last
}

func within(a, b *evidence.Event, most time.Duration) bool {
	gap, ok := evidence.Since(a, b)
	return ok && gap <= most
}

// unseenRekey is within what time of its installation an SPI is taken to be the one in use: IOS's default lifetime.
const unseenRekey = time.Hour

// rekeys: something was being replaced at that moment. Alone it does not say which end was early or late.
func rekeys(j *Judged, s scene) []Candidate {
	var out []Candidate
	nearby := append(s.atReceiver(), s.c.nameless...)
	for _, e := range nearby {
		since, ok := s.since(e)
		if !ok || e.Device != s.f.device || since < -around || since > around {
			continue
		}
		switch e.Kind {
		case evidence.Collision:
			out = append(out, candidate("D07", Possible, e, "both ends rekeyed at once %s", beforeAfter(since)))
		case evidence.Reauth:
			out = append(out, candidate("D21", Possible, e, "an IKE SA was reauthenticated %s", beforeAfter(since)))
		case evidence.Rekey, evidence.ChildUp, evidence.Negotiating:
			if j.Verdict != Transient || !e.Peer.IsValid() && e.Kind != evidence.Rekey {
				continue
			}
			out = append(out, candidate("D04", Possible, e, "SAs with the peer changed %s", beforeAfter(since)),
				candidate("D06", Possible, e, "SAs with the peer changed %s", beforeAfter(since)))
		case evidence.InitialContact:
			if j.Verdict == Persistent && since >= 0 {
				out = append(out, candidate("D32", Possible, e, "the peer made new SAs %s and still sends on an old one", beforeAfter(since)))
			}
		}
	}
	return out
}

func beforeAfter(since time.Duration) string {
	if since < 0 {
		return plain(-since) + " after"
	}
	return plain(since) + " before"
}

// told: Lockstep names the cause itself, from what only the gateway knows.
func told(j *Judged, s scene) []Candidate {
	for _, e := range s.atReceiver() {
		after, ok := s.behind(e)
		_, code, _ := strings.Cut(e.Word, " ")
		if e.Kind == evidence.Healed && ok && after >= 0 && after < time.Hour && Causes[code] != "" {
			return []Candidate{candidate(code, Likely, e, "the gateway itself names this cause")}
		}
	}
	return nil
}

// captured: both ends were captured, and the sender has other SAs whose other half is there.
func captured(j *Judged, k Known) []Candidate {
	var used, good *evidence.SA
	both := k.between[[2]netip.Addr{j.Src, j.Dst}]
	outbound := map[uint32]bool{}
	for _, sa := range both {
		if sa.Inbound {
			continue
		}
		outbound[sa.SPI] = true
		if sa.SPI == j.SPI {
			used = sa
		}
	}
	for _, sa := range both {
		if !sa.Inbound {
			continue
		}
		if sa.SPI == j.SPI {
			return nil // the receiver has it in the capture
		}
		if outbound[sa.SPI] {
			good = sa
		}
	}
	if used == nil || good == nil || j.Verdict != Persistent {
		return nil
	}
	return []Candidate{{Code: "D32", Sure: Likely, Why: fmt.Sprintf("the sender also has SPI 0x%08X, which the receiver knows, and sends on 0x%08X", good.SPI, j.SPI),
		Quotes: []evidence.Quote{used.Quote, good.Quote}}}
}

// configured: lifetimes that differ let one end drop an SA that the other still uses. Nothing was seen to happen, so it
// is never more than possible.
func configured(j *Judged, k Known) []Candidate {
	if j.Verdict != Persistent {
		return nil
	}
	receiver, sender := k.end(j.Dst, j.Device), k.end(j.Src, "")
	if receiver == nil || sender == nil {
		return nil
	}
	r, okR := receiver.Life[j.Src]
	s, okS := sender.Life[j.Dst]
	if !okR || !okS || r.Seconds >= s.Seconds {
		return nil
	}
	return []Candidate{{Code: "D12", Sure: Possible, Why: fmt.Sprintf("the receiver drops an SA after %d s, the sender after %d s", r.Seconds, s.Seconds),
		Quotes: []evidence.Quote{r.Quote, s.Quote}}}
}
