package ikev2

import (
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// vanish takes a's child out of its data plane alone: its IKE holds it still (protocol.md D33).
func (l *lab) vanish() sa.SPI {
	in := l.a.mach().children[0].spec.In
	delete(l.a.inbound, in)
	l.a.outbound = nil
	l.a.sad[in] = sa.Unknown
	return in
}

// A responder otherwise sends on the old SA until it hears on the new one, or of a Delete.
func TestRekeyOfAVanishedChildIsSentOnAtOnce(t *testing.T) {
	for _, lockstep := range []bool{true, false} {
		l := newLab(t)
		l.up()
		l.a.mach().path.peerLockstep = lockstep
		lost := l.vanish()
		var requests int
		var switched bool // when the Delete leaves, which is sent with the answer in hand
		l.tap = func(p packet) {
			h := p.header()
			if p.from == l.a && !h.Response() && h.Exchange == isakmp.Informational && requests == 0 {
				requests++
				c, _ := l.b.out()
				switched = c.Out != lost
			}
		}
		l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: lost, Ref: 5})
		if o := l.a.want(5, ike.OK); o.RoundTrips != 1 {
			t.Errorf("%d round trips", o.RoundTrips)
		}
		if switched != lockstep || requests != 1 {
			t.Errorf("peer of ours %v: sends on the new SA before the Delete: %v (%d Deletes)", lockstep, switched, requests)
		}
		l.mustWork()
		l.settle(1)
	}
}

func TestOnlyTheRekeyOfALostChildSaysInvalidSPI(t *testing.T) {
	l := newLab(t)
	l.up()
	said := false
	l.tap = func(p packet) {
		if h := p.header(); p.from == l.a && h.Exchange == isakmp.CreateChildSA && !h.Response() {
			_, ps := l.a.lastRequest()
			said = said || ike2.FindNotify(ps, ike2.InvalidSPI) != nil
		}
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.a.want(5, ike.OK)
	if said {
		t.Error("the rekey of a child that works says INVALID_SPI")
	}
	l.settle(1)
	l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: l.vanish(), Ref: 6})
	l.a.want(6, ike.OK)
	if !said {
		t.Error("that of a vanished one does not")
	}
	l.settle(1)
}
