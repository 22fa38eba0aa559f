package ikev2

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

// childWish is what a child of ours is for.
type childWish struct {
	first             bool               // in IKE_AUTH
	old               *child             // rekey of this one
	instead           *child             // a fresh one for this one, which goes then
	lost              sa.SPI             // rekey of this inbound SPI, which we do not have any more; 0: none
	tsLocal, tsRemote []ike2.Selector    // of the packet that wants it, put in front (RFC 7296 §2.9); empty: none
	forPacket         bool               // nobody else wants it: a child that carries the packet will do
	carried           [2][]ike2.Selector // local and remote, of an SA that the peer has lost: another child that carries them will do
}

// childOffer is a request for a child on its way: its inbound SPI is larval.
type childOffer struct {
	childWish
	spi                   sa.SPI
	proposals             []ike2.Proposal
	wishLocal, wishRemote []ike2.Selector
	ni                    []byte // nil in IKE_AUTH, where the nonces of IKE_SA_INIT serve
	kx                    suite.KeyExchange
}

func (w childWish) pfs(m *machine) ike.PFS { return ike.PFS{First: w.first, Group: m.peer.IPsec.PFS} }

// offerChild allocates the inbound SPI and decides what is offered. A rekey offers the selectors of the old child again,
// without a packet's in front (RFC 7296 §2.9.2).
func (m *machine) offerChild(w childWish) (*childOffer, error) {
	sets := m.peer.IPsec.TransformSets
	if len(sets) == 0 {
		return nil, errors.New("no transform set is configured")
	}
	o := &childOffer{childWish: w, wishLocal: m.cfg.tsLocal(), wishRemote: m.cfg.tsRemote()}
	if before := cmp.Or(w.old, w.instead); before != nil && len(before.wishLocal) > 0 {
		o.wishLocal, o.wishRemote = before.wishLocal, before.wishRemote
	}
	if !w.first {
		if o.ni = m.nonce(); o.ni == nil {
			return nil, errors.New("no random nonce")
		}
	}
	spi, err := m.allocSPI(cmp.Or(w.old, w.instead))
	if err != nil {
		return nil, fmt.Errorf("allocate an inbound SPI: %w", err)
	}
	o.spi, o.proposals = spi, ike.OfferESP(sets, w.pfs(m), spi)
	return o, nil
}

// payloads are SA, [Ni, KE,] TSi and TSr of the request.
func (o *childOffer) payloads(initiator bool) []ike2.Payload {
	ps := []ike2.Payload{&ike2.SA{Proposals: o.proposals}}
	if o.ni != nil {
		ps = append(ps, &ike2.Nonce{Data: o.ni})
	}
	if o.kx != nil {
		ps = append(ps, &ike2.KE{Group: o.kx.Group(), Data: o.kx.Public()})
	}
	return append(ps, &ike2.TS{Initiator: true, Selectors: inFront(o.tsLocal, o.wishLocal)},
		&ike2.TS{Selectors: inFront(o.tsRemote, o.wishRemote)})
}

func inFront(packet, rest []ike2.Selector) []ike2.Selector {
	return append(slices.Clone(packet), rest...)
}

// release gives the larval SPI of an offer up that came to nothing.
func (m *machine) release(o *childOffer) {
	if o.spi != 0 {
		m.emit(ike.Release{SPI: o.spi})
		o.spi = 0
	}
}

// errSelectors: the peer's selectors are no subset of ours.
var errSelectors = errors.New("the peer's traffic selectors are no part of ours")

// childFromAnswer makes the child that the peer agreed to. shared is g^ir where there was a key exchange.
func (m *machine) childFromAnswer(s *ikeSA, o *childOffer, ps []ike2.Payload, shared []byte) (*child, error) {
	sap, ok := ike2.Find[*ike2.SA](ps)
	tsi, tsr := ike2.FindTS(ps, true), ike2.FindTS(ps, false)
	if !ok || tsi == nil || tsr == nil {
		return nil, errors.New("answer without SA, TSi or TSr")
	}
	chosen, err := ike.CheckESP(o.proposals, sap.Proposals)
	if err != nil {
		return nil, err
	}
	if !ike.Within(tsi.Selectors, inFront(o.tsLocal, o.wishLocal)) || !ike.Within(tsr.Selectors, inFront(o.tsRemote, o.wishRemote)) {
		return nil, fmt.Errorf("%w: %v, %v", errSelectors, tsi, tsr)
	}
	d := deal{suite: chosen, in: o.spi, tsLocal: tsi.Selectors, tsRemote: tsr.Selectors, wishLocal: o.wishLocal,
		wishRemote: o.wishRemote, ni: s.ni, nr: s.nr, shared: shared, initiator: true, old: o.old}
	if o.ni != nil {
		nr, ok := ike2.Find[*ike2.Nonce](ps)
		if !ok || !goodNonce(nr.Data, s.suite.PRF) {
			return nil, errors.New("answer without a usable nonce")
		}
		d.ni, d.nr = o.ni, nr.Data
	}
	c, err := m.newChild(s, d)
	if err == nil {
		o.spi = 0 // the child's from here on
	}
	return c, err
}

// childRefused reports why the peer made no child, and gives the offer up.
func (m *machine) childRefused(o *childOffer, n *ike2.Notify) {
	switch n.Kind {
	case ike2.NoProposalChosen, ike2.InvalidKEPayload:
		m.report(event.IKENoProposal(m.path.remote, "ESP", (&ike2.SA{Proposals: o.proposals}).String(), ""))
	case ike2.TSUnacceptable, ike2.SinglePairRequired:
		m.report(event.IKESelectorsRefused(m.path.remote, selectorText(o.wishLocal)+" to "+selectorText(o.wishRemote), ""))
	default:
		m.debugf("Peer refused a child SA: %v", n.Kind)
	}
	m.release(o)
}

// childMisanswered gives an offer up whose answer is none. The peer has made a half of it, which must go: its SPI is in
// the answer, but what a Delete names is our own inbound SPI (RFC 7296 §1.4.1).
func (m *machine) childMisanswered(o *childOffer, ps []ike2.Payload, err error) {
	m.debugf("Answer for a child SA refused: %v", err)
	if errors.Is(err, errSelectors) {
		m.report(event.IKESelectorsRefused(m.path.remote, selectorText(o.wishLocal)+" to "+selectorText(o.wishRemote),
			tsText(ps, true)+" to "+tsText(ps, false)))
	}
	if errors.Is(err, ike.ErrAnswer) {
		theirs, _ := ike2.Find[*ike2.SA](ps)
		m.report(event.IKENoProposal(m.path.remote, "ESP", (&ike2.SA{Proposals: o.proposals}).String(), theirs.String()))
	}
	m.enqueue(&deleteTask{spis: []sa.SPI{o.spi}, quiet: true, why: sa.TombInstallFailed})
	m.release(o)
}

func tsText(ps []ike2.Payload, initiator bool) string {
	ts := ike2.FindTS(ps, initiator)
	if ts == nil {
		return "none"
	}
	return ts.String()
}

// unheard is the inbound SPI whose packets are lost until the rekey; 0: none are.
//
// Deviation: the rekey of a lost SA says INVALID_SPI of it besides. A responder sends on the old SA until it sees that its
// peer is ready (RFC 7296 §2.8), which costs a round trip when nobody hears the old one. Only gateways of our own are told so:
// others may not expect the notify in this message.
func (w childWish) unheard() sa.SPI {
	if w.old != nil && w.old.vanished {
		return w.old.spec.In
	}
	return w.lost
}

// rekeyNotify names the SA that a request rekeys by our inbound SPI (RFC 7296 §1.3.3).
func (w childWish) rekeyNotify() *ike2.Notify {
	switch {
	case w.old != nil:
		return ike2.NotifyChild(ike2.RekeySA, uint32(w.old.spec.In))
	case w.lost != 0:
		return ike2.NotifyChild(ike2.RekeySA, uint32(w.lost))
	}
	return nil
}
