package ikev2

import (
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/wire/isakmp"
)

// The note of the first packet may find the mailbox full. The next one says the same: we switch to what the peer uses, and
// recovery hears that traffic is back; once.
func TestALostNoteOfTheFirstPacketIsMadeUpFor(t *testing.T) {
	l := newLab(t)
	l.up()
	l.fault = func(p packet) fate { // the Delete of the old child would do it as well
		if p.header().Exchange == isakmp.Informational {
			return lose
		}
		return deliver
	}
	l.b.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 4})
	if c := l.a.mach().childIn(0xA002); c == nil || c.state != receiving {
		t.Fatal("a has switched already")
	}
	before := l.a.noticed(ike.FirstInboundOK)
	for range 3 {
		l.a.step(ike.Traffic{SPI: 0xA002, Kind: ike.Inbound})
	}
	l.run()
	if c, _ := l.a.out(); c.In != 0xA002 {
		t.Errorf("a sends on %v", c.In)
	}
	if n := l.a.noticed(ike.FirstInboundOK) - before; n != 1 {
		t.Errorf("told %d times", n)
	}
}
