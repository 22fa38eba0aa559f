package ikev2

import (
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// draws makes a side draw these inbound SPIs, then ordinary ones.
func (s *side) draws(spis ...sa.SPI) {
	s.cfg.Env.AllocSPI = func(sa.Owner) (sa.SPI, error) {
		spi := sa.SPI(0)
		if len(spis) > 0 {
			spi, spis = spis[0], spis[1:]
		} else {
			s.nextSPI++
			spi = s.nextSPI
		}
		s.sad[spi] = sa.Larval
		return spi, nil
	}
}

// CSCvp16730: our SPI began with 0xFF and nothing came on it. The rekey that recovery orders draws another.
func TestAnSPIOf0xFFOnWhichNothingComesIsReplacedByAnother(t *testing.T) {
	l := newLab(t)
	quirks := &ike.Quirks{}
	l.a.cfg.Quirks = quirks
	l.a.draws(0xFF000001, 0xFF000002, 0xFFFFFFFF, 0x00C0FFEE, 0xFF00AAAA, 0xFF00BBBB, 0x00BEEF00)
	l.up()
	l.speak(12)
	if got := l.a.told(ike.ChildSilent); len(got) == 0 || got[0].In != 0xFF000001 {
		l.fatalf("told %+v", got)
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, SPI: 0xFF000001, Ref: 5})
	l.a.want(5, ike.OK)
	c, _ := l.a.out()
	if c.In != 0x00C0FFEE || l.a.sad[0xFF000002] != sa.Unknown || l.a.sad[0xFFFFFFFF] != sa.Unknown {
		l.fatalf("sends on %v; larval %v", c.In, l.a.sad)
	}
	if !quirks.AvoidFF.IsZero() || l.a.said("PEER_FAULT") {
		t.Error("blamed before it was proven")
	}
	l.a.notices = nil
	l.a.step(ike.Traffic{SPI: c.In, Kind: ike.FirstInbound})
	if n := l.a.notices; len(n) != 2 || n[0].Kind != ike.FirstInboundOK || n[1].Kind != ike.ChildHeard || n[1].In != 0xFF000001 {
		// The other way round recovery would take the silence for one that passed by itself.
		t.Errorf("told %+v", n)
	}
	if quirks.AvoidFF.IsZero() || !l.a.said("PEER_FAULT", "CSCvp16730", "0xFF000001") || l.a.m.Status().Quirks.AvoidFF.IsZero() {
		t.Error(l.transcript())
	}
	l.advance(10 * time.Second)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild}) // and so on for this peer
	if c, _ := l.a.out(); c.In != 0x00BEEF00 {
		t.Errorf("sends on %v", c.In)
	}
	l.settle(1)
}

func TestAnSPIOf0xFFThatWorksIsLeftAlone(t *testing.T) {
	l := newLab(t)
	l.a.draws(0xFF000001, 0xFF000002)
	l.up()
	l.a.step(ike.Traffic{SPI: 0xFF000001, Kind: ike.FirstInbound})
	l.speak(12)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	if c, _ := l.a.out(); c.In != 0xFF000002 || !l.a.m.Status().Quirks.AvoidFF.IsZero() {
		t.Errorf("sends on %v", c.In)
	}
}

func TestThePeersOwnSPIOf0xFFThatTakesNothingIsNamed(t *testing.T) {
	l := newLab(t)
	l.b.draws(0xFF00CAFE)
	l.up()
	l.speak(12)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	c, _ := l.a.out()
	l.a.step(ike.Traffic{SPI: c.In, Kind: ike.FirstInbound})
	if !l.a.said("PEER_FAULT", "CSCvp16730", "its own SPI 0xFF00CAFE") {
		t.Error(l.transcript())
	}
}

func TestOnlySPIsOf0xFFToBeHadIsAnError(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Quirks = &ike.Quirks{AvoidFF: l.now}
	l.a.draws(0xFF000001, 0xFF000002, 0xFF000003, 0xFF000004, 0xFF000005, 0xFF000006, 0xFF000007, 0xFF000008, 0xFF000009)
	l.start()
	l.run()
	if l.a.sad[0xFF000001] != sa.Unknown || len(l.a.inbound) != 0 {
		t.Errorf("installed %v", l.a.inbound)
	}
}

// CSCvn31824 at the peer: it deletes the SA that our first packet meets before it is ready.
func TestAPeerThatDeletesAnSAItWasTooEarlyForIsWaitedForTheNextTime(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Initiate = false
	quirks := &ike.Quirks{}
	l.a.cfg.Quirks = quirks
	l.up()
	l.advance(time.Minute)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.a.want(5, ike.OK)
	l.a.step(ike.Traffic{SPI: 0xA002, Kind: ike.Outbound}) // too early
	l.b.step(ike.Command{Verb: ike.VerbClearChild, SPI: 0xB002})
	l.run()
	if quirks.HoldSwitch.IsZero() || quirks.Hold != time.Second || !l.a.said("PEER_FAULT", "CSCvn31824", "0x0000A002") {
		l.fatalf("not recognised: %+v", quirks)
	}
	l.advance(wantSoon)
	made := l.now
	if _, sends := l.a.out(); sends || len(l.a.inbound) == 0 {
		l.fatalf("does not wait: inbound %v", l.a.inbound)
	}
	l.advance(900 * time.Millisecond)
	if _, sends := l.a.out(); sends {
		l.fatalf("switched %v after it was made", l.now.Sub(made))
	}
	l.advance(100 * time.Millisecond) // the bounded time
	l.mustWork()
	l.settle(1)
}

func TestAHeldSwitchIsMadeAtThePeersFirstPacket(t *testing.T) {
	for _, rekey := range []bool{true, false} {
		l := newLab(t)
		l.a.cfg.Quirks = &ike.Quirks{HoldSwitch: l.now, Hold: 8 * time.Second}
		l.start()
		l.run()
		in := sa.SPI(0xA001)
		if rekey {
			l.a.step(ike.Traffic{SPI: in, Kind: ike.FirstInbound})
			l.run()
			l.mustWork()
			l.watch()
			l.advance(time.Minute)
			l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
			l.run()
			in = 0xA002
			if c, _ := l.a.out(); c.In != 0xA001 || l.a.outcomes[5].Result != 0 {
				l.fatalf("sends on %v before the peer did", c.In)
			}
		}
		l.a.step(ike.Traffic{SPI: in, Kind: ike.FirstInbound})
		l.run()
		if c, _ := l.a.out(); c.In != in {
			l.fatalf("sends on %v", c.In)
		}
		ref := uint64(1)
		if rekey {
			ref = 5
		}
		l.a.want(ref, ike.OK)
		l.settle(1)
	}
}

func TestARekeyThatThePeerDeletesWhileItIsHeldEndsOnce(t *testing.T) {
	for _, how := range []string{"the child", "the IKE SA", "dead peer"} {
		l := newLab(t)
		l.b.cfg.Peer.Initiate = false
		l.up()
		l.a.mach().quirks.HoldSwitch, l.a.mach().quirks.Hold = l.now, 8*time.Second
		l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
		l.run()
		switch how {
		case "the child":
			l.b.command(ike.Command{Verb: ike.VerbClearChild, SPI: 0xB002})
		case "the IKE SA":
			l.b.command(ike.Command{Verb: ike.VerbClearIKE})
		case "dead peer":
			l.cut()
			l.a.step(ike.Command{Verb: ike.VerbDiscard})
		}
		l.advance(time.Minute)
		if o := l.a.result(5); o.Result == 0 {
			l.fatalf("%s: no outcome", how)
		}
		if how == "the child" && l.a.mach().cur.active != nil {
			l.fatalf("the task of the deleted child goes on")
		}
	}
}

func TestAPeerThatGoesOnDeletingIsWaitedForLonger(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.Initiate = false
	l.up()
	var holds []time.Duration
	for range 6 {
		for n := 0; ; n++ { // until the tunnel has a child again that we send on
			if _, sends := l.a.out(); sends {
				break
			}
			if n > 200 {
				l.fatalf("no child")
			}
			l.advance(100 * time.Millisecond)
		}
		c, _ := l.a.out()
		l.a.step(ike.Traffic{SPI: c.In, Kind: ike.Outbound})
		l.b.step(ike.Command{Verb: ike.VerbClearChild})
		l.run()
		holds = append(holds, l.a.mach().quirks.Hold)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second, 8 * time.Second}
	if !slices.Equal(holds, want) {
		t.Errorf("holds %v, want %v", holds, want)
	}
}

func TestADeleteThatIsNotTooEarlyTeachesNothing(t *testing.T) {
	for name, play := range map[string]func(l *lab){
		"an old child": func(l *lab) {
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
			l.advance(3 * time.Second)
		},
		"nothing was sent": func(*lab) {},
		"another carries its traffic": func(l *lab) {
			second := *l.a.mach().childIn(0xA001)
			second.spec.In, second.spec.Out = 0xA0FF, 0xB0FF
			l.a.mach().children = append(l.a.mach().children, &second)
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
		},
		"the peer had sent": func(l *lab) {
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.FirstInbound})
		},
	} {
		l := newLab(t)
		l.up()
		play(l)
		l.b.command(ike.Command{Verb: ike.VerbClearChild})
		if !l.a.mach().quirks.HoldSwitch.IsZero() {
			t.Errorf("%s: taken for a peer that is late", name)
		}
	}
}

// CSC..40554: INVALID_SYNTAX for an INVALID_SPI costs the IKE SA once, and never again.
func TestAPeerThatCannotReadINVALIDSPIIsSentNoneAgain(t *testing.T) {
	l := newLab(t)
	quirks := &ike.Quirks{}
	l.a.cfg.Quirks = quirks
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbNotifySPI, SPI: 0xDEAD, Ref: 5})
	l.wire = nil
	l.arrive(l.b.inject(isakmp.Informational, 2, true, []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidSyntax}}))
	l.a.want(5, ike.Refused)
	if quirks.NoM2.IsZero() || !l.a.said("PEER_FAULT", "CSC..40554", "INVALID_SYNTAX") {
		l.fatalf("not remembered: %+v", quirks)
	}
	again := newLab(t) // the next IKE SA with that peer
	again.a.cfg.Quirks = quirks
	again.up()
	n := len(again.a.sent)
	again.a.command(ike.Command{Verb: ike.VerbNotifySPI, SPI: 0xDEAD, Ref: 6})
	if o := again.a.want(6, ike.Refused); len(again.a.sent) != n {
		t.Errorf("sent all the same, and ended with %q", o.Detail)
	}
	again.mustWork()
}

func TestINVALIDSYNTAXForSomethingElseIsNoReasonToKeepQuiet(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0xDEAD, Ref: 5})
	l.wire = nil
	l.arrive(l.b.inject(isakmp.Informational, 2, true, []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidSyntax}}))
	if !l.a.mach().quirks.NoM2.IsZero() || l.a.said("PEER_FAULT") {
		t.Error(l.transcript())
	}
}
