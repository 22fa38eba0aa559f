package recovery

import (
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// told learns a fact about a peer.
func (e *Engine) told(n ike.Notice) {
	o := e.owners[n.Owner]
	if o == nil {
		return
	}
	if n.At.IsZero() || n.At.After(e.now) {
		n.At = e.now
	}
	if n.SRTT > 0 {
		o.srtt = n.SRTT
	}
	switch n.Kind {
	case ike.ExchangeStarted:
		if len(o.asking) < most {
			o.asking[n.IKE] = n.At
		}
	case ike.ExchangeEnded:
		e.exchangeEnded(o, n)
	case ike.IKEUp:
		e.ikeUp(o, n)
	case ike.IKEDown:
		e.ikeGone(o, true)
		delete(o.asking, n.IKE)
		if n.Cause == sa.TombDPD {
			o.dpdAt = n.At
		}
		e.noteAll(o.open, "IKE SA down", n.Cause.String())
	case ike.ChildUp:
		if len(o.children) < most {
			o.children[n.In] = child{ike: n.IKE, ref: n.ByCommand, initiator: n.Initiator, at: n.At}
		}
		o.childUps++
		e.noteAll(o.open, "child SA up, inbound "+n.In.String(), by(n))
	case ike.ChildDown:
		delete(o.children, n.In)
	case ike.FirstInboundOK:
		c := o.children[n.In]
		c.proven = true
		if len(o.children) < most {
			o.children[n.In] = c
		}
		e.heard(o, n, true)
		e.delivered(o, n.At, &c)
	case ike.ChildHeard:
		e.heard(o, n, false)
	case ike.ChildSilent, ike.ChildReplays:
		e.silent(o, n)
	}
	e.settle(o)
}

func by(n ike.Notice) string {
	switch {
	case n.ByCommand&RefTag != 0:
		return "by our order"
	case n.ByCommand != 0:
		return "by command"
	case n.Initiator:
		return "made by us, without an order of recovery"
	}
	return "made by the peer"
}

func (e *Engine) exchangeEnded(o *owner, n ike.Notice) {
	delete(o.asking, n.IKE)
	o.ended = n.At
	if n.Exchange == isakmp.IKEAuth || n.Exchange == isakmp.CreateChildSA {
		o.offers++
	}
	for _, i := range o.open {
		if i.Delivered.IsZero() {
			i.exchanges++
		}
	}
}

// ikeUp: the owner has authenticated; what kept us waiting is over.
func (e *Engine) ikeUp(o *owner, n ike.Notice) {
	o.ups++
	o.upNotice(n)
	why := by(n)
	if n.InitialContact {
		why += ", with INITIAL_CONTACT"
	}
	e.noteAll(o.open, "IKE SA up", why)
	if n.InitialContact && n.ByCommand&RefTag == 0 {
		e.yield(o)
		return
	}
	if o.state == Backoff || len(o.kept) > 0 {
		e.pardon(o, "the peer has authenticated")
	}
	if o.state == Backoff {
		o.to(Idle, e.now, time.Time{}, "the peer has authenticated")
	}
}

// yield gives up what we are doing: the peer has lost everything and begun anew, so that what it sent on is gone
// (protocol.md §2.6). What our orders come to does not matter any more.
func (e *Engine) yield(o *owner) {
	const why = "the peer begins anew with INITIAL_CONTACT"
	if o.state.flying() {
		e.disown(o)
		o.quiet.stage = untried
		e.noteAll(o.flight.incs, "own actions cancelled", why)
	}
	o.retry = time.Time{}
	e.pardon(o, why)
	o.to(Healing, e.now, e.now.Add(cleanFor), why)
}

// disown makes the orders under way nobody's: their ends are not waited for.
func (e *Engine) disown(o *owner) {
	for ref := range o.flight.refs {
		delete(e.refs, ref)
	}
	clear(o.flight.refs)
}

// delivered: a packet of the owner was verified on a good SA. c is the child whose first packet it is; nil: one that
// carried traffic before, which proves something only once the key is acknowledged or silent.
func (e *Engine) delivered(o *owner, at time.Time, c *child) {
	back := false
	for _, i := range o.open {
		if !i.Delivered.IsZero() || at.Before(i.First) || i.Class.silent() {
			continue
		}
		if c == nil && (i.acked.IsZero() || at.Before(i.acked)) && at.Sub(i.Last) < time.Second {
			continue
		}
		i.Delivered, i.Healer, i.RoundTrips = at, o.healer(i, c), i.exchanges
		if i.Healer == ByRecovery && i.trips > 0 {
			i.RoundTrips = i.trips
		}
		i.note(at, "traffic is back", "first packet on a good SA, after "+i.HealTime().Round(time.Microsecond).String()+", by "+string(i.Healer))
		e.report(Delivered, o, i, "traffic is back", "first packet on a good SA")
		back = true
	}
	if back && !o.state.flying() {
		o.to(Healing, e.now, e.now.Add(cleanFor), "traffic is back")
	}
}

// healer says who made the SA that carries the traffic again.
func (o *owner) healer(i *incident, c *child) Healer {
	if c == nil {
		if i.started {
			return ByRecovery
		}
		return ByPeer
	}
	u := o.upOf(*c)
	newIKE := !u.at.Before(i.First) && !u.at.IsZero()
	switch {
	case c.ref&RefTag != 0, newIKE && u.ref&RefTag != 0:
		return ByRecovery
	case c.ref != 0, newIKE && u.ref != 0:
		return ByOperator
	case i.deleteOK && !c.at.Before(i.acked):
		return ByRecovery // told by our Delete, the peer or we made another
	case !o.dpdAt.IsZero() && !o.dpdAt.Before(i.First):
		return ByDPD
	case !newIKE && c.initiator:
		return ByLifetime // an ordinary rekey
	case newIKE && u.initiator:
		return ByBoot
	}
	return ByPeer
}
