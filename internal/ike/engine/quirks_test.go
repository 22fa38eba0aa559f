package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// What a peer's machines have met is told while it has none, too.
func TestQuirksOfPeersWithoutAnIKESAAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		met := time.Now()
		ps.react = func(p *puppet, _ time.Time, in ike.Input) []ike.Effect {
			if c, ok := in.(ike.Command); !ok || c.Verb != ike.VerbClearIKE || p.start.Peer.ID != 1 {
				return nil
			}
			p.start.Quirks.NoM2 = met
			return []ike.Effect{ike.Closed{Why: "test"}}
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker, o.Shards = ps, 4
		e := launch(t, o)
		e.Freeze(true) // nobody comes back by himself
		e.Post(1, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Post(1, ike.Command{Verb: ike.VerbClearIKE})
		synctest.Wait()
		if up := e.Status(t.Context()); len(up) != 0 {
			t.Fatalf("an IKE SA is up: %v", up)
		}
		got := e.Quirks(t.Context())
		if len(got) != 1 || got[sa.Owner(1)] != (ike.Quirks{NoM2: met}) {
			t.Errorf("%v", got)
		}
	})
}
