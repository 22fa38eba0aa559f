package ikev2

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// answering lets b answer every CREATE_CHILD_SA of a with a notify, as long as it gives one, and counts them.
func (l *lab) answering(with func(ps []ike2.Payload) *ike2.Notify) (asked *[]time.Time) {
	asked = new([]time.Time)
	l.fault = func(p packet) fate {
		h := p.header()
		if p.from != l.a || h.Exchange != isakmp.CreateChildSA || h.Response() {
			return deliver
		}
		b := l.b.mach()
		ps, _, _ := b.open(b.cur, p.msg)
		b.out = nil
		n := with(ps)
		if n == nil {
			return deliver
		}
		*asked = append(*asked, l.now)
		b.cur.recv = ike.RecvFrom(h.MessageID + 1)
		l.wire = append(l.wire, l.b.inject(isakmp.CreateChildSA, h.MessageID, true, []ike2.Payload{n}))
		return lose
	}
	return asked
}

func always(kind ike2.NotifyType) func([]ike2.Payload) *ike2.Notify {
	return func([]ike2.Payload) *ike2.Notify { return &ike2.Notify{Kind: kind} }
}

// RFC 7296 §2.25: not at once, with jitter, over minutes; then the two ends are out of step, and the IKE SA is closed.
func TestTemporaryFailureIsRetriedWithPausesAndAfterMinutesClosesTheIKESA(t *testing.T) {
	for name, verb := range map[string]ike.Verb{"child": ike.VerbRekeyChild, "IKE SA": ike.VerbRekeyIKE} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			dice := rand.New(rand.NewPCG(7, 7))
			l.a.cfg.Env.Jitter = func(most time.Duration) time.Duration { return time.Duration(dice.Int64N(int64(most))) }
			l.a.cfg.Peer.Initiate = false
			l.up()
			asked := l.answering(always(ike2.TemporaryFailure))
			l.a.command(ike.Command{Verb: verb, Ref: 5})
			l.a.want(5, ike.Refused)
			l.advance(4 * time.Minute)
			if l.a.closed != "" || l.a.mach().cur.phase != established {
				l.fatalf("closed too early: %q", l.a.closed)
			}
			gaps := map[time.Duration]bool{}
			for i := 1; i < len(*asked); i++ {
				gap := (*asked)[i].Sub((*asked)[i-1])
				gaps[gap] = true
				if gap < 5*time.Second || gap > 10*time.Second {
					t.Errorf("tried again after %v", gap)
				}
			}
			if len(gaps) < 10 {
				t.Errorf("only %d different pauses: no jitter", len(gaps))
			}
			l.advance(3 * time.Minute)
			if l.a.closed == "" || len(l.a.inbound) != 0 || l.b.closed == "" {
				l.fatalf("lives on in disagreement")
			}
		})
	}
}

func TestAWantedChildIsGivenUpWithItsIKESAWhenThePeerStaysOutOfStep(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Initiate = false
	l.up()
	l.answering(always(ike2.TemporaryFailure))
	l.b.command(ike.Command{Verb: ike.VerbClearChild})
	l.advance(12 * time.Minute)
	if l.a.closed == "" {
		l.fatalf("lives on in disagreement")
	}
}

// Refusals with a success between them are collisions, not a disagreement; so are two that lie far apart, where it was the
// peer whose rekey went through.
func TestTemporaryFailureNowAndThenClosesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		apart time.Duration
		after func(l *lab)
	}{
		"we are agreed to next time": {2 * time.Minute, func(*lab) {}},
		"the peer is":                {20 * time.Minute, func(l *lab) { l.b.command(ike.Command{Verb: ike.VerbRekeyChild}) }},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			refuse := false
			asked := l.answering(func([]ike2.Payload) *ike2.Notify {
				if !refuse {
					return nil
				}
				refuse = false
				return &ike2.Notify{Kind: ike2.TemporaryFailure}
			})
			for range 5 {
				refuse = true
				l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
				c.after(l)
				l.advance(c.apart)
				l.mustWork()
			}
			if len(*asked) != 5 || len(l.a.claims) != 1 || l.a.mach().cur.phase != established {
				l.fatalf("%d refusals", len(*asked))
			}
		})
	}
}

// RFC 7296 §2.25: the child goes without a word, and a fresh one is made.
func TestChildSANotFoundReplacesTheChildWithoutAWord(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Initiate = false
	l.up()
	b := l.b.mach()
	b.remove(b.children[0], sa.TombCleared) // lost
	l.b.take(b.flush())
	sent := len(l.a.sent)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.a.want(5, ike.OK)
	for _, p := range l.a.sent[sent:] {
		if p.header().Exchange == isakmp.Informational {
			l.fatalf("said something of it")
		}
	}
	if l.a.tombs[0xA001] != sa.TombPeerDeleted {
		l.fatalf("the lost child went as %v", l.a.tombs[0xA001])
	}
	l.mustAgree(1)
	l.mustWork()
}

// … but not where a colliding exchange has made one already.
func TestChildSANotFoundMakesNoSecondChild(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.mach().enqueue(&createTask{}) // a second child beside the first, by hand
	l.a.step(ike.Tick{})
	l.run()
	l.mustAgree(2)
	b := l.b.mach()
	b.remove(b.childIn(0xB001), sa.TombCleared) // lost
	l.b.take(b.flush())
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, SPI: 0xA001, Ref: 5})
	l.a.want(5, ike.OK)
	l.mustAgree(1)
	l.mustWork()
}

// RFC 7296 §1.4.1 excepts SAs whose Delete is out, not those whose Delete waits for its turn.
func TestADeleteThatWaitsForItsTurnIsOvertakenByThePeers(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = false, false
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbLiveness})
	l.wire = nil // a waits for its answer
	l.a.step(ike.Command{Verb: ike.VerbClearChild, Ref: 5})
	n := len(l.a.sent)
	l.b.step(ike.Command{Verb: ike.VerbClearChild, Ref: 6})
	l.run()
	ps := l.read(l.a.sent[n]).ps
	if d, ok := ike2.Find[*ike2.Delete](ps); !ok || d.SPIs[0] != 0xA001 {
		l.fatalf("answered %v", payloadNames(ps))
	}
	l.advance(10 * time.Second)
	l.a.want(5, ike.OK)
	l.b.want(6, ike.OK)
	for _, p := range l.a.sent[n+1:] {
		if !p.header().Response() && p.header().MessageID > l.a.sent[n-1].header().MessageID {
			l.fatalf("a says once more what b knows: %v", l.read(p))
		}
	}
	l.mustAgree(0)
}

// The same while the store is told of the Delete.
func TestADeleteThatWaitsForTheStoreIsOvertakenByThePeers(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = false, false
	l.up()
	l.a.slow = func(e ike.Effect) bool { p, ok := e.(ike.Persist); return ok && p.Rec.Deleting }
	l.a.step(ike.Command{Verb: ike.VerbClearChild, Ref: 5})
	n := len(l.a.sent)
	l.b.step(ike.Command{Verb: ike.VerbClearChild, Ref: 6})
	l.run()
	l.a.slow = nil
	l.a.release()
	l.run()
	l.a.want(5, ike.OK)
	l.b.want(6, ike.OK)
	if got := len(l.a.sent) - n; got != 1 {
		l.fatalf("a sent %d messages, want the answer to b's Delete alone", got)
	}
	l.mustAgree(0)
}

func TestTheDeleteOfAReplacedIKESAThatWaitsForTheStoreIsOvertakenByThePeers(t *testing.T) {
	l := newLab(t)
	l.up()
	old, b := l.a.mach().cur, l.b.mach().cur
	l.a.slow = func(e ike.Effect) bool { p, ok := e.(ike.Persist); return ok && old.phase == closing && p.ID > 0 }
	l.a.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	l.run() // a has the new one, and stores that the old one goes
	if old.phase != closing {
		l.fatalf("the old IKE SA is in phase %d", old.phase)
	}
	m := l.b.mach() // against the rule, b deletes it too
	msg, err := m.seal(b, isakmp.Informational, false, b.send.ID(), []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoIKE}})
	m.out = nil
	if err != nil {
		t.Fatal(err)
	}
	n := len(l.a.sent)
	l.arrive(packet{from: l.b, to: l.a, local: m.path.local, remote: m.path.remote, msg: msg})
	l.a.slow = nil
	l.a.release()
	l.run()
	if got := len(l.a.sent) - n; got != 1 {
		l.fatalf("a sent %d messages, want the answer alone", got)
	}
	l.settle(1)
}

// slowKE lets b's key exchanges run off the loop until they are released.
func (l *lab) slowKE() {
	for _, s := range l.sides() {
		s.cfg.Peer.Proposals[0].Groups = []uint16{suite.GroupMODP2048}
		s.cfg.Env.KE = toyKE(s.rand)
	}
	l.up()
	l.b.slow = func(e ike.Effect) bool { _, ok := e.(ike.Compute); return ok }
}

// RFC 7296 §2.8: while its rekey is being answered nothing new begins on the IKE SA; it waits for the next one.
func TestNothingNewBeginsOnAnIKESAThatIsBeingReplaced(t *testing.T) {
	l := newLab(t)
	l.slowKE()
	l.watch()
	l.a.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	l.run() // b computes
	old := l.b.mach().cur
	n := len(l.b.sent)
	l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 6})
	l.b.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 7})
	l.run()
	if len(l.b.sent) != n {
		l.fatalf("b sends %v", l.b.sent[n])
	}
	l.b.slow = nil
	l.b.release()
	l.run()
	l.a.want(5, ike.OK)
	l.b.want(6, ike.OK)
	l.b.want(7, ike.OK)
	requests := 0
	for _, p := range l.b.sent[n:] {
		h := p.header()
		if h.Response() {
			continue
		}
		requests++
		if spii, spir := old.spis(); h.SPIi == spii && h.SPIr == spir {
			l.fatalf("%v went over the old IKE SA", p)
		}
	}
	if requests != 2 { // rekey and Delete of the child; the IKE SA was rekeyed by a
		l.fatalf("b made %d requests", requests)
	}
	l.settle(1)
}

func TestAnIKERekeyThatWaitedIsPointlessAfterThePeers(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.step(ike.Command{Verb: ike.VerbLiveness})
	held := l.wire
	l.wire = nil
	l.b.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 6}) // waits for the answer
	l.a.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	l.wire = held
	l.run()
	l.a.want(5, ike.OK)
	l.b.want(6, ike.OK)
	if got := l.a.m.Status(); !got.Initiator || uint32(got.LocalSPI) != 0 && got.LocalSPI&0xffffffff != 2 {
		l.fatalf("rekeyed more than once: %v", got.LocalSPI)
	}
}

// An answer that deletes what the peer's rekey made must leave the old child to be rekeyed again, not for ever "replaced".
func TestAChildWhoseSuccessorThePeerDeletesIsRekeyedAgain(t *testing.T) {
	l := newLab(t)
	l.up()
	b := l.b.mach()
	l.fault = func(p packet) fate { // the Delete of the first child
		if p.from == l.b && p.header().Exchange == isakmp.Informational {
			return lose
		}
		return deliver
	}
	l.b.step(ike.Command{Verb: ike.VerbRekeyChild})
	l.run() // a has A002 in its place, and its own time for a rekey passes; b deletes the new one, against all rules
	l.a.mach().childIn(0xA001).rekeyAt = time.Time{}
	l.arrive(l.b.inject(isakmp.Informational, b.cur.send.ID(), false, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{0xB002}}}))
	if c := l.a.mach().childIn(0xA001); c.rekeyAt.IsZero() || c.rekeyAt.Sub(l.now) > 10*time.Second || c.successor() != nil {
		l.fatalf("the child will never be rekeyed")
	}
}

func TestAChainOfRekeysKeepsNothingOfThePast(t *testing.T) {
	l := newLab(t)
	l.up()
	for i := range 10 {
		l.sides()[i%2].command(ike.Command{Verb: ike.VerbRekeyChild})
		l.advance(30 * time.Second)
	}
	for _, s := range l.sides() {
		if c := s.mach().children[0]; c.old != nil && (c.old.old != nil || !c.old.spec.KeyIn.IsZero()) || c.heir != nil || c.rival != nil {
			t.Errorf("%s: the child keeps more than its forerunner, and that with its keys", s.name)
		}
	}
}

// b has agreed to a's rekey, waits for a's sign that it is ready, and is told to delete the old child: it has nothing else
// to send on.
func TestWhoDeletesTheOldChildSendsOnTheNewOne(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Initiate = false
	l.up()
	l.fault = func(p packet) fate {
		if p.from == l.b && p.header().Exchange == isakmp.CreateChildSA {
			return lose
		}
		return deliver
	}
	l.a.step(ike.Command{Verb: ike.VerbRekeyChild})
	l.run()
	l.b.step(ike.Command{Verb: ike.VerbClearChild, SPI: 0xB001, Ref: 6})
	l.run()
	l.b.want(6, ike.OK)
	if c, ok := l.b.out(); !ok || c.In != 0xB002 {
		l.fatalf("b sends on %v", c.In)
	}
	l.fault = nil
	l.settle(1)
}

// SPIs of Deletes that came too early concern the exchange under way alone: the peer may choose the same number later.
func TestADeleteOfNothingDoomsNoLaterChild(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbRekeyChild})
	held := l.wire
	l.wire = nil
	l.arrive(l.b.inject(isakmp.Informational, l.b.mach().cur.send.ID(), false, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{0xB003}}}))
	l.b.mach().cur.send = ike.SendFrom(l.b.mach().cur.send.ID() + 1)
	l.wire = held
	l.run()
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5}) // b answers with B003
	l.a.want(5, ike.OK)
	l.settle(1)
	l.mustWork()
}

// A responder's INVALID_KE_PAYLOAD is no answer to a rekey: the child has no successor by it, and the second attempt
// collides like any other.
func TestInvalidKEOfAChildRekeyLeavesTheChildToBeRekeyed(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.cfg.Peer.IPsec.PFS = suite.GroupECP256
	l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 6})
	l.wire = nil
	ps := l.newChildRequest(0xA001)
	sap := ps[1].(*ike2.SA)
	for i := range sap.Proposals {
		sap.Proposals[i].Transforms = append(sap.Proposals[i].Transforms, ike2.Transform{Type: ike2.DH, ID: suite.GroupCurve25519},
			ike2.Transform{Type: ike2.DH, ID: suite.GroupECP256})
	}
	g, _ := suite.GroupByID(suite.GroupCurve25519)
	got := l.answerOf(isakmp.CreateChildSA, append(ps, &ike2.KE{Group: g.ID(), Data: bytes.Repeat([]byte{9}, g.PublicLen())}))
	if n := ike2.FindNotify(got, ike2.InvalidKEPayload); n == nil {
		l.fatalf("answered %v", payloadNames(got))
	}
	if old := l.b.mach().childIn(0xB001); old.successor() != nil {
		l.fatalf("the refused rekey stands as its successor")
	}
	for spi, st := range l.b.sad {
		if st == sa.Larval && spi != 0xB002 { // its own rekey is out
			l.fatalf("%v is left larval", spi)
		}
	}
}
