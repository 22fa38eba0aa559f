package runner

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
	"lockstep/internal/sa/spi"
)

var (
	ours = netip.MustParseAddr("192.0.2.1")
	peer = netip.MustParseAddr("192.0.2.2")
)

const lostSPI = sa.SPI(0x0000ABCD)

type fakeTable struct {
	states map[sa.SPI]sa.State
	tombs  map[sa.SPI]sa.Tombstone
}

func (f fakeTable) State(s sa.SPI, _ time.Time) sa.State { return f.states[s] }
func (f fakeTable) Tombstone(s sa.SPI, _ time.Time) (sa.Tombstone, bool) {
	t, ok := f.tombs[s]
	return t, ok
}

type fakeIdentity spi.Verdict

func (f fakeIdentity) Ours(uint32, time.Time) spi.Verdict { return spi.Verdict(f) }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func config() *policy.Config {
	ipsec := &policy.IPsecProfile{Lifetime: time.Hour}
	return &policy.Config{Recovery: policy.Recovery{InvalidSPI: true, Extended: true}, Peers: []*policy.Peer{
		{ID: 0, Tunnel: &policy.Tunnel{Unit: 0, Source: netip.MustParseAddr("192.0.2.9")}, Remote: peer, IPsec: ipsec, Initiate: true},
		{ID: 1, Tunnel: &policy.Tunnel{Unit: 1, Source: ours}, Remote: peer, IPsec: ipsec, Initiate: true},
	}}
}

// bed is a runner in a bubble with fakes around it.
type bed struct {
	*Runner
	feed   *Feed
	posted []ike.Command
	at     []time.Time
	events []event.Record
	refuse bool
}

func start(t *testing.T, change func(*Options)) *bed {
	b := &bed{feed: NewFeed()}
	o := Options{Config: config(), Strays: b.feed, Table: fakeTable{}, Identity: fakeIdentity(spi.Issued), Rand: zeros{},
		Post: func(o sa.Owner, c ike.Command) bool {
			if o != 1 {
				t.Errorf("command for owner %d", o)
			}
			b.posted, b.at = append(b.posted, c), append(b.at, time.Now())
			return !b.refuse
		},
		Events: func(r event.Record) { b.events = append(b.events, r) }}
	if change != nil {
		change(&o)
	}
	b.Runner = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		b.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return b
}

func stray(s sa.SPI, first time.Time, count uint64) Stray {
	return Stray{Src: netip.AddrPortFrom(peer, 0), Dst: netip.AddrPortFrom(ours, 0), SPI: s, First: first, Last: time.Now(), Count: count, Octets: 100 * count, MinLen: 100}
}

func (b *bed) lines() []string {
	synctest.Wait()
	var out []string
	for _, r := range b.events {
		if r.Mnemonic != "" {
			out = append(out, r.Mnemonic+": "+r.Text)
		}
	}
	return out
}

func TestTheFirstStrayIsAnsweredAtOnceAndTheHealingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		time.Sleep(time.Minute)
		began := time.Now()
		b.feed.Put(stray(lostSPI, began, 1))
		synctest.Wait()
		if len(b.posted) != 1 || b.posted[0].Verb != ike.VerbInitiate || !b.at[0].Equal(began) {
			t.Fatalf("posted %+v at %v, want one Initiate at %v", b.posted, b.at, began)
		}
		time.Sleep(50 * time.Millisecond)
		b.feed.Put(stray(lostSPI, began, 6))
		ref := b.posted[0].Ref
		time.Sleep(30 * time.Millisecond)
		b.Notice(ike.Notice{Kind: ike.IKEUp, Owner: 1, At: time.Now(), IKE: 5, Initiator: true, ByCommand: ref})
		b.Notice(ike.Notice{Kind: ike.ChildUp, Owner: 1, At: time.Now(), IKE: 5, In: 0x9000, Initiator: true, ByCommand: ref})
		b.Outcome(ike.Outcome{Ref: 12345, Result: ike.AuthFailed}) // somebody else's
		b.Outcome(ike.Outcome{Ref: ref, Owner: 1, Result: ike.OK, RoundTrips: 2})
		b.Notice(ike.Notice{Kind: ike.FirstInboundOK, Owner: 1, At: time.Now(), IKE: 5, In: 0x9000})
		synctest.Wait()
		if i, ok := b.Incident(1); !ok || i.HealTime() != 80*time.Millisecond || i.Lost != 6 {
			t.Errorf("published at once: %+v", b.Incidents())
		}
		time.Sleep(15 * time.Second)
		want := []string{
			"RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, spi=0x0000ABCD(43981), srcaddr=192.0.2.2",
			"RECOVERY_STARTED: Tunnel1: peer 192.0.2.2, spi 0x0000ABCD: new IKE SA (no IKE SA with a static peer; spi 0x0000ABCD(43981) is one that we issued and lost)",
			"RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, spi=0x0000ABCD(43981), srcaddr=192.0.2.2",
			"RECOVERY_HEALED: Tunnel1: peer 192.0.2.2 healed by recovery in 80 ms, 2 round trips, 6 packets lost, cause D01",
		}
		if got := b.lines(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		flows := b.Flows(t.Context())
		if len(flows) != 1 || flows[0].Count != 6 || flows[0].Peer != "Tunnel1" || flows[0].OwnerBy != "configuration" || flows[0].Incident != 1 {
			t.Errorf("%+v", flows)
		}
		if s := b.Standings(); len(s) != 2 || s[1].Healed24 != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestEachFindingHasItsClass is protocol.md §1.2 from K3 on.
func TestEachFindingHasItsClass(t *testing.T) {
	tomb := sa.Tombstone{SPI: lostSPI, Owner: 1, Why: sa.TombCleared, Deleted: time.Unix(0, 0)}
	for name, c := range map[string]struct {
		state  sa.State
		ours   spi.Verdict
		noID   bool
		source string
		class  recovery.Class
		owner  sa.Owner
	}{
		"K3 installed":         {state: sa.Installed},
		"K4 installing":        {state: sa.Installing},
		"K5 larval":            {state: sa.Larval},
		"K7 tombstone":         {state: sa.Tombed, ours: spi.Issued, class: recovery.Tombstone, owner: 1},
		"K7 in grace":          {state: sa.Grace, ours: spi.Issued, class: recovery.Tombstone, owner: 1},
		"K10 lost":             {ours: spi.Issued, class: recovery.Lost, owner: 1},
		"K11 never ours":       {ours: spi.NeverOurs, class: recovery.NeverOurs, owner: 1},
		"K12 unknown":          {ours: spi.CannotTell, class: recovery.Unknown, owner: 1},
		"K12 without identity": {noID: true, class: recovery.Unknown, owner: 1},
		"a stranger":           {ours: spi.Issued, source: "203.0.113.7", class: recovery.Lost, owner: sa.NoOwner},
		"a tombstone knows its owner wherever it comes from": {state: sa.Tombed, source: "203.0.113.7", class: recovery.Tombstone, owner: 1},
		"a mapped address": {ours: spi.Issued, source: "::ffff:192.0.2.2", class: recovery.Lost, owner: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, func(o *Options) {
					o.Table = fakeTable{map[sa.SPI]sa.State{lostSPI: c.state}, map[sa.SPI]sa.Tombstone{lostSPI: tomb}}
					o.Identity = fakeIdentity(c.ours)
					if c.noID {
						o.Identity = nil
					}
				})
				s := stray(lostSPI, time.Now(), 1)
				if c.source != "" {
					s.Src = netip.AddrPortFrom(netip.MustParseAddr(c.source), 4500)
				}
				b.feed.Put(s)
				synctest.Wait()
				flows := b.Flows(t.Context())
				if c.class == 0 {
					if len(flows) != 0 || len(b.posted) != 0 || len(b.lines()) != 0 || b.Stats().Late != 1 {
						t.Errorf("a packet on an SPI in use became evidence: %+v, %+v", flows, b.posted)
					}
					return
				}
				if len(flows) != 1 || flows[0].Class != c.class || flows[0].Owner != c.owner || len(b.lines()) == 0 {
					t.Errorf("%+v", flows)
				}
			})
		})
	}
}

func TestALiveIKESANamesTheOwnerBeforeTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *Options) {
			o.LiveOwner = func(local, remote netip.AddrPort, encap sa.Encap) (sa.Owner, bool) {
				return 1, remote.Port() == 31000 && encap == sa.EncapUDP && local.Port() == 4500
			}
		})
		s := stray(lostSPI, time.Now(), 1) // behind a NAT: no configured address
		s.Src, s.Dst, s.Encap = netip.MustParseAddrPort("203.0.113.7:31000"), netip.AddrPortFrom(ours, 4500), sa.EncapUDP
		b.feed.Put(s)
		synctest.Wait()
		if f := b.Flows(t.Context()); len(f) != 1 || f[0].Owner != 1 || f[0].OwnerBy != "live IKE SA" {
			t.Errorf("%+v", f)
		}
		if l := b.lines(); len(l) == 0 || !strings.Contains(l[0], "prot=50") {
			t.Errorf("in UDP: %q", l)
		}
	})
}

func TestTheIdentityMayTellOfAnEarlierRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		earlier, known := true, true
		b := start(t, func(o *Options) { o.EarlierRun = func(sa.SPI) (bool, bool) { return earlier, known } })
		time.Sleep(time.Hour)
		var causes []string
		for i := range sa.SPI(3) {
			b.feed.Put(stray(lostSPI+i, time.Now(), 1))
			synctest.Wait()
			causes = append(causes, b.Incidents()[i].Cause)
			earlier, known = false, i == 0
		}
		if want := []string{"D01", "unknown", "unknown"}; !slices.Equal(causes, want) {
			t.Errorf("causes %v, want %v", causes, want)
		}
	})
}

func TestAFullMailboxIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.refuse = true
		began := time.Now()
		b.feed.Put(stray(lostSPI, began, 1))
		synctest.Wait()
		if b.Stats().Unsent != 1 {
			t.Errorf("%+v", b.Stats())
		}
		b.refuse = false
		time.Sleep(3 * time.Second)
		b.feed.Put(stray(lostSPI, began, 2))
		synctest.Wait()
		if len(b.posted) != 2 {
			t.Errorf("%d posts", len(b.posted))
		}
	})
}

func TestPacketsOnAnOlderSAEndAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var packets atomic.Uint64
		b := start(t, func(o *Options) { o.Received = func(sa.Owner) uint64 { return packets.Load() } })
		b.Notice(ike.Notice{Kind: ike.IKEUp, Owner: 1, At: time.Now(), IKE: 5})
		b.Notice(ike.Notice{Kind: ike.ChildUp, Owner: 1, At: time.Now(), IKE: 5, In: 0x9000})
		b.feed.Put(stray(lostSPI, time.Now(), 1))
		synctest.Wait()
		if len(b.posted) != 1 || b.posted[0].Verb != ike.VerbDeleteSPI {
			t.Fatalf("%+v", b.posted)
		}
		b.Outcome(ike.Outcome{Ref: b.posted[0].Ref, Owner: 1, Result: ike.OK, RoundTrips: 1})
		time.Sleep(time.Second)
		packets.Store(10)
		time.Sleep(4 * time.Second)
		if i, _ := b.Incident(1); i.Result != recovery.WasHealed || i.Healer != recovery.ByRecovery {
			t.Errorf("%v by %v: %+v", i.Result, i.Healer, i.Timeline)
		}
	})
}

func TestReloadAndClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *Options) {
			o.Config = config()
			o.Config.Recovery.InvalidSPI = false
		})
		began := time.Now()
		b.feed.Put(stray(lostSPI, began, 1))
		synctest.Wait()
		if len(b.posted) != 0 {
			t.Fatalf("%+v", b.posted)
		}
		if !b.Apply(config()) || !b.Clear(sa.NoOwner) {
			t.Error("not taken")
		}
		synctest.Wait()
		if len(b.posted) != 1 {
			t.Errorf("%+v", b.posted)
		}
	})
}

func TestAnIdleRunnerSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := 0
		b := start(t, func(o *Options) {
			o.Now = func() time.Time {
				turns++
				return time.Now()
			}
		})
		time.Sleep(time.Hour)
		b.feed.Put(stray(lostSPI, time.Now(), 1))
		time.Sleep(time.Hour)
		synctest.Wait()
		if turns > 20 {
			t.Errorf("%d turns in two hours with one packet", turns)
		}
	})
}

func TestQueuesAreBoundedAndOrdersEndAnyway(t *testing.T) {
	r := New(Options{Strays: NewFeed(), Table: fakeTable{}}) // does not run
	for range 2 * maxInputs {
		r.Notice(ike.Notice{Kind: ike.ChildUp})
		r.Notice(ike.Notice{Kind: ike.PeerAlive})
	}
	if n := len(r.queue.waiting); n != maxNotices {
		t.Errorf("%d notices wait", n)
	}
	r.Outcome(ike.Outcome{Ref: recovery.RefTag | 1})
	if n := len(r.queue.waiting); n != maxNotices+1 {
		t.Error("the end of an order found no room")
	}
	if r.Stats().Lost != 2*maxInputs-maxNotices {
		t.Errorf("%+v", r.Stats())
	}
	f := NewFeed()
	for range 3 {
		f.Put(make([]Stray, maxFed)...)
	}
	if got := f.TakeStrays(nil); len(got) != maxFed || f.Lost() != 2*maxFed {
		t.Errorf("%d strays, %d lost", len(got), f.Lost())
	}
}

func TestCountsSurviveLostHandOversAndForgettingWorkers(t *testing.T) {
	var tl tallies
	t0 := time.Unix(1000, 0)
	s := Stray{SPI: 1, First: t0, Last: t0}
	sum := uint64(0)
	for _, c := range []struct {
		worker int
		first  time.Time
		count  uint64
	}{{0, t0, 3}, {0, t0, 10}, {1, t0, 4}, {0, t0, 12}, {0, t0.Add(time.Second), 2}, {1, t0, 4}} {
		s.Worker, s.First, s.Count = c.worker, c.first, c.count
		n, _ := tl.since(s)
		sum += n
	}
	if sum != 12+4+2 {
		t.Errorf("%d packets, want 18", sum)
	}
	for i := range 2 * maxTallies {
		s.SPI = sa.SPI(i)
		tl.since(s)
	}
	if len(tl.seen) > maxTallies {
		t.Errorf("%d tallies", len(tl.seen))
	}
	s.Last = t0.Add(time.Hour)
	s.SPI = 0xFFFFFFFF
	if tl.since(s); len(tl.seen) != 1 {
		t.Errorf("%d tallies an hour later", len(tl.seen))
	}
}

func TestATunnelThatGoesOneWayIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		silent := func(in sa.SPI) {
			b.Notice(ike.Notice{Kind: ike.ChildSilent, Owner: 1, At: time.Now(), IKE: 5, In: in, Out: in + 1, Since: time.Now().Add(-10 * time.Second)})
			synctest.Wait()
		}
		b.Notice(ike.Notice{Kind: ike.IKEUp, Owner: 1, At: time.Now(), IKE: 5})
		b.Notice(ike.Notice{Kind: ike.ChildUp, Owner: 1, At: time.Now(), IKE: 5, In: 0x9000, Out: 0x9001})
		time.Sleep(time.Minute)
		silent(0x9000)
		b.Outcome(ike.Outcome{Ref: b.posted[0].Ref, Owner: 1, Result: ike.OK, RoundTrips: 1})
		synctest.Wait()
		b.Notice(ike.Notice{Kind: ike.ChildUp, Owner: 1, At: time.Now(), IKE: 5, In: 0x9100, Out: 0x9101, ByCommand: b.posted[1].Ref})
		b.Outcome(ike.Outcome{Ref: b.posted[1].Ref, Owner: 1, Result: ike.OK, RoundTrips: 1})
		time.Sleep(20 * time.Second)
		silent(0x9100)
		want := []string{
			"RECOVERY_STARTED: Tunnel1: peer 192.0.2.2, spi 0x00009000: one rekey of the child SA (nothing ever came on this child SA)",
			"RECOVERY_ONE_WAY: Tunnel1: peer 192.0.2.2: we send on 0x00009101(37121), and nothing comes back, although the peer answers IKE " +
				"and a fresh child SA changed nothing; looked at again at " + time.Now().Add(100*time.Second).Format(time.DateTime),
		}
		if got := b.lines(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if s := b.Standings(); s[1].OneWayUntil.IsZero() {
			t.Errorf("%+v", s[1])
		}
	})
}
