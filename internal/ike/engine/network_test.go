package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/sa/spi"
	"lockstep/internal/suite"
	"lockstep/internal/wire/isakmp"
)

const (
	oneWay = 20 * time.Millisecond
	slack  = time.Millisecond // what happens at the same moment has happened
)

// network carries messages between gateways with a delay.
type network struct {
	t     *testing.T
	began time.Time

	mu    sync.Mutex
	at    map[netip.Addr]*gateway // guarded by mu
	trace []string                // guarded by mu
	// lose decides which messages are lost; nil: none. Called under mu.
	lose func(from *gateway, h isakmp.Header) bool
	// delay replaces oneWay; nil: oneWay.
	delay func(from *gateway, h isakmp.Header) time.Duration
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, began: time.Now(), at: map[netip.Addr]*gateway{}}
}

// gateway is an engine with real machines, the real SA table and the real SPIs.
type gateway struct {
	name  string
	net   *network
	addr  netip.Addr
	e     *Engine
	table *sa.Table

	mu       sync.Mutex
	outcomes []ike.Outcome
	notices  []ike.Notice
	drops    map[reason.Drop]int
	sent     map[string]int // requests by exchange, retransmissions included
}

// gateway makes one and runs it. At an address that has one already it is the same box after a restart.
func (n *network) gateway(name string, cfg *policy.Config, addr netip.Addr, change func(*Options)) *gateway {
	n.t.Helper()
	ids, err := spi.OpenMemory(time.Now(), time.Hour, rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	g := &gateway{name: name, net: n, addr: addr, table: sa.NewTable(sa.Options{}), drops: map[reason.Drop]int{}, sent: map[string]int{}}
	o := Options{Config: cfg, Installer: g.table, SPIs: ids, Send: g.send, SendsOn: g.table.SendsOn,
		Outcomes: func(o ike.Outcome) { g.mu.Lock(); g.outcomes = append(g.outcomes, o); g.mu.Unlock() },
		Notices:  func(x ike.Notice) { g.mu.Lock(); g.notices = append(g.notices, x); g.mu.Unlock() },
		Drop:     func(r reason.Drop, k int) { g.mu.Lock(); g.drops[r] += k; g.mu.Unlock() },
		Events: func(r event.Record) {
			if r.Severity <= event.Error {
				n.notef("%s %%%s-%d-%s: %s", name, r.Facility, r.Severity, r.Mnemonic, r.Text)
			}
		}}
	if change != nil {
		change(&o)
	}
	g.e = launch(n.t, o)
	n.mu.Lock()
	n.at[addr] = g
	n.mu.Unlock()
	return g
}

func (n *network) notef(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace = append(n.trace, fmt.Sprintf("%9v ", time.Since(n.began))+fmt.Sprintf(format, args...))
}

func (g *gateway) send(s ike.Send) {
	h, err := isakmp.ParseHeader(s.Bytes)
	if err != nil {
		return // a NAT keepalive
	}
	n := g.net
	kind := "request"
	if h.Response() {
		kind = "response"
	}
	n.notef("%s %v %s %d", g.name, h.Exchange, kind, h.MessageID)
	g.mu.Lock()
	g.sent[fmt.Sprintf("%v %s", h.Exchange, kind)]++
	g.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lose != nil && n.lose(g, h) {
		return
	}
	d := oneWay
	if n.delay != nil {
		d = n.delay(g, h)
	}
	msg := append([]byte(nil), s.Bytes...)
	time.AfterFunc(d, func() {
		n.mu.Lock()
		to := n.at[s.Remote.Addr()]
		n.mu.Unlock()
		if to != nil {
			to.e.Deliver(s.Remote, s.Local, msg)
		}
	})
}

func (g *gateway) count(exchange string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sent[exchange]
}

func (g *gateway) dropped(r reason.Drop) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.drops[r]
}

func (g *gateway) ikeSAs() []ike.Status {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var up []ike.Status
	for _, st := range g.e.Status(ctx) {
		if st.State == "READY" {
			up = append(up, st)
		}
	}
	return up
}

// wantAgreement: both ends have that many children, the same SPIs crosswise, and nothing half made.
func (n *network) wantAgreement(a, b *gateway, ikes, children int) {
	n.t.Helper()
	synctest.Wait()
	pa, pb := a.table.Snapshot(), b.table.Snapshot()
	halves := map[[2]sa.SPI]bool{}
	for _, p := range pa {
		halves[[2]sa.SPI{p.Child.In, p.Child.Out}] = p.Both
	}
	agree := len(pa) == children && len(pb) == children && len(a.ikeSAs()) == ikes && len(b.ikeSAs()) == ikes
	for _, p := range pb {
		agree = agree && p.Both && halves[[2]sa.SPI{p.Child.Out, p.Child.In}]
	}
	if !agree {
		n.t.Errorf("want %d IKE SAs with %d children on both sides\n%s: %d, %+v\n%s: %d, %+v\n%s", ikes, children,
			a.name, len(a.ikeSAs()), pairs(pa), b.name, len(b.ikeSAs()), pairs(pb), strings.Join(n.trace, "\n"))
	}
}

// behindRekeys waits where a rekey by time happens to be under way, or its old child in its grace: such times are random.
func (n *network) behindRekeys(a, b *gateway) {
	if len(a.table.Snapshot()) > 1 || len(b.table.Snapshot()) > 1 {
		time.Sleep(20 * time.Second)
	}
}

func pairs(ps []sa.Pair) (out []string) {
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%v/%v both=%v", p.Child.In, p.Child.Out, p.Both))
	}
	return out
}

// responder is a peer that calls nobody.
func responder(p *policy.Peer) *policy.Peer {
	p.Initiate = false
	return p
}

// pair is two gateways of which a calls.
func (n *network) pair() (a, b *gateway) {
	a = n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
	b = n.gateway("b", configOf(responder(peerOf(0, addrB, addrA))), addrB, nil)
	return a, b
}

func (g *gateway) do(c ike.Command) {
	if !g.e.Post(0, c) {
		g.net.t.Errorf("%s did not take %+v", g.name, c)
	}
}

func (g *gateway) wantOutcome(ref uint64, r ike.Result) {
	g.net.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, o := range g.outcomes {
		if o.Ref == ref {
			n++
			if o.Result != r {
				g.net.t.Errorf("%s: outcome %+v, want result %d", g.name, o, r)
			}
		}
	}
	if n != 1 {
		g.net.t.Errorf("%s: %d outcomes of command %d", g.name, n, ref)
	}
}

func TestTwoEnginesComeUpInTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		b.e.Start()
		time.Sleep(4*oneWay + slack)
		n.wantAgreement(a, b, 1, 1)
		time.Sleep(time.Minute)
		if got := a.count("IKE_SA_INIT request"); got != 1 {
			t.Errorf("%d calls", got)
		}
	})
}

func TestRekeysByCommandAndByTimeKeepOneChildOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Second)
		a.do(ike.Command{Verb: ike.VerbRekeyChild, Ref: 1})
		time.Sleep(time.Minute)
		b.do(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 2})
		time.Sleep(time.Minute)
		a.do(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 3})
		time.Sleep(time.Minute)
		b.do(ike.Command{Verb: ike.VerbRekeyChild, Ref: 4})
		time.Sleep(time.Minute)
		for ref, g := range []*gateway{1: a, 2: b, 3: a, 4: b} {
			if ref > 0 {
				g.wantOutcome(uint64(ref), ike.OK)
			}
		}
		n.wantAgreement(a, b, 1, 1)
		before := a.table.Snapshot()[0].Child.In
		time.Sleep(3 * time.Hour) // three lifetimes of a child
		n.behindRekeys(a, b)
		n.wantAgreement(a, b, 1, 1)
		if a.table.Snapshot()[0].Child.In == before {
			t.Error("the child was never rekeyed")
		}
		time.Sleep(26 * time.Hour)
		n.behindRekeys(a, b)
		n.wantAgreement(a, b, 1, 1)
	})
}

func TestClearedIKESAComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		old := a.ikeSAs()[0].LocalSPI
		a.do(ike.Command{Verb: ike.VerbClearIKE, Ref: 1})
		time.Sleep(2 * time.Second)
		a.wantOutcome(1, ike.OK)
		n.wantAgreement(a, b, 1, 1)
		if a.ikeSAs()[0].LocalSPI == old {
			t.Error("nothing was cleared")
		}
		time.Sleep(time.Minute)
		b.do(ike.Command{Verb: ike.VerbClearIKE, Ref: 1}) // the other end, which calls nobody
		time.Sleep(10 * time.Second)
		b.wantOutcome(1, ike.OK)
		n.wantAgreement(a, b, 1, 1)
	})
}

func TestAfterACrashInitialContactDiscardsTheOldSAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		cfg := configOf(peerOf(0, addrA, addrB))
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		lost := b.table.Snapshot()[0].Child.In
		a.e.Kill()
		a = n.gateway("a'", cfg, addrA, nil)
		a.e.Start()
		time.Sleep(4*oneWay + slack)
		n.wantAgreement(a, b, 1, 1)
		if tomb, ok := b.table.Tombstone(lost, time.Now()); !ok || tomb.Why != sa.TombInitialContact {
			t.Errorf("tombstone %+v, %v", tomb, ok)
		}
	})
}

// Without INITIAL_CONTACT (a peer that never says it) the old SAs end by the check that the new one leads to.
func TestAfterACrashWithoutInitialContactLivenessEndsTheOldSAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		lost := b.table.Snapshot()[0].Child.In
		a.e.Kill()
		a = n.gateway("a'", configOf(peerOf(0, addrA, addrB)), addrA, func(o *Options) { o.Restored = true })
		a.e.Start()
		time.Sleep(4*oneWay + slack)
		if got := len(b.ikeSAs()); got != 2 {
			t.Errorf("%d IKE SAs right after: nothing unproven may go", got)
		}
		time.Sleep(ike.ProbeSchedule().Total() + time.Second)
		n.wantAgreement(a, b, 1, 1)
		if tomb, ok := b.table.Tombstone(lost, time.Now()); !ok || tomb.Why != sa.TombDPD {
			t.Errorf("tombstone %+v, %v", tomb, ok)
		}
	})
}

func TestStopDeletesEverythingAtThePeerWithinARoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		began := time.Now()
		a.e.Stop(context.Background())
		if took := time.Since(began); took != 2*oneWay {
			t.Errorf("stopped after %v", took)
		}
		if len(a.table.Snapshot()) != 0 || len(b.table.Snapshot()) != 0 || len(b.ikeSAs()) != 0 {
			t.Error("SAs are left")
		}
	})
}

// spiRand is randomness whose IKE SPIs begin with one octet: it decides who wins a crossing.
type spiRand byte

func (r spiRand) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	if len(b) == 8 {
		b[0] = byte(r)
	}
	return n, err
}

func withSPIs(first byte) func(*Options) {
	return func(o *Options) { o.Rand = spiRand(first) }
}

// One of two that crossed pauses, the other goes on; the tunnel is up as fast as if only one had called.
func TestCrossingCallsConvergeToOneChildOnBothSides(t *testing.T) {
	crossing(t, suite.GroupCurve25519)
}

// The arithmetic of this group goes off the loop: calls cross while barriers are open.
func TestCrossingCallsOfASlowGroupConvergeToo(t *testing.T) { crossing(t, suite.GroupMODP2048) }

func crossing(t *testing.T, group uint16) {
	end := func(local, remote netip.Addr) *policy.Config {
		p := peerOf(0, local, remote)
		p.Proposals[0].Groups = []uint16{group}
		return configOf(p)
	}
	for _, first := range [][2]byte{{0x10, 0xf0}, {0xf0, 0x10}} {
		for _, later := range []time.Duration{0, 5, 15, 25, 45, 70} {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				a := n.gateway("a", end(addrA, addrB), addrA, withSPIs(first[0]))
				b := n.gateway("b", end(addrB, addrA), addrB, withSPIs(first[1]))
				a.e.Start()
				time.Sleep(later * time.Millisecond)
				b.e.Start()
				time.Sleep(6*oneWay + slack)
				if len(a.table.Snapshot()) == 0 || len(b.table.Snapshot()) == 0 {
					t.Errorf("SPIs %x, second call %v later: no child after %v", first, later*time.Millisecond, 6*oneWay)
				}
				time.Sleep(time.Minute)
				n.wantAgreement(a, b, 1, 1)
			})
		}
	}
}

// a ── INIT ───────────────► b     (a's SPIi is the lower)
// a ◄─ resp ──── INIT(slow) ─ b
// a ── AUTH(slow) ─────────► b     a's IKE_AUTH is out when b's call arrives,
// a ── resp ──► ◄── AUTH(slow) b   and b's is before a's arrives: both come up
//
// Then a alone deletes its own, once b's works.
func TestCallsThatBothReachIKEAuthEndWithTheHigherSPIi(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, withSPIs(0x10))
		b := n.gateway("b", configOf(peerOf(0, addrB, addrA)), addrB, withSPIs(0xf0))
		n.delay = func(from *gateway, h isakmp.Header) time.Duration {
			if from == b && h.Exchange == isakmp.IKESAInit && !h.Response() {
				return 50 * time.Millisecond
			}
			if h.Exchange == isakmp.IKEAuth && !h.Response() {
				return 100 * time.Millisecond
			}
			return oneWay
		}
		a.e.Start()
		time.Sleep(15 * time.Millisecond) // b calls before a's call arrives
		b.e.Start()
		time.Sleep(time.Minute)
		n.wantAgreement(a, b, 1, 1)
		if a.count("IKE_AUTH request") != 1 || b.count("IKE_AUTH request") != 1 {
			t.Fatalf("the calls did not cross:\n%s", strings.Join(n.trace, "\n"))
		}
		if left := a.ikeSAs(); len(left) != 1 || left[0].Initiator {
			t.Error("the lower SPIi survived")
		}
		var ends []string
		for _, g := range []*gateway{a, b} {
			for _, x := range g.notices {
				if x.Kind == ike.IKEDown {
					ends = append(ends, fmt.Sprintf("%s: %v", g.name, x.Cause))
				}
			}
		}
		if want := "a: collision loser, b: IKE SA deleted"; strings.Join(ends, ", ") != want {
			t.Errorf("IKE SAs ended as %q, want %q\n%s", ends, want, strings.Join(n.trace, "\n"))
		}
	})
}

func TestCookiesKeepTheDoorOpenUnderHalfOpenLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		cfg := configOf(responder(peerOf(0, addrB, addrA)))
		cfg.CookieChallenge = 1
		b := n.gateway("b", cfg, addrB, nil)
		a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, func(o *Options) { o.Frozen = true })
		// A forger calls in a's name; half-open IKE SAs gather until cookies are due.
		forger := n.gateway("forger", configOf(peerOf(0, addrA, addrB)), addrC, nil)
		forger.e.Start()
		time.Sleep(time.Second)
		a.do(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
		time.Sleep(6*oneWay + slack)
		a.wantOutcome(1, ike.OK)
		n.wantAgreement(a, b, 1, 1)
		if b.dropped(reason.IKECookieSent) == 0 {
			t.Errorf("no cookie was asked for: %v", b.drops)
		}
	})
}

func TestADeadPeerIsCalledAgainUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
		a.e.Start()
		time.Sleep(10 * time.Minute) // nobody there
		if calls := a.count("IKE_SA_INIT request"); calls < 12 || calls > 60 {
			t.Errorf("%d requests in ten minutes", calls)
		}
		b := n.gateway("b", configOf(responder(peerOf(0, addrB, addrA))), addrB, nil)
		time.Sleep(7 * time.Minute)
		n.wantAgreement(a, b, 1, 1)
	})
}
