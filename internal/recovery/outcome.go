package recovery

import (
	"strings"
	"time"

	"lockstep/internal/ike"
)

// ended takes the end of one order; the reaction ends with its last.
func (e *Engine) ended(v ike.Outcome) {
	o := e.refs[v.Ref]
	if o == nil {
		return
	}
	delete(e.refs, v.Ref)
	fl := o.flight
	c := fl.refs[v.Ref]
	delete(fl.refs, v.Ref)
	fl.trips = max(fl.trips, v.RoundTrips) // Deletes of one batch share their messages
	switch {
	case c.Verb == ike.VerbNotifySPI:
		// CSC..40554: an INVALID_SYNTAX answer costs the IKE SA; never again with this peer (protocol.md §2.2).
		o.noM2 = o.noM2 || v.Result != ike.OK && v.Result != ike.Moot && strings.Contains(v.Detail, "INVALID_SYNTAX")
	case v.Result == ike.Moot:
		fl.moot[c.SPI] = true
	case v.Result != ike.OK && fl.worst.Result == 0:
		fl.worst = v
	}
	if len(fl.refs) == 0 {
		e.landed(o)
		e.settle(o)
	}
}

// lostFlight ends a reaction whose Outcome never came.
func (e *Engine) lostFlight(o *owner) {
	e.disown(o)
	o.quiet.stage = untried
	e.backOff(o, o.flight.incs, 0, "an order to IKE had no end")
}

// landed goes on from the result of a reaction (protocol.md §2.6).
func (e *Engine) landed(o *owner) {
	fl, was := o.flight, o.state
	for _, i := range fl.incs {
		i.trips += fl.trips
		if !i.Delivered.IsZero() && i.Healer == ByRecovery {
			i.RoundTrips = i.trips
		}
	}
	if fl.quiet {
		e.quietLanded(o)
		return
	}
	if fl.closing {
		e.ikeGone(o, false)
		e.again(o, "the IKE SA is deleted")
		return
	}
	detail := fl.worst.Detail
	switch fl.worst.Result {
	case 0:
		o.putOff = putOff{}
		e.succeeded(o, was)
	case ike.NoIKE:
		if was == Reauth {
			e.backOff(o, fl.incs, 0, "the IKE SA ended while it was made: "+detail)
			return
		}
		e.ikeGone(o, false)
		o.budget.last = time.Time{} // nothing was sent
		e.again(o, "there is no IKE SA with the peer after all")
	case ike.TimedOut:
		if was == Reauth {
			e.backOff(o, fl.incs, 0, "the peer does not answer IKE")
			return
		}
		e.ikeGone(o, false)
		e.again(o, "the IKE SA is dead: no answer to any retransmission")
	case ike.Busy:
		// Whatever is under way does the same; what is seen after it decides.
		o.to(Watching, e.now, e.now.Add(o.g()), "IKE is busy with this peer: "+detail)
		e.noteAll(fl.incs, "waiting", "IKE is busy with this peer: "+detail)
	case ike.AuthFailed:
		e.backOff(o, fl.incs, authPause, "authentication failed: "+detail)
		e.giveUp(o, "authentication failed: "+detail)
	case ike.NotInitiable:
		e.mayNot(o, fl.incs, detail)
		e.giveUp(o, detail)
	default:
		e.refusedBy(o, detail)
	}
}

// ikeGone counts the end of one IKE SA once: its notice and the end of an order over it both tell, a moment apart and in
// either order.
func (e *Engine) ikeGone(o *owner, notice bool) {
	if o.goneByNotice != notice && !o.goneAt.IsZero() && e.now.Sub(o.goneAt) < time.Second {
		o.goneAt = time.Time{}
		return
	}
	o.ups = max(o.ups-1, 0)
	o.goneAt, o.goneByNotice, o.putOff = e.now, notice, putOff{}
}

// refusedBy: the peer said no. TEMPORARY_FAILURE is worth another try soon, and for some minutes; a peer that says nothing
// else loses the IKE SA (RFC 7296 §2.25). All others need a person.
func (e *Engine) refusedBy(o *owner, detail string) {
	if !strings.Contains(detail, "TEMPORARY_FAILURE") {
		e.backOff(o, o.flight.incs, 0, "refused: "+detail)
		e.giveUp(o, "refused: "+detail)
		return
	}
	if e.now.Sub(o.putOff.last) >= time.Minute {
		o.putOff.since = e.now // another story
	}
	o.putOff.last = e.now
	if e.now.Sub(o.putOff.since) >= putOffMost {
		e.closeIKE(o, "the peer has put us off for minutes: "+detail)
		return
	}
	o.to(Backoff, e.now, e.now.Add(5*time.Second+e.jitter(5*time.Second)), detail)
	e.noteAll(o.flight.incs, "trying again in some seconds", detail)
}

// closeIKE deletes a live IKE SA over which nothing can be repaired. What then may begin another is decided anew.
func (e *Engine) closeIKE(o *owner, why string) {
	e.act(o, Deleting, o.flight.rung, o.flight.incs, "Delete of the IKE SA", why)
	o.flight.closing = true
	e.order(o, ike.VerbClearIKE, 0, why)
}

func (e *Engine) again(o *owner, why string) {
	o.to(Idle, e.now, time.Time{}, why)
	e.noteAll(o.flight.incs, "deciding again", why)
	e.advance(o)
}

func (e *Engine) noteAll(incs []*incident, what, why string) {
	for _, i := range incs {
		i.note(e.now, what, why)
	}
	e.revision++
}

// succeeded: the peer has acknowledged. Healed is said only when traffic proves it.
func (e *Engine) succeeded(o *owner, was State) {
	fl := o.flight
	lost := false
	for _, i := range fl.incs {
		if fl.moot[i.Key.SPI] {
			e.close(o, i, Passed, "the SPI is in use again: nothing was sent")
			continue
		}
		i.acked, i.rung = e.now, max(fl.rung+1, 0)
		i.deleteOK = i.deleteOK || was == Deleting || was == Recreating && fl.rung == 0
		i.note(e.now, "acknowledged", "IKE: the peer answered")
		lost = lost || i.Class.certain()
	}
	e.revision++
	switch {
	case was == Probing:
		const why = "the peer's IKE SA is alive, and it ignores Delete"
		e.quarantine(o, fl.incs, why)
		o.to(Idle, e.now, time.Time{}, why)
		e.retry(o)
		return
	case was == Reauth:
		o.ups = max(o.ups, 1)
	case was == Deleting && lost && e.set.Extended && !o.working():
		// The pair is gone on both sides now and nothing carries the tunnel's traffic: the same reaction goes on.
		o.to(Recreating, e.now, e.now.Add(flightBound), "no working child after the Delete")
		e.noteAll(fl.incs, "fresh child", "no working child after the Delete")
		e.order(o, ike.VerbInitiate, 0, "no working child after the Delete")
		return
	}
	o.to(Healing, e.now, e.now.Add(cleanFor), "acknowledged")
	e.retry(o)
}

// retry comes back to the keys that came while another reaction was under way.
func (e *Engine) retry(o *owner) {
	if len(o.todo(e.now)) == 0 {
		return
	}
	o.retry = o.budget.gapEnd(e.set.Gap)
	if g := e.now.Add(o.g()); g.After(o.retry) {
		o.retry = g
	}
}
