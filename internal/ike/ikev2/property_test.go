package ikev2

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// uniqueIVs fails when one direction of one IKE SA uses an IV for two different messages (protocol.md §3.3: with GCM that
// would disclose the key). All suites of the lab are AEADs.
func (l *lab) uniqueIVs() {
	seen := map[string]string{}
	for _, s := range []*side{l.a, l.b} {
		for _, p := range s.sent {
			h := p.header()
			if len(p.msg) < isakmp.HeaderLen+skHeaderLen+8 || h.Exchange == isakmp.IKESAInit {
				continue
			}
			key := s.name + hex.EncodeToString(p.msg[:16]) + hex.EncodeToString(p.msg[32:40])
			if old, ok := seen[key]; ok && old != string(p.msg) {
				l.fatalf("%s used one IV for two messages", s.name)
			}
			seen[key] = string(p.msg)
		}
	}
}

// Whatever the network did, once it heals both ends agree on the set of SAs, or are both gone.
func TestOnceTheNetworkHealsBothEndsAgree(t *testing.T) {
	verbs := []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE, ike.VerbLiveness, ike.VerbClearChild, ike.VerbDeleteSPI,
		ike.VerbRekeySPI, ike.VerbNotifySPI, ike.VerbInitiate, ike.VerbKickLarval}
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			l := newLab(t)
			for _, s := range []*side{l.a, l.b} {
				s.cfg.Env.Jitter = func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
				s.slow = func(e ike.Effect) bool { return r.IntN(4) == 0 }
			}
			l.fault = func(packet) fate { return []fate{deliver, deliver, deliver, lose, twice, hold}[r.IntN(6)] }
			l.start()
			ref := uint64(10)
			for range 25 {
				s := []*side{l.a, l.b}[r.IntN(2)]
				switch r.IntN(5) {
				case 0, 1:
					ref++
					c := ike.Command{Verb: verbs[r.IntN(len(verbs))], Ref: ref}
					if c.Verb == ike.VerbDeleteSPI || c.Verb == ike.VerbRekeySPI || c.Verb == ike.VerbNotifySPI {
						c.SPI = sa.SPI(0xD000 + r.IntN(5))
					}
					s.step(c)
				case 2:
					s.release()
				case 3:
					l.carry()
				case 4:
					l.advance(time.Duration(r.IntN(4000)) * time.Millisecond)
				}
				for range r.IntN(4) {
					if len(l.wire) > 0 {
						l.hop()
					}
				}
			}
			l.heal()
			l.uniqueIVs()
			if l.a.m == nil || l.b.m == nil || l.a.closed != "" || l.b.closed != "" {
				if l.a.closed != "" && l.b.m != nil && l.b.closed == "" {
					l.fatalf("b lives alone; a: %q", l.a.closed)
				}
				return
			}
			l.mustAgree(len(l.a.inbound))
			if len(l.a.inbound) == 0 {
				l.fatalf("no child in the end")
			}
			l.mustWork()
		})
	}
}

// heal lets everything through from now on, and time pass until nothing is under way.
func (l *lab) heal() {
	l.fault = nil
	for _, s := range []*side{l.a, l.b} {
		s.slow = nil
	}
	for range 8 {
		l.run()
		l.a.release()
		l.b.release()
	}
	l.advance(8 * time.Minute)
	for _, s := range []*side{l.a, l.b} { // whoever lives alone finds out
		s.command(ike.Command{Verb: ike.VerbLiveness})
	}
	l.advance(3 * time.Minute)
}
