package verdict

import (
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

// end finds what ended the flow: the first event behind the last sighting that can have. It is said only of what stands
// within ten minutes behind; a rate-limited line may be a minute old when the last packet comes.
func (t *Tracker) end(j *Judged, s scene, now time.Time) {
	j.Ended = "not seen"
	if !j.First.At.IsZero() && !j.Last.At.IsZero() && j.First.Clock == j.Last.Clock {
		j.Outage = j.Last.At.Sub(j.First.At)
	}
	best := 10 * time.Minute
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
