package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

// tunnelOf is peerOf with another unit than number: what a configuration has after reloads.
func tunnelOf(id, unit int, remote netip.Addr) *policy.Peer {
	p := peerOf(id, addrA, remote)
	p.Tunnel.Unit = unit
	return p
}

// reloads runs an engine of puppets that was started with one configuration, applies another, and tells what the peers of
// units saw: "deleted", "made", "told".
func reloads(t *testing.T, before, after *policy.Config, anew func(int) bool) []string {
	t.Helper()
	var seen []string
	note := func(p *policy.Peer, what string) { seen = append(seen, fmt.Sprintf("%d %s", p.Tunnel.Unit, what)) }
	d, ps := newDiary(t), &puppets{}
	ps.react = func(m *puppet, _ time.Time, in ike.Input) []ike.Effect {
		switch in := in.(type) {
		case ike.Command:
			if in.Verb == ike.VerbShutdown {
				note(m.start.Peer, "deleted")
			}
		case ike.Reconfigured:
			if !slices.Contains(after.Peers, in.Peer) {
				t.Errorf("told of a policy that is not in force: %+v", in.Peer)
			}
			note(in.Peer, "told")
		}
		return nil
	}
	o := d.options(before)
	o.Maker = ps
	e := launch(t, o)
	e.Start()
	synctest.Wait()
	old := map[int]*puppet{}
	for _, p := range before.Peers {
		old[p.ID] = ps.of(p.ID)
	}
	e.Apply(after, anew)
	synctest.Wait()
	for _, p := range after.Peers {
		if m := ps.of(p.ID); m != nil && m != old[p.ID] {
			note(m.start.Peer, "made")
		}
	}
	if got := len(e.Status(context.Background())); got != len(after.Peers) {
		t.Errorf("%d IKE SAs of %d peers", got, len(after.Peers))
	}
	e.Kill()
	slices.Sort(seen)
	return seen
}

func TestApplyTouchesWhatItMustAndTellsTheOthers(t *testing.T) {
	both := func() *policy.Config { return configOf(tunnelOf(0, 10, addrB), tunnelOf(1, 20, addrC)) }
	never := func(int) bool { return false }
	for name, c := range map[string]struct {
		after *policy.Config
		anew  func(int) bool
		want  []string
	}{
		"the same again":           {both(), never, []string{"10 told", "20 told"}},
		"nobody asks for anew":     {both(), nil, []string{"10 told", "20 told"}},
		"one must be made anew":    {both(), func(unit int) bool { return unit == 20 }, []string{"10 told", "20 deleted", "20 made"}},
		"one is removed":           {configOf(tunnelOf(1, 20, addrC)), never, []string{"10 deleted", "20 told"}},
		"one is added before them": {configOf(tunnelOf(2, 5, netip.MustParseAddr("192.0.2.4")), tunnelOf(0, 10, addrB), tunnelOf(1, 20, addrC)), never, []string{"10 told", "20 told", "5 made"}},
		"another address, though nobody says so": {configOf(tunnelOf(0, 10, netip.MustParseAddr("192.0.2.9")), tunnelOf(1, 20, addrC)), never,
			[]string{"10 deleted", "10 made", "20 told"}},
		"another number, though nobody says so": {configOf(tunnelOf(2, 10, addrB), tunnelOf(1, 20, addrC)), never, []string{"10 deleted", "10 made", "20 told"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := reloads(t, both(), c.after, c.anew); !slices.Equal(got, c.want) {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestATunnelThatIsShutDownGoesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := configOf(tunnelOf(0, 10, addrB))
		down.Tunnels[0].Shutdown = true
		d, ps := newDiary(t), &puppets{}
		o := d.options(configOf(tunnelOf(0, 10, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Start()
		synctest.Wait()
		e.Apply(down, nil)
		synctest.Wait()
		if got := e.Status(context.Background()); len(got) != 0 || e.Post(0, ike.Acquire{}) {
			t.Errorf("%d IKE SAs of a tunnel that is shut down", len(got))
		}
		e.Apply(configOf(tunnelOf(0, 10, addrB)), nil)
		synctest.Wait()
		if got := e.Status(context.Background()); len(got) != 1 {
			t.Errorf("%d IKE SAs after no shutdown", len(got))
		}
	})
}

func TestNothingIsBegunByAReloadBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		o := d.options(configOf())
		o.Maker = ps
		e := launch(t, o)
		e.Apply(configOf(tunnelOf(0, 10, addrB)), nil)
		time.Sleep(time.Minute)
		if ps.of(0) != nil {
			t.Error("called before Start")
		}
		e.Start()
		synctest.Wait()
		if ps.of(0) == nil {
			t.Error("not called at Start")
		}
	})
}

// differs is what config.Diff says, in the form of Apply.
func differs(before, after *policy.Config) func(int) bool {
	sas := map[string]bool{}
	for _, c := range config.Diff(before, after).Changed {
		sas[c.Tunnel] = c.SAs
	}
	return func(unit int) bool { return sas[(&policy.Tunnel{Unit: unit}).Name()] }
}

func TestAReloadOfLifetimesKeepsTheSAsAndCountsFromTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		old := configOf(peerOf(0, addrA, addrB))
		a := n.gateway("a", old, addrA, nil)
		b := n.gateway("b", configOf(responder(peerOf(0, addrB, addrA))), addrB, nil)
		a.e.Start()
		time.Sleep(time.Second)
		n.wantAgreement(a, b, 1, 1)
		before := a.table.Snapshot()[0].Child

		p := peerOf(0, addrA, addrB)
		p.IPsec.Lifetime, p.IKE.DPD = 10*time.Minute, &policy.DPD{Interval: 10 * time.Second, Retry: 2 * time.Second, Periodic: true}
		p.Tunnel.Description = "to site B"
		changed := configOf(p)
		a.e.Apply(changed, differs(old, changed))
		asked := a.count("INFORMATIONAL request")
		time.Sleep(time.Minute)
		n.wantAgreement(a, b, 1, 1)
		if now := a.table.Snapshot()[0].Child; now.In != before.In || now.Out != before.Out {
			t.Errorf("the child was replaced: %v/%v after %v/%v", now.In, now.Out, before.In, before.Out)
		}
		if got := a.count("INFORMATIONAL request") - asked; got < 5 {
			t.Errorf("%d liveness checks in the minute after dpd 10 2 periodic", got)
		}
		time.Sleep(59 * time.Minute) // the old lifetime is over: the child was rekeyed, under the new one
		n.behindRekeys(a, b)
		n.wantAgreement(a, b, 1, 1)
		child := a.table.Snapshot()[0].Child
		if child.In == before.In {
			t.Fatal("the child outlived its lifetime")
		}
		if life := child.Hard.Sub(child.Created); life > 10*time.Minute {
			t.Errorf("the new child lives %v", life)
		}
	})
}

func TestAReloadWithAnotherKeyMakesTheSAsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		old := configOf(peerOf(0, addrA, addrB))
		a := n.gateway("a", old, addrA, nil)
		theirs := configOf(responder(peerOf(0, addrB, addrA)))
		b := n.gateway("b", theirs, addrB, nil)
		a.e.Start()
		time.Sleep(time.Second)
		before := a.table.Snapshot()[0].Child

		key := policy.NewSecret([]byte("another-horse"))
		p, q := peerOf(0, addrA, addrB), responder(peerOf(0, addrB, addrA))
		p.Key.Local, p.Key.Remote, q.Key.Local, q.Key.Remote = key, key, key, key
		b.e.Apply(configOf(q), differs(theirs, configOf(q)))
		time.Sleep(100 * time.Millisecond)
		changed := configOf(p)
		a.e.Apply(changed, differs(old, changed))
		time.Sleep(2 * time.Minute)
		n.wantAgreement(a, b, 1, 1)
		if now := a.table.Snapshot()[0].Child; now.In == before.In {
			t.Error("the child of the old key is still there")
		}
		if tomb, ok := a.table.Tombstone(before.In, time.Now()); !ok || tomb.Owner != sa.Owner(0) {
			t.Errorf("the old child left %+v; trace:\n%s", tomb, strings.Join(n.trace, "\n"))
		}
	})
}
