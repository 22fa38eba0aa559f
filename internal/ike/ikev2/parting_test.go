package ikev2

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// TestNothingIsSentToAPeerThatIsBeingLeft: after a reload that changes where a tunnel goes the old peer may be silent, and
// the Delete of its IKE SA takes a minute to give up. Traffic must not go to it meanwhile, what it sends is taken.
func TestNothingIsSentToAPeerThatIsBeingLeft(t *testing.T) {
	deaf := func(l *lab) {
		l.fault = func(p packet) fate { return map[bool]fate{true: lose, false: deliver}[p.from == l.a] }
	}
	for name, before := range map[string]func(l *lab){
		"nothing outstanding": deaf,
		"a liveness check outstanding": func(l *lab) {
			deaf(l)
			l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 4})
		},
		"a new child outstanding": func(l *lab) {
			deaf(l)
			l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 4})
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			before(l)
			l.a.command(ike.Command{Verb: ike.VerbShutdown, Ref: 5})
			if c, ok := l.a.out(); ok {
				t.Errorf("sends on %v", c.Out)
			}
			if _, ok := l.a.inbound[0xA001]; !ok {
				t.Error("what the peer still sends is not taken any more")
			}
			l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.FirstInbound})
			l.advance(20 * time.Second)
			if c, ok := l.a.out(); ok {
				t.Errorf("sends on %v after a while", c.Out)
			}
			l.fault = nil
			l.advance(2 * time.Minute)
			if l.a.closed == "" || l.a.tombs[0xA001] != sa.TombShutdown || len(l.a.outbound)+len(l.a.inbound) != 0 {
				t.Errorf("closed %q, tombs %v", l.a.closed, l.a.tombs)
			}
		})
	}
}

// A child whose exchange ends, or whose switch comes due, while the IKE SA waits to be deleted is not sent on either.
func TestALateChildIsNotSentOn(t *testing.T) {
	l := newLab(t)
	l.up()
	late := true
	l.fault = func(p packet) fate {
		if p.from == l.b && late {
			return lose
		}
		return deliver
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 4})
	l.a.command(ike.Command{Verb: ike.VerbClearIKE, Ref: 5})
	late = false
	sent := 0
	l.check = func() {
		if c, ok := l.a.out(); ok {
			t.Errorf("sends on %v", c.Out)
		}
		sent++
	}
	l.advance(time.Minute)
	l.a.want(5, ike.OK)
	if sent == 0 || l.a.tombs[0xA002] == 0 {
		t.Errorf("%d steps, the new child left no trace: %v", sent, l.a.tombs)
	}
}
