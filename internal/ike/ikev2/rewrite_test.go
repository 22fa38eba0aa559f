package ikev2

import (
	"slices"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

func TestAScriptedPeerPutsOtherPayloadsIntoWhatIsProtected(t *testing.T) {
	l := newLab(t)
	var seen []Passing
	l.b.cfg.Tuning.Rewrite = func(p Passing, ps []ike2.Payload) []ike2.Payload {
		seen = append(seen, p)
		if p.Exchange == isakmp.Informational && p.Response {
			return []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidSyntax}}
		}
		return ps
	}
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbNotifySPI, SPI: 0xB761863E, Ref: 5})
	if o := l.a.want(5, ike.Refused); o.Detail != "INVALID_SYNTAX" {
		t.Errorf("detail %q", o.Detail)
	}
	want := []Passing{{isakmp.IKEAuth, false, true}, {isakmp.IKEAuth, true, false}, {isakmp.Informational, false, true}, {isakmp.Informational, true, false}}
	if !slices.Equal(seen, want) {
		t.Errorf("passed: %v", seen)
	}
}
