package ikev2

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
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

func (l *lab) withJar() {
	jar, err := NewCookieJar(&drbg{seed: "jar"})
	if err != nil {
		l.t.Fatal(err)
	}
	l.b.jar = jar
}

func TestCookieIsReturnedFirstAndAllElseStays(t *testing.T) {
	l := newLab(t)
	l.withJar()
	l.up()
	if o := l.a.result(1); o.RoundTrips != 3 {
		t.Errorf("%d round trips, want 3", o.RoundTrips)
	}
	first, err1 := ike2.Parse(l.a.sent[0].msg)
	second, err2 := ike2.Parse(l.a.sent[1].msg)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if n, ok := second.Payloads[0].(*ike2.Notify); !ok || n.Kind != ike2.Cookie {
		t.Errorf("first payload of the retry is %v", second.Payloads[0].Type())
	}
	if !bytes.Equal(ike2.AppendPayloads(nil, first.Payloads), ike2.AppendPayloads(nil, second.Payloads[1:])) || second.MessageID != 0 || second.SPIi != first.SPIi {
		t.Error("the retry differs in more than the cookie")
	}
}

func TestCookiesEndAfterAnEpochAndBelongToAnAddress(t *testing.T) {
	l := newLab(t)
	l.withJar()
	l.start()
	l.hop() // request: cookie asked for
	l.hop() // a answers it
	msg := l.wire[0].msg
	at := netip.AddrPortFrom(addrA, 500)
	for _, c := range []struct {
		name   string
		remote netip.AddrPort
		after  time.Duration
		ok     bool
	}{
		{"at once", at, 0, true},
		{"other port", netip.AddrPortFrom(addrA, 1017), 0, true}, // RFC 7296 §2.6 names the address only
		{"next epoch", at, cookieEpoch, true},
		{"too late", at, 2 * cookieEpoch, false},
		{"other address", netip.AddrPortFrom(addrB, 500), 0, false},
	} {
		if ok, reply := l.b.jar.Check(msg, c.remote, l.now.Add(c.after)); ok != c.ok || ok != (reply == nil) {
			t.Errorf("%s: %v, reply %x", c.name, ok, reply)
		}
	}
	if ok, reply := l.b.jar.Check(msg[:40], at, l.now); ok || reply != nil {
		t.Error("garbage got an answer")
	}
}

func TestCookieLoopIsBounded(t *testing.T) {
	l := newLab(t)
	l.withJar()
	n := 0
	l.fault = func(p packet) fate {
		if p.from == l.a {
			l.b.jar, _ = NewCookieJar(&drbg{seed: strings.Repeat("x", n)}) // never content
			n++
		}
		return deliver
	}
	l.start()
	l.run()
	if got := len(l.a.sent); got != 1+maxCookies {
		t.Errorf("%d requests, want %d", got, 1+maxCookies)
	}
	if l.a.drops[reason.IKEUnauthenticated] != 1 {
		t.Errorf("drops %v", l.a.drops)
	}
}

func TestInvalidKEIsRetriedWithTheFullOffer(t *testing.T) {
	l := newLab(t)
	l.withJar()
	l.a.cfg.Peer.Proposals[0].Groups = []uint16{31, 20, 19}
	l.b.cfg.Peer.Proposals[0].Groups = []uint16{19}
	l.up()
	if st := l.a.m.Status(); st.Group != 19 {
		t.Errorf("group %d, want 19", st.Group)
	}
	if o := l.a.result(1); o.RoundTrips != 4 { // cookie, INVALID_KE_PAYLOAD, IKE_SA_INIT, IKE_AUTH
		t.Errorf("%d round trips, want 4", o.RoundTrips)
	}
	first, _ := ike2.Parse(l.a.sent[0].msg)
	third, _ := ike2.Parse(l.a.sent[2].msg)
	sa1, _ := ike2.Find[*ike2.SA](first.Payloads)
	sa3, _ := ike2.Find[*ike2.SA](third.Payloads)
	if sa1.String() != sa3.String() {
		t.Errorf("offer changed from %v to %v", sa1, sa3)
	}
	if ike2.FindNotify(third.Payloads, ike2.Cookie) == nil {
		t.Error("the cookie got lost at the new KE")
	}
}

// reply makes b answer a's IKE_SA_INIT with a lone notify.
func (l *lab) reply(n *ike2.Notify) packet {
	h := l.a.sent[len(l.a.sent)-1].header()
	msg := &ike2.Message{Header: isakmp.Header{SPIi: h.SPIi, Version: isakmp.Version2, Exchange: isakmp.IKESAInit,
		Flags: isakmp.FlagResponse}, Payloads: []ike2.Payload{n}}
	return packet{from: l.b, to: l.a, local: l.b.cfg.Local, remote: l.b.cfg.Remote, msg: msg.Append(nil)}
}

func TestForgedErrorsInInitDoNotStopTheHandshake(t *testing.T) {
	l := newLab(t)
	l.start()
	sent := len(l.a.sent)
	for _, n := range []*ike2.Notify{{Kind: ike2.NoProposalChosen}, {Kind: ike2.InvalidSyntax}, ike2.NotifyInvalidKE(14) /* not offered */, ike2.NotifyInvalidKE(31) /* the one sent */} {
		l.arrive(l.reply(n))
	}
	if len(l.a.sent) != sent || l.a.drops[reason.IKEUnauthenticated] != 4 {
		t.Errorf("%d messages, drops %v", len(l.a.sent)-sent, l.a.drops)
	}
	l.run()
	l.mustWork()
}

func TestNoCommonIKEProposalIsToldOnBothSides(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Proposals[0].Encr = []policy.Cipher{{Encr: suite.EncrAESCBC, KeyBits: 256}}
	l.b.cfg.Peer.Proposals[0].Integ = []uint16{suite.IntegHMACSHA256}
	l.start()
	l.run()
	l.advance(5 * time.Minute)
	if o := l.a.want(1, ike.Refused); o.Detail != "NO_PROPOSAL_CHOSEN" {
		t.Errorf("detail %q", o.Detail)
	}
	if !l.a.said("IKEV2_NO_PROPOSAL_CHOSEN", "peer 198.51.100.2:500", "AES_GCM_16_256", "not told", "crypto ikev2 proposal") {
		t.Error(l.transcript())
	}
	if !l.b.said("IKEV2_NO_PROPOSAL_CHOSEN", "peer 192.0.2.1:500", "AES_GCM_16_256", "AES_CBC_256") {
		t.Error(l.transcript())
	}
	if l.a.closed == "" || len(l.a.claims) != 0 {
		t.Errorf("a is not closed: %v", l.a.claims)
	}
}

func TestWrongPSKIsToldOnBothSidesAndLeavesNothing(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Key.Remote = policy.NewSecret([]byte("another secret"))
	l.start()
	l.run()
	l.a.want(1, ike.AuthFailed)
	for _, s := range []*side{l.a, l.b} {
		if !s.said("IKEV2_AUTH_FAILED", "pre-shared-key") {
			t.Errorf("%s said nothing of it", s.name)
		}
		for _, e := range s.events {
			if strings.Contains(e.Text, "shared secret") || strings.Contains(e.Text, "another secret") {
				t.Errorf("a secret is in %q", e.Text)
			}
		}
	}
	l.advance(time.Minute)
	if l.a.closed == "" || l.b.closed == "" || len(l.a.inbound)+len(l.b.inbound) != 0 || l.a.noticed(ike.IKEUp)+l.b.noticed(ike.IKEUp) != 0 {
		t.Error(l.transcript())
	}
	if l.a.sad[0xA001] != sa.Unknown {
		t.Error("larval SPI left")
	}
}

func TestResponderWithWrongPSKIsRefusedByTheInitiator(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Key.Local = policy.NewSecret([]byte("another secret"))
	l.start()
	l.run()
	l.a.want(1, ike.AuthFailed)
	l.advance(time.Minute)
	if l.b.closed == "" || len(l.b.inbound) != 0 {
		t.Errorf("b was not told: %s", l.transcript())
	}
	if !l.b.said("IKEV2_AUTH_FAILED", "refused our identity") {
		t.Errorf("b's operator was not told: %s", l.transcript())
	}
}

func TestIdentityDecidesNotTheAddress(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.Local = policy.Identity{Kind: policy.IDFQDN, Value: "a.example"}
	other := testPeer(addrA)
	other.ID, other.Key.Remote = 1, policy.NewSecret([]byte("not this one"))
	other.IKE.MatchRemote = []policy.IdentityMatch{{Exact: policy.Identity{Kind: policy.IDFQDN, Value: "x.example"}}}
	l.b.cfg.Peer.ID = 2
	l.b.cfg.Peer.IKE.MatchRemote = []policy.IdentityMatch{{Kind: policy.IDFQDN, Domain: "example"}}
	l.b.cfg.Candidates = []*policy.Peer{other, l.b.cfg.Peer}
	l.b.cfg.Peer = nil
	l.up()
	if st := l.b.m.Status(); st.Owner != 2 || st.RemoteID != "a.example" {
		t.Errorf("b took it for %+v", st)
	}
}

func TestUnknownIdentityIsRefused(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.Local = policy.Identity{Kind: policy.IDFQDN, Value: "stranger.example"}
	l.start()
	l.run()
	l.a.want(1, ike.AuthFailed)
	if !l.b.said("IKEV2_AUTH_FAILED", "stranger.example", "match identity remote") {
		t.Error(l.transcript())
	}
}

func TestInitialContactIsSaidOnlyWhenTrue(t *testing.T) {
	for _, truth := range []bool{true, false} {
		l := newLab(t)
		l.a.cfg.InitialContact = func() bool { return truth }
		l.up()
		for _, n := range l.b.notices {
			if n.Kind == ike.IKEUp && n.InitialContact != truth {
				t.Errorf("said %v, heard %v", truth, n.InitialContact)
			}
		}
	}
}

func TestFailedFirstChildLeavesTheIKESAUp(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.IPsec.TransformSets[0].Cipher.KeyBits = 128
	l.start()
	l.run()
	if o := l.a.want(1, ike.Refused); o.Detail != "NO_PROPOSAL_CHOSEN" {
		t.Errorf("detail %q", o.Detail)
	}
	for _, s := range []*side{l.a, l.b} {
		if st := s.m.Status(); st.State != "READY" || len(st.Children) != 0 {
			t.Errorf("%s: %+v", s.name, st)
		}
		if !s.said("IKEV2_NO_PROPOSAL_CHOSEN", "ESP", "AES_GCM_16_", "transform-set") {
			t.Errorf("%s said nothing of it", s.name)
		}
	}
	l.mustAgree(0)
	// The peer's configuration is put right: the tunnel comes by itself.
	l.b.cfg.Peer.IPsec.TransformSets[0].Cipher.KeyBits = 256
	l.advance(30 * time.Second)
	l.mustWork()
}

func prefix(s string) []ike2.Selector {
	return []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix(s))}
}

func TestSelectorsAreNarrowedToWhatBothPermit(t *testing.T) {
	l := newLab(t)
	l.b.cfg.TSLocal, l.b.cfg.TSRemote = prefix("10.2.0.0/24"), prefix("10.1.0.0/16")
	l.up()
	c := l.a.m.Status().Children[0]
	if !slices.Equal(c.TSLocal, prefix("10.1.0.0/16")) || !slices.Equal(c.TSRemote, prefix("10.2.0.0/24")) {
		t.Errorf("a has %v to %v", c.TSLocal, c.TSRemote)
	}
	// A rekey offers the original selectors again (RFC 7296 §2.9.2): the peer may widen them by now.
	l.b.cfg.TSLocal = nil
	l.b.mach().cfg.TSLocal = nil
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 2})
	l.advance(time.Minute)
	c = l.a.m.Status().Children[0]
	if !slices.Equal(c.TSRemote, ike.AnyIPv4()) {
		t.Errorf("after the rekey a has %v to %v", c.TSLocal, c.TSRemote)
	}
}

func TestSelectorsWithNothingInCommonAreTold(t *testing.T) {
	l := newLab(t)
	l.a.cfg.TSLocal = prefix("10.9.0.0/24")
	l.b.cfg.TSRemote = prefix("10.1.0.0/24")
	l.start()
	l.run()
	if o := l.a.want(1, ike.Refused); o.Detail != "TS_UNACCEPTABLE" {
		t.Errorf("detail %q", o.Detail)
	}
	if !l.a.said("IKEV2_TS_UNACCEPTABLE", "10.9.0.0-10.9.0.255") || !l.b.said("IKEV2_TS_UNACCEPTABLE", "10.1.0.0-10.1.0.255", "10.9.0.0-10.9.0.255") {
		t.Error(l.transcript())
	}
}

func TestAPacketThatAChildCarriesMakesNoOther(t *testing.T) {
	l := newLab(t)
	l.b.cfg.TSLocal = append(prefix("10.2.0.0/24"), prefix("10.3.0.0/24")...)
	l.up()
	l.a.step(ike.Acquire{TSLocal: prefix("10.1.0.5/32"), TSRemote: prefix("10.3.0.7/32")})
	l.run()
	if got := len(l.a.m.Status().Children); got != 1 {
		t.Errorf("%d children, want 1: the selectors are covered", got)
	}
}

func TestAPeerThatNarrowsIsAskedOnceForPacketsThatItRefuses(t *testing.T) {
	l := newLab(t)
	l.b.cfg.TSLocal = prefix("10.2.0.0/24")
	l.up()
	ask := func(remote string) int { // how many exchanges come of it
		before := strings.Count(l.transcript(), "a→b CREATE_CHILD_SA request")
		for range 3 {
			l.a.step(ike.Acquire{TSLocal: prefix("10.1.0.5/32"), TSRemote: prefix(remote)})
		}
		l.run()
		return strings.Count(l.transcript(), "a→b CREATE_CHILD_SA request") - before
	}
	if n := ask("10.4.0.7/32"); n != 1 {
		t.Errorf("%d exchanges, want 1: single flight", n)
	}
	grace := l.a.mach().tune.Grace
	l.advance(grace)
	l.mustAgree(1) // the one that does not carry the packet is gone
	if n := ask("10.4.0.8/32"); n != 0 {
		t.Errorf("asked %d times right after a refusal", n)
	}
	l.advance(firstVainPause - grace)
	if n := ask("10.4.0.8/32"); n != 1 {
		t.Errorf("asked %d times after the pause", n)
	}
	l.advance(firstVainPause)
	if n := ask("10.4.0.8/32"); n != 0 {
		t.Errorf("asked %d times: the pause does not double", n)
	}
	if n := ask("2001:db8::7/128"); n != 0 {
		t.Errorf("asked %d times for IPv6, which the tunnel does not carry", n)
	}
}

func TestPacketsOfTheStartUpMakeNoSecondChild(t *testing.T) {
	l := newLab(t)
	there := ike.Acquire{TSLocal: prefix("10.1.0.5/32"), TSRemote: prefix("10.2.0.7/32")}
	back := ike.Acquire{TSLocal: prefix("10.2.0.7/32"), TSRemote: prefix("10.1.0.5/32")}
	l.fault = func(packet) fate { // between any two messages both ends have a packet to send
		l.a.step(there)
		if l.b.m != nil {
			l.b.step(back)
		}
		return deliver
	}
	l.start()
	l.run()
	if a, b := len(l.a.m.Status().Children), len(l.b.m.Status().Children); a != 1 || b != 1 {
		t.Errorf("%d and %d children, want 1: the first child carries these packets\n%s", a, b, l.transcript())
	}
}

func TestEveryLostMessageOfTheHandshakeIsMadeUpFor(t *testing.T) {
	for lost := range 4 {
		l := newLab(t)
		n := 0
		l.fault = func(packet) fate {
			n++
			if n == lost+1 {
				return lose
			}
			return deliver
		}
		l.start()
		l.run()
		l.advance(10 * time.Second)
		l.mustWork()
		l.settle(1)
	}
}

func TestDuplicatesAndReorderingOfTheHandshakeDoNoHarm(t *testing.T) {
	for _, what := range []fate{twice, hold} {
		l := newLab(t)
		l.fault = func(packet) fate { return what }
		l.up()
		l.settle(1)
		if what == twice && l.b.drops[reason.IKEDuplicate] == 0 {
			t.Errorf("drops of b: %v", l.b.drops)
		}
	}
}

func TestRetransmissionIsBitIdenticalAndGrows(t *testing.T) {
	l := newLab(t)
	l.fault = func(p packet) fate {
		if p.header().Exchange == isakmp.IKEAuth {
			return lose
		}
		return deliver
	}
	start := l.now
	l.start()
	l.run()
	var times []time.Duration
	first := l.a.sent[1]
	for n := 2; l.a.closed == ""; n = len(l.a.sent) {
		d := l.a.m.Deadline()
		times = append(times, d.Sub(start))
		l.advance(d.Sub(l.now))
		if len(l.a.sent) > n && !bytes.Equal(l.a.sent[n].msg, first.msg) {
			t.Fatal("a retransmission differs")
		}
	}
	want := []time.Duration{1, 3, 7, 15, 31, 63}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(times, want) {
		t.Errorf("at %v, want %v", times, want)
	}
	l.a.want(1, ike.TimedOut)
	l.advance(time.Minute)
	if l.b.closed == "" {
		t.Error("the responder keeps a half-open SA for ever")
	}
}

func TestResponderKeepsNothingOfARefusedFirstMessage(t *testing.T) {
	l := newLab(t)
	l.start()
	good := l.wire[0].msg
	parsed, _ := ike2.Parse(good)
	edit := func(f func(m *ike2.Message)) []byte {
		m := *parsed
		m.Payloads = slices.Clone(parsed.Payloads)
		f(&m)
		return m.Append(nil)
	}
	for name, c := range map[string]struct {
		msg  []byte
		why  reason.Drop
		sent int
	}{
		"response":     {edit(func(m *ike2.Message) { m.Flags |= isakmp.FlagResponse }), reason.IKEUnexpected, 0},
		"no SPIi":      {edit(func(m *ike2.Message) { m.SPIi = 0 }), reason.IKEUnexpected, 0},
		"with SPIr":    {edit(func(m *ike2.Message) { m.SPIr = 9 }), reason.IKEUnexpected, 0},
		"message ID 1": {edit(func(m *ike2.Message) { m.MessageID = 1 }), reason.IKEUnexpected, 0},
		"no KE":        {edit(func(m *ike2.Message) { m.Payloads = slices.Delete(m.Payloads, 1, 2) }), reason.IKEMalformed, 0},
		"bad KE":       {edit(func(m *ike2.Message) { m.Payloads[1] = &ike2.KE{Group: 31, Data: make([]byte, 32)} }), reason.IKEMalformed, 0},
		"short":        {good[:60], reason.IKEMalformed, 0},
		"critical": {edit(func(m *ike2.Message) {
			m.Payloads = append(m.Payloads, &ike2.Unknown{Kind: 200, Critical: true})
		}), reason.IKECritical, 1},
		"other group": {edit(func(m *ike2.Message) { m.Payloads[1] = &ike2.KE{Group: 19, Data: make([]byte, 64)} }), reason.None, 1},
	} {
		m, effects := Respond(l.now, l.b.cfg, ike.Datagram{Local: l.b.cfg.Local, Remote: l.b.cfg.Remote, Bytes: c.msg})
		var sent, closed, drops, claims int
		for _, e := range effects {
			switch e := e.(type) {
			case ike.Send:
				sent++
				if h, _ := isakmp.ParseHeader(e.Bytes); h.SPIr != 0 {
					t.Errorf("%s: SPIr in a refusal", name)
				}
			case ike.Closed:
				closed++
			case ike.Claim:
				claims++
			case ike.Disclaim:
				claims--
			case ike.Dropped:
				if e.Why == c.why {
					drops++
				}
			}
		}
		if sent != c.sent || closed != 1 || claims > 0 || c.why != reason.None && drops != 1 || !m.Deadline().IsZero() {
			t.Errorf("%s: sent %d, closed %d, drops %d of %d, deadline %v", name, sent, closed, drops, c.why, m.Deadline())
		}
	}
}

func TestSlowGroupsGoThroughComputeAndFastOnesDoNot(t *testing.T) {
	for group, slow := range map[uint16]bool{14: true, 20: true, 19: false, 31: false} {
		l := newLab(t)
		computes := 0
		for _, s := range []*side{l.a, l.b} {
			s.cfg.Peer.Proposals[0].Groups = []uint16{group}
			s.slow = func(e ike.Effect) bool {
				if _, ok := e.(ike.Compute); ok {
					computes++
				}
				return false
			}
		}
		l.up()
		if slow != (computes == 3) || !slow && computes != 0 {
			t.Errorf("group %d: %d computations", group, computes)
		}
	}
}

func TestRetransmissionsDuringAComputationAreDropped(t *testing.T) {
	l := newLab(t)
	for _, s := range []*side{l.a, l.b} {
		s.cfg.Peer.Proposals[0].Groups = []uint16{14}
	}
	l.b.slow = func(e ike.Effect) bool { _, ok := e.(ike.Compute); return ok }
	l.start()
	l.run()
	l.advance(4 * time.Second) // a asks again, twice
	if len(l.b.sent) != 0 {
		t.Errorf("%d answers while computing", len(l.b.sent))
	}
	l.b.release()
	l.run()
	l.mustWork()
	if l.b.drops[reason.IKEDuplicate] != 2 || len(l.b.sent) != 2 {
		t.Errorf("drops %v, %d answers", l.b.drops, len(l.b.sent))
	}
}
