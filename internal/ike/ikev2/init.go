package ikev2

import (
	"io"
	"slices"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// initTask is IKE_SA_INIT as its initiator (RFC 7296 §1.2). Nothing in its answers is authentic: only COOKIE and
// INVALID_KE_PAYLOAD change what we do, both a bounded number of times; every other error is remembered, and we go on
// waiting for a good answer (§2.21.1).
type initTask struct {
	orders
	offer   []ike2.Proposal
	group   uint16
	kx      suite.KeyExchange
	cookie  []byte
	cookies int // answers with COOKIE
	groups  int // answers with INVALID_KE_PAYLOAD
	busy    bool
	refusal string // last error that an answer, perhaps forged, gave
}

func (t *initTask) start(m *machine, s *ikeSA) {
	t.offer = ike.OfferIKE(m.peer.Proposals, 0)
	if len(t.offer) == 0 {
		m.end(ending{result: ike.InternalFailed, why: "no IKE proposal is configured"})
		return
	}
	t.group = firstGroup(t.offer)
	if s.ni = m.nonce(); s.ni == nil {
		m.end(ending{result: ike.InternalFailed, why: "no random nonce"})
		return
	}
	t.makeKE(m, s)
}

// firstGroup is the group of the first DH transform: what goes into KE.
func firstGroup(offer []ike2.Proposal) uint16 {
	for _, tr := range offer[0].Transforms {
		if tr.Type == ike2.DH {
			return tr.ID
		}
	}
	return 0
}

// nonce draws a fresh one, nil if the source of randomness is broken.
func (m *machine) nonce() []byte {
	n := make([]byte, nonceLen)
	if _, err := io.ReadFull(m.cfg.Env.Rand, n); err != nil {
		return nil
	}
	return n
}

// slow says that a group's arithmetic belongs off the loop.
func slow(group uint16) bool {
	g, ok := suite.GroupByID(group)
	return ok && g.Slow()
}

// makeKE makes an ephemeral key of t.group and sends the request with it.
func (t *initTask) makeKE(m *machine, s *ikeSA) {
	t.busy = true
	ke, group := m.cfg.Env.KE, t.group
	m.compute(slow(group), func() (any, error) { return ke(group) }, func(v any, err error) {
		t.busy = false
		kx, ok := v.(suite.KeyExchange)
		if err != nil || !ok {
			m.end(ending{result: ike.InternalFailed, why: "no key for the key exchange"})
			return
		}
		t.kx = kx
		t.send(m, s)
	})
}

// send transmits the request. A retry has the COOKIE first and all else unchanged but KE (RFC 7296 §2.6, §1.2): same
// SPI, nonce and Message ID 0, and the full list of proposals, which AUTH protects.
func (t *initTask) send(m *machine, s *ikeSA) {
	var ps []ike2.Payload
	if t.cookie != nil {
		ps = append(ps, &ike2.Notify{Kind: ike2.Cookie, Data: t.cookie})
	}
	ps = append(ps, &ike2.SA{Proposals: t.offer}, &ike2.KE{Group: t.group, Data: t.kx.Public()}, &ike2.Nonce{Data: s.ni}, lockstepVendor())
	ps = append(ps, m.natPayloads(s.ours, 0)...)
	msg := &ike2.Message{Header: s.header(isakmp.IKESAInit, false, 0), Payloads: ps}
	s.sendInit = msg.Append(nil)
	m.debugMessage(msg.Header, ps, m.path.local, m.path.remote, false)
	m.requestBytes(s, isakmp.IKESAInit, s.sendInit, m.tune.Request)
}

// initMessage takes any IKE_SA_INIT message for this machine.
func (m *machine) initMessage(d ike.Datagram, h isakmp.Header) {
	s := m.cur
	if !h.Response() {
		m.initAgain(s, d, h)
		return
	}
	t, ok := s.active.(*initTask)
	switch {
	case !ok || t.busy:
		m.drop(reason.IKEDuplicate)
	case h.SPIi != s.ours || h.FromInitiator():
		m.drop(reason.IKEUnexpected)
	case h.MessageID != 0 || !s.send.Answers(0):
		m.drop(reason.IKEBadMessageID)
	default:
		t.take(m, s, d)
	}
}

// initAgain takes a request of IKE_SA_INIT: a responder answers the one that made it again, while it is half open
// (RFC 7296 §2.1).
func (m *machine) initAgain(s *ikeSA, d ike.Datagram, h isakmp.Header) {
	switch {
	case s.initiator && h.SPIi == s.ours:
		m.drop(reason.IKEReflected)
	case s.initiator || s.phase != halfOpen || string(d.Bytes) != string(s.recvInit):
		m.drop(reason.IKEUnexpected)
	default:
		m.drop(reason.IKEDuplicate)
		if s.sendInit != nil {
			m.sendOn(d.Local, d.Remote, s.sendInit)
		}
	}
}

// take reads a response to the outstanding request.
func (t *initTask) take(m *machine, s *ikeSA, d ike.Datagram) {
	msg, err := ike2.Parse(d.Bytes)
	if err != nil {
		m.drop(parseReason(err)) // RFC 7296 §2.5: in an IKE_SA_INIT response even a critical payload is ignored
		return
	}
	m.debugMessage(msg.Header, msg.Payloads, d.Local, d.Remote, true)
	if n := ike2.FindError(msg.Payloads); n != nil {
		t.refused(m, s, n)
		return
	}
	if n := ike2.FindNotify(msg.Payloads, ike2.Cookie); n != nil {
		t.challenged(m, s, n)
		return
	}
	t.accepted(m, s, d, msg)
}

// challenged repeats the request with the cookie (RFC 7296 §2.6).
func (t *initTask) challenged(m *machine, s *ikeSA, n *ike2.Notify) {
	if t.cookies >= maxCookies || len(n.Data) == 0 || len(n.Data) > maxCookieLen {
		m.drop(reason.IKEUnauthenticated)
		return
	}
	t.cookies++
	t.roundTrip()
	t.cookie = n.Data
	t.send(m, s)
}

// refused takes an unprotected error. Only INVALID_KE_PAYLOAD has an effect: KE in another group that we offered
// ourselves (RFC 7296 §1.2; anything else would be a downgrade).
func (t *initTask) refused(m *machine, s *ikeSA, n *ike2.Notify) {
	group, ok := n.WantedGroup()
	if ok && t.groups < maxKERetries && group != t.group && offers(t.offer, group) {
		t.groups++
		t.roundTrip()
		t.group = group
		t.makeKE(m, s)
		return
	}
	m.drop(reason.IKEUnauthenticated)
	if t.refusal == "" && n.Kind == ike2.NoProposalChosen {
		m.report(event.IKENoProposal(m.path.remote, "IKE", (&ike2.SA{Proposals: t.offer}).String(), ""))
	}
	t.refusal = n.Kind.String()
}

func offers(offer []ike2.Proposal, group uint16) bool {
	return slices.ContainsFunc(offer, func(p ike2.Proposal) bool {
		return slices.Contains(p.Transforms, ike2.Transform{Type: ike2.DH, ID: group})
	})
}

// accepted goes on to IKE_AUTH with a good answer. What does not fit is dropped: a better one may still come.
func (t *initTask) accepted(m *machine, s *ikeSA, d ike.Datagram, msg *ike2.Message) {
	sap, ok1 := ike2.Find[*ike2.SA](msg.Payloads)
	ke, ok2 := ike2.Find[*ike2.KE](msg.Payloads)
	nr, ok3 := ike2.Find[*ike2.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 || msg.SPIr == 0 {
		m.drop(reason.IKEMalformed)
		return
	}
	chosen, err := ike.CheckIKE(t.offer, sap.Proposals)
	if err != nil || chosen.Group != ke.Group || ke.Group != t.group || !goodNonce(nr.Data, chosen.PRF) {
		m.drop(reason.IKEUnauthenticated)
		t.refusal = "its answer does not fit our offer"
		return
	}
	t.busy = true
	kx, public := t.kx, ke.Data
	m.compute(slow(t.group), func() (any, error) { return kx.Shared(public) }, func(v any, err error) {
		t.busy = false
		shared, ok := v.([]byte)
		if err != nil || !ok {
			m.drop(reason.IKEMalformed)
			t.refusal = "its key exchange value is refused"
			return
		}
		t.agreed(m, s, d, msg, chosen, nr.Data, shared)
	})
}

func (t *initTask) agreed(m *machine, s *ikeSA, d ike.Datagram, msg *ike2.Message, chosen ike.IKESuite, nr, shared []byte) {
	s.theirs, s.suite, s.nr, s.recvInit = msg.SPIr, chosen, nr, d.Bytes
	if err := s.deriveFirst(shared); err != nil {
		m.end(ending{result: ike.InternalFailed, why: err.Error()})
		return
	}
	m.sample(s.send.Done(m.now))
	t.roundTrip()
	m.detectNAT(msg.Payloads, msg.SPIi, msg.SPIr, d.Local, d.Remote)
	m.float()
	m.begin(s, &authTask{orders: t.orders})
}

// answer is never called: take reads the responses, which are not protected.
func (t *initTask) answer(*machine, *ikeSA, []ike2.Payload) {}

func (t *initTask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	if t.refusal != "" && result == ike.TimedOut {
		result, detail = ike.Refused, t.refusal
	}
	t.end(m, result, detail)
}
