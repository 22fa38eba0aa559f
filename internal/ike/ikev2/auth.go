package ikev2

import (
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// authTask is IKE_AUTH as its initiator, with the first child (RFC 7296 §1.2).
type authTask struct {
	orders
	offer *childOffer
}

func (t *authTask) start(m *machine, s *ikeSA) {
	offer, err := m.offerChild(childWish{first: true})
	if err != nil {
		m.end(ending{result: ike.InternalFailed, why: err.Error()})
		return
	}
	t.offer = offer
	m.localID = m.localIdentity(m.peer)
	id := idPayload(m.localID, true)
	ps := []ike2.Payload{id}
	if m.firstContact() {
		ps = append(ps, &ike2.Notify{Kind: ike2.InitialContact})
	}
	ps = append(ps, s.ownAuth(m.peer.Key.Local, id))
	ps = append(ps, offer.payloads(true)...)
	m.persist(false, func(err error) {
		if err != nil {
			m.end(ending{result: ike.InternalFailed, why: err.Error()})
			return
		}
		m.request(s, isakmp.IKEAuth, ps, m.tune.Request)
	})
}

// firstContact asks whether INITIAL_CONTACT would be true (RFC 7296 §2.4). `initial-contact force` does not make it so: it
// is about what peers leave out.
func (m *machine) firstContact() bool {
	return m.cfg.InitialContact != nil && m.cfg.InitialContact()
}

func (t *authTask) answer(m *machine, s *ikeSA, ps []ike2.Payload) {
	idr := ike2.FindID(ps, false)
	auth, ok := ike2.Find[*ike2.Auth](ps)
	if idr == nil || !ok {
		t.refusedUs(m, s, ike2.FindError(ps))
		return
	}
	m.remoteID = identityOf(idr)
	if what, remedy := m.judge(s, idr, auth); what != "" {
		// RFC 7296 §2.21.2: tell it, and forget the SA without Delete.
		m.report(event.IKEAuthFailed(m.path.remote, idr.String(), what, remedy))
		m.tellAuthFailed(s)
		m.end(ending{result: ike.AuthFailed, why: what})
		return
	}
	m.establish(s, ike2.FindNotify(ps, ike2.InitialContact) != nil, t.ref())
	m.authLifetime(ps)
	m.finishFirstChild(s, t, ps)
}

// judge says what is wrong with the peer's identity and proof, and what to change; empty: nothing.
func (m *machine) judge(s *ikeSA, id *ike2.ID, a *ike2.Auth) (what, remedy string) {
	if !mayBe(m.peer, identityOf(id)) {
		return "its identity matches no 'match identity remote' line of profile " + m.peer.IKE.Name,
			"Add a line for this identity, or correct the peer's 'identity local'"
	}
	if a.Method != ike2.AuthSharedKey {
		return "it authenticates by " + a.Method.String() + ", not by pre-shared key",
			"Configure a pre-shared key at the peer"
	}
	if !s.proves(a, m.peer.Key.Remote, id) {
		return "the pre-shared keys differ",
			"Make 'pre-shared-key' of keyring peer " + m.peer.Key.Name + " the same on both ends"
	}
	return "", ""
}

// refusedUs ends the attempt: the peer gave an error in place of its proof.
func (t *authTask) refusedUs(m *machine, s *ikeSA, n *ike2.Notify) {
	result, why := ike.Refused, "IKE_AUTH response without IDr and AUTH"
	if n != nil {
		why = n.Kind.String()
	}
	if n != nil && n.Kind == ike2.AuthenticationFailed {
		result = ike.AuthFailed
		m.report(m.peerRefusedUs())
	}
	m.end(ending{result: result, why: why})
}

// peerRefusedUs is what an operator is told when the peer does not take us for whom we say we are.
func (m *machine) peerRefusedUs() event.Record {
	return event.IKEAuthFailed(m.path.remote, m.localID.String(), "the peer refused our identity or our pre-shared key",
		"Compare 'pre-shared-key' of keyring peer "+m.peer.Key.Name+" and our 'identity local' with what the peer expects")
}

// tellAuthFailed is the one INFORMATIONAL that nobody waits for.
func (m *machine) tellAuthFailed(s *ikeSA) {
	msg, err := m.seal(s, isakmp.Informational, false, s.send.ID(), []ike2.Payload{&ike2.Notify{Kind: ike2.AuthenticationFailed}})
	if err == nil {
		m.send(msg)
	}
}

// finishFirstChild takes the child part of the answer. Its failure leaves the IKE SA up (RFC 7296 §1.2).
func (m *machine) finishFirstChild(s *ikeSA, t *authTask, ps []ike2.Payload) {
	if n := ike2.FindError(ps); n != nil {
		m.finish(s)
		m.childRefused(t.offer, n)
		t.end(m, ike.Refused, n.Kind.String())
		m.wantChildLater()
		return
	}
	c, err := m.childFromAnswer(s, t.offer, ps, nil)
	if err != nil {
		m.finish(s)
		m.childMisanswered(t.offer, ps, err)
		t.end(m, ike.Refused, err.Error())
		m.wantChildLater()
		return
	}
	m.bringUp(c, t.ref(), func(ok bool) {
		m.finish(s)
		if !ok {
			t.end(m, ike.InternalFailed, "install failed")
			return
		}
		t.end(m, ike.OK, "")
	})
}

func (t *authTask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	if t.offer != nil {
		m.release(t.offer)
	}
	t.end(m, result, detail)
}
