package recovery

import (
	"fmt"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// Black holes in which no packet meets an unknown SPI (protocol.md §1.1: D16, D24, D30 to D33): a child that sends and hears
// nothing, and a peer whose sequence numbers have gone back.
//
//	silent ──liveness──► answered ──one rekey──► heard: healed
//	   ▲        └─ dead: as every dead peer         │
//	   │                                         silent still
//	   └── 100 s, 200 s … a day later ◄── one-way by nature ◄┘
//
// Video and syslog go one way by nature: they cost two rekeys an hour at most, and soon none.

const (
	firstLook    = 100 * time.Second // ten times what it takes to be told of
	mostLook     = 24 * time.Hour
	mostReturn   = time.Hour // the same, where traffic came back by itself
	quietRekeys  = 2         // in quietWithin
	quietWithin  = time.Hour
	quietConfirm = 8 * time.Second // a child made since is given so long before it is told of again
)

// quietStage is how far the reaction has come.
type quietStage uint8

const (
	untried quietStage = iota
	asking             // liveness is out
	rekeying
	rekeyed // a fresh child is there: is it heard?
)

// quiet is what is known of the silence of one owner.
type quiet struct {
	inc    *incident // open; nil: none
	stage  quietStage
	since  time.Time     // one-way by nature since; zero: it is not
	until  time.Time     // nothing is done before
	pause  time.Duration // the last one
	rekeys []time.Time   // within quietWithin
}

// silent takes the fact that nothing comes from a peer on a child (ChildSilent), or only packets of before (ChildReplays).
func (e *Engine) silent(o *owner, n ike.Notice) {
	c, known := o.children[n.In]
	if !known || !e.set.Extended || e.now.Before(o.quiet.until) {
		return // parity mode knows nothing of it
	}
	i := o.quiet.inc
	if i == nil {
		if i = e.beginQuiet(o, n, c); i == nil {
			return
		}
	}
	i.Last = e.now
	if i.Class == ReplayStuck {
		i.Lost = max(i.Lost, n.Count)
	}
	_, busy := o.busy(e.now)
	switch {
	case o.quiet.stage == rekeyed && n.In != i.Key.SPI && e.now.Sub(c.at) >= quietConfirm:
		e.byNature(o, "we send on "+n.Out.String()+", and nothing comes back, although the peer answers IKE and a fresh child SA changed nothing")
	case o.quiet.stage != untried, o.state.flying(), o.state == Backoff, busy, o.ups == 0:
	case o.budget.gapEnd(e.set.Gap).After(e.now):
	case i.Class == ReplayStuck:
		e.embark(o, i)
		e.rekeyQuiet(o)
	default:
		const why = "traffic goes out and nothing comes back: is the peer alive?"
		e.embark(o, i)
		o.quiet.stage = asking
		o.to(Probing, e.now, e.now.Add(flightBound), why)
		i.note(e.now, "liveness check", why)
		e.order(o, ike.VerbLiveness, 0, why)
		e.report(Noted, o, i, "liveness check", why)
	}
}

// beginQuiet opens an incident for a child; nil: there are too many.
func (e *Engine) beginQuiet(o *owner, n ike.Notice, c child) *incident {
	if len(o.open) >= maxBatch || e.open >= maxOpen {
		e.refused++
		return nil
	}
	class, cause, facts := ofSilence(n, c)
	if n.Since.IsZero() || n.Since.After(e.now) {
		n.Since = e.now
	}
	e.lastID++
	i := &incident{flow: &flow{}, hadChild: c.proven, Incident: Incident{ID: e.lastID, Owner: o.ID, Peer: o.Name, Remote: o.Remote,
		Key: Key{Src: o.Remote, SPI: n.In}, Class: class, Verdict: Persistent, Cause: cause, Evidence: facts,
		First: n.Since, Last: e.now, Result: Open, Lost: n.Count}}
	if o.Lifetime > 0 && !c.at.IsZero() {
		i.ByLifetime = c.at.Add(o.Lifetime)
	}
	o.quiet.inc, o.quiet.stage = i, untried
	o.open = append(o.open, i)
	e.open++
	for _, fact := range facts {
		i.note(n.Since, class.String(), fact)
	}
	e.report(Opened, o, i, "incident opened", class.String())
	return i
}

// ofSilence names what is seen, with the facts.
func ofSilence(n ike.Notice, c child) (class Class, cause string, facts []string) {
	if n.Kind == ike.ChildReplays {
		return ReplayStuck, "D24", []string{fmt.Sprintf("%d packets on %v and none of them above the lower end of its replay window: the peer's sequence numbers went back", n.Count, n.In)}
	}
	facts = []string{fmt.Sprintf("we send on %v, and nothing came on %v", n.Out, n.In)}
	if c.proven {
		return OneWay, UnknownCause, append(facts, "packets came on this child SA before")
	}
	facts = append(facts, "nothing ever came on this child SA")
	for _, spi := range []sa.SPI{n.In, n.Out} {
		if spi>>24 == 0xFF {
			facts = append(facts, fmt.Sprintf("%v begins with 0xFF: a peer with the defect CSCvp16730 drops ESP with such an SPI", spi))
		}
	}
	return OneWay, UnknownCause, facts
}

// embark begins a flight for a silence.
func (e *Engine) embark(o *owner, i *incident) {
	o.flight = &flight{refs: map[uint64]ike.Command{}, incs: []*incident{i}, rung: -1, moot: map[sa.SPI]bool{}, quiet: true}
	o.budget.last, o.retry = e.now, time.Time{}
	i.started = true
}

// rekeyQuiet replaces the child, if the hour has a rekey left.
func (e *Engine) rekeyQuiet(o *owner) {
	q, i := &o.quiet, o.quiet.inc
	for len(q.rekeys) > 0 && e.now.Sub(q.rekeys[0]) >= quietWithin {
		q.rekeys = q.rekeys[1:]
	}
	if len(q.rekeys) >= quietRekeys {
		e.byNature(o, "nothing comes back although the peer answers IKE, and it was rekeyed twice in this hour already")
		return
	}
	q.rekeys, q.stage = append(q.rekeys, e.now), rekeying
	why := i.Evidence[len(i.Evidence)-1]
	o.to(Recreating, e.now, e.now.Add(flightBound), why)
	i.note(e.now, "one rekey", why)
	e.order(o, ike.VerbRekeyChild, i.Key.SPI, why)
	e.report(Acting, o, i, "one rekey of the child SA", why)
}

// quietLanded goes on from the result of an order for a silence.
func (e *Engine) quietLanded(o *owner) {
	q, i, worst := &o.quiet, o.quiet.inc, o.flight.worst
	if i == nil { // heard meanwhile
		o.to(Healing, e.now, e.now.Add(cleanFor), "traffic came back")
		e.advance(o)
		return
	}
	switch {
	case worst.Result == ike.TimedOut || worst.Result == ike.NoIKE:
		e.ikeGone(o, false)
		q.stage = untried
		e.rest(o, i, "the IKE SA is dead", "another one is made in the usual way")
	case worst.Result == ike.Busy:
		q.stage = untried
		e.rest(o, i, "waiting", "IKE is busy with this peer: "+worst.Detail)
	case worst.Result != 0:
		q.stage, q.until = untried, e.now.Add(firstLook)
		e.rest(o, i, "not possible now", worst.Detail)
	case q.stage == asking:
		i.note(e.now, "answered", "the peer's IKE SA is alive")
		e.rekeyQuiet(o)
	default:
		q.stage, i.acked = rekeyed, e.now
		i.note(e.now, "acknowledged", "a fresh child SA is there: is it heard?")
		o.to(Healing, e.now, e.now.Add(cleanFor), "acknowledged")
	}
	e.revision++
	e.advance(o) // evidence may have waited for the end of this flight
}

func (e *Engine) rest(o *owner, i *incident, what, why string) {
	i.note(e.now, what, why)
	o.to(Idle, e.now, time.Time{}, what+": "+why)
}

// byNature gives the silence up for a while: it may be how the traffic of this tunnel is.
func (e *Engine) byNature(o *owner, what string) {
	q, i := &o.quiet, o.quiet.inc
	q.pause = min(max(2*q.pause, firstLook), mostLook)
	q.until = e.now.Add(q.pause)
	if q.since.IsZero() {
		q.since = i.First
	}
	if o.state.flying() {
		o.to(Idle, e.now, time.Time{}, "one-way by nature")
	}
	i.note(e.now, "one-way by nature", what+"; looked at again in "+q.pause.String())
	e.close(o, i, ByNature, what)
	e.publish(Report{Kind: OneWayMarked, At: e.now, Peer: o.Name, Remote: o.Remote, Incident: i.snapshot(), What: "one-way by nature", Why: what, Next: q.until})
}

// heard takes a packet that was verified on the child with inbound SPI in. first: it is the first on that child.
func (e *Engine) heard(o *owner, n ike.Notice, first bool) {
	q, i := &o.quiet, o.quiet.inc
	q.since = time.Time{}
	if i == nil {
		return
	}
	c := o.children[n.In]
	switch {
	case n.In == i.Key.SPI: // silence is how it is with this peer now and then
		q.pause = min(max(2*q.pause, firstLook), mostReturn)
		q.until = e.now.Add(q.pause)
		e.close(o, i, Passed, "traffic came back by itself on the same child SA")
	case first && !c.at.Before(i.First):
		q.pause, q.until = 0, time.Time{}
		i.Delivered, i.Healer, i.RoundTrips = n.At, o.healer(i, &c), i.trips
		i.note(n.At, "traffic is back", "first packet on a fresh child SA, by "+string(i.Healer))
		e.report(Delivered, o, i, "traffic is back", "first packet on a fresh child SA")
		e.close(o, i, WasHealed, "traffic arrives on a fresh child SA")
	}
}
