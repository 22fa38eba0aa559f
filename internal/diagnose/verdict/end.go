package verdict

import (
	"fmt"
	"net/netip"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// endings are what can end a black hole, as the receiver sees it.
var endings = map[evidence.Kind]string{
	evidence.InitialContact: "INITIAL_CONTACT of the peer",
	evidence.Cleared:        "operator",
	evidence.ChildUp:        "a new SA with the peer",
	evidence.Healed:         "recovery",
	evidence.Negotiating:    "a negotiation with the peer",
	evidence.Restart:        "a restart of the receiver",
}

// senderEndings are the same at the sender.
var senderEndings = map[evidence.Kind]string{
	evidence.DeadPeer:       "DPD of the sender",
	evidence.Cleared:        "operator at the sender",
	evidence.DeleteGot:      "Delete",
	evidence.Expired:        "lifetime at the sender",
	evidence.InitialContact: "INITIAL_CONTACT of the receiver",
	evidence.Restart:        "a restart of the sender",
	evidence.NotifyGot:      "INVALID_SPI notify",
}

// endWindow is how far behind the last sighting an event may stand that ended the flow.
const endWindow = 10 * time.Minute

// end finds what ended the flow: the first event behind the last sighting that can have. It is said only of what stands
// within ten minutes behind; a rate-limited line may be a minute old when the last packet comes.
func (t *Tracker) end(j *Judged, s scene, now time.Time) {
	j.Ended = "not seen"
	if !j.First.At.IsZero() && !j.Last.At.IsZero() && j.First.Clock == j.Last.Clock {
		j.Outage = j.Last.At.Sub(j.First.At)
	}
	best := endWindow
	var by *evidence.Event
	try := func(events []*evidence.Event, names map[evidence.Kind]string) {
		for _, e := range events {
			after, ok := s.behind(e)
			if ok && names[e.Kind] != "" && after >= 0 && after < best {
				best, by = after, e
				j.Ended = names[e.Kind]
			}
		}
	}
	try(s.atReceiver(), endings)
	try(s.atSender(), senderEndings)
	for _, e := range s.ofSPI(false) {
		if after, ok := s.behind(e); ok && after >= 0 && after <= best && senderEndings[e.Kind] != "" {
			best, by, j.Ended = after, e, senderEndings[e.Kind]
		}
	}
	if by != nil {
		j.EndedAt = by.At
		j.Outage = by.At.Sub(j.First.At)
		j.quote(by.Quote)
		return
	}
	t.stillGoing(j, s.f, now)
}

// stillGoing notices that the log ends before the flow did.
func (t *Tracker) stillGoing(j *Judged, f *track, now time.Time) {
	end := t.covered[f.device]
	if !now.IsZero() {
		end = now
	}
	if j.Verdict == Persistent && !end.IsZero() && end.Sub(f.last.At) < 2*max(f.limited, 5*time.Second) {
		j.Ended = "not yet at the end of the log"
	}
}

// renewed notices in a packet capture that packets on the SPI stopped when a new IKE SA of the two was made. What that SA
// made is encrypted, so it is possible and not more. The clock of a capture is not the log's: only the capture's own
// packets are compared, and no time of the end is given.
func (t *Tracker) renewed(j *Judged) {
	p, ok := t.traffic[j.Flow]
	if !ok || j.Verdict != Persistent || j.Ended != "not seen" {
		return
	}
	t.renewedBy(j, p, t.ike[[2]netip.Addr{j.Src, j.Dst}], "peer")
	t.renewedBy(j, p, t.ike[[2]netip.Addr{j.Dst, j.Src}], "recovery")
}

func (t *Tracker) renewedBy(j *Judged, p evidence.Traffic, made []evidence.IKE, who string) {
	for _, i := range made {
		if i.File != p.File || !i.First.After(p.First) || i.First.Sub(p.Last) > endWindow || p.Last.Sub(i.Made) > longestCrossing || j.EndedSure != Unknown {
			continue
		}
		j.Ended, j.EndedSure = who, Possible
		text := fmt.Sprintf("IKEv%d: %s from %v to %v", i.Version, i.Began, i.Initiator, i.Responder)
		j.say("in the capture %s, %v began a new IKE SA, and no packet on this SPI came once it was made: that may have ended it; what it made is encrypted", p.File, i.Initiator)
		j.quote(evidence.Quote{Source: i.Source, Text: text})
	}
}
