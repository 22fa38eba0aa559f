package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

func endA() netip.AddrPort { return netip.AddrPortFrom(addrA, 500) }
func endB() netip.AddrPort { return netip.AddrPortFrom(addrB, 500) }

// The first message gets effects with every kind of barrier between; one more message comes while the first is open.
func TestEffectsKeepTheirOrderAcrossSlowBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		d.slowStore, d.slowInstall = 2*time.Second, 3*time.Second
		messages := 0
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			switch in := in.(type) {
			case ike.Datagram:
				if messages++; messages > 1 {
					return []ike.Effect{said("second")}
				}
				return []ike.Effect{said("before"), ike.Persist{ID: 1}, said("after persist"),
					ike.Install{ID: 2, Child: sa.Child{In: 5}}, said("after install"),
					ike.Compute{ID: 3, Run: func() (any, error) { return 42, nil }}, said("after compute")}
			case ike.Done:
				return []ike.Effect{said(fmt.Sprintf("done %d %v %v", in.ID, in.Value, in.Err))}
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate, Ref: 1})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		time.Sleep(time.Second)
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		time.Sleep(time.Minute)
		synctest.Wait()
		d.wantLines("0s send before", "0s put", "2s stored",
			"2s send done 1 <nil> <nil>", "2s send after persist", "2s install 5", "5s installed 5",
			"5s send done 2 <nil> <nil>", "5s send after install",
			"5s send done 3 42 <nil>", "5s send after compute", "5s send second")
	})
}

func TestAFailedBarrierIsADoneLikeAnyOther(t *testing.T) {
	for name, c := range map[string]struct {
		effect ike.Effect
		want   string
	}{
		"install": {ike.Install{ID: 1}, "no room"},
		"persist": {ike.Persist{ID: 1}, "disk full"},
		"compute": {ike.Compute{ID: 1, Run: func() (any, error) { return nil, errors.New("bad point") }}, "bad point"},
		"panic":   {ike.Compute{ID: 1, Run: func() (any, error) { panic("boom") }}, "internal error: boom"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, ps := newDiary(t), &puppets{}
			d.failInstall, d.failStore = errors.New("no room"), errors.New("disk full")
			var got error
			ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
				switch in := in.(type) {
				case ike.Datagram:
					return []ike.Effect{c.effect}
				case ike.Done:
					got = in.Err
				}
				return nil
			}
			o := d.options(configOf(peerOf(0, addrA, addrB)))
			o.Maker = ps
			e := launch(t, o)
			e.Post(0, ike.Command{Verb: ike.VerbInitiate})
			synctest.Wait()
			e.Deliver(endA(), endB(), to(ps.of(0).spi))
			synctest.Wait()
			if got == nil || got.Error() != c.want {
				t.Errorf("%s: %v, want %q", name, got, c.want)
			}
		})
	}
}

func TestTheNoneStoreKeepsTheBarrierPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			switch in.(type) {
			case ike.Datagram:
				return []ike.Effect{ike.Persist{ID: 1}, said("behind")}
			case ike.Done:
				return []ike.Effect{said("done")}
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker, o.Store = ps, nil
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		synctest.Wait()
		d.wantLines("0s send done", "0s send behind")
	})
}

// A shard that is held up loses inputs, with a count, and no Done.
func TestAFullMailboxCountsWhatItLosesAndLosesNoDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		held := make(chan struct{})
		d.onSend = func(s ike.Send) {
			if string(s.Bytes) == "hold" {
				<-held
			}
		}
		dones := 0
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			switch in := in.(type) {
			case ike.Acquire:
				return []ike.Effect{ike.Compute{ID: 9, Run: func() (any, error) { time.Sleep(time.Second); return nil, nil }}}
			case ike.Traffic:
				if in.Kind == ike.SeqHigh {
					return []ike.Effect{said("hold")}
				}
			case ike.Done:
				dones++
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker, o.Mailbox = ps, 4
		ps.first = []ike.Effect{ike.Install{ID: 1, Child: sa.Child{In: 5}}}
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		e.Post(1, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		dones = 0
		e.Post(0, ike.Acquire{})
		e.Post(1, ike.Traffic{SPI: 5, Kind: ike.SeqHigh}) // holds the loop
		synctest.Wait()
		taken := 0
		for range 10 {
			if e.Post(0, ike.Command{Verb: ike.VerbLiveness, Ref: 7}) {
				taken++
			}
		}
		time.Sleep(2 * time.Second) // the Compute ends while the mailbox is full
		close(held)
		synctest.Wait()
		if taken != 4 || d.dropped(reason.IKEMailboxFull) != 6 {
			t.Errorf("%d taken, %d counted", taken, d.dropped(reason.IKEMailboxFull))
		}
		if dones != 1 {
			t.Errorf("%d Dones of one barrier", dones)
		}
		if len(d.outcomes) != 4 {
			t.Errorf("%d outcomes of 4 commands", len(d.outcomes))
		}
	})
}

// A store that hangs must not gather effects without bound.
func TestABarrierThatHangsBoundsWhatWaitsBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		d.slowStore = time.Hour
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			if _, ok := in.(ike.Datagram); ok {
				return []ike.Effect{ike.Persist{ID: 1}}
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		for range maxWaiting + 100 {
			e.Deliver(endA(), endB(), to(ps.of(0).spi))
			synctest.Wait()
		}
		if n := d.dropped(reason.IKEMailboxFull); n != 99 { // one is the barrier itself
			t.Errorf("%d dropped", n)
		}
	})
}

func TestAPanicCostsOneIKESAAndTheOtherPeersLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		ps.first = []ike.Effect{ike.Install{ID: 1, Half: sa.BothHalves, Child: sa.Child{In: 5}}}
		ps.react = func(m *puppet, _ time.Time, in ike.Input) []ike.Effect {
			if _, ok := in.(ike.Datagram); ok && m.start.Peer.ID == 0 {
				panic("boom")
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker, o.Frozen = ps, true
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		e.Post(1, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		synctest.Wait()
		e.Post(0, ike.Command{Verb: ike.VerbLiveness, Ref: 1})
		e.Post(1, ike.Command{Verb: ike.VerbLiveness, Ref: 2})
		synctest.Wait()
		if d.dropped(reason.IKEPanic) != 1 || d.dropped(reason.IKEUnknownSPI) != 1 {
			t.Errorf("drops %v", d.drops)
		}
		if len(d.outcomes) != 2 || d.outcomes[0].Result != ike.NoIKE || d.outcomes[1].Result != ike.OK {
			t.Errorf("outcomes %+v", d.outcomes)
		}
		if len(d.events) != 1 || !strings.Contains(d.events[0].Text, "boom") || d.events[0].At.IsZero() {
			t.Errorf("events %+v", d.events)
		}
		if !strings.Contains(strings.Join(d.lines, "\n"), "remove 5") {
			t.Errorf("the broken machine's child stays installed: %q", d.lines)
		}
	})
}

func TestTicksComeAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		ps.react = func(m *puppet, now time.Time, in ike.Input) []ike.Effect {
			switch in.(type) {
			case ike.Datagram:
				m.deadline = now.Add(1500 * time.Millisecond)
			case ike.Tick:
				m.deadline = time.Time{}
				return []ike.Effect{said("tick")}
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		e.Post(1, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		time.Sleep(time.Second)
		e.Deliver(endA(), endB(), to(ps.of(1).spi))
		time.Sleep(time.Minute)
		synctest.Wait()
		d.wantLines("1.5s send tick", "2.5s send tick")
	})
}

func TestAMachineThatIsAlwaysDueDoesNotSpinTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		ticks := 0
		ps.react = func(m *puppet, now time.Time, in ike.Input) []ike.Effect {
			switch in.(type) {
			case ike.Datagram:
				m.deadline = now
			case ike.Tick:
				ticks++
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		time.Sleep(20*time.Millisecond + breath/2)
		synctest.Wait()
		if ticks < 20 || ticks > 22 {
			t.Errorf("%d ticks in 20 ms", ticks)
		}
	})
}

func TestFirstMessagesLeaveRoomInTheMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		held := make(chan struct{})
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker, o.Mailbox = ps, 8
		e := launch(t, o)
		e.shards[0].urgent(func() { <-held })
		synctest.Wait()
		for i := range byte(8) {
			e.Deliver(endA(), endB(), opening(1, i))
		}
		if d.dropped(reason.IKEMailboxFull) != 2 || !e.Deliver(endA(), endB(), to(0x100)) || !e.Post(0, ike.Acquire{}) {
			t.Errorf("drops %v", d.drops)
		}
		close(held)
	})
}

func TestSPIsInUseAreSkippedAndGivenUpAfterAFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		for spi := sa.SPI(0x1001); spi < 0x1004; spi++ {
			d.taken[spi] = true
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		env := ps.of(0).start.Env
		if spi, err := env.AllocSPI(0); err != nil || spi != 0x1004 || !d.larval[spi] {
			t.Errorf("%v, %v", spi, err)
		}
		for spi := sa.SPI(0x1005); spi < 0x1100; spi++ {
			d.taken[spi] = true
		}
		if _, err := env.AllocSPI(0); !errors.Is(err, errNoSPI) {
			t.Errorf("error %v", err)
		}
		if spi := env.AllocIKE(); spi == 0 || int(spi&0xff) != e.shardOf(addrB).index {
			t.Errorf("IKE SPI %v does not name its shard", spi)
		}
	})
}

func TestStopTellsEveryPeerAndLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble fails if a goroutine is left
		d, ps := newDiary(t), &puppets{}
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			c, ok := in.(ike.Command)
			if !ok || c.Verb != ike.VerbShutdown {
				return nil
			}
			return append([]ike.Effect{said("delete")}, obey(in)...)
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker, o.Shards = ps, 4
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- e.Run(context.Background()) }()
		e.Start()
		synctest.Wait()
		e.Stop(context.Background())
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(d.sent) != 2 || time.Since(d.began) != 0 {
			t.Errorf("%d Deletes after %v", len(d.sent), time.Since(d.began))
		}
		if e.Post(0, ike.Command{Verb: ike.VerbInitiate}) || e.Deliver(endA(), endB(), to(1)) {
			t.Error("a stopped engine takes inputs")
		}
	})
}

func TestStopWaitsForAnswersSoLongAndASecondStopNotAtAll(t *testing.T) {
	silent := func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
		if c, ok := in.(ike.Command); ok && c.Verb == ike.VerbShutdown {
			return []ike.Effect{said("delete")} // and no answer comes
		}
		return nil
	}
	for name, c := range map[string]struct {
		second bool
		want   time.Duration
	}{"no answer": {false, defaultStopWait}, "second stop": {true, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			d, ps := newDiary(t), &puppets{react: silent}
			o := d.options(configOf(peerOf(0, addrA, addrB)))
			o.Maker = ps
			e := launch(t, o)
			e.Freeze(false) // a loop that was idle once still waits at the end
			synctest.Wait()
			e.Start()
			synctest.Wait()
			if c.second {
				time.AfterFunc(time.Second, func() { e.Stop(context.Background()) })
			}
			e.Stop(context.Background())
			if got := time.Since(d.began); got != c.want {
				t.Errorf("%s: stopped after %v, want %v", name, got, c.want)
			}
		})
	}
}

func TestKillSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Start()
		synctest.Wait()
		e.Kill()
		if len(d.sent) != 0 {
			t.Errorf("sent %v", d.sent)
		}
	})
}

func TestAShardThatIsBusyAtAKillSendsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		held := make(chan struct{})
		d.onSend = func(ike.Send) { <-held }
		ps.react = func(_ *puppet, _ time.Time, in ike.Input) []ike.Effect {
			if _, ok := in.(ike.Datagram); ok {
				return []ike.Effect{said("before"), said("after")}
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), to(ps.of(0).spi))
		synctest.Wait()
		go e.Kill()
		synctest.Wait()
		close(held)
		synctest.Wait()
		d.wantLines("0s send before")
	})
}

func TestStartSpreadsManyPeersAndCallsFewAtOnce(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 0, 8: 0, 9: 5 * time.Second, 1000: 20 * time.Second} {
		if got := spread(n); got != want {
			t.Errorf("%d peers over %v, want %v", n, got, want)
		}
	}
}

func TestApplyKeepsUntouchedPeersAndEndsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		ps.react = func(m *puppet, _ time.Time, in ike.Input) []ike.Effect {
			if c, ok := in.(ike.Command); ok && c.Verb == ike.VerbShutdown {
				return append([]ike.Effect{said(fmt.Sprintf("delete %d", m.start.Peer.ID))}, obey(in)...)
			}
			return nil
		}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrA, addrC)))
		o.Maker, o.Shards = ps, 4
		e := launch(t, o)
		e.Start()
		synctest.Wait()
		kept := ps.of(0)
		changed := peerOf(1, addrA, addrC)
		changed.IPsec.Lifetime = time.Minute
		addrD := netip.MustParseAddr("192.0.2.4")
		e.Apply(configOf(peerOf(0, addrA, addrB), changed, peerOf(2, addrA, addrD)), func(unit int) bool { return unit == 1 })
		synctest.Wait()
		if ps.of(0) != kept || ps.of(2) == nil || ps.of(1).start.Peer.IPsec.Lifetime != time.Minute {
			t.Error("wrong machines were made")
		}
		d.wantLines("0s send delete 1", d.forgets())
		if got := e.Status(context.Background()); len(got) != 3 {
			t.Errorf("%d IKE SAs", len(got))
		}
		e.Apply(configOf(), nil)
		synctest.Wait()
		if got := e.Status(context.Background()); len(got) != 0 {
			t.Errorf("%d IKE SAs after the last peer went", len(got))
		}
		if e.Post(0, ike.Acquire{}) {
			t.Error("a peer that is gone takes inputs")
		}
	})
}

// forgets is the line of the store's Delete, whose SPI is random.
func (d *diary) forgets() string {
	for _, l := range d.lines {
		if strings.Contains(l, "forget") {
			return l
		}
	}
	return "no forget"
}

func TestFreezeHoldsBackStartUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker, o.Frozen = ps, true
		e := launch(t, o)
		e.Start()
		time.Sleep(time.Hour)
		if ps.of(0) != nil {
			t.Fatal("called although frozen")
		}
		e.Freeze(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if ps.of(0) == nil {
			t.Error("did not call when thawed")
		}
	})
}

func TestStatusEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		e, err := New(d.options(configOf(peerOf(0, addrA, addrB))))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // nobody runs the engine
		defer cancel()
		if got := e.Status(ctx); got != nil || time.Since(d.began) != time.Second {
			t.Errorf("%v after %v", got, time.Since(d.began))
		}
	})
}

func TestNewRefusesWhatCannotRun(t *testing.T) {
	if _, err := New(Options{Config: &policy.Config{}}); err == nil {
		t.Error("no installer, no error")
	}
}
