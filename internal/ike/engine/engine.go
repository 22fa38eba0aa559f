package engine

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// Engine runs the IKE of one gateway. New makes it, Run runs it once, Stop or Kill ends it.
type Engine struct {
	opt    Options
	shards []*shard
	jar    *ikev2.CookieJar
	plan   atomic.Pointer[plan]

	nextID   atomic.Uint64 // of barriers
	halfOpen atomic.Int64  // IKE SAs that others began and have not authenticated

	crypto, installs, store *pool
	workers                 sync.WaitGroup // of the pools

	versions versionReplies
	hints    hintBudget

	applying sync.Mutex // held over Apply, Start and Freeze
	started  bool       // guarded by applying
	frozen   bool       // guarded by applying

	stopping atomic.Bool
	running  atomic.Bool
	kill     context.CancelFunc
	killed   context.Context
	done     chan struct{} // closed when Run has ended
}

// plan is what a configuration means for routing.
type plan struct {
	config *policy.Config
	shard  map[sa.Owner]int
	at     map[netip.Addr][]*policy.Peer // by remote address
}

// New makes an engine for opt.Config. It fails if there is no Installer, no source of SPIs, or no randomness.
func New(opt Options) (*Engine, error) {
	if opt.Installer == nil || opt.SPIs == nil {
		return nil, errors.New("ike engine: an installer and a source of SPIs are needed")
	}
	opt = opt.withDefaults()
	jar, err := ikev2.NewCookieJar(opt.Rand)
	if err != nil {
		return nil, err
	}
	e := &Engine{opt: opt, jar: jar, frozen: opt.Frozen, done: make(chan struct{})}
	e.killed, e.kill = context.WithCancel(context.Background())
	e.crypto = newPool(&e.workers, opt.Workers)
	e.installs = newPool(&e.workers, opt.Workers)
	e.store = newPool(&e.workers, storeWriters)
	for i := range opt.Shards {
		e.shards = append(e.shards, newShard(e, i))
	}
	e.publish(opt.Config)
	for _, p := range e.plan.Load().peers() {
		e.shardOf(p.Remote).add(p, e.frozen)
	}
	return e, nil
}

// publish makes cfg the plan.
func (e *Engine) publish(cfg *policy.Config) {
	pl := &plan{config: cfg, shard: map[sa.Owner]int{}, at: map[netip.Addr][]*policy.Peer{}}
	for _, p := range cfg.Peers {
		if p.Tunnel.Shutdown {
			continue
		}
		a := p.Remote.Unmap()
		pl.shard[sa.Owner(p.ID)] = e.shardOf(a).index
		pl.at[a] = append(pl.at[a], p)
	}
	e.plan.Store(pl)
}

// peers lists the peers of the plan in the order of the configuration.
func (pl *plan) peers() []*policy.Peer {
	var out []*policy.Peer
	for _, p := range pl.config.Peers {
		if !p.Tunnel.Shutdown {
			out = append(out, p)
		}
	}
	return out
}

// shardOf is where everything of a remote address lives (FNV-1a of its octets).
func (e *Engine) shardOf(a netip.Addr) *shard {
	h := uint32(2166136261)
	for _, b := range a.Unmap().AsSlice() {
		h = (h ^ uint32(b)) * 16777619
	}
	return e.shards[h%uint32(len(e.shards))]
}

// Run runs the engine until Stop or Kill ends it, or ctx does, which is like Kill. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	if !e.running.CompareAndSwap(false, true) {
		return errors.New("ike engine: runs already, or has")
	}
	defer close(e.done)
	defer context.AfterFunc(ctx, e.kill)()
	var loops sync.WaitGroup
	for _, s := range e.shards {
		loops.Go(s.run)
	}
	loops.Wait()
	e.kill()
	for _, p := range []*pool{e.crypto, e.installs, e.store} {
		p.close()
	}
	e.workers.Wait()
	return ctx.Err()
}

// Post hands an input to a peer. false: it was not taken, because the mailbox is full (counted), nobody has that number,
// or the engine stops; a command then has no Outcome.
func (e *Engine) Post(o sa.Owner, in ike.Input) bool {
	i, known := e.plan.Load().shard[o]
	if !known || e.stopping.Load() || e.killed.Err() != nil {
		return false
	}
	return e.shards[i].offer(mail{owner: o, in: in})
}

// Start says that the tunnel interfaces are up: peers that are to be called are called. A few begin at once, many are
// spread over time (protocol.md §2.8).
func (e *Engine) Start() {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.started = true
	callers := 0
	for _, p := range e.plan.Load().peers() {
		if p.Initiate {
			callers++
		}
	}
	for _, s := range e.shards {
		s.urgent(func() { s.begin(spread(callers)) })
	}
}

// spread is the time over which n peers begin.
func spread(n int) time.Duration {
	if n <= fewPeers {
		return 0
	}
	return max(leastSpread, time.Duration(n)*time.Second/spreadPerSecond)
}

// Freeze stops (or resumes) what the engine would begin on its own accord, at start-up, after a loss or for traffic.
// Posted commands and calls of peers are served all the same.
func (e *Engine) Freeze(frozen bool) {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.frozen = frozen
	for _, s := range e.shards {
		s.urgent(func() { s.freeze(frozen) })
	}
}

// Status lists the IKE SAs by peer. It asks the shards and gives what it has when ctx ends.
func (e *Engine) Status(ctx context.Context) []ike.Status {
	out := slices.Concat(gather(ctx, e, (*shard).status)...)
	slices.SortStableFunc(out, func(a, b ike.Status) int { return int(a.Owner) - int(b.Owner) })
	return out
}

// Quirks are the faults that peers have shown, of those that have: they outlive IKE SAs. It asks as Status does.
func (e *Engine) Quirks(ctx context.Context) map[sa.Owner]ike.Quirks {
	out := map[sa.Owner]ike.Quirks{}
	for _, some := range gather(ctx, e, (*shard).quirks) {
		maps.Copy(out, some)
	}
	return out
}

// gather asks each shard the same, and gives the answers that came before ctx or the engine ended.
func gather[T any](ctx context.Context, e *Engine, ask func(*shard) T) []T {
	answers := make(chan T, len(e.shards))
	for _, s := range e.shards {
		s.urgent(func() { answers <- ask(s) })
	}
	var out []T
	for range e.shards {
		select {
		case one := <-answers:
			out = append(out, one)
		case <-ctx.Done():
			return out
		case <-e.killed.Done():
			return out
		}
	}
	return out
}

// Stop deletes every IKE SA at its peer, waits for the answers as long as ctx and Options.StopWait allow, and ends Run. A
// second Stop ends it at once.
func (e *Engine) Stop(ctx context.Context) {
	if e.stopping.Swap(true) || !e.running.Load() {
		e.Kill()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.opt.StopWait)
	defer cancel()
	for _, s := range e.shards {
		s.urgent(s.shutdown)
	}
	for _, s := range e.shards {
		select {
		case <-s.quiet:
		case <-ctx.Done():
		case <-e.killed.Done():
		}
	}
	e.Kill()
}

// Kill ends Run without a word to anybody, like a crash, and waits for its end. Not to be called from Options' functions.
func (e *Engine) Kill() {
	e.kill()
	if e.running.Load() {
		<-e.done
	}
}

func (e *Engine) drop(why reason.Drop) bool {
	e.opt.Drop(why, 1)
	return false
}
