package ikev2

import (
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// respondInit answers the first message of an IKE SA (RFC 7296 §1.2). An answer without IKE SA leaves no state.
func (m *machine) respondInit(d ike.Datagram) {
	msg, err := ike2.Parse(d.Bytes)
	if err != nil {
		m.drop(parseReason(err))
		if parseReason(err) == reason.IKECritical && !msg.Response() {
			m.refuseInit(d, msg.Header, &ike2.Notify{Kind: ike2.UnsupportedCriticalPayload, Data: criticalKind(err)})
			return
		}
		m.close("not an IKE_SA_INIT request")
		return
	}
	if msg.Exchange != isakmp.IKESAInit || msg.Response() || !msg.FromInitiator() || msg.MessageID != 0 || msg.SPIi == 0 || msg.SPIr != 0 {
		m.drop(reason.IKEUnexpected)
		m.close("not an IKE_SA_INIT request")
		return
	}
	m.debugMessage(msg.Header, msg.Payloads, d.Local, d.Remote, true)
	sap, ok1 := ike2.Find[*ike2.SA](msg.Payloads)
	ke, ok2 := ike2.Find[*ike2.KE](msg.Payloads)
	ni, ok3 := ike2.Find[*ike2.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 {
		m.drop(reason.IKEMalformed) // RFC 7296 §2.21.1: INVALID_SYNTAX is never sent unprotected
		m.close("IKE_SA_INIT without SA, KE or nonce")
		return
	}
	chosen, answer, ok := m.chooseIKE(sap.Proposals, ke.Group, 0)
	switch {
	case !ok:
		m.report(event.IKENoProposal(d.Remote, "IKE", (&ike2.SA{Proposals: m.ownIKEOffer()}).String(), sap.String()))
		m.refuseInit(d, msg.Header, &ike2.Notify{Kind: ike2.NoProposalChosen})
	case chosen.Group != ke.Group:
		m.refuseInit(d, msg.Header, ike2.NotifyInvalidKE(chosen.Group))
	case !goodNonce(ni.Data, chosen.PRF):
		m.drop(reason.IKEMalformed)
		m.close("nonce too short")
	default:
		m.acceptInit(d, msg, chosen, answer, ke.Data, ni.Data)
	}
}

func criticalKind(err error) []byte {
	if c, ok := err.(*ike2.CriticalError); ok {
		return []byte{byte(c.Kind)}
	}
	return nil
}

// chooseIKE asks the policy of every candidate, in order.
func (m *machine) chooseIKE(offered []ike2.Proposal, group uint16, spi isakmp.SPI) (ike.IKESuite, ike2.Proposal, bool) {
	for _, p := range m.inQuestion() {
		if s, answer, ok := ike.ChooseIKE(p.Proposals, offered, group, spi); ok {
			return s, answer, true
		}
	}
	return ike.IKESuite{}, ike2.Proposal{}, false
}

// inQuestion are the peers that this may be: one, once it is authenticated.
func (m *machine) inQuestion() []*policy.Peer {
	if m.peer != nil {
		return []*policy.Peer{m.peer}
	}
	return m.cfg.candidates()
}

func (m *machine) ownIKEOffer() []ike2.Proposal {
	for _, p := range m.inQuestion() {
		return ike.OfferIKE(p.Proposals, 0)
	}
	return nil
}

// refuseInit answers without keeping anything: SPIr is 0 (RFC 7296 §2.6).
func (m *machine) refuseInit(d ike.Datagram, h isakmp.Header, n *ike2.Notify) {
	msg := &ike2.Message{Header: isakmp.Header{SPIi: h.SPIi, Version: isakmp.Version2, Exchange: isakmp.IKESAInit,
		Flags: isakmp.FlagResponse}, Payloads: []ike2.Payload{n}}
	m.debugMessage(msg.Header, msg.Payloads, d.Local, d.Remote, false)
	m.sendOn(d.Local, d.Remote, msg.Append(nil))
	m.cur.phase = over
	m.closed = true
	m.emit(ike.Closed{Why: n.Kind.String()})
}

// acceptInit computes the keys and answers. Our key and the shared secret are made in one go.
func (m *machine) acceptInit(d ike.Datagram, msg *ike2.Message, chosen ike.IKESuite, answer ike2.Proposal, public, ni []byte) {
	s := m.cur
	s.theirs, s.suite, s.ni, s.nr, s.recvInit = msg.SPIi, chosen, ni, m.nonce(), d.Bytes
	if s.nr == nil {
		m.close("no random nonce")
		return
	}
	m.emit(ike.Claim{SPI: s.ours})
	s.recv.Begin(d.Bytes)
	s.askedLocal, s.askedRemote = d.Local, d.Remote
	m.agree(chosen.Group, public, func(own, shared []byte, err error) {
		if err != nil {
			m.drop(reason.IKEMalformed) // the peer's value is refused, or we have no randomness
			m.end(ending{result: ike.InternalFailed, why: err.Error()})
			return
		}
		if err := s.deriveFirst(shared); err != nil {
			m.end(ending{result: ike.InternalFailed, why: err.Error()})
			return
		}
		m.detectNAT(msg.Payloads, msg.SPIi, 0, d.Local, d.Remote)
		m.answerInit(s, answer, &ike2.KE{Group: chosen.Group, Data: own})
	})
}

// agree makes our half of a key exchange and the shared secret, off the loop if the group is slow.
func (m *machine) agree(group uint16, public []byte, then func(own, shared []byte, err error)) {
	type halves struct{ own, shared []byte }
	ke := m.cfg.Env.KE
	m.compute(slow(group), func() (any, error) {
		kx, err := ke(group)
		if err != nil {
			return nil, err
		}
		shared, err := kx.Shared(public)
		return halves{kx.Public(), shared}, err
	}, func(v any, err error) {
		h, _ := v.(halves)
		then(h.own, h.shared, err)
	})
}

func (m *machine) answerInit(s *ikeSA, answer ike2.Proposal, ke *ike2.KE) {
	ps := []ike2.Payload{&ike2.SA{Proposals: []ike2.Proposal{answer}}, ke, &ike2.Nonce{Data: s.nr}, lockstepVendor()}
	ps = append(ps, m.natPayloads(s.theirs, s.ours)...)
	msg := &ike2.Message{Header: s.header(isakmp.IKESAInit, true, 0), Payloads: ps}
	s.sendInit = msg.Append(nil)
	m.debugMessage(msg.Header, ps, s.askedLocal, s.askedRemote, false)
	s.recv.Answer(s.sendInit)
	m.sendOn(s.askedLocal, s.askedRemote, s.sendInit)
}
