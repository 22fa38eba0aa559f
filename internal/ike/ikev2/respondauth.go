package ikev2

import (
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// respondAuth answers IKE_AUTH (RFC 7296 §1.2). On failure AUTHENTICATION_FAILED goes back alone, and the half-open SA
// is forgotten once it need not answer repetitions any more (§2.21.2).
func (m *machine) respondAuth(s *ikeSA, ps []ike2.Payload) {
	idi := ike2.FindID(ps, true)
	auth, ok := ike2.Find[*ike2.Auth](ps)
	if idi == nil || !ok {
		m.authRefused(s, "none", "IKE_AUTH without IDi and AUTH", "Configure the peer for pre-shared keys")
		return
	}
	p, what, remedy := m.identify(s, idi, auth)
	if p == nil {
		m.authRefused(s, idi.String(), what, remedy)
		return
	}
	m.peer, m.remoteID, m.localID = p, identityOf(idi), m.localIdentity(p)
	initialContact := ike2.FindNotify(ps, ike2.InitialContact) != nil
	idr := idPayload(m.localID, false)
	head := []ike2.Payload{idr}
	if m.firstContact() {
		head = append(head, &ike2.Notify{Kind: ike2.InitialContact})
	}
	head = append(head, s.ownAuth(p.Key.Local, idr))
	// RFC 7296 §2.23: the caller floats to port 4500 with this message. Whoever is behind a NAT follows no later move, but
	// this one is part of the handshake.
	m.path.local, m.path.remote = s.askedLocal, s.askedRemote
	m.establish(s, initialContact, 0)
	m.respondFirstChild(s, head, ps)
}

// identify finds the candidate that the caller proves to be: by identity, key, and the proposal that was chosen before
// it was known. Otherwise it says what is wrong with the best of them.
func (m *machine) identify(s *ikeSA, id *ike2.ID, a *ike2.Auth) (p *policy.Peer, what, remedy string) {
	what = "its identity matches no 'match identity remote' line"
	remedy = "Add a line for this identity to the IKEv2 profile, or correct the peer's 'identity local'"
	for _, c := range m.cfg.candidates() {
		m.peer = c
		w, r := m.judge(s, id, a)
		if w == "" && !permits(c, s.suite) {
			w, r = "its profile does not permit the negotiated IKE proposal", "Give all peers of one address the same 'crypto ikev2 proposal'"
		}
		if w == "" {
			return c, "", ""
		}
		if mayBe(c, identityOf(id)) {
			what, remedy = w, r
		}
	}
	return nil, what, remedy
}

// permits says that p's policy would have chosen the suite from an offer of itself.
func permits(p *policy.Peer, s ike.IKESuite) bool {
	offer := []ike2.Proposal{{Number: 1, Protocol: ike2.ProtoIKE, Transforms: []ike2.Transform{
		{Type: ike2.ENCR, ID: s.Cipher.Encr, KeyLength: s.Cipher.KeyBits}, {Type: ike2.PRF, ID: s.PRF.ID()},
		{Type: ike2.INTEG, ID: s.Cipher.Integ}, {Type: ike2.DH, ID: s.Group}}}}
	_, _, ok := ike.ChooseIKE(p.Proposals, offer, s.Group, 0)
	return ok
}

func (m *machine) authRefused(s *ikeSA, id, what, remedy string) {
	m.peer = nil
	m.report(event.IKEAuthFailed(s.askedRemote, id, what, remedy))
	m.refuse(s, isakmp.IKEAuth, ike2.AuthenticationFailed)
	m.end(ending{result: ike.AuthFailed, why: what, linger: true})
}

// respondFirstChild answers with the child that the request asks for, or with why there is none: the IKE SA is up either
// way (RFC 7296 §1.2).
func (m *machine) respondFirstChild(s *ikeSA, head, ps []ike2.Payload) {
	answer := func(tail []ike2.Payload, then func()) {
		m.persist(false, func(err error) {
			if err != nil {
				// What is not stored must not be promised: the caller tries again.
				m.recant(s, "store: "+err.Error())
				return
			}
			m.respond(s, isakmp.IKEAuth, append(head, tail...))
			then()
		})
	}
	if _, ok := ike2.Find[*ike2.SA](ps); !ok {
		answer(nil, func() { m.exchange(ike.ExchangeEnded, s, isakmp.IKEAuth); m.wantChildLater() }) // childless: RFC 6023
		return
	}
	m.exchange(ike.ExchangeStarted, s, isakmp.IKEAuth)
	m.childFromRequest(s, isakmp.IKEAuth, ps, nil, func(c *child, tail []ike2.Payload) {
		answer(tail, func() {
			m.exchange(ike.ExchangeEnded, s, isakmp.IKEAuth)
			if c == nil {
				m.wantChildLater()
				return
			}
			m.useLater(c, nil)
		})
	})
}

// recant closes an IKE SA whose state could not be stored before the answer to IKE_AUTH.
func (m *machine) recant(s *ikeSA, why string) {
	m.refuse(s, isakmp.IKEAuth, ike2.TemporaryFailure)
	m.end(ending{result: ike.InternalFailed, why: why, linger: true})
}
