package engine

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

// agrees says that both ends have one IKE SA and one and the same child, and nothing else.
func (n *network) agrees(a, b *gateway) bool {
	pa, pb := a.table.Snapshot(), b.table.Snapshot()
	return len(pa) == 1 && len(pb) == 1 && pa[0].Both && pb[0].Both && pa[0].Child.In == pb[0].Child.Out &&
		pa[0].Child.Out == pb[0].Child.In && len(a.ikeSAs()) == 1 && len(b.ikeSAs()) == 1
}

// agreedSince watches both ends until the given time of the network, and tells when they began to agree for good.
func (n *network) agreedSince(a, b *gateway, until time.Duration) time.Duration {
	disagreed := time.Duration(0)
	for time.Since(n.began) < until {
		time.Sleep(50 * time.Millisecond)
		if !n.agrees(a, b) {
			disagreed = time.Since(n.began)
		}
	}
	return disagreed
}

// Both start at once over a network whose messages overtake one another, and of which some are lost.
func TestTwoThatStartAtOnceSoonHaveOneIKESAAndOneChild(t *testing.T) {
	const badFor = 20 * time.Second
	for _, c := range []struct {
		loss float64
		by   time.Duration
	}{
		{0, 5 * time.Second}, // the loser of crossing calls waits two seconds for a sign of the winner
		{0.1, 15 * time.Second},
		{0.3, badFor + 40*time.Second},
	} {
		for seed := range uint64(12) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				dice := rand.New(rand.NewPCG(seed, 5))
				pause := time.Duration(dice.IntN(300)) * time.Millisecond // drawn before the engines draw, too
				n.delay = func(*gateway, isakmp.Header) time.Duration { return time.Duration(dice.IntN(150)) * time.Millisecond }
				n.lose = func(*gateway, isakmp.Header) bool { return time.Since(n.began) < badFor && dice.Float64() < c.loss }
				a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
				b := n.gateway("b", configOf(peerOf(0, addrB, addrA)), addrB, nil)
				a.e.Start()
				time.Sleep(pause)
				b.e.Start()
				if since := n.agreedSince(a, b, 2*time.Minute); since > c.by {
					t.Errorf("loss %.1f, seed %d: agreed only after %v", c.loss, seed, since)
				}
			})
		}
	}
}

// Both lose all they have at once, and come back at once: each says INITIAL_CONTACT of the other's old SAs, and neither may
// mean the other's new one.
func TestADoubleColdStartEndsWithOneIKESAAndOneChild(t *testing.T) {
	for _, later := range []time.Duration{0, 10, 30, 60} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			boot := func(name string, local, remote netip.Addr) *gateway {
				g := n.gateway(name, configOf(peerOf(0, local, remote)), local, nil)
				g.e.Start()
				return g
			}
			a, b := boot("a", addrA, addrB), boot("b", addrB, addrA)
			time.Sleep(time.Minute)
			a.e.Kill()
			b.e.Kill()
			began := time.Since(n.began)
			a = boot("a'", addrA, addrB)
			time.Sleep(later * time.Millisecond)
			b = boot("b'", addrB, addrA)
			time.Sleep(6*oneWay + slack)
			if len(a.table.Snapshot()) == 0 || len(b.table.Snapshot()) == 0 {
				t.Errorf("%v later: no child after %v", later*time.Millisecond, 6*oneWay)
			}
			if since := n.agreedSince(a, b, 3*time.Minute) - began; since > 3*time.Second {
				t.Errorf("%v later: agreed only after %v", later*time.Millisecond, since)
			}
			for _, g := range []*gateway{a, b} {
				for _, x := range g.notices {
					if x.Kind == ike.IKEDown && x.Cause == sa.TombInitialContact {
						t.Errorf("%v later: %s lost an IKE SA to INITIAL_CONTACT, and had none of before", later*time.Millisecond, g.name)
					}
				}
			}
		})
	}
}

// sendsOn is the SPI that a packet into the tunnel leaves on now, 0 if there is none.
func (g *gateway) sendsOn() sa.SPI {
	pkt, _ := ip.Parse(ip.AppendUDP(nil, netip.MustParseAddrPort("10.1.0.1:1"), netip.MustParseAddrPort("10.2.0.1:1"), nil))
	if out := g.table.Tunnel(0).Pick(&pkt); out != nil {
		return out.Out
	}
	return 0
}

// A peer that restarts and says no INITIAL_CONTACT (`unique = no`): from the moment that its new child is up nothing more
// leaves on one that it has forgotten, although the old IKE SA takes half a minute to be found dead; not even on one that
// it had begun to make when it went.
func TestARestartedPeerWithoutInitialContactIsSentToOnItsNewestChild(t *testing.T) {
	for name, before := range map[string]func(n *network, a *gateway){
		"out of the blue": func(*network, *gateway) {},
		"amid a rekey of its own": func(n *network, a *gateway) {
			synctest.Wait()
			n.lose = func(from *gateway, h isakmp.Header) bool { return from != a } // the answer does not reach it
			a.do(ike.Command{Verb: ike.VerbRekeyChild})
			time.Sleep(oneWay + slack)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			a, b := n.pair()
			a.e.Start()
			time.Sleep(time.Minute)
			before(n, a)
			a.e.Kill()
			synctest.Wait()
			n.lose = nil
			a = n.gateway("a'", configOf(peerOf(0, addrA, addrB)), addrA, func(o *Options) { o.Restored = true })
			a.e.Start()
			time.Sleep(4*oneWay + slack)
			for range 1200 {
				if on := b.sendsOn(); on == 0 || !slices.ContainsFunc(a.table.Snapshot(), func(p sa.Pair) bool { return p.Child.In == on }) {
					t.Fatalf("%s: %v after the restart packets leave on %v, which the peer does not have\n%s", name, time.Since(n.began)-time.Minute, on, strings.Join(n.trace, "\n"))
				}
				time.Sleep(50 * time.Millisecond)
			}
			n.wantAgreement(a, b, 1, 1)
		})
	}
}

// The child goes, and both ends want another at the same moment: one is left, by the rule of rekeys.
func TestTwoThatMissTheirChildAtOnceMakeOne(t *testing.T) {
	for _, want := range []struct {
		name string
		do   func(a, b *gateway)
	}{
		{"the tunnel", func(a, b *gateway) { a.do(ike.Command{Verb: ike.VerbClearChild, Ref: 1}) }},
		{"packets", func(a, b *gateway) {
			a.do(ike.Command{Verb: ike.VerbClearChild, Ref: 1})
			time.Sleep(oneWay)
			for _, g := range []*gateway{a, b} {
				for range 5 {
					g.e.Post(0, ike.Acquire{TSLocal: ike.AnyIPv4(), TSRemote: ike.AnyIPv4()})
				}
			}
		}},
	} {
		for seed := range 8 { // nonces are random
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
				b := n.gateway("b", configOf(peerOf(0, addrB, addrA)), addrB, nil)
				a.e.Start()
				b.e.Start()
				time.Sleep(time.Minute)
				before := a.count("CREATE_CHILD_SA request") + b.count("CREATE_CHILD_SA request")
				want.do(a, b)
				time.Sleep(time.Second)
				if a.sendsOn() == 0 || b.sendsOn() == 0 {
					t.Errorf("%s, run %d: no child after a second", want.name, seed)
				}
				time.Sleep(20 * time.Second) // where only one end saw that the two crossed
				n.wantAgreement(a, b, 1, 1)
				if asked := a.count("CREATE_CHILD_SA request") + b.count("CREATE_CHILD_SA request") - before; asked > 2 {
					t.Errorf("%s, run %d: asked for %d children", want.name, seed, asked)
				}
				time.Sleep(5 * time.Minute)
				n.wantAgreement(a, b, 1, 1)
			})
		}
	}
}
