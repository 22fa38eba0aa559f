package ikev2

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// Rules of RFC 7296 that docs/conformance.md lists and that no other test of this package is about.

// RFC 7296 §1.3.1, §2.19, §2.22, §2.23.1: what a request offers on top and we do not have is declined by leaving it out.
func TestWhatWeDoNotHaveIsLeftOutOfTheAnswer(t *testing.T) {
	l := newLab(t)
	l.up()
	extras := []ike2.Payload{&ike2.Notify{Kind: ike2.UseTransportMode}, &ike2.Notify{Kind: ike2.IPCOMPSupported, Data: []byte{0, 7, 2}},
		&ike2.Notify{Kind: ike2.ESPTFCPaddingNotSupported}, &ike2.Notify{Kind: ike2.NonFirstFragmentsAlso},
		&ike2.CP{Kind: ike2.CPRequest, Attributes: []ike2.CPAttribute{{Type: 1}}}}
	got := l.answerOf(isakmp.CreateChildSA, append(extras, l.newChildRequest(0)...))
	if names := fmt.Sprint(payloadNames(got)); names != fmt.Sprint(payloadNames(l.newChildRequest(0))) {
		l.fatalf("answered %v", names)
	}
}

// RFC 7296 §1.3: who has as many children as he wants says so; the IKE SA and the others stay.
func TestOneChildTooManyIsRefusedByName(t *testing.T) {
	l := newLab(t)
	l.up()
	for range maxChildren - 1 {
		l.a.mach().enqueue(&createTask{})
		l.a.step(ike.Tick{})
		l.run()
	}
	got := l.answerOf(isakmp.CreateChildSA, l.newChildRequest(0))
	if n := ike2.FindNotify(got, ike2.NoAdditionalSAs); n == nil || len(got) != 1 {
		l.fatalf("answered %v", payloadNames(got))
	}
	l.mustAgree(maxChildren)
}

// RFC 7296 §2.5, §3.1: the minor version, the bit that says "I can do better" and reserved flags are ignored, and our own
// are 0. The changed message is the one that AUTH covers.
func TestMinorVersionAndReservedFlagsAreIgnored(t *testing.T) {
	l := newLab(t)
	l.start()
	msg := l.wire[0].msg
	msg[17], msg[19] = 0x2f, msg[19]|0x10|0xc7
	l.a.mach().cur.sendInit = msg
	l.run()
	l.mustWork()
	for _, p := range l.b.sent {
		if h := p.header(); h.Version != isakmp.Version2 || h.Flags&^(isakmp.FlagInitiator|isakmp.FlagResponse) != 0 {
			t.Errorf("answered with version %#x, flags %v", h.Version, h.Flags)
		}
	}
}

// RFC 7296 §2.10: a nonce is new, and half as long as the key of the PRF at least. §2.12: we use no key exchange value twice.
func TestNoNonceAndNoKeyExchangeValueComesTwice(t *testing.T) {
	l := newLab(t)
	seen := map[string]bool{}
	kinds := map[ike2.PayloadType]int{}
	once := func(ps []ike2.Payload) {
		for _, p := range ps {
			nonce, isNonce := p.(*ike2.Nonce)
			if isNonce && len(nonce.Data) < 64/2 { // PRF_HMAC_SHA2_512
				t.Errorf("a nonce of %d octets", len(nonce.Data))
			}
			if _, isKE := p.(*ike2.KE); !isKE && !isNonce {
				continue
			}
			value := string(p.AppendBody(nil))
			if seen[value] {
				t.Errorf("%v %x comes twice", p.Type(), value[:8])
			}
			seen[value] = true
			kinds[p.Type()]++
		}
	}
	for _, s := range []*side{l.a, l.b} {
		s.cfg.Peer.IPsec.PFS = suite.GroupCurve25519
		s.cfg.Tuning.Rewrite = func(p Passing, ps []ike2.Payload) []ike2.Payload {
			if !p.Received {
				once(ps)
			}
			return ps
		}
	}
	l.up()
	for _, p := range []packet{l.a.sent[0], l.b.sent[0]} {
		first, err := ike2.Parse(p.msg)
		if err != nil {
			t.Fatal(err)
		}
		once(first.Payloads)
	}
	for range 3 {
		l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
		l.b.command(ike.Command{Verb: ike.VerbRekeyIKE})
		l.advance(20 * time.Second)
	}
	if kinds[ike2.PayloadNonce] != 14 || kinds[ike2.PayloadKE] != 14 {
		t.Errorf("%v: the test does not see them all", kinds)
	}
}

// RFC 7296 §2.9: the selectors of the packet that wants the child come first, those of policy behind them.
func TestARequestForAPacketBeginsWithItsSelectors(t *testing.T) {
	l := newLab(t)
	l.b.cfg.TSLocal = prefix("10.2.0.0/24")
	l.up()
	l.a.step(ike.Acquire{TSLocal: prefix("10.1.0.5/32"), TSRemote: prefix("10.4.0.7/32")})
	_, ps := l.a.lastRequest()
	tsi, tsr := ike2.FindTS(ps, true), ike2.FindTS(ps, false)
	if tsi == nil || tsr == nil {
		l.fatalf("asked %v", payloadNames(ps))
	}
	if !slices.Equal(tsi.Selectors, append(prefix("10.1.0.5/32"), ike.AnyIPv4()...)) || !slices.Equal(tsr.Selectors, append(prefix("10.4.0.7/32"), ike.AnyIPv4()...)) {
		t.Errorf("TSi %v, TSr %v", tsi, tsr)
	}
}

// RFC 7296 §2.21.3: a request that is authentic and makes no sense is told so, and costs the IKE SA.
func TestASyntaxErrorUnderProtectionIsToldToThePeer(t *testing.T) {
	l := newLab(t)
	l.up()
	got := l.answerOf(isakmp.Informational, []ike2.Payload{&ike2.Nonce{Data: []byte{1}}})
	if n := ike2.FindNotify(got, ike2.InvalidSyntax); n == nil || len(got) != 1 {
		l.fatalf("answered %v", payloadNames(got))
	}
}

// RFC 7296 §3.10.1: an error that we have no name for is an error all the same.
func TestAnUnknownErrorFailsTheRequestThatItAnswers(t *testing.T) {
	for _, verb := range []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE} {
		l := newLab(t)
		l.up()
		before := l.a.m.Status().LocalSPI
		l.answering(always(8191))
		l.a.command(ike.Command{Verb: verb, Ref: 5})
		l.a.want(5, ike.Refused)
		if c, _ := l.a.out(); c.In != 0xA001 || l.a.m.Status().LocalSPI != before {
			l.fatalf("went on as if it were agreed to")
		}
		l.mustAgree(1)
	}
}
