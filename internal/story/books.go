package story

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
)

// books stand between a gateway's IKE and its SA table: they know the children that are installed, so that a story can take
// one away behind IKE's back, and let the table take its time.
type books struct {
	engine.Installer
	ctx context.Context

	mu       sync.Mutex
	children map[sa.SPI]sa.Child // guarded by mu: by inbound SPI
	slowest  time.Duration       // guarded by mu: an install takes up to so long
	luck     *rand.Rand          // guarded by mu
}

// under puts the books below what a sabotage puts before the table.
func (b *books) under(outer func(engine.Installer) engine.Installer) func(engine.Installer) engine.Installer {
	return func(table engine.Installer) engine.Installer {
		b.Installer = table
		if outer == nil {
			return b
		}
		return outer(b)
	}
}

// Install implements engine.Installer.
func (b *books) Install(c sa.Child, h sa.Half, now time.Time) error {
	if err := pause(b.ctx, b.wait()); err != nil {
		return err
	}
	if err := b.Installer.Install(c, h, now); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.children[c.In] = c
	return nil
}

func (b *books) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slowest == 0 {
		return 0
	}
	return time.Duration(b.luck.Int64N(int64(b.slowest)))
}

// Remove implements engine.Installer.
func (b *books) Remove(in, out sa.SPI, o sa.Owner, h sa.Half, why sa.TombReason, now time.Time) {
	b.Installer.Remove(in, out, o, h, why, now)
	if h&sa.InboundHalf == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.children, in)
}

// lose takes every child out of the table; IKE does not hear of it.
func (b *books) lose(now time.Time) map[uint32]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := map[uint32]bool{}
	for in, c := range b.children {
		b.Installer.Remove(in, c.Out, c.Owner, sa.BothHalves, sa.TombInstallFailed, now)
		lost[uint32(in)] = true
	}
	clear(b.children)
	return lost
}

func (b *books) slow(most time.Duration, seed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slowest, b.luck = most, rand.New(rand.NewPCG(uint64(seed), 0))
}

// parseForget reads `forget`, which counts as an outage of no length.
func parseForget(p *parser, w *words) action {
	name := p.partnered(w)
	return func(ctx context.Context, st *stage) error {
		s := st.sites[name]
		if s.gw == nil {
			return errDown
		}
		release, err := st.betweenPackets(ctx, st.partner(s), s)
		if err != nil {
			return err
		}
		left := st.eyes.spis(s.addr())
		now := time.Now()
		lost := s.books.lose(now)
		release()
		if len(lost) == 0 {
			st.tell("fault", name, "has no child SA left to lose")
			return nil // a twin may have come to that
		}
		s.outages = append(s.outages, outage{crashed: now, restarted: now, lost: lost, left: left})
		st.hunt(s, lost)
		st.tell("fault", name, fmt.Sprintf("loses %d child SA in its data plane; its IKE has not noticed, and nobody is told", len(lost)))
		return nil
	}
}

// betweenPackets waits for a moment at which no packet is at the door: the last that came is through, and the next is kept
// from coming until release is called.
func (st *stage) betweenPackets(ctx context.Context, from, to *site) (release func(), err error) {
	const most = 5 * time.Millisecond
	f := st.flow(from, to)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		release = st.net.Hold()
		last, ok := st.eyes.latest(sawESP, from.addr(), to.addr())
		if ok && time.Since(last.at) <= most && f.deliveredAfter(last.at) {
			return release, nil
		}
		release()
		if err := pause(ctx, time.Millisecond/2); err != nil {
			return nil, err
		}
	}
	return st.net.Hold(), nil // packets come too fast, or not at all
}

func parseInstalls(p *parser, w *words) action {
	name := p.gateway(w)
	w.literal("take up to")
	most := w.duration("the time of the slowest", time.Millisecond, maxDelay)
	w.literal("seed")
	seed := w.count("a seed", 0, 1_000_000)
	return func(_ context.Context, st *stage) error {
		s := st.sites[name]
		if s.gw == nil {
			return errDown
		}
		s.books.slow(most, seed)
		st.tell("fault", name, fmt.Sprintf("installs a half of an SA in up to %v from now on", most))
		return nil
	}
}
