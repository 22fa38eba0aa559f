package ikev2

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

func TestInitAnswersThatDoNotFitAreDroppedAndTheGoodOneCounts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *ike2.Message)
		why    reason.Drop
	}{
		"another group than sent": {func(m *ike2.Message) { m.Payloads[1].(*ike2.KE).Group = 19 }, reason.IKEUnauthenticated},
		"not offered":             {func(m *ike2.Message) { m.Payloads[0].(*ike2.SA).Proposals[0].Transforms[0].KeyLength = 128 }, reason.IKEUnauthenticated},
		"low-order point":         {func(m *ike2.Message) { m.Payloads[1].(*ike2.KE).Data = make([]byte, 32) }, reason.IKEMalformed},
		"no nonce":                {func(m *ike2.Message) { m.Payloads = append(m.Payloads[:2:2], m.Payloads[3:]...) }, reason.IKEMalformed},
		"SPIr 0":                  {func(m *ike2.Message) { m.SPIr = 0 }, reason.IKEMalformed},
		"foreign SPIi":            {func(m *ike2.Message) { m.SPIi++ }, reason.IKEUnexpected},
		"from an initiator":       {func(m *ike2.Message) { m.Flags |= isakmp.FlagInitiator }, reason.IKEUnexpected},
		"message ID 1":            {func(m *ike2.Message) { m.MessageID = 1 }, reason.IKEBadMessageID},
		"critical payload":        {func(m *ike2.Message) { m.Payloads = append(m.Payloads, &ike2.Unknown{Kind: 200, Critical: true}) }, reason.IKECritical},
		"empty cookie":            {func(m *ike2.Message) { m.Payloads = []ike2.Payload{&ike2.Notify{Kind: ike2.Cookie}} }, reason.IKEUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.start()
			l.hop()
			m, err := ike2.Parse(l.wire[0].msg)
			if err != nil {
				t.Fatal(err)
			}
			c.change(m)
			forged := l.wire[0]
			forged.msg = m.Append(nil)
			l.arrive(forged)
			if l.a.drops[c.why] != 1 || len(l.a.drops) != 1 {
				t.Errorf("drops %v, want %d", l.a.drops, c.why)
			}
			l.run()
			l.mustWork()
		})
	}
}

func TestStoreThatFailsBeforeTheAnswerToAuthLeavesNothing(t *testing.T) {
	l := newLab(t)
	l.b.fail = func(e ike.Effect) error {
		if _, ok := e.(ike.Persist); ok {
			return errors.New("disk full")
		}
		return nil
	}
	l.start()
	l.run()
	l.a.want(1, ike.Refused)
	l.advance(time.Minute)
	if l.a.closed == "" || l.b.closed == "" || len(l.b.inbound)+len(l.a.inbound) != 0 {
		t.Error(l.transcript())
	}
}

func TestStoreThatFailsBeforeOurRequestEndsTheAttempt(t *testing.T) {
	l := newLab(t)
	l.a.fail = func(e ike.Effect) error {
		if _, ok := e.(ike.Persist); ok {
			return errors.New("disk full")
		}
		return nil
	}
	l.start()
	l.run()
	l.a.want(1, ike.InternalFailed)
	if l.a.closed == "" || l.a.sad[0xA001] != 0 {
		t.Error(l.transcript())
	}
}

func TestIKERekeyTakesTheGroupThatThePeerAsksFor(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Proposals[0].Groups = []uint16{31, 19}
	l.up()
	l.b.cfg.Peer.Proposals[0].Groups = []uint16{19}
	l.a.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 2 {
		t.Errorf("%d round trips, want 2", o.RoundTrips)
	}
	l.advance(time.Minute)
	if st := l.a.m.Status(); st.Group != 19 || len(l.a.claims) != 1 {
		t.Errorf("group %d, claims %v", st.Group, l.a.claims)
	}
}

func TestRefusedIKERekeyKeepsTheSAAndIsTold(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.cfg.Peer.Proposals[0].Encr[0].KeyBits = 128
	l.a.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	l.a.want(5, ike.Refused)
	for _, s := range []*side{l.a, l.b} {
		if !s.said("IKEV2_NO_PROPOSAL_CHOSEN", "IKE") || s.m.Status().State != "READY" || len(s.claims) != 1 {
			t.Errorf("%s: %v", s.name, s.claims)
		}
	}
	l.mustAgree(1)
}

func TestPFSGroupsThatDifferShowAtTheRekeyAndAreTold(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IPsec.PFS, l.b.cfg.Peer.IPsec.PFS = 19, 31
	l.up() // the first child has no key exchange
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	if o := l.a.want(5, ike.Refused); o.Detail != "NO_PROPOSAL_CHOSEN" {
		t.Errorf("detail %q", o.Detail)
	}
	if !l.a.said("IKEV2_NO_PROPOSAL_CHOSEN", "ECP_256", "set pfs") || !l.b.said("IKEV2_NO_PROPOSAL_CHOSEN", "CURVE_25519", "ECP_256") {
		t.Error(l.transcript())
	}
	l.mustAgree(1)
}

func TestBadRequestsForAChildAreRefusedAndCostNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(ps []ike2.Payload) []ike2.Payload
		want   ike2.NotifyType
	}{
		"no SA":    {func(ps []ike2.Payload) []ike2.Payload { return ps[1:] }, ike2.NoProposalChosen},
		"no nonce": {func(ps []ike2.Payload) []ike2.Payload { return append(ps[:1:1], ps[2:]...) }, ike2.NoProposalChosen},
		"no TSi":   {func(ps []ike2.Payload) []ike2.Payload { return append(ps[:2:2], ps[3]) }, ike2.NoProposalChosen},
		"IPv6": {func(ps []ike2.Payload) []ike2.Payload {
			return append(ps[:2:2], &ike2.TS{Initiator: true, Selectors: prefix("2001:db8::/64")}, ps[3])
		}, ike2.TSUnacceptable},
		"group without KE": {func(ps []ike2.Payload) []ike2.Payload {
			p := &ps[0].(*ike2.SA).Proposals[0]
			p.Transforms = append(p.Transforms, ike2.Transform{Type: ike2.DH, ID: 19})
			return ps
		}, ike2.InvalidKEPayload},
		"a point off the curve": {func(ps []ike2.Payload) []ike2.Payload {
			p := &ps[0].(*ike2.SA).Proposals[0]
			p.Transforms = append(p.Transforms, ike2.Transform{Type: ike2.DH, ID: 19})
			return append(ps, &ike2.KE{Group: 19, Data: make([]byte, 64)})
		}, ike2.NoProposalChosen},
		"IKE rekey without KE": {func([]ike2.Payload) []ike2.Payload {
			return []ike2.Payload{&ike2.SA{Proposals: ike.OfferIKE(testPeer(addrA).Proposals, 5)}, &ike2.Nonce{Data: make([]byte, 32)}}
		}, ike2.NoProposalChosen},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			got := l.answerOf(isakmp.CreateChildSA, c.change(l.newChildRequest(0)))
			if n := ike2.FindNotify(got, c.want); n == nil || len(got) != 1 {
				l.fatalf("answered %v, want %v", payloadNames(got), c.want)
			}
			if l.b.m.Status().State != "READY" {
				t.Error("the IKE SA went with it")
			}
			for spi, st := range l.b.sad {
				if spi != 0xB001 {
					t.Errorf("%v is left %v", spi, st)
				}
			}
			l.mustAgree(1)
		})
	}
}

func TestChildrenOfOneIKESAAreBounded(t *testing.T) {
	l := newLab(t)
	l.up()
	for i := range maxChildren + 3 {
		l.b.step(ike.Acquire{TSRemote: prefix(fmt.Sprintf("10.1.%d.1/32", i))})
	}
	for i := range maxChildren + 3 { // selectors of the first child cover everything: make them one by one
		l.b.mach().enqueue(&createTask{wish: childWish{tsRemote: prefix(fmt.Sprintf("10.1.%d.1/32", i))}})
		l.b.step(ike.Tick{})
		l.run()
	}
	if got := len(l.a.m.Status().Children); got != maxChildren {
		t.Errorf("%d children", got)
	}
}

func TestGlobalDPDHoldsWhereTheProfileHasNone(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Env.Config = func() *policy.Config {
		return &policy.Config{DPDDefault: &policy.DPD{Interval: 10 * time.Second, Retry: 3 * time.Second, Periodic: true}}
	}
	l.up()
	sent := len(l.a.sent)
	l.advance(35 * time.Second)
	if got := len(l.a.sent) - sent; got != 3 {
		t.Errorf("%d checks in 35 s, want 3", got)
	}
	if d := l.a.m.Status().DPD; d == nil || d.Retry != 3*time.Second {
		t.Errorf("status shows %v", d)
	}
}
