package ikev2

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// asked lists the requests that s sent from the nth message on, by what is in them.
func (s *side) asked(n int) []string {
	s.lab.t.Helper()
	var out []string
	o := s.lab.other(s).mach()
	for _, p := range s.sent[n:] {
		if len(p.msg) == 1 || p.header().Response() {
			continue
		}
		ps, why, err := o.open(o.cur, p.msg)
		o.out = nil
		if why != 0 || err != nil {
			s.lab.fatalf("cannot open %v: %v %v", p, why, err)
		}
		what := "liveness"
		for _, one := range ps {
			switch v := one.(type) {
			case *ike2.Delete:
				what = "Delete"
			case *ike2.Notify:
				what = v.Kind.String()
			case *ike2.SA:
				if what == "liveness" {
					what = "create"
				}
			}
		}
		out = append(out, what)
	}
	return out
}

// hint is what an INVALID_SPI in the clear for what a sends on becomes.
func (l *lab) hint() ike.Hint {
	c, _ := l.a.out()
	return ike.Hint{In: c.In, Out: c.Out, Remote: c.Remote}
}

func TestAHintIsAnsweredByLivenessAndThenByARekey(t *testing.T) {
	l := newLab(t)
	l.up()
	l.watch()
	l.advance(time.Minute)
	n := len(l.a.sent)
	l.a.step(l.hint())
	if got := l.a.asked(n); !slices.Equal(got, []string{"liveness"}) {
		l.fatalf("asked %v before the peer has shown that it lives", got)
	}
	l.run()
	if c, _ := l.a.out(); c.In == 0xA001 || l.a.tombs[0xA001] != 0 {
		l.fatalf("sends on %v", c.In)
	}
	l.settle(1)
	if got := l.a.asked(n); !slices.Equal(got, []string{"liveness", "REKEY_SA", "Delete"}) {
		t.Errorf("asked %v", got)
	}
}

func TestAHintAboutAChildThatThePeerLostGivesAFreshOne(t *testing.T) {
	l := newLab(t)
	l.up()
	l.advance(time.Minute)
	l.b.mach().children, l.b.inbound, l.b.outbound = nil, map[sa.SPI]sa.Child{}, nil
	n := len(l.a.sent)
	l.a.step(l.hint())
	l.run()
	l.mustWork()
	if got := l.a.asked(n); !slices.Equal(got, []string{"liveness", "REKEY_SA", "create"}) {
		t.Errorf("asked %v", got)
	}
	l.settle(1)
}

// A dead peer is found by the way that every dead peer is.
func TestAHintWithoutAnAnswerEndsTheIKESAInItsTime(t *testing.T) {
	l := newLab(t)
	l.up()
	l.advance(time.Minute)
	l.cut()
	begun := l.now
	l.a.step(l.hint())
	for l.a.closed == "" {
		l.advance(l.a.m.Deadline().Sub(l.now))
	}
	if took := l.now.Sub(begun); l.a.tombs[0xA001] != sa.TombDPD || took < 36*time.Second || took > 39*time.Second {
		t.Errorf("%v after %v", l.a.tombs, took)
	}
}

func TestWhatAHintMustBeToCostAnything(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *lab, h *ike.Hint)
		want   int
	}{
		"as it should be":         {func(*lab, *ike.Hint) {}, 1},
		"another outbound SPI":    {func(_ *lab, h *ike.Hint) { h.Out++ }, 0},
		"of no child":             {func(_ *lab, h *ike.Hint) { h.In++ }, 0},
		"from another address":    {func(_ *lab, h *ike.Hint) { h.Remote = netip.MustParseAddrPort("198.51.100.3:500") }, 0},
		"from any port, ESP":      {func(_ *lab, h *ike.Hint) { h.Remote = netip.MustParseAddrPort("198.51.100.2:31000") }, 1},
		"of a child being closed": {func(l *lab, _ *ike.Hint) { l.a.mach().childIn(0xA001).hasOut = false }, 0},
		"traffic flows, the IKE SA just worked": {func(l *lab, _ *ike.Hint) {
			l.advance(58 * time.Second)
			l.a.command(ike.Command{Verb: ike.VerbLiveness})
			l.advance(time.Second)
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
			l.advance(time.Second)
		}, 0},
		"traffic flows, the IKE SA was not used": {func(l *lab, _ *ike.Hint) {
			l.advance(time.Minute)
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
		}, 1},
		"the IKE SA just worked, no traffic": {func(l *lab, _ *ike.Hint) { l.a.command(ike.Command{Verb: ike.VerbLiveness}) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			l.advance(time.Minute)
			h := l.hint()
			c.change(l, &h)
			n := len(l.a.sent)
			l.a.step(h)
			if got := l.a.asked(n); len(got) != c.want {
				l.fatalf("asked %v, want %d", got, c.want)
			}
		})
	}
}

func TestAHintAboutAChildThatIsNotTwoSecondsOldIsNoHint(t *testing.T) {
	for age, want := range map[time.Duration]int{hintAge - time.Millisecond: 0, hintAge: 1} {
		l := newLab(t)
		l.up()
		l.advance(age)
		n := len(l.a.sent)
		l.a.step(l.hint())
		if got := l.a.asked(n); len(got) != want {
			t.Errorf("age %v: asked %v", age, got)
		}
	}
}

func TestHintsInUDPMustComeFromThePortThatWeSendTo(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Encap, l.b.cfg.Encap = policy.EncapForce, policy.EncapForce
	l.up()
	l.advance(time.Minute)
	n := len(l.a.sent)
	h := l.hint()
	if h.Remote.Port() != 4500 {
		t.Fatalf("sends to %v", h.Remote)
	}
	h.Remote = netip.AddrPortFrom(h.Remote.Addr(), 500)
	l.a.step(h)
	if len(l.a.asked(n)) != 0 {
		t.Error("a hint from another port was taken up")
	}
	l.a.step(l.hint())
	if len(l.a.asked(n)) != 1 {
		t.Error("not taken up")
	}
}

// A thousand forged hints in ten seconds, of which the first hits a request that is out already.
func TestHintsCoalesceAndCostOneCheckInTenSeconds(t *testing.T) {
	l := newLab(t)
	l.up()
	l.advance(time.Minute)
	n := len(l.a.sent)
	l.a.step(ike.Command{Verb: ike.VerbLiveness})
	for range 1000 {
		l.a.step(l.hint())
		l.now = l.now.Add(9 * time.Millisecond)
	}
	if got := l.a.asked(n); len(got) != 1 {
		l.fatalf("asked %v", got)
	}
	l.run()
	l.advance(30 * time.Second)
	if c, _ := l.a.out(); c.In != 0xA002 {
		l.fatalf("sends on %v", c.In)
	}
	for range 3000 { // half a minute: three more checks, no rekey within the minute of the last
		l.a.step(l.hint())
		l.run()
		l.now = l.now.Add(10 * time.Millisecond)
	}
	checks := 0
	for _, what := range l.a.asked(n) {
		if what == "liveness" {
			checks++
		}
	}
	if checks != 4 {
		t.Errorf("%d checks, want 4: %v", checks, l.a.asked(n))
	}
}

func TestOneChildIsProbedOnceAMinute(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.cfg.Peer.IPsec.TransformSets[0].Cipher.KeyBits = 128 // no rekey succeeds: the child stays
	l.advance(time.Minute)
	c := l.a.mach().childIn(0xA001)
	first := l.now
	for l.now.Sub(first) < 59*time.Second {
		l.a.step(l.hint())
		l.run()
		if !c.probed.Equal(first) {
			l.fatalf("probed again after %v", c.probed.Sub(first))
		}
		l.now = l.now.Add(time.Second)
	}
	l.now = first.Add(time.Minute)
	l.a.step(l.hint())
	l.run()
	if !c.probed.Equal(l.now) {
		t.Error("not probed after a minute")
	}
}

// INVALID_IKE_SPI copies SPIs and Message ID of our request, and is not its answer (RFC 7296 §2.21.4).
func TestAnUnprotectedInvalidIKESPIIsNoAnswerAndHastensTheRequest(t *testing.T) {
	l := newLab(t)
	l.up()
	l.advance(time.Minute)
	l.cut()
	begun := l.now
	l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.run()
	h := l.a.sent[len(l.a.sent)-1].header()
	h.Flags = isakmp.FlagResponse
	forged := (&ike2.Message{Header: h, Payloads: []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidIKESPI}}}).Append(nil)
	l.a.step(ike.Datagram{Local: l.a.cfg.Local, Remote: l.a.cfg.Remote, Bytes: forged})
	if l.a.drops[reason.IKEUnauthenticated] != 1 || l.a.mach().cur.active == nil {
		l.fatalf("drops %v", l.a.drops)
	}
	for l.a.closed == "" {
		l.advance(l.a.m.Deadline().Sub(l.now))
	}
	if took := l.now.Sub(begun); took < 36*time.Second || took > 39*time.Second {
		t.Errorf("found dead after %v, want 37 s: sooner than 63 s, with every try", took)
	}
}
