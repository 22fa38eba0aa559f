package ikev2

import (
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// respondCreate answers CREATE_CHILD_SA, by the table of RFC 7296 §2.25 (protocol.md §5.7).
func (m *machine) respondCreate(s *ikeSA, ps []ike2.Payload) {
	sap, ok := ike2.Find[*ike2.SA](ps)
	if !ok || len(sap.Proposals) == 0 {
		m.drop(reason.IKEUnexpected)
		m.refuse(s, isakmp.CreateChildSA, ike2.NoProposalChosen)
		return
	}
	if sap.Proposals[0].Protocol == ike2.ProtoIKE {
		m.respondRekeyIKE(s, sap, ps)
		return
	}
	_, rekeyingIKE := s.active.(*rekeyIKETask)
	if s.phase != established || s != m.cur || rekeyingIKE {
		m.refuse(s, isakmp.CreateChildSA, ike2.TemporaryFailure)
		return
	}
	if n := ike2.FindNotify(ps, ike2.RekeySA); n != nil {
		m.respondRekeyChild(s, n, ps)
		return
	}
	m.respondChild(s, ps, nil)
}

// respondRekeyChild finds the child that REKEY_SA names by the sender's inbound SPI, which is our outbound one (RFC 7296
// §1.3.3).
func (m *machine) respondRekeyChild(s *ikeSA, n *ike2.Notify, ps []ike2.Payload) {
	named, _ := n.ChildSPI()
	spi := sa.SPI(named)
	old := m.childOut(spi)
	switch {
	case old == nil && m.creating(s):
		// It may be the child whose answer we still miss (protocol.md §5.7).
		m.refuse(s, isakmp.CreateChildSA, ike2.TemporaryFailure)
	case old == nil:
		m.debugf("Peer rekeys %v, which we do not have", spi)
		m.respond(s, isakmp.CreateChildSA, []ike2.Payload{&ike2.Notify{Protocol: n.Protocol, SPI: n.SPI, Kind: ike2.ChildSANotFound}})
	default:
		old.unheard = old.unheard || saysUnheard(ps, spi)
		m.respondChild(s, ps, old)
	}
}

// saysUnheard: the rekey of an SA that its initiator has lost says so.
func saysUnheard(ps []ike2.Payload, spi sa.SPI) bool {
	n := ike2.FindNotify(ps, ike2.InvalidSPI)
	if n == nil {
		return false
	}
	named, ok := n.OffendingSPI()
	return ok && sa.SPI(named) == spi
}

func (m *machine) creating(s *ikeSA) bool {
	_, ok := s.active.(*createTask)
	return ok
}

// respondChild answers once the child can receive: inbound installed, then stored, then the response (RFC 7296 §2.8,
// protocol.md §1.4). A brand-new child is sent on from then; a rekeyed one when its initiator shows that it is ready.
func (m *machine) respondChild(s *ikeSA, ps []ike2.Payload, old *child) {
	m.exchange(ike.ExchangeStarted, s, isakmp.CreateChildSA)
	m.childFromRequest(s, isakmp.CreateChildSA, ps, old, func(c *child, answer []ike2.Payload) {
		if c == nil {
			m.respond(s, isakmp.CreateChildSA, answer)
			m.exchange(ike.ExchangeEnded, s, isakmp.CreateChildSA)
			return
		}
		m.persist(false, func(err error) {
			if err != nil {
				m.report(event.IKEInstallFailed(m.path.remote, c.spec.In, err))
				m.giveUp(c)
				answer = []ike2.Payload{&ike2.Notify{Kind: ike2.TemporaryFailure}}
			}
			m.respond(s, isakmp.CreateChildSA, answer)
			m.exchange(ike.ExchangeEnded, s, isakmp.CreateChildSA)
			m.useLater(c, old)
		})
	})
}

// useLater decides when to send on a child that the peer made. In a collision our own answer may decide otherwise.
func (m *machine) useLater(c, old *child) {
	switch {
	case !c.live():
	case old != nil && old.live() && old.hasOut && !old.unheard:
		c.switchAt = m.now.Add(m.tune.Switch)
	case m.holds():
		m.hold(c, 0, func(bool) {})
	default:
		m.switchTo(c, 0, func(bool) {})
	}
}

// childFromRequest negotiates and installs the inbound half of a child that the peer asks for. then gets the child and
// the payloads of the answer, or nil and the refusal.
func (m *machine) childFromRequest(s *ikeSA, e isakmp.Exchange, ps []ike2.Payload, old *child, then func(*child, []ike2.Payload)) {
	first := e == isakmp.IKEAuth
	d, refusal := m.dealFrom(s, first, ps)
	if refusal != nil {
		then(nil, []ike2.Payload{refusal})
		return
	}
	d.old = old
	var group uint16
	ke, _ := ike2.Find[*ike2.KE](ps)
	if ke != nil {
		group = ke.Group
	}
	sap, _ := ike2.Find[*ike2.SA](ps)
	pfs := childWish{first: first}.pfs(m)
	chosen, answer, ok := ike.ChooseESP(m.peer.IPsec.TransformSets, pfs, sap.Proposals, group)
	d.suite = chosen
	switch {
	case !ok:
		ours := &ike2.SA{Proposals: ike.OfferESP(m.peer.IPsec.TransformSets, pfs, 0)}
		m.report(event.IKENoProposal(m.path.remote, "ESP", ours.String(), sap.String()))
		then(nil, []ike2.Payload{&ike2.Notify{Kind: ike2.NoProposalChosen}})
	case chosen.Group == 0:
		m.acceptChild(s, d, answer, first, nil, then)
	case ke == nil || chosen.Group != ke.Group:
		then(nil, []ike2.Payload{ike2.NotifyInvalidKE(chosen.Group)})
	default:
		m.agree(chosen.Group, ke.Data, func(own, shared []byte, err error) {
			if err != nil {
				m.drop(reason.IKEMalformed)
				then(nil, []ike2.Payload{&ike2.Notify{Kind: ike2.NoProposalChosen}})
				return
			}
			d.shared = shared
			m.acceptChild(s, d, answer, first, &ike2.KE{Group: chosen.Group, Data: own}, then)
		})
	}
}

// dealFrom takes nonces and selectors of a request. A refusal never is INVALID_SYNTAX: that would cost the IKE SA.
func (m *machine) dealFrom(s *ikeSA, first bool, ps []ike2.Payload) (deal, *ike2.Notify) {
	d := deal{ni: s.ni, nr: s.nr, wishLocal: m.cfg.tsLocal(), wishRemote: m.cfg.tsRemote()}
	if len(m.children) >= maxChildren {
		return d, &ike2.Notify{Kind: ike2.NoAdditionalSAs}
	}
	if !first {
		ni, ok := ike2.Find[*ike2.Nonce](ps)
		if !ok || !goodNonce(ni.Data, s.suite.PRF) {
			return d, &ike2.Notify{Kind: ike2.NoProposalChosen}
		}
		d.ni, d.nr = ni.Data, m.nonce()
	}
	tsi, tsr := ike2.FindTS(ps, true), ike2.FindTS(ps, false)
	if tsi == nil || tsr == nil || d.nr == nil {
		return d, &ike2.Notify{Kind: ike2.NoProposalChosen}
	}
	// RFC 7296 §2.9: TSi is the initiator's side, so for us the remote one.
	d.tsRemote = ike.Narrow(tsi.Selectors, d.wishRemote)
	d.tsLocal = ike.Narrow(tsr.Selectors, d.wishLocal)
	if len(d.tsLocal) == 0 || len(d.tsRemote) == 0 {
		m.report(event.IKESelectorsRefused(m.path.remote, selectorText(d.wishLocal)+" to "+selectorText(d.wishRemote), tsr.String()+" to "+tsi.String()))
		return d, &ike2.Notify{Kind: ike2.TSUnacceptable}
	}
	return d, nil
}

// tsAnswer are TSi and TSr as narrowed.
func tsAnswer(d deal) []ike2.Payload {
	return []ike2.Payload{&ike2.TS{Initiator: true, Selectors: d.tsRemote}, &ike2.TS{Selectors: d.tsLocal}}
}

// acceptChild allocates our SPI, derives the keys and installs the inbound half.
func (m *machine) acceptChild(s *ikeSA, d deal, chosen ike2.Proposal, first bool, ke *ike2.KE, then func(*child, []ike2.Payload)) {
	refuse := func() { then(nil, []ike2.Payload{&ike2.Notify{Kind: ike2.NoAdditionalSAs}}) }
	if old := d.old; old != nil && (old.heir != nil || old.state >= deleting) {
		// We are closing it (RFC 7296 §2.25.1), or our own rekey is done and only the peer noticed the collision (§2.8.1).
		then(nil, []ike2.Payload{&ike2.Notify{Kind: ike2.TemporaryFailure}})
		return
	}
	spi, err := m.allocSPI(d.old)
	if err != nil {
		m.debugf("No inbound SPI: %v", err)
		refuse()
		return
	}
	d.in = spi
	c, err := m.newChild(s, d)
	if err != nil {
		m.emit(ike.Release{SPI: spi})
		refuse()
		return
	}
	ps := []ike2.Payload{&ike2.SA{Proposals: []ike2.Proposal{ike.AnswerESP(chosen, spi)}}}
	if !first {
		ps = append(ps, &ike2.Nonce{Data: d.nr})
	}
	if ke != nil {
		ps = append(ps, ke)
	}
	m.children = append(m.children, c)
	if d.old != nil {
		d.old.rival = c
	}
	m.crosses(s, c)
	m.install(c, sa.InboundHalf, func(err error) {
		if err != nil {
			m.report(event.IKEInstallFailed(m.path.remote, c.spec.In, err))
			m.giveUp(c)
			refuse()
			return
		}
		if c.state == installing {
			c.state = receiving
		}
		then(c, append(ps, tsAnswer(d)...))
	})
}

// giveUp takes a child back that the peer has not heard of.
func (m *machine) giveUp(c *child) {
	if c.old != nil && c.old.rival == c {
		c.old.rival = nil
	}
	m.remove(c, sa.TombInstallFailed)
}
