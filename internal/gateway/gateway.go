package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/datapath"
	"lockstep/internal/event"
	"lockstep/internal/ike/engine"
	"lockstep/internal/operator/exec"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/policy"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
)

// logRoom is how many events may wait for the sink; what finds none is counted.
const logRoom = 4096

// Gateway is one gateway. New builds it, Run runs it once, Stop or Kill ends it. It is what operators' commands ask
// (exec.Gateway).
type Gateway struct {
	opt     Options
	now     func() time.Time
	started time.Time
	world   World
	state   *state

	running atomic.Pointer[running]
	hosts   atomic.Pointer[surroundings]

	bus  event.Bus
	sink *logsink.Sink
	sub  *event.Subscription

	table     *sa.Table
	installer *installer
	plane     *datapath.Plane
	engine    *engine.Engine
	runner    *runner.Runner
	lines     *lines
	orders    orders
	keys      *keyLog // nil: keys stay here

	applying  sync.Mutex  // held over Apply
	hostConns []io.Closer // sockets of `logging host`; by New and Apply
	hurry     context.CancelFunc
	hurried   context.Context
	ran       atomic.Bool
	stopping  atomic.Bool // by Stop: lines go down in order
	frozen    atomic.Bool
	ended     chan struct{} // closed when Run has ended
}

var _ exec.Gateway = (*Gateway)(nil)

// running is the configuration in force, in both forms.
type running struct {
	config *policy.Config
	tree   *config.Tree
	owner  map[int]sa.Owner // by tunnel unit
	unit   map[sa.Owner]int
	known  map[netip.Addr]bool
}

func newRunning(cfg *policy.Config, tree *config.Tree) *running {
	r := &running{config: cfg, tree: tree, owner: map[int]sa.Owner{}, unit: map[sa.Owner]int{}, known: map[netip.Addr]bool{}}
	for _, p := range cfg.Peers {
		r.owner[p.Tunnel.Unit], r.unit[sa.Owner(p.ID)] = sa.Owner(p.ID), p.Tunnel.Unit
		r.known[p.Remote.Unmap()] = true
	}
	return r
}

// New builds a gateway, opens its sockets and devices, and makes the host's routes those of the configuration. Nothing is
// sent or received before Run. An error is one sentence with the remedy, and leaves nothing open.
func New(o Options) (*Gateway, error) {
	if o.Config == nil {
		o.Config = &policy.Config{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	st, err := openState(o.StateDir, o.Config, o.Now())
	if err != nil {
		return nil, err
	}
	g := &Gateway{opt: o, now: o.Now, started: o.Now(), world: o.World, state: st, ended: make(chan struct{})}
	g.hurried, g.hurry = context.WithCancel(context.Background())
	g.running.Store(newRunning(o.Config, o.Tree))
	g.hosts.Store(&surroundings{})
	g.frozen.Store(o.Frozen)
	if o.Keys != nil {
		g.keys = &keyLog{to: o.Keys}
	}
	if err := g.build(); err != nil {
		g.abandon()
		return nil, err
	}
	if err := g.attach(); err != nil {
		g.abandon()
		return nil, err
	}
	return g, nil
}

// abandon closes what New opened. Nothing has run.
func (g *Gateway) abandon() {
	if g.plane != nil {
		g.plane.Run(stopped()) // closes its wires and devices
	}
	g.closeHosts()
	g.state.close()
}

// stopped is a context that has ended.
func stopped() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// attach takes hold of the host: first what keeps packets from leaving in the clear, then devices, then sockets.
func (g *Gateway) attach() error {
	cfg := g.Config()
	guarded := g.world.Apply(cfg)
	for _, t := range cfg.Tunnels {
		if err := g.open(t); err != nil {
			return err
		}
	}
	if err := g.world.Apply(cfg); err != nil {
		return fmt.Errorf("set up the host: %w", errors.Join(err, unless(err, guarded)))
	}
	g.lines.look()
	wires, err := g.world.Wires()
	if err != nil {
		return err
	}
	for _, w := range wires {
		g.plane.AddWire(w.Wire, w.Local)
	}
	return nil
}

// unless is b, where a does not say the same.
func unless(a, b error) error {
	if b != nil && a.Error() == b.Error() {
		return nil
	}
	return b
}

// open makes a tunnel's device part of the packet path, and gives it a line.
func (g *Gateway) open(t *policy.Tunnel) error {
	d, err := g.device(t)
	if err != nil {
		return err
	}
	g.lines.add(t, d)
	return nil
}

// device opens a tunnel's device and puts it into the packet path.
func (g *Gateway) device(t *policy.Tunnel) (Device, error) {
	d, err := g.world.Open(t)
	if err != nil {
		return nil, err
	}
	if err := g.plane.AddTunnel(t.Unit, d, tunnelOptions(t)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func tunnelOptions(t *policy.Tunnel) datapath.TunnelOptions {
	return datapath.TunnelOptions{MTU: t.MTU, AdjustMSS: t.AdjustMSS, Address4: t.Address.Addr()}
}

// Run carries packets and keeps step until Stop or Kill ends it, or ctx does, which is like Kill.
func (g *Gateway) Run(ctx context.Context) error {
	if !g.ran.CompareAndSwap(false, true) {
		return errors.New("gateway: runs already, or has")
	}
	defer close(g.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.hurried, cancel)()

	var parts sync.WaitGroup
	defer parts.Wait()
	logCtx, endLog := context.WithCancel(context.Background())
	logged := make(chan struct{})
	go func() { defer close(logged); g.sink.Run(logCtx, g.sub) }()
	defer func() { endLog(); <-logged; g.flushLog(); g.closeHosts() }()

	g.bus.Publish(event.Restarted(g.now(), g.opt.Version))
	g.engine.Start() // before the first packet is read: our own call must not look like one for its sake
	parts.Go(func() { g.plane.Run(ctx) })
	parts.Go(func() { g.runner.Run(ctx) })
	parts.Go(func() { g.lines.run(ctx) })
	err := g.engine.Run(ctx)
	if g.stopping.Load() {
		g.lines.down()
	}
	cancel()
	parts.Wait()
	g.state.close()
	return errors.Join(ignore(err), g.world.Close())
}

// ignore leaves out the error of an end that was asked for.
func ignore(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// flushLog prints what waits when the gateway ends.
func (g *Gateway) flushLog() {
	for {
		select {
		case r := <-g.sub.Records():
			g.sink.Write(r)
		default:
			return
		}
	}
}

// Stop deletes every IKE SA at its peer, waits for the answers as long as ctx and a few seconds allow, and ends Run. A
// second Stop ends it at once.
func (g *Gateway) Stop(ctx context.Context) {
	g.stopping.Store(true)
	g.engine.Stop(ctx)
	g.wait()
}

// Kill ends Run like a crash: nobody is told anything, and the host stays as it is.
func (g *Gateway) Kill() {
	g.hurry()
	g.wait()
}

// wait returns when Run has ended; at once if it never began, after closing what New opened.
func (g *Gateway) wait() {
	if g.ran.CompareAndSwap(false, true) {
		g.abandon()
		g.world.Close()
		close(g.ended)
		return
	}
	<-g.ended
}

// Freeze stops or resumes what the gateway begins on its own accord.
func (g *Gateway) Freeze(frozen bool) {
	g.frozen.Store(frozen)
	g.engine.Freeze(frozen)
}

// Events is where everything that an operator may see is published.
func (g *Gateway) Events() *event.Bus { return &g.bus }
