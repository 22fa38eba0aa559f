package recovery

import (
	"fmt"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// advance reacts to what is unanswered, if nothing is under way and nothing has to be waited for.
func (e *Engine) advance(o *owner) {
	if o.state.flying() || o.state == Backoff {
		return
	}
	todo := o.todo(e.now)
	if len(todo) == 0 {
		return
	}
	if until, busy := o.busy(e.now); busy {
		e.watch(o, todo, until, "an IKE exchange with the peer is outstanding or just ended")
		return
	}
	if o.ups > 0 {
		e.decideLive(o, todo)
		return
	}
	e.decideDead(o, todo)
}

// watch waits: the next evidence after until decides. Silence ends it sooner.
func (e *Engine) watch(o *owner, todo []*incident, until time.Time, why string) {
	if silent := e.now.Add(freshFor); until.After(silent) {
		until = silent
	}
	if o.state != Healing {
		o.to(Watching, e.now, until, why)
	}
	for _, i := range todo {
		e.tell(i, "waiting", why)
	}
}

// tell notes something once, until something else happens.
func (e *Engine) tell(i *incident, what, why string) {
	if i.told != what+why {
		i.told = what + why
		i.note(e.now, what, why)
		e.revision++
	}
}

// decideDead: no IKE SA with the owner (protocol.md §2.7, second and third column).
func (e *Engine) decideDead(o *owner, todo []*incident) {
	todo = certain(todo)
	switch {
	case len(todo) == 0:
	case !e.set.InvalidSPI:
		e.mayNot(o, todo, "no IKE SA with the peer, and crypto isakmp invalid-spi-recovery is off: nothing initiates on the evidence of an ESP packet")
	case !o.Initiate:
		e.mayNot(o, todo, "no IKE SA with the peer, and it may not be initiated to (responder-only): waits for the peer to begin anew, when it asks for a sign of life or its SA ends")
	case e.gap(o):
	case !e.reauth.take(e.now, e.set.ReauthRate, e.set.ReauthBurst):
		// Not the peer's fault: the pause does not grow.
		o.to(Backoff, e.now, e.now.Add(firstPause-firstPause/4+e.jitter(firstPause/2)), "the budget of new IKE SAs is used up")
		for _, i := range todo {
			e.tell(i, "waiting", "the budget of new IKE SAs is used up")
		}
	default:
		why := fmt.Sprintf("no IKE SA with a static peer; spi %v is %s", todo[0].Key.SPI, classWhy(todo[0]))
		e.act(o, Reauth, -1, todo, "new IKE SA", why)
		e.order(o, ike.VerbInitiate, 0, why)
	}
}

func certain(todo []*incident) []*incident {
	var out []*incident
	for _, i := range todo {
		if i.Class.certain() {
			out = append(out, i)
		}
	}
	return out
}

func classWhy(i *incident) string {
	switch i.Class {
	case Tombstone:
		return "one that we removed: " + i.flow.Tomb.Why.String()
	case Lost:
		return "one that we issued and lost"
	case Unknown:
		return "perhaps one that we issued and lost"
	}
	return "none that we issued, and the peer keeps sending on it"
}

// mayNot says once what keeps us from acting; the owner stays where evidence is counted.
func (e *Engine) mayNot(o *owner, todo []*incident, why string) {
	o.to(Watching, e.now, e.now.Add(freshFor), why)
	for _, i := range todo {
		e.tell(i, "nothing may be done", why)
	}
}

// gap says that the last action of the owner was too recently, and comes back when it is not.
func (e *Engine) gap(o *owner) bool {
	end := o.budget.gapEnd(e.set.Gap)
	if !end.After(e.now) {
		return false
	}
	o.retry = end
	return true
}

// decideLive: a live IKE SA with the owner (first column).
func (e *Engine) decideLive(o *owner, todo []*incident) {
	for _, i := range todo {
		i.acked = time.Time{}
	}
	sure := certain(todo)
	switch {
	case e.gap(o):
	case len(sure) == 0:
		e.strangeDelete(o, todo)
	case !e.set.Extended:
		e.delete(o, sure, "live IKE SA with the peer; parity mode")
	default:
		e.takeRung(o, sure)
	}
}

// takeRung serves the keys on one rung together. The lowest goes first, so that a key that climbs for nothing holds up no
// other; where the budget of Deletes is used up, those go that need none.
func (e *Engine) takeRung(o *owner, sure []*incident) {
	var on [3][]*incident
	for _, i := range sure {
		r := min(i.rung, len(on)-1)
		on[r] = append(on[r], i)
	}
	told := len(on[0]) > 0 && (len(on[0]) == len(sure) || o.budget.deleteAt(e.now, e.set.Deletes).IsZero())
	switch {
	case told && !o.working():
		e.rekey(o, on[0])
	case told:
		e.delete(o, on[0], "live IKE SA with the peer, and a working child carries the traffic")
	case len(on[1]) > 0:
		e.fresh(o, on[1], "the peer acknowledged the Delete and still sends on the SPI: a fresh child, which it should prefer")
	default:
		e.act(o, Probing, 2, on[2], "liveness check", "the peer acknowledged and still sends on the SPI")
		e.order(o, ike.VerbLiveness, 0, "the peer still sends on an SPI that it was told about")
	}
}

// delete tells the peer that we do not have these SPIs (protocol.md §2.1 M1), and M2 where its profile asks for it.
func (e *Engine) delete(o *owner, todo []*incident, why string) {
	if !e.mayDelete(o, todo) {
		return
	}
	todo = todo[:min(len(todo), maxBatch)]
	e.act(o, Deleting, 0, todo, "Delete", why)
	for _, i := range todo {
		e.order(o, ike.VerbDeleteSPI, i.Key.SPI, why)
		if o.NotifySPI && !o.noM2 {
			e.order(o, ike.VerbNotifySPI, i.Key.SPI, "the profile asks for notify-invalid-spi")
		}
	}
}

// mayDelete takes one Delete message from the owner's budget. An empty one is not the peer's fault: the pause does not
// grow.
func (e *Engine) mayDelete(o *owner, todo []*incident) bool {
	at := o.budget.deleteAt(e.now, e.set.Deletes)
	if at.IsZero() {
		o.budget.deletes = append(o.budget.deletes, e.now)
		return true
	}
	const why = "the budget of Delete messages is used up"
	o.to(Backoff, e.now, at, why)
	for _, i := range todo {
		e.tell(i, "waiting", why)
	}
	return false
}

// strangeDelete is the protected path for SPIs that were never ours.
func (e *Engine) strangeDelete(o *owner, todo []*incident) {
	if e.now.Before(o.budget.strange) {
		return
	}
	o.budget.strange = e.now.Add(max(strangeShare*e.set.Gap, strangeShare*time.Minute/time.Duration(e.set.Deletes)))
	e.delete(o, todo, "seen twice from the address of an authenticated peer")
}

// rekey replaces a lost SPI without a gap: REKEY_SA names our inbound SPI, which the lost one was. IKE deletes it then.
func (e *Engine) rekey(o *owner, todo []*incident) {
	if !e.mayDelete(o, todo) {
		return
	}
	why := "live IKE SA with the peer, and no working child: spi is " + classWhy(todo[0])
	e.act(o, Recreating, 0, todo[:1], "rekey of the lost SPI, then Delete", why)
	e.order(o, ike.VerbRekeySPI, todo[0].Key.SPI, why)
}

// fresh makes another child over the live IKE SA.
func (e *Engine) fresh(o *owner, todo []*incident, why string) {
	e.act(o, Recreating, 1, todo, "fresh child", why)
	if o.working() {
		e.order(o, ike.VerbRekeyChild, 0, why)
		return
	}
	e.order(o, ike.VerbInitiate, 0, why)
}

// act begins a reaction; its orders follow.
func (e *Engine) act(o *owner, s State, rung int, incs []*incident, what, why string) {
	o.flight = &flight{refs: map[uint64]ike.Command{}, incs: incs, rung: rung, moot: map[sa.SPI]bool{}}
	o.budget.last, o.retry = e.now, time.Time{}
	o.to(s, e.now, e.now.Add(flightBound), why)
	started := true
	for _, i := range incs {
		started = started && i.started && rung <= 0
		i.started, i.told = true, ""
		i.note(e.now, what, why)
	}
	kind := Acting
	if started {
		kind = Noted // the same again
	}
	e.report(kind, o, incs[0], what, why)
}

// backOff pauses the owner: 1, 2, 4 … 300 s.
func (e *Engine) backOff(o *owner, incs []*incident, least time.Duration, why string) {
	pause := o.budget.pause(least, e.jitter)
	o.to(Backoff, e.now, e.now.Add(pause), why)
	for _, i := range incs {
		i.note(e.now, "pause of "+pause.Round(time.Millisecond).String(), why)
	}
	e.revision++
}

// giveUp alarms the operator, once until it is better.
func (e *Engine) giveUp(o *owner, why string) {
	if o.alarm {
		return
	}
	o.alarm = true
	var i *incident
	if len(o.open) > 0 {
		i = o.open[0]
	}
	e.report(GaveUp, o, i, "gave up", why)
}
