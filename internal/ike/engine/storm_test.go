package engine

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// Whatever the network did to calls, rekeys and clears of both ends: once it heals, both have the same children, and at
// least one.
func TestBothEndsAgreeOnceABadNetworkHeals(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) { storm(t, seed) })
	}
}

func storm(t *testing.T, seed uint64) {
	n := newNetwork(t)
	dice, weather := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 3))
	var bad atomic.Bool
	bad.Store(true)
	n.lose = func(*gateway, isakmp.Header) bool { return bad.Load() && weather.Float64() < 0.3 }
	n.delay = func(*gateway, isakmp.Header) time.Duration {
		if !bad.Load() {
			return oneWay
		}
		return time.Duration(weather.IntN(200)) * time.Millisecond
	}
	watchful := func(p *policy.Peer) *policy.Config { // without traffic only periodic checks find a peer that gave up
		c := configOf(p)
		c.DPDDefault = &policy.DPD{Interval: 30 * time.Second, Retry: 2 * time.Second, Periodic: true}
		return c
	}
	a := n.gateway("a", watchful(peerOf(0, addrA, addrB)), addrA, nil)
	b := n.gateway("b", watchful(peerOf(0, addrB, addrA)), addrB, nil)
	a.e.Start()
	b.e.Start()
	verbs := []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE, ike.VerbClearIKE, ike.VerbClearChild, ike.VerbLiveness, ike.VerbInitiate, ike.VerbRekeyChild}
	ends := []*gateway{a, b}
	asked := []uint64{0, 0}
	for range 40 {
		time.Sleep(time.Duration(dice.IntN(20000)) * time.Millisecond)
		i := dice.IntN(2)
		asked[i]++
		ends[i].do(ike.Command{Verb: verbs[dice.IntN(len(verbs))], Ref: asked[i]})
	}
	bad.Store(false)
	time.Sleep(20 * time.Minute)
	synctest.Wait()
	for i, g := range ends {
		g.wantOneOutcomeEach(asked[i])
	}
	n.wantSameChildren(a, b)
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

// Crashes of both ends, each with the loss of everything, under a network that loses one message in ten.
func TestBothEndsAgreeAfterCrashes(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) { crashes(t, seed) })
	}
}

func crashes(t *testing.T, seed uint64) {
	n := newNetwork(t)
	dice, weather := rand.New(rand.NewPCG(seed, 2)), rand.New(rand.NewPCG(seed, 4))
	var bad atomic.Bool
	bad.Store(true)
	n.lose = func(*gateway, isakmp.Header) bool { return bad.Load() && weather.Float64() < 0.1 }
	boot := func(i int) *gateway {
		at := []netip.Addr{addrA, addrB}
		c := configOf(peerOf(0, at[i], at[1-i]))
		c.DPDDefault = &policy.DPD{Interval: 30 * time.Second, Retry: 2 * time.Second, Periodic: true}
		g := n.gateway([]string{"a", "b"}[i], c, at[i], nil)
		g.e.Start()
		return g
	}
	ends := []*gateway{boot(0), boot(1)}
	for range 15 {
		time.Sleep(time.Duration(dice.IntN(10000)) * time.Millisecond)
		i := dice.IntN(2)
		ends[i].e.Kill()
		if dice.IntN(3) == 0 { // both at once: two cold starters
			ends[1-i].e.Kill()
			ends[1-i] = boot(1 - i)
		}
		time.Sleep(time.Duration(dice.IntN(100)) * time.Millisecond)
		ends[i] = boot(i)
	}
	bad.Store(false)
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	n.wantSameChildren(ends[0], ends[1])
	if got := len(ends[0].ikeSAs()); got != 1 {
		t.Errorf("%d IKE SAs are left", got)
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

func (g *gateway) wantOneOutcomeEach(last uint64) {
	g.net.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	n := map[uint64]int{}
	for _, o := range g.outcomes {
		n[o.Ref]++
	}
	for ref := uint64(1); ref <= last; ref++ {
		if n[ref] != 1 {
			g.net.t.Errorf("%s: %d outcomes of command %d", g.name, n[ref], ref)
		}
	}
	if len(n) != int(last) {
		g.net.t.Errorf("%s: outcomes of %d commands, %d were given", g.name, len(n), last)
	}
}

// wantSameChildren: at least one, the same SPIs crosswise, both halves.
func (n *network) wantSameChildren(a, b *gateway) {
	n.t.Helper()
	pa, pb := a.table.Snapshot(), b.table.Snapshot()
	theirs := map[[2]sa.SPI]bool{}
	for _, p := range pb {
		theirs[[2]sa.SPI{p.Child.Out, p.Child.In}] = p.Both
	}
	ok := len(pa) > 0 && len(pa) == len(pb) && len(a.ikeSAs()) == len(b.ikeSAs())
	for _, p := range pa {
		ok = ok && p.Both && theirs[[2]sa.SPI{p.Child.In, p.Child.Out}]
	}
	if !ok {
		last := n.trace[max(0, len(n.trace)-60):]
		n.t.Errorf("children differ\na %v\nb %v\n%s", pairs(pa), pairs(pb), strings.Join(last, "\n"))
	}
}
