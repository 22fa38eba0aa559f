package datapath

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// ErrNoWire: no wire is there for the local address and encapsulation.
var ErrNoWire = errors.New("no socket for the local address")

// Plane is the packet path of one gateway. Wires and tunnels may come and go while it runs.
type Plane struct {
	opt     Options
	tunnels atomic.Pointer[map[int]*tunnel] // copied by the holder of mu
	wires   atomic.Pointer[[]port]          // copied by the holder of mu
	wake    chan struct{}                   // one slot: there are strays
	early   earlyQueue
	panics  atomic.Uint64

	mu      sync.Mutex
	workers []*worker   // guarded by mu; only grows
	things  []io.Closer // guarded by mu: what Run closes at its end
	pending []func()    // guarded by mu: loops that wait for Run
	running bool        // guarded by mu
	done    bool        // guarded by mu
	loops   sync.WaitGroup
}

// port is a wire with what it can send.
type port struct {
	wire  Wire
	local netip.AddrPort // unspecified address: every one of ours; port 0: protocol 50
}

// tunnel is one device with its way out.
type tunnel struct {
	unit   int
	device Device
	egress *sa.Egress
	opt    atomic.Pointer[TunnelOptions] // replaced by SetTunnelOptions
	mtu    atomic.Int64
	in     tally // packets for the device, by all wires' loops
	out    tally // packets from the device, by its loop alone
}

// New makes a Plane without wires and tunnels.
func New(opt Options) *Plane {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.AcquirePerSecond <= 0 {
		opt.AcquirePerSecond = 10
	}
	p := &Plane{opt: opt, wake: make(chan struct{}, 1)}
	p.tunnels.Store(&map[int]*tunnel{})
	p.wires.Store(&[]port{})
	w := p.worker("early packets")
	p.early.init(w)
	p.pending = append(p.pending, p.early.loop)
	p.things = append(p.things, &p.early)
	return p
}

// AddTunnel makes a device the inside of a tunnel; its loop runs until the device is closed or Run ends. An error: the
// unit has a device.
func (p *Plane) AddTunnel(unit int, d Device, o TunnelOptions) error {
	t := &tunnel{unit: unit, device: d, egress: p.opt.Table.Tunnel(unit)}
	t.opt.Store(&o)
	t.mtu.Store(int64(o.MTU))
	p.mu.Lock()
	if (*p.tunnels.Load())[unit] != nil {
		p.mu.Unlock()
		return fmt.Errorf("tunnel %d has a device", unit)
	}
	next := maps.Clone(*p.tunnels.Load())
	next[unit] = t
	p.tunnels.Store(&next)
	p.mu.Unlock()
	l := newTransmitter(p, t)
	p.start(l.loop, d)
	return nil
}

// RemoveTunnel takes a tunnel out: packets for it are dropped from now on. The caller closes the device, which ends its
// loop.
func (p *Plane) RemoveTunnel(unit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := (*p.tunnels.Load())[unit]
	if t == nil {
		return
	}
	next := maps.Clone(*p.tunnels.Load())
	delete(next, unit)
	p.tunnels.Store(&next)
	p.forget(t.device)
}

// SetMTU changes the MTU of a tunnel.
func (p *Plane) SetMTU(unit, mtu int) {
	if t := (*p.tunnels.Load())[unit]; t != nil {
		t.mtu.Store(int64(mtu))
	}
}

// SetTunnelOptions changes what TunnelOptions say of a tunnel, its MTU excepted.
func (p *Plane) SetTunnelOptions(unit int, o TunnelOptions) {
	if t := (*p.tunnels.Load())[unit]; t != nil {
		t.opt.Store(&o)
	}
}

// AddWire receives from a wire until it is closed or Run ends, and sends on it what leaves from local: UDP port 500 (IKE
// alone), UDP port 4500 (IKE and ESP), or port 0 for protocol 50. An unspecified address stands for every one of ours.
func (p *Plane) AddWire(w Wire, local netip.AddrPort) {
	p.mu.Lock()
	next := append(slices.Clone(*p.wires.Load()), port{w, local})
	p.wires.Store(&next)
	p.mu.Unlock()
	l := newReceiver(p, w, local)
	p.start(l.loop, w)
}

// RemoveWire takes a wire out. The caller closes it, which ends its loop.
func (p *Plane) RemoveWire(w Wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(*p.wires.Load()), func(x port) bool { return x.wire == w })
	p.wires.Store(&next)
	p.forget(w)
}

// forget is called with mu held.
func (p *Plane) forget(c io.Closer) {
	p.things = slices.DeleteFunc(p.things, func(x io.Closer) bool { return x == c })
}

// wireFor finds the wire for packets from local; nil: none.
func (p *Plane) wireFor(local netip.AddrPort, encap sa.Encap) Wire {
	number := local.Port()
	if encap == sa.EncapNone {
		number = 0
	}
	all := *p.wires.Load()
	for i := range all {
		x := &all[i]
		if x.local.Port() == number && (x.local.Addr() == local.Addr() || x.local.Addr().IsUnspecified()) {
			return x.wire
		}
	}
	return nil
}

// SendIKE sends an IKE message from one of our UDP ports, behind the non-ESP marker if marker says so (RFC 3948 §2.2).
func (p *Plane) SendIKE(local, remote netip.AddrPort, msg []byte, marker bool) error {
	w := p.wireFor(local, sa.EncapUDP)
	if w == nil {
		return fmt.Errorf("send IKE from %s: %w", local, ErrNoWire)
	}
	if marker {
		msg = append(isakmp.AppendMarker(make([]byte, 0, isakmp.MarkerLen+len(msg))), msg...)
	}
	return w.Send(&Run{Local: local, Remote: remote, Encap: sa.EncapUDP, Buf: msg})
}

// start runs a loop, now or when Run begins; c is closed when Run ends.
func (p *Plane) start(loop func(), c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.done:
		c.Close()
	case p.running:
		p.things = append(p.things, c)
		p.loops.Go(loop)
	default:
		p.things = append(p.things, c)
		p.pending = append(p.pending, loop)
	}
}

// Run carries packets until ctx ends, closes all wires and devices, and returns when all loops have ended. It is called
// once.
func (p *Plane) Run(ctx context.Context) {
	p.mu.Lock()
	p.running = true
	for _, loop := range p.pending {
		p.loops.Go(loop)
	}
	p.pending = nil
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.done = true
	things := p.things
	p.things = nil
	p.mu.Unlock()
	for _, c := range things {
		c.Close()
	}
	p.loops.Wait()
}

// Inject takes packets whose SA is installed by now; it is made for sa.Options.Installed and never waits.
func (p *Plane) Inject(_ sa.SPI, early []sa.Early) { p.early.put(early) }

// Lost counts early packets that waited in vain; it is made for sa.Options.Lost.
func (p *Plane) Lost(packets, octets int) { p.early.lost(packets, octets) }

// Drops is what was discarded so far, by reason.
func (p *Plane) Drops() counters.Totals {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := make(counters.Set, len(p.workers))
	for i, w := range p.workers {
		set[i] = w.drops
	}
	return set.Totals()
}

// Count adds drops that were noticed elsewhere, so that one table shows all: IKE messages (engine.Options.Drop).
func (p *Plane) Count(why reason.Drop, octets int) { p.early.w.drops.Drop(why, octets) }

// Panics counts the rounds of loops that failed inside and were abandoned; it should be 0.
func (p *Plane) Panics() uint64 { return p.panics.Load() }

// TakeStrays appends what the loops have noted of packets without an SA since the last call. A stray stays until it is
// taken.
func (p *Plane) TakeStrays(buf []Stray) []Stray {
	p.mu.Lock()
	workers := p.workers
	p.mu.Unlock()
	for _, w := range workers {
		buf = w.takeStrays(buf)
	}
	return buf
}

// StrayWake receives when there is something to take; one slot, never closed.
func (p *Plane) StrayWake() <-chan struct{} { return p.wake }
