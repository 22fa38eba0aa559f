package ikev2

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// answerOf gives a request of a to b and opens b's answer.
func (l *lab) answerOf(e isakmp.Exchange, ps []ike2.Payload) []ike2.Payload {
	l.t.Helper()
	m := l.a.mach()
	p := l.a.inject(e, l.b.mach().cur.recv.Expected(), false, ps)
	n := len(l.b.sent)
	l.arrive(p)
	for _, sent := range l.b.sent[n:] {
		if sent.header().Response() {
			got, why, err := m.open(m.cur, sent.msg)
			m.out = nil
			if why != reason.None || err != nil {
				l.fatalf("answer: %v %v", why, err)
			}
			return got
		}
	}
	l.fatalf("no answer")
	return nil
}

// newChildRequest is a CREATE_CHILD_SA as a would make it.
func (l *lab) newChildRequest(rekeys sa.SPI) []ike2.Payload {
	var ps []ike2.Payload
	if rekeys != 0 {
		ps = append(ps, ike2.NotifyChild(ike2.RekeySA, uint32(rekeys)))
	}
	offer := ike.OfferESP(l.a.cfg.Peer.IPsec.TransformSets, ike.PFS{}, 0xA777)
	return append(ps, &ike2.SA{Proposals: offer}, &ike2.Nonce{Data: bytes.Repeat([]byte{7}, nonceLen)},
		&ike2.TS{Initiator: true, Selectors: ike.AnyIPv4()}, &ike2.TS{Selectors: ike.AnyIPv4()})
}

func (l *lab) rekeyIKERequest() []ike2.Payload {
	g, _ := suite.GroupByID(31)
	kx, err := g.Generate(&drbg{seed: "rekey"})
	if err != nil {
		l.t.Fatal(err)
	}
	return []ike2.Payload{&ike2.SA{Proposals: ike.OfferIKE(l.a.cfg.Peer.Proposals, 0x777)}, &ike2.Nonce{Data: bytes.Repeat([]byte{7}, nonceLen)},
		&ike2.KE{Group: 31, Data: kx.Public()}}
}

// RFC 7296 §2.25.1-2, protocol.md §5.7, row by row: what b is doing, what it is asked, what it says.
func TestExchangeCollisionTable(t *testing.T) {
	busy := func(v ike.Verb) func(l *lab) {
		return func(l *lab) { l.b.step(ike.Command{Verb: v}); l.wire = nil }
	}
	creating := func(l *lab) { l.b.mach().enqueue(&createTask{}); l.b.step(ike.Tick{}); l.wire = nil }
	rekeyC := func(l *lab) (isakmp.Exchange, []ike2.Payload) { return isakmp.CreateChildSA, l.newChildRequest(0xA001) }
	rekeyX := func(l *lab) (isakmp.Exchange, []ike2.Payload) { return isakmp.CreateChildSA, l.newChildRequest(0xA999) }
	create := func(l *lab) (isakmp.Exchange, []ike2.Payload) { return isakmp.CreateChildSA, l.newChildRequest(0) }
	closeC := func(l *lab) (isakmp.Exchange, []ike2.Payload) {
		return isakmp.Informational, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{0xA001}}}
	}
	closeX := func(l *lab) (isakmp.Exchange, []ike2.Payload) {
		return isakmp.Informational, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{0xA999}}}
	}
	rekeyIKE := func(l *lab) (isakmp.Exchange, []ike2.Payload) { return isakmp.CreateChildSA, l.rekeyIKERequest() }
	closeIKE := func(l *lab) (isakmp.Exchange, []ike2.Payload) {
		return isakmp.Informational, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoIKE}}
	}
	for _, c := range []struct {
		name  string
		doing func(l *lab)
		asked func(l *lab) (isakmp.Exchange, []ike2.Payload)
		want  any // a NotifyType; a PayloadType that must be there; nil: empty
	}{
		{"row 1: who closes C refuses its rekey for now", busy(ike.VerbClearChild), rekeyC, ike2.TemporaryFailure},
		{"row 2: who rekeys C answers its rekey as usual", busy(ike.VerbRekeyChild), rekeyC, ike2.PayloadSA},
		{"row 3: the rekey of an unknown child is not found, by its SPI", func(*lab) {}, rekeyX, ike2.ChildSANotFound},
		{"row 3: it may be the child that we are creating", creating, rekeyX, ike2.TemporaryFailure},
		{"row 3: or that we are rekeying", busy(ike.VerbRekeyChild), rekeyX, ike2.TemporaryFailure},
		{"row 4: who closes C answers its Delete without one", busy(ike.VerbClearChild), closeC, nil},
		{"row 5: who rekeys C answers its Delete as usual", busy(ike.VerbRekeyChild), closeC, ike2.PayloadDelete},
		{"row 6: the Delete of an unknown child is answered empty", func(*lab) {}, closeX, nil},
		{"row 7: who creates a child refuses an IKE rekey for now", creating, rekeyIKE, ike2.TemporaryFailure},
		{"row 7: who rekeys a child refuses an IKE rekey for now", busy(ike.VerbRekeyChild), rekeyIKE, ike2.TemporaryFailure},
		{"row 7: who closes a child refuses an IKE rekey for now", busy(ike.VerbClearChild), rekeyIKE, ike2.TemporaryFailure},
		{"row 8: who rekeys the IKE SA answers its rekey as usual", busy(ike.VerbRekeyIKE), rekeyIKE, ike2.PayloadSA},
		{"row 9: who closes the IKE SA refuses its rekey for now", busy(ike.VerbClearIKE), rekeyIKE, ike2.TemporaryFailure},
		{"row 10: who rekeys the IKE SA answers its Delete as usual", busy(ike.VerbRekeyIKE), closeIKE, nil},
		{"row 11: who closes the IKE SA answers its Delete as usual", busy(ike.VerbClearIKE), closeIKE, nil},
		{"row 12: who rekeys the IKE SA refuses a new child for now", busy(ike.VerbRekeyIKE), create, ike2.TemporaryFailure},
		{"row 12: who rekeys the IKE SA refuses the rekey of a child for now", busy(ike.VerbRekeyIKE), rekeyC, ike2.TemporaryFailure},
		{"row 13: who rekeys the IKE SA answers the Delete of a child as usual", busy(ike.VerbRekeyIKE), closeC, ike2.PayloadDelete},
		{"liveness outstanding, rekey IKE", busy(ike.VerbLiveness), rekeyIKE, ike2.PayloadSA},
		{"idle, create a child", func(*lab) {}, create, ike2.PayloadSA},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			c.doing(l)
			got := l.answerOf(c.asked(l))
			switch want := c.want.(type) {
			case ike2.NotifyType:
				n := ike2.FindNotify(got, want)
				if n == nil || len(got) != 1 {
					l.fatalf("answered %v, want %v", payloadNames(got), want)
				}
				if spi, _ := n.ChildSPI(); want == ike2.ChildSANotFound && spi != 0xA999 {
					l.fatalf("CHILD_SA_NOT_FOUND names %x", spi)
				}
			case ike2.PayloadType:
				if len(got) == 0 || got[0].Type() != want {
					l.fatalf("answered %v, want %v", payloadNames(got), want)
				}
				if d, ok := got[0].(*ike2.Delete); ok && (len(d.SPIs) != 1 || d.SPIs[0] != 0xB001) {
					l.fatalf("paired SPIs %x", d.SPIs)
				}
			default:
				if len(got) != 0 {
					l.fatalf("answered %v, want nothing", payloadNames(got))
				}
			}
		})
	}
}

func TestASecondIKERekeyOfAReplacedSAIsRefused(t *testing.T) {
	l := newLab(t)
	l.up()
	if got := l.answerOf(isakmp.CreateChildSA, l.rekeyIKERequest()); got[0].Type() != ike2.PayloadSA {
		t.Fatal("first rekey refused")
	}
	// b has moved on; a asks on the old SA once more, for whatever reason.
	m := l.a.mach()
	p := l.a.inject(isakmp.CreateChildSA, 3, false, l.rekeyIKERequest())
	l.arrive(p)
	ps, _, err := m.open(m.cur, l.b.sent[len(l.b.sent)-1].msg)
	m.out = nil
	if err != nil || ike2.FindNotify(ps, ike2.TemporaryFailure) == nil {
		t.Errorf("answered %v, %v", payloadNames(ps), err)
	}
}

func TestASecondIKERekeyInACollisionIsRefused(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.step(ike.Command{Verb: ike.VerbRekeyIKE})
	l.wire = nil
	if got := l.answerOf(isakmp.CreateChildSA, l.rekeyIKERequest()); got[0].Type() != ike2.PayloadSA {
		t.Fatal("first rekey refused")
	}
	l.a.mach().cur.send.Start(l.now, nil, ike.RequestSchedule())
	l.a.mach().cur.send.Done(l.now)
	if got := l.answerOf(isakmp.CreateChildSA, l.rekeyIKERequest()); ike2.FindNotify(got, ike2.TemporaryFailure) == nil {
		t.Errorf("answered %v", payloadNames(got))
	}
}

// a's own rekey, without key exchange, is answered while a still computes its answer to b's, with one:
//
//	a                              b
//	├─ REKEY ────────────┐ ┌───────┤ REKEY, KE of group 14
//	│◄───────────────────┼─┘       │
//	│ computing          └────────►│
//	│◄─────────────────────────────┤ answer: a is done
//	├─ TEMPORARY_FAILURE ─────────►│ only b noticed the collision (RFC 7296 §2.8.1)
func TestRekeyThatIsOvertakenByOurOwnIsRefused(t *testing.T) {
	l := newLab(t)
	l.up()
	l.watch()
	l.a.force(1, 1) // it would lose
	l.b.force(5, 5)
	l.b.cfg.Peer.IPsec.PFS = 14
	l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 51})
	l.b.cfg.Peer.IPsec.PFS = 0
	l.a.slow = func(e ike.Effect) bool { _, ok := e.(ike.Compute); return ok }
	l.hop() // a computes
	l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 50})
	l.a.slow = nil
	// a's request waits behind the computation in the runner; it left before in truth.
	for i, e := range l.a.queue {
		if _, ok := e.(ike.Persist); ok {
			l.a.queue = append(l.a.queue[:i:i], l.a.queue[i+1:]...)
			l.a.take(nil)
			effects := l.a.m.Step(l.now, ike.Done{ID: e.(ike.Persist).ID})
			for _, e := range effects {
				l.a.perform(e)
			}
			break
		}
	}
	l.run() // b answers, a has its child
	l.a.release()
	l.settle(1)
	if l.a.m.Status().Children[0].In != 0xA002 {
		l.fatalf("not a's child stays")
	}
	l.a.want(50, ike.OK)
	l.b.want(51, ike.OK)
}

func TestDeleteThatOvertakesItsChildIsRemembered(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = true, false
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbClearChild})
	l.run()
	l.a.step(ike.Acquire{TSLocal: prefix("10.0.0.1/32")})
	l.hop() // b has made the child, its answer is under way
	answer := l.wire
	l.wire = nil
	l.b.step(ike.Command{Verb: ike.VerbClearChild, Ref: 51})
	l.run() // the Delete gets through first
	l.wire = answer
	l.run()
	l.b.want(51, ike.OK)
	l.advance(time.Minute)
	l.mustWork()
	l.mustAgree(1) // a fresh one
	if _, ok := l.a.tombs[0xA002]; ok || l.a.sad[0xA002] != sa.Unknown {
		t.Errorf("the dead child was installed: %v", l.a.sad[0xA002])
	}
}

func TestAnswersThatDoNotFitOurOfferMakeNoChild(t *testing.T) {
	for name, change := range map[string]func(ps []ike2.Payload) []ike2.Payload{
		"wider selectors": func(ps []ike2.Payload) []ike2.Payload {
			ps[2] = &ike2.TS{Initiator: true, Selectors: ike.AnyIPv4()}
			return ps
		},
		"other algorithm": func(ps []ike2.Payload) []ike2.Payload {
			ps[0].(*ike2.SA).Proposals[0].Transforms[0].KeyLength = 128
			return ps
		},
		"reserved SPI": func(ps []ike2.Payload) []ike2.Payload {
			ps[0].(*ike2.SA).Proposals[0].SPI = []byte{0, 0, 0, 255}
			return ps
		},
		"no nonce": func(ps []ike2.Payload) []ike2.Payload { return append(ps[:1:1], ps[2:]...) },
		"no TSr":   func(ps []ike2.Payload) []ike2.Payload { return ps[:3] },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.a.cfg.TSLocal = prefix("10.1.0.0/16")
			l.up()
			l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
			l.wire = nil
			offer := l.a.mach().cur.active.(*createTask).offer
			good := []ike2.Payload{
				&ike2.SA{Proposals: []ike2.Proposal{{Number: 1, Protocol: ike2.ProtoESP, SPI: []byte{0, 0, 0xB7, 1},
					Transforms: append([]ike2.Transform(nil), offer.proposals[0].Transforms...)}}},
				&ike2.Nonce{Data: bytes.Repeat([]byte{1}, nonceLen)},
				&ike2.TS{Initiator: true, Selectors: prefix("10.1.0.0/16")}, &ike2.TS{Selectors: ike.AnyIPv4()}}
			l.arrive(l.b.inject(isakmp.CreateChildSA, 2, true, change(good)))
			l.a.want(5, ike.Refused)
			if l.a.sad[offer.spi] != sa.Unknown || len(l.a.inbound) != 1 || l.a.sad[0xA002] != sa.Unknown {
				t.Errorf("state of the offered SPI: %v", l.a.sad[0xA002])
			}
			// The peer has made a half of it, which a Delete takes away.
			if _, ps := l.a.lastRequest(); len(ps) != 1 || ps[0].Type() != ike2.PayloadDelete || ps[0].(*ike2.Delete).SPIs[0] != 0xA002 {
				t.Errorf("sent %v", payloadNames(ps))
			}
		})
	}
}

func TestCandidateMustPermitTheNegotiatedSuite(t *testing.T) {
	l := newLab(t)
	weak, strict := testPeer(addrA), testPeer(addrA)
	weak.ID, weak.IKE.MatchRemote = 1, []policy.IdentityMatch{{Exact: policy.Identity{Kind: policy.IDFQDN, Value: "nobody"}}}
	weak.Proposals[0].Encr = append(weak.Proposals[0].Encr, policy.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 128})
	strict.ID, strict.IKE.MatchRemote = 2, []policy.IdentityMatch{{Any: true}}
	l.b.cfg.Peer, l.b.cfg.Candidates = nil, []*policy.Peer{weak, strict}
	l.a.cfg.Peer.Proposals[0].Encr = []policy.Cipher{{Encr: suite.EncrAESGCM16, KeyBits: 128}}
	l.start()
	l.run()
	l.a.want(1, ike.AuthFailed)
	if !l.b.said("IKEV2_AUTH_FAILED", "does not permit the negotiated IKE proposal") {
		t.Error(l.transcript())
	}
}

func TestPeerThatMovesIsFollowedByItsIKEMessages(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Encap, l.b.cfg.Encap = policy.EncapForce, policy.EncapNever
	l.up()
	to := netip.MustParseAddrPort("203.0.113.77:41000")
	p := l.a.inject(isakmp.Informational, 2, false, nil)
	l.b.step(ike.Datagram{Local: p.remote, Remote: to, Bytes: p.msg})
	if l.b.m.Status().Remote != to || len(l.b.moved) != 1 {
		t.Errorf("remote %v, moved %v", l.b.m.Status().Remote, l.b.moved)
	}
	// The same message again, from elsewhere: an old copy moves nothing.
	l.b.step(ike.Datagram{Local: p.remote, Remote: netip.MustParseAddrPort("203.0.113.78:1"), Bytes: p.msg})
	if l.b.m.Status().Remote != to {
		t.Error("a replayed message moved the peer")
	}
}

func TestBarrierThatEndsAfterTheMachineDidChangesNothing(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.slow = func(e ike.Effect) bool { i, ok := e.(ike.Install); return ok && i.Half == sa.InboundHalf }
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild}) // b installs, and its answer waits
	id := *l.b.blocked
	m := l.b.mach()
	m.now = l.now
	m.end(ending{cause: sa.TombIKEDeleted, result: ike.NoIKE, why: "test", linger: true})
	m.flush()
	if effects := m.Step(l.now, ike.Done{ID: id}); len(effects) != 0 {
		t.Errorf("%d effects, first %T", len(effects), effects[0])
	}
	if effects := m.Step(l.now, ike.Done{ID: 12345}); len(effects) != 0 {
		t.Error("an unknown barrier had an effect")
	}
}

func TestWantedChildIsAskedForWithGrowingPauses(t *testing.T) {
	l := newLab(t)
	l.b.cfg.TSRemote = prefix("10.1.0.0/24")
	l.a.cfg.TSLocal = prefix("10.9.0.0/24")
	l.b.cfg.Peer.Initiate = false
	l.start()
	l.run()
	sent := len(l.a.sent)
	l.advance(10 * time.Minute)
	if n := len(l.a.sent) - sent; n < 4 || n > 8 { // 10, 20, 40, … 300 s
		t.Errorf("%d attempts in ten minutes", n)
	}
}

func TestKeysOfAMachineAreNeverPrinted(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Key.Local = policy.NewSecret([]byte("TOPSECRETKEY"))
	l.b.cfg.Peer.Key.Remote = policy.NewSecret([]byte("TOPSECRETKEY"))
	l.up()
	for _, e := range l.a.events {
		if bytes.Contains([]byte(e.Text), []byte("TOPSECRETKEY")) {
			t.Errorf("%q", e.Text)
		}
		for _, a := range e.Attrs {
			if bytes.Contains([]byte(a.String()), []byte("TOPSECRETKEY")) {
				t.Errorf("%v", a)
			}
		}
	}
}
