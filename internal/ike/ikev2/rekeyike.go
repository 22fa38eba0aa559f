package ikev2

import (
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// rekeyIKETask replaces the IKE SA as initiator (RFC 7296 §1.3.2, §2.18). The children stay with the machine; the old SA
// is deleted by whoever initiated the rekey that stands.
type rekeyIKETask struct {
	orders
	of    *ikeSA // which is to be replaced
	next  *ikeSA
	offer []ike2.Proposal
	group uint16
	kx    suite.KeyExchange
	again int
	// The peer has agreed, and we are computing: from here on there is an SA to be deleted, should it lose.
	answered bool
}

func (t *rekeyIKETask) start(m *machine, s *ikeSA) {
	if s != t.of {
		m.finish(s)
		t.end(m, ike.OK, "rekeyed by the peer")
		return
	}
	t.next = &ikeSA{ours: m.cfg.Env.AllocIKE(), initiator: true, ni: m.nonce()}
	t.offer = ike.OfferIKE(m.peer.Proposals, t.next.ours)
	if t.next.ni == nil || len(t.offer) == 0 {
		m.abandon(s, ike.InternalFailed, "no nonce or no proposal")
		return
	}
	if t.group == 0 {
		t.group = s.suite.Group
	}
	if !offers(t.offer, t.group) {
		t.group = firstGroup(t.offer)
	}
	ke, group := m.cfg.Env.KE, t.group
	m.compute(slow(group), func() (any, error) { return ke(group) }, func(v any, err error) {
		kx, ok := v.(suite.KeyExchange)
		if err != nil || !ok {
			m.abandon(s, ike.InternalFailed, "no key for the key exchange")
			return
		}
		t.kx = kx
		t.ask(m, s)
	})
}

func (t *rekeyIKETask) ask(m *machine, s *ikeSA) {
	m.persist(false, func(err error) {
		if err != nil {
			m.abandon(s, ike.InternalFailed, err.Error())
			return
		}
		// The peer may use the new SA before its answer reaches us.
		m.emit(ike.Claim{SPI: t.next.ours})
		m.request(s, isakmp.CreateChildSA, []ike2.Payload{&ike2.SA{Proposals: t.offer}, &ike2.Nonce{Data: t.next.ni},
			&ike2.KE{Group: t.group, Data: t.kx.Public()}}, m.tune.Request)
	})
}

func (t *rekeyIKETask) answer(m *machine, s *ikeSA, ps []ike2.Payload) {
	if n := ike2.FindError(ps); n != nil {
		t.refused(m, s, n)
		return
	}
	sap, ok1 := ike2.Find[*ike2.SA](ps)
	ke, ok2 := ike2.Find[*ike2.KE](ps)
	nr, ok3 := ike2.Find[*ike2.Nonce](ps)
	if !ok1 || !ok2 || !ok3 {
		m.abandon(s, ike.Refused, "answer without SA, KE or nonce")
		return
	}
	chosen, err := ike.CheckIKE(t.offer, sap.Proposals)
	if err != nil || chosen.Group != ke.Group || ke.Group != t.group || !goodNonce(nr.Data, chosen.PRF) || !goodNonce(nr.Data, s.suite.PRF) {
		m.abandon(s, ike.Refused, "answer does not fit the offer")
		return
	}
	t.answered = true
	kx, public := t.kx, ke.Data
	m.compute(slow(t.group), func() (any, error) { return kx.Shared(public) }, func(v any, err error) {
		shared, ok := v.([]byte)
		if err != nil || !ok {
			m.abandon(s, ike.Refused, "its key exchange value is refused")
			return
		}
		t.next.theirs, t.next.suite, t.next.nr = chosen.SPI, chosen, nr.Data
		if err := t.next.deriveRekeyed(s, shared); err != nil {
			m.abandon(s, ike.InternalFailed, err.Error())
			return
		}
		t.done(m, s)
	})
}

// done settles which SA goes on. Colliding rekeys are decided by the lowest nonce (RFC 7296 §2.8.2): the SA of its
// exchange is deleted by who initiated that one, the old SA by the other.
func (t *rekeyIKETask) done(m *machine, s *ikeSA) {
	m.finish(s)
	m.inStep()
	next, rival := t.next, s.theirsIs
	if rival != nil && rival.phase == over {
		rival = nil // the peer knows that its own goes, and has deleted it already
	}
	m.join(next)
	if rival != nil && string(lowest(next.ni, next.nr)) < string(lowest(rival.ni, rival.nr)) {
		m.debugf("IKE rekey collision: our SA %v goes, the peer's %v stays", next.ours, rival.ours)
		m.adopt(rival)
		next.phase, next.deleteIt = replaced, true
		t.end(m, ike.OK, "the peer's rekey stays")
		return
	}
	if rival != nil {
		m.debugf("IKE rekey collision: our SA %v stays, the peer deletes its %v", next.ours, rival.ours)
		m.supersede(rival)
	}
	m.adopt(next)
	s.deleteIt, s.goneBy = true, time.Time{}
	m.persist(false, func(err error) {
		if err != nil {
			t.end(m, ike.InternalFailed, err.Error())
			m.end(ending{cause: sa.TombInstallFailed, result: ike.InternalFailed, why: err.Error()})
			return
		}
		t.end(m, ike.OK, "")
	})
}

// join gives a new IKE SA of the lineage its place and its limits.
func (m *machine) join(s *ikeSA) {
	s.phase, s.created = established, m.now
	m.setIKELimits(s)
	m.sas = append(m.sas, s)
}

// adopt makes s the current IKE SA; what it replaces waits for its Delete.
func (m *machine) adopt(s *ikeSA) {
	if s == m.cur {
		return
	}
	m.debugf("IKE SA rekeyed: %v replaces %v", s.ours, m.cur.ours)
	old := m.cur
	m.cur = s
	if old.phase == established {
		m.supersede(old)
	}
}

// supersede lets an IKE SA wait for the peer's Delete; without one it is deleted by us in the end.
func (m *machine) supersede(s *ikeSA) {
	s.phase, s.goneBy = replaced, m.now.Add(supersededFor)
}

func (t *rekeyIKETask) refused(m *machine, s *ikeSA, n *ike2.Notify) {
	group, ok := n.WantedGroup()
	if ok && s.theirsIs == nil && t.again < maxKERetries && group != t.group && offers(t.offer, group) {
		m.finish(s)
		m.emit(ike.Disclaim{SPI: t.next.ours})
		t.again++
		t.group, t.next = group, nil
		m.queue = append([]task{t}, m.queue...)
		return
	}
	if n.Kind == ike2.NoProposalChosen {
		m.report(event.IKENoProposal(m.path.remote, "IKE", (&ike2.SA{Proposals: t.offer}).String(), ""))
	}
	m.abandon(s, ike.Refused, n.Kind.String())
	if n.Kind == ike2.TemporaryFailure && s == m.cur {
		m.outOfStep()
	}
}

// lost gives the attempt up. If the peer's rekey was waiting for our answer, its SA is the one.
func (t *rekeyIKETask) lost(m *machine, s *ikeSA, result ike.Result, detail string) {
	if t.next != nil {
		m.emit(ike.Disclaim{SPI: t.next.ours})
	}
	s.rekeys++
	s.rekeyAt = m.now.Add(m.retryPause())
	if (result == ike.Refused || result == ike.InternalFailed) && s == m.cur && s.theirsIs != nil {
		m.adopt(s.theirsIs)
		result, detail = ike.OK, "rekeyed by the peer"
	}
	t.end(m, result, detail)
}

// respondRekeyIKE answers a rekey of the IKE SA, by the table of RFC 7296 §2.25.
func (m *machine) respondRekeyIKE(s *ikeSA, sap *ike2.SA, ps []ike2.Payload) {
	_, creating := s.active.(*createTask)
	_, deleting := s.active.(*deleteTask)
	if creating || deleting || !m.mayYield(s) {
		m.refuse(s, isakmp.CreateChildSA, ike2.TemporaryFailure)
		return
	}
	ke, ok1 := ike2.Find[*ike2.KE](ps)
	ni, ok2 := ike2.Find[*ike2.Nonce](ps)
	if !ok1 || !ok2 {
		m.refuse(s, isakmp.CreateChildSA, ike2.NoProposalChosen)
		return
	}
	next := &ikeSA{ours: m.cfg.Env.AllocIKE(), ni: ni.Data, nr: m.nonce()}
	chosen, answer, ok := m.chooseIKE(sap.Proposals, ke.Group, next.ours)
	switch {
	case !ok || next.nr == nil || !goodNonce(ni.Data, chosen.PRF) || !goodNonce(ni.Data, s.suite.PRF):
		m.report(event.IKENoProposal(m.path.remote, "IKE", (&ike2.SA{Proposals: m.ownIKEOffer()}).String(), sap.String()))
		m.refuse(s, isakmp.CreateChildSA, ike2.NoProposalChosen)
		return
	case chosen.Group != ke.Group:
		m.respond(s, isakmp.CreateChildSA, []ike2.Payload{ike2.NotifyInvalidKE(chosen.Group)})
		return
	}
	next.theirs, next.suite = chosen.SPI, chosen
	m.exchange(ike.ExchangeStarted, s, isakmp.CreateChildSA)
	s.yielding = true
	m.agree(chosen.Group, ke.Data, func(own, shared []byte, err error) {
		s.yielding = false
		if err == nil {
			err = next.deriveRekeyed(s, shared)
		}
		if err != nil {
			m.refuse(s, isakmp.CreateChildSA, ike2.NoProposalChosen)
			m.exchange(ike.ExchangeEnded, s, isakmp.CreateChildSA)
			return
		}
		m.acceptRekeyIKE(s, next, []ike2.Payload{&ike2.SA{Proposals: []ike2.Proposal{answer}}, &ike2.Nonce{Data: next.nr},
			&ike2.KE{Group: chosen.Group, Data: own}})
	})
}

// mayYield says that the peer may replace s: it is neither being closed nor replaced already, be it that only the peer has
// noticed no collision of rekeys (RFC 7296 §2.8.2, §2.25.2).
func (m *machine) mayYield(s *ikeSA) bool {
	return s.phase == established && s == m.cur && s.theirsIs == nil
}

// acceptRekeyIKE stores, answers and moves over, unless our own rekey is outstanding: then its answer decides.
func (m *machine) acceptRekeyIKE(s, next *ikeSA, answer []ike2.Payload) {
	if !m.mayYield(s) { // we were faster while we computed
		m.refuse(s, isakmp.CreateChildSA, ike2.TemporaryFailure)
		m.exchange(ike.ExchangeEnded, s, isakmp.CreateChildSA)
		return
	}
	m.emit(ike.Claim{SPI: next.ours})
	m.join(next)
	s.theirsIs = next
	m.persist(false, func(err error) {
		m.exchange(ike.ExchangeEnded, s, isakmp.CreateChildSA)
		if err != nil {
			m.refuse(s, isakmp.CreateChildSA, ike2.TemporaryFailure)
			m.disown(s, next, err)
			return
		}
		m.respond(s, isakmp.CreateChildSA, answer)
		if _, ours := s.active.(*rekeyIKETask); !ours && s == m.cur {
			m.adopt(next)
		}
	})
}

// disown takes an SA back that could not be stored, and of which the peer will not hear. If ours has lost against it
// meanwhile, nothing is left that both have.
func (m *machine) disown(s, next *ikeSA, err error) {
	if next == m.cur {
		m.end(ending{cause: sa.TombInstallFailed, result: ike.InternalFailed, why: err.Error()})
		return
	}
	s.theirsIs = nil
	m.dropSA(next)
}
