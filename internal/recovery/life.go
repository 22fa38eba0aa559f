package recovery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/sa"
)

// tombLife is how long sa.Table explains a removal; so long after the start an SPI without a tombstone is of before.
const tombLife = 300 * time.Second

// begin opens an incident, nil if there are too many. An owner with too many keys gives up the one longest silent: who
// forges keys cannot keep out the one that is really used.
func (e *Engine) begin(o *owner, f *flow, v Evidence, leaked bool) *incident {
	if len(o.open) >= maxBatch {
		oldest := o.open[0]
		for _, i := range o.open {
			if i.Last.Before(oldest.Last) {
				oldest = i
			}
		}
		if o.state.flying() && slices.Contains(o.flight.incs, oldest) {
			e.refused++
			return nil
		}
		e.close(o, oldest, Superseded, "too many keys of one peer")
	}
	if e.open >= maxOpen {
		e.refused++
		return nil
	}
	e.lastID++
	code, facts := causeOf(v, e.untouched(o, f))
	if leaked && (v.class == Lost || code == UnknownCause) {
		code, facts = leakedCause, append(facts, "IKE has a child SA with this SPI, the data plane has none")
	}
	i := &incident{flow: f, hadChild: o.proven(), Incident: Incident{ID: e.lastID, Owner: o.ID, Peer: o.Name, Remote: o.Remote,
		Key: f.Key, Encap: f.Encap, Class: v.class, Verdict: f.Verdict, Cause: code, Evidence: append(facts, "owner found by "+v.seen.OwnerBy),
		First: f.First, Last: f.Last, Result: Open, Lost: f.Count - v.seen.Count}}
	i.forecast(o, v)
	f.inc, f.Incident = i, i.ID
	o.open = append(o.open, i)
	e.open++
	i.note(f.First, "first packet on "+f.SPI.String(), fmt.Sprintf("%s %v: %s", v.class.Code(), v.class, strings.Join(i.Evidence, "; ")))
	e.report(Opened, o, i, "incident opened", v.class.String())
	return i
}

// untouched: every SPI that this start has offered to the owner is installed or has a tombstone, so that one without is
// of before.
func (e *Engine) untouched(o *owner, f *flow) bool {
	return f.First.Sub(e.started) < tombLife && o.offers <= o.childUps
}

// forecast says how it would end without us.
func (i *incident) forecast(o *owner, v Evidence) {
	if o.Lifetime > 0 {
		i.ByLifetime = i.First.Add(o.Lifetime) // the SA is not younger than its packets
		if v.class == Tombstone && !v.tomb.Created.IsZero() {
			i.ByLifetime = v.tomb.Created.Add(o.Lifetime)
		}
	}
	if o.DPD > 0 {
		i.ByDPD = i.First.Add(o.DPD)
	}
}

// settle closes what has ended and sets when to look again.
func (e *Engine) settle(o *owner) {
	for _, i := range slices.Clone(o.open) {
		if r, why, at := i.fate(); !at.After(e.now) && !(o.state.flying() && slices.Contains(o.flight.incs, i)) {
			e.close(o, i, r, why)
		}
	}
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	sooner(o.retry)
	sooner(o.until)
	if day := o.healedSince(e.now, trendOver); len(day) > 0 {
		sooner(day[0].at.Add(trendOver)) // it counts no longer
	}
	if !o.state.flying() { // its end settles again
		for _, i := range o.open {
			_, _, at := i.fate()
			sooner(at)
		}
	}
	e.wakes.set(o, next)
}

// fate says how and when the incident ends if nothing else happens.
func (i *incident) fate() (r Result, why string, at time.Time) {
	quiet := !i.started && i.Verdict == Transient
	switch {
	case !i.Delivered.IsZero():
		at = i.Last.Add(cleanFor)
		if i.deleteOK {
			at = i.Last.Add(seenAgain)
		}
		if i.Delivered.After(at) {
			at = i.Delivered
		}
		if quiet && i.hadChild {
			return Passed, "a rekey or another exchange explained it", at
		}
		return WasHealed, "traffic arrives on a good SA, and the key is silent or acknowledged as deleted", at
	case quiet && (i.explained || i.hadChild):
		return Passed, "not seen again", i.Last.Add(freshFor)
	case i.Class == NeverOurs && !i.acked.IsZero():
		return Passed, "the peer acknowledged that we never had this SPI, and is silent", i.Last.Add(cleanFor)
	}
	if i.Class.silent() {
		return Unproven, "nothing more is sent, and nothing came", i.Last.Add(forgottenAfter)
	}
	return Unproven, "no more packets, and none arrived on a good SA", i.Last.Add(forgottenAfter)
}

// close ends an incident.
func (e *Engine) close(o *owner, i *incident, r Result, why string) {
	o.forget(i)
	if o.quiet.inc == i {
		o.quiet.inc, o.quiet.stage = nil, untried
	}
	i.flow.inc = nil
	e.open--
	i.Closed, i.Result = e.now, r
	i.note(e.now, "closed: "+r.String(), why)
	e.remember(i)
	if r != WasHealed {
		e.report(Closed, o, i, r.String(), why)
		return
	}
	e.report(Healed, o, i, "healed", why)
	e.recurs(o, i)
}

// remember keeps closed incidents; those that came to nothing make room first.
func (e *Engine) remember(i *incident) {
	if len(e.history) >= maxHistory {
		n := slices.IndexFunc(e.history, func(h *incident) bool { return h.Result != WasHealed && !h.started })
		e.history = slices.Delete(e.history, max(n, 0), max(n, 0)+1)
	}
	e.history = append(e.history, i)
}

// Standing is where the machine of one owner is.
type Standing struct {
	Owner    sa.Owner
	Peer     string
	State    State
	Since    time.Time
	Until    time.Time // zero: open
	Why      string
	Rung     int // the highest that an open incident has come to
	Open     int
	Kept     int // keys in quarantine
	Healed24 int
	Trend    string // causes of the healings of 24 hours
	LastHeal time.Duration
	// One-way by nature: since when nothing comes back, and when it is looked at again; zero: it is not.
	OneWaySince, OneWayUntil time.Time
}

// Incidents lists open and remembered incidents by ID.
func (e *Engine) Incidents() []Incident {
	out := make([]Incident, 0, e.open+len(e.history))
	for _, i := range e.history {
		out = append(out, i.snapshot())
	}
	for _, o := range e.owners {
		for _, i := range o.open {
			out = append(out, i.snapshot())
		}
	}
	slices.SortFunc(out, func(a, b Incident) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

// Flows lists every flow that is remembered, the most recent first.
func (e *Engine) Flows() []Flow {
	out := make([]Flow, 0, len(e.flows.all))
	for _, f := range e.flows.all {
		out = append(out, f.Flow)
	}
	slices.SortFunc(out, func(a, b Flow) int {
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return int(int64(a.SPI) - int64(b.SPI))
	})
	return out
}

// Standings lists the owners by number.
func (e *Engine) Standings() []Standing {
	var out []Standing
	for _, o := range e.owners {
		s := Standing{Owner: o.ID, Peer: o.Name, State: o.state, Since: o.since, Until: o.until, Why: o.why, Rung: o.highest(),
			Open: len(o.open), Kept: o.inQuarantine(e.now)}
		day := o.healedSince(e.now, trendOver)
		s.Healed24, s.Trend = len(day), trendText(day)
		if !o.quiet.since.IsZero() {
			s.OneWaySince, s.OneWayUntil = o.quiet.since, o.quiet.until
		}
		if n := len(day); n > 0 {
			s.LastHeal = day[n-1].took
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Standing) int { return int(a.Owner - b.Owner) })
	return out
}

func (o *owner) highest() int {
	rung := 0
	for _, i := range o.open {
		rung = max(rung, i.rung)
	}
	return rung
}

// Unhealed lists the owners with an incident that waits for a packet on a good SA.
func (e *Engine) Unhealed() []sa.Owner {
	var out []sa.Owner
	if e.open == 0 {
		return nil
	}
	for _, o := range e.owners {
		if slices.ContainsFunc(o.open, func(i *incident) bool { return i.Delivered.IsZero() && !i.Class.silent() }) {
			out = append(out, o.ID)
		}
	}
	slices.Sort(out)
	return out
}

// Evicted counts flows that were forgotten for others, and evidence for which there was no room.
func (e *Engine) Evicted() (flows, evidence uint64) { return e.flows.evicted, e.refused }
