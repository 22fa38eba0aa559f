package ikev2

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// lastRequest opens the last request that s sent.
func (s *side) lastRequest() (isakmp.Header, []ike2.Payload) {
	s.lab.t.Helper()
	o := s.lab.other(s).mach()
	for i := len(s.sent) - 1; i >= 0; i-- {
		h := s.sent[i].header()
		if h.Response() || h.Exchange == isakmp.IKESAInit {
			continue
		}
		ps, why, err := o.open(o.cur, s.sent[i].msg)
		o.out = nil
		if why != 0 || err != nil {
			s.lab.fatalf("cannot open: %v %v", why, err)
		}
		return h, ps
	}
	return isakmp.Header{}, nil
}

func TestEveryCommandEndsInOneOutcome(t *testing.T) {
	for v := ike.VerbInitiate; v <= ike.VerbDiscard; v++ {
		for _, state := range []string{"half-open", "up", "peer silent", "after the end"} {
			l := newLab(t)
			l.start()
			if state != "half-open" {
				l.run()
			}
			if state == "peer silent" {
				l.cut()
			}
			if state == "after the end" {
				l.b.command(ike.Command{Verb: ike.VerbShutdown, Ref: 4})
			}
			spi := sa.SPI(0)
			if v == ike.VerbDeleteSPI || v == ike.VerbNotifySPI || v == ike.VerbRekeySPI || v == ike.VerbKickLarval {
				spi = 0xDEAD
			}
			l.a.command(ike.Command{Verb: v, SPI: spi, Ref: 5})
			l.advance(5 * time.Minute)
			o := l.a.result(5)
			if o.Verb != v {
				t.Errorf("%d: outcome of %d", v, o.Verb)
			}
			if state == "after the end" && o.Result != ike.NoIKE {
				t.Errorf("%d after the end: %d", v, o.Result)
			}
		}
	}
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: 200, Ref: 5})
	l.a.want(5, ike.InternalFailed)
}

func TestDeleteOfALostSPINamesItAndNothingElseGoes(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0xB761863E, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 1 {
		t.Errorf("%d round trips", o.RoundTrips)
	}
	_, ps := l.a.lastRequest()
	d, ok := ps[0].(*ike2.Delete)
	if !ok || len(ps) != 1 || !slices.Equal(d.SPIs, []uint32{0xB761863E}) {
		t.Errorf("sent %v", ps)
	}
	if got := ike2.AppendPayloads(nil, ps); !bytes.Equal(got, []byte{0, 0, 0, 12, 3, 4, 0, 1, 0xB7, 0x61, 0x86, 0x3E}) {
		t.Errorf("octets %x", got) // protocol.md §2.1 M1
	}
	l.mustWork()
	l.mustAgree(1)
}

func TestDeletesOfLostSPIsTravelTogether(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbLiveness}) // keeps the window busy
	for i := range 70 {
		l.a.step(ike.Command{Verb: ike.VerbDeleteSPI, SPI: sa.SPI(0xD000 + i), Ref: uint64(100 + i)})
	}
	sent := len(l.a.sent)
	l.run()
	busy := 0
	for i := range 70 {
		switch o := l.a.result(uint64(100 + i)); o.Result {
		case ike.OK:
		case ike.Busy:
			busy++
		default:
			t.Errorf("%d: %d", i, o.Result)
		}
	}
	if busy != 70-maxQueue || len(l.a.sent)-sent != 1 {
		t.Errorf("%d busy, %d messages", busy, len(l.a.sent)-sent)
	}
}

func TestDeleteIsMootWhenTheSPIIsInUse(t *testing.T) {
	for _, st := range []sa.State{sa.Larval, sa.Installing, sa.Installed, sa.Grace} {
		for _, v := range []ike.Verb{ike.VerbDeleteSPI, ike.VerbRekeySPI, ike.VerbNotifySPI} {
			l := newLab(t)
			l.up()
			l.a.step(ike.Command{Verb: ike.VerbLiveness}) // the command waits, and is checked when its turn comes
			l.a.step(ike.Command{Verb: v, SPI: 0xDEAD, Ref: 5})
			l.a.sad[0xDEAD] = st
			sent := len(l.a.sent)
			l.run()
			if o := l.a.want(5, ike.Moot); o.RoundTrips != 0 || len(l.a.sent) != sent {
				t.Errorf("%v, verb %d: %d messages", st, v, len(l.a.sent)-sent)
			}
		}
	}
	for _, st := range []sa.State{sa.Unknown, sa.Tombed} {
		l := newLab(t)
		l.up()
		l.a.sad[0xDEAD] = st
		l.a.command(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0xDEAD, Ref: 5})
		l.a.want(5, ike.OK)
	}
}

// loseInbound makes a forget its child, as a crash of the data plane would, and gives the lost SPI.
func (l *lab) loseInbound() sa.SPI {
	m := l.a.mach()
	c := m.children[0]
	m.children = nil
	delete(l.a.inbound, c.spec.In)
	l.a.outbound = nil
	l.a.sad[c.spec.In] = sa.Unknown
	return c.spec.In
}

func TestLostSPIIsRekeyedWithoutAGapAndThenDeleted(t *testing.T) {
	l := newLab(t)
	l.up()
	lost := l.loseInbound()
	l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: lost, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 2 {
		t.Errorf("%d round trips, want 2: rekey and Delete", o.RoundTrips)
	}
	l.mustWork()
	if c, _ := l.b.out(); c.Out == lost || c.Replaces == 0 {
		t.Errorf("b sends on %v, replacing %v", c.Out, c.Replaces)
	}
	l.settle(1)
}

func TestLostSPIThatThePeerLostTooGivesAFreshChild(t *testing.T) {
	l := newLab(t)
	l.up()
	lost := l.loseInbound()
	l.b.mach().children = nil
	l.b.outbound, l.b.inbound = nil, map[sa.SPI]sa.Child{}
	l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: lost, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 2 {
		t.Errorf("%d round trips, want 2: CHILD_SA_NOT_FOUND and a fresh child", o.RoundTrips)
	}
	l.mustWork()
	l.settle(1)
}

func TestLostSPIBesideAWorkingChildIsOnlyDeleted(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: 0xDEAD, Ref: 5})
	l.a.want(5, ike.OK)
	if _, ps := l.a.lastRequest(); ps[0].Type() != ike2.PayloadDelete {
		t.Errorf("sent %v", ps[0].Type())
	}
	l.mustAgree(1)
}

func TestInvalidSPINotifyHasItsSPIInTheData(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbNotifySPI, SPI: 0xB761863E, Ref: 5})
	l.a.want(5, ike.OK)
	_, ps := l.a.lastRequest()
	if got := ike2.AppendPayloads(nil, ps); !bytes.Equal(got, []byte{0, 0, 0, 12, 0, 0, 0, 11, 0xB7, 0x61, 0x86, 0x3E}) {
		t.Errorf("octets %x", got) // protocol.md §2.1 M2
	}
	l.mustAgree(1)
}

func TestReceivedInvalidSPIProbesByRekeyAndDeletesNothing(t *testing.T) {
	spi := []byte{0, 0, 0xB0, 0x01} // what a sends on
	for name, n := range map[string]*ike2.Notify{
		"RFC form":           {Kind: ike2.InvalidSPI, Data: spi},
		"SPI field":          {Kind: ike2.InvalidSPI, Protocol: ike2.ProtoESP, SPI: spi},
		"both":               {Kind: ike2.InvalidSPI, Protocol: ike2.ProtoESP, SPI: spi, Data: spi},
		"long data":          {Kind: ike2.InvalidSPI, Data: append(slices.Clone(spi), 1, 2, 3)},
		"IKE as its subject": {Kind: ike2.InvalidSPI, Protocol: ike2.ProtoIKE, Data: spi},
	} {
		for _, young := range []bool{true, false} {
			l := newLab(t)
			l.up()
			l.watch()
			if !young {
				l.advance(2 * time.Second)
			}
			l.wire = append(l.wire, l.b.inject(isakmp.Informational, 0, false, []ike2.Payload{n}))
			l.run()
			if now, _ := l.a.out(); young && now.In != 0xA001 {
				t.Errorf("%s: probed although the peer may still be installing", name)
			}
			l.advance(10 * time.Second)
			if now, _ := l.a.out(); now.In == 0xA001 {
				t.Errorf("%s: not probed", name)
			}
		}
	}
	l := newLab(t)
	l.up()
	l.advance(2 * time.Second)
	for i, n := range []*ike2.Notify{{Kind: ike2.InvalidSPI}, {Kind: ike2.InvalidSPI, SPI: []byte{1, 2}}, {Kind: ike2.InvalidSPI, Data: []byte{9, 9, 9, 9}}} {
		l.wire = append(l.wire, l.b.inject(isakmp.Informational, uint32(i), false, []ike2.Payload{n}))
		l.run()
	}
	if l.a.nextSPI != 0xA001 || l.a.mach().cur.recv.Expected() != 3 {
		t.Error("a notify that names nothing of ours had an effect, or got no answer")
	}
}

func TestInvalidSyntaxAnswerCostsTheIKESAAndIsTold(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbNotifySPI, SPI: 0xDEAD, Ref: 5})
	l.wire = nil
	l.arrive(l.b.inject(isakmp.Informational, 2, true, []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidSyntax}}))
	if o := l.a.want(5, ike.Refused); o.Detail != "INVALID_SYNTAX" {
		t.Errorf("detail %q", o.Detail)
	}
	if !l.a.said("IKEV2_INVALID_SYNTAX", "INFORMATIONAL") || l.a.m.Status().State != "DELETE" && l.a.closed == "" {
		t.Error(l.transcript())
	}
}

func TestClearedChildComesBackOnlyWherePolicyInitiates(t *testing.T) {
	for _, initiate := range []bool{true, false} {
		l := newLab(t)
		l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = initiate, false
		l.up()
		l.a.command(ike.Command{Verb: ike.VerbClearChild, Ref: 5})
		l.a.want(5, ike.OK)
		if l.a.tombs[0xA001] != sa.TombCleared || l.b.tombs[0xB001] != sa.TombPeerDeleted {
			t.Errorf("tombs %v %v", l.a.tombs, l.b.tombs)
		}
		l.mustAgree(0)
		l.advance(time.Minute)
		want := 0
		if initiate {
			want = 1
		}
		l.mustAgree(want)
	}
}

func TestClearAndShutdownDeleteTheIKESAOnBothSides(t *testing.T) {
	for _, v := range []ike.Verb{ike.VerbClearIKE, ike.VerbShutdown} {
		for lost := range 3 {
			l := newLab(t)
			l.up()
			n := 0
			l.fault = func(packet) fate {
				n++
				if n == lost {
					return lose
				}
				return deliver
			}
			l.a.command(ike.Command{Verb: v, Ref: 5})
			l.advance(30 * time.Second)
			l.a.want(5, ike.OK)
			if l.a.closed == "" || l.b.closed == "" || len(l.a.inbound)+len(l.b.inbound) != 0 || l.b.tombs[0xB001] != sa.TombIKEDeleted {
				l.fatalf("not closed on both sides")
			}
			if len(l.a.claims)+len(l.b.claims) != 0 {
				t.Errorf("claims %v %v", l.a.claims, l.b.claims)
			}
		}
	}
}

func TestDiscardSaysNothingToThePeer(t *testing.T) {
	l := newLab(t)
	l.up()
	sent := len(l.a.sent)
	l.a.command(ike.Command{Verb: ike.VerbDiscard, Ref: 5, Cause: sa.TombInitialContact})
	l.a.want(5, ike.OK)
	if len(l.a.sent) != sent || l.a.closed == "" || l.a.tombs[0xA001] != sa.TombInitialContact {
		t.Errorf("sent %d, closed %q, %v", len(l.a.sent)-sent, l.a.closed, l.a.tombs)
	}
}

func TestOutcomesBelongToTheirCommandInNotices(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 77})
	for _, n := range l.a.notices {
		if n.Kind == ike.ChildUp && n.In == 0xA002 && n.ByCommand == 77 {
			return
		}
	}
	t.Errorf("no ChildUp by command 77 in %v", l.a.notices)
}

func TestExchangesAreAnnouncedAndEnded(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	l.b.command(ike.Command{Verb: ike.VerbRekeyIKE})
	l.a.command(ike.Command{Verb: ike.VerbLiveness})
	l.advance(20 * time.Second)
	for _, s := range []*side{l.a, l.b} {
		started, ended := s.noticed(ike.ExchangeStarted), s.noticed(ike.ExchangeEnded)
		if started != ended || started == 0 {
			t.Errorf("%s: %d started, %d ended", s.name, started, ended)
		}
	}
}
