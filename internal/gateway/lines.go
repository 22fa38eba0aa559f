package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/policy"
	"lockstep/internal/steer"
)

const (
	// lookEvery is how often the host is looked at although it told of no change: a burst of changes can end the watch.
	lookEvery = 30 * time.Second
	// lookRest times what a look took passes before the next one: a router whose routes change all the time has many, and
	// looking at them shall cost a fifth of a core at most.
	lookRest = 4
)

// lines keeps what follows the child SAs on the host: line protocol, carrier, routes, MTU. One goroutine does it (run),
// so that neither packet loops nor IKE wait for the kernel; the others only wake it.
type lines struct {
	g     *Gateway
	child chan struct{} // one slot: a child came or went
	host  chan struct{} // one slot: look at the host

	// turn is held over whatever calls the World or changes a line: a turn of run, or a reload.
	turn  sync.Mutex
	ended bool // changed under turn, by down: no line comes up any more

	mu  sync.Mutex
	all map[int]*line // changed under turn and mu, with all of each; by tunnel unit
}

// line is one tunnel interface as it stands.
type line struct {
	tunnel    *policy.Tunnel
	device    Device
	gone      atomic.Bool // the device was deleted on the host
	up        bool
	stranded  bool // no way to the peer
	recursive bool // the way led into a tunnel
	since     time.Time
	flaps     uint64
	mtu       int
	path      int // MTU of the way to the peer, octets; 0: not known
	cost      steer.Encapsulation
	fault     string // the last one that was told
}

// surroundings is what packet loops and IKE may ask of the host, as it was last looked at.
type surroundings struct {
	addresses []netip.Addr
	sources   map[int]netip.Addr // by tunnel unit
}

func (s *surroundings) ours(a netip.Addr) bool { return slices.Contains(s.addresses, a.Unmap()) }

func (s *surroundings) source(unit int) (netip.Addr, bool) {
	a, ok := s.sources[unit]
	return a, ok
}

func newLines(g *Gateway) *lines {
	return &lines{g: g, child: make(chan struct{}, 1), host: make(chan struct{}, 1), all: map[int]*line{}}
}

func (l *lines) add(t *policy.Tunnel, d Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[t.Unit] = &line{tunnel: t, device: d}
}

// update gives a tunnel its new configuration; false: there is none of that unit.
func (l *lines) update(t *policy.Tunnel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.all[t.Unit]
	if x != nil {
		x.tunnel = t
	}
	return x != nil
}

// remove takes a tunnel out and gives its device back. Its line goes down before: a tunnel that gets the number later on
// would find its routes up without a child. Callers have the turn.
func (l *lines) remove(unit int) Device {
	x := l.line(unit)
	if x == nil {
		return nil
	}
	l.setLine(x, false)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, unit)
	return x.device
}

func (l *lines) line(unit int) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[unit]
}

// changed says that a child came or went. It never waits.
func (l *lines) changed() { poke(l.child) }

// lookAgain says that the host may have changed. It never waits.
func (l *lines) lookAgain() { poke(l.host) }

// lost says that a tunnel's device was deleted on the host. It never waits.
func (l *lines) lost(unit int) {
	l.mu.Lock()
	if x := l.all[unit]; x != nil {
		x.gone.Store(true)
	}
	l.mu.Unlock()
	l.lookAgain()
}

// reopen makes a deleted device again; what cannot be made is tried with the next look at the host.
func (l *lines) reopen(x *line) {
	l.setLine(x, false)
	l.g.plane.RemoveTunnel(x.tunnel.Unit)
	_ = x.device.Close() // there is nothing behind it
	d, err := l.g.device(x.tunnel)
	if err != nil {
		l.told(x.tunnel.Name()+": make its interface again", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	x.device, x.mtu = d, 0
	x.gone.Store(false)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run follows children and host until ctx ends.
func (l *lines) run(ctx context.Context) {
	changes, err := l.g.world.Changes(ctx)
	l.told("watch the host", err)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var rest <-chan time.Time // nil: it is over
	for {
		host, changes, look := l.host, changes, true
		if rest != nil {
			host, changes = nil, nil // one slot each: what is told now waits there
		}
		select {
		case <-ctx.Done():
			return
		case <-l.child:
			look = false
		case <-rest:
			rest = nil
			continue
		case <-host:
		case <-changes:
		case <-tick.C:
		}
		began := time.Now()
		l.step(look)
		if look {
			rest = time.After(lookRest * time.Since(began))
		}
	}
}

func (l *lines) step(look bool) {
	l.turn.Lock()
	defer l.turn.Unlock()
	if look {
		l.look()
	}
	l.follow()
}

// down takes every line down for good: the gateway stops, the twins stay. Children whose Delete a silent peer has not
// answered are installed yet, and must not bring a line up again.
func (l *lines) down() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.ended = true
	for _, x := range l.copies() {
		l.setLine(x, false)
	}
}

// look takes in the host as it is now.
func (l *lines) look() {
	w := l.g.world
	for _, x := range l.copies() {
		if x.gone.Load() {
			l.reopen(x)
		}
	}
	l.told("the host's routes", w.Refresh())
	s := &surroundings{sources: map[int]netip.Addr{}}
	var err error
	if s.addresses, err = w.Addresses(); err != nil {
		l.told("the host's addresses", err)
		s.addresses = l.g.hosts.Load().addresses // without any, all ESP would count as in transit
	}
	var came []int
	for _, x := range l.copies() {
		if a, err := w.Source(x.tunnel); err == nil {
			s.sources[x.tunnel.Unit] = a
		}
		under := w.Underlay(x.tunnel)
		l.fault(x, under.Err)
		if was := x.stranded; was && under.Err == nil {
			came = append(came, x.tunnel.Unit)
		}
		x.stranded = under.Err != nil
		l.setPath(x, under.MTU)
		// While the line is held down its routes are gone, and nothing leads into the tunnel any more: only another way to
		// the peer ends it, or the line would flap.
		l.setRecursive(x, under.Recursive || x.recursive && x.stranded)
		l.setMTU(x)
	}
	l.g.hosts.Store(s)
	for _, unit := range came {
		l.g.call(unit)
	}
}

// follow makes each line what its children say: up with a working one and a way to the peer, down without, so that routing
// follows.
func (l *lines) follow() {
	for _, x := range l.copies() {
		up := !l.ended && !x.gone.Load() && l.g.table.Tunnel(x.tunnel.Unit).Up() && !x.stranded && !x.tunnel.Shutdown
		if up {
			l.setCost(x)
		}
		l.setLine(x, up)
	}
}

// copies are the lines in the order of their units. Whoever has the turn alone changes them, so it may look without mu.
func (l *lines) copies() []*line {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*line, 0, len(l.all))
	for _, x := range l.all {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b *line) int { return a.tunnel.Unit - b.tunnel.Unit })
	return out
}

// setLine brings a line up, carrier before routes, or down, routes first.
func (l *lines) setLine(x *line, up bool) {
	if x.up == up {
		return
	}
	var err error
	if up {
		err = errors.Join(x.device.SetCarrier(true), l.g.world.SetLine(x.tunnel.Unit, true))
	} else {
		err = l.g.world.SetLine(x.tunnel.Unit, false)
		if !x.gone.Load() {
			err = errors.Join(err, x.device.SetCarrier(false))
		}
	}
	l.told(x.tunnel.Name()+": line protocol", err)
	now := l.g.now()
	l.mu.Lock()
	x.up, x.since = up, now
	x.flaps++
	l.mu.Unlock()
	l.g.bus.Publish(event.LineProtocol(now, x.tunnel.Name(), up))
}

// setCost lets the MTU follow what the newest child's packets cost.
func (l *lines) setCost(x *line) {
	cost, ok := l.g.installer.cost(x.tunnel.Unit)
	if !ok || cost == x.cost {
		return
	}
	x.cost = cost
	l.told(x.tunnel.Name()+": MTU", l.g.world.SetEncapsulation(x.tunnel.Unit, cost))
	l.setMTU(x)
}

// setMTU tells the packet path what the device has.
func (l *lines) setMTU(x *line) {
	mtu := l.g.world.MTU(x.tunnel)
	if mtu == 0 || mtu == x.mtu {
		return
	}
	l.mu.Lock()
	x.mtu = mtu
	l.mu.Unlock()
	l.g.plane.SetMTU(x.tunnel.Unit, mtu)
}

func (l *lines) setPath(x *line, mtu int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.path = mtu
}

func (l *lines) setRecursive(x *line, recursive bool) {
	if recursive == x.recursive {
		return
	}
	l.mu.Lock()
	x.recursive = recursive
	l.mu.Unlock()
	if recursive {
		l.g.bus.Publish(event.RecursiveRoute(l.g.now(), x.tunnel.Name()))
	}
}

// fault tells what is in a tunnel's way, once until it changes.
func (l *lines) fault(x *line, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != x.fault {
		l.told("", err)
	}
	x.fault = text
}

// told publishes an error of the host.
func (l *lines) told(what string, err error) {
	if err != nil {
		l.g.bus.Publish(event.HostFailure(l.g.now(), what, err))
	}
}
