// Package sa is the security association database (RFC 4301 §4.4.2): which ESP SPIs of ours are offered, installed or
// gone and why, and which child SA a tunnel sends on. IKE shards write it, each its own SAs; the packet path reads it
// without a lock. It negotiates nothing and touches no packet but to open and seal it.
package sa

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards = 256
	// minSPI: RFC 4303 §2.1 reserves 0 to 255.
	minSPI SPI = 256
	// maxPending bounds SPIs that are offered; a shard gives up an exchange long before its peer makes so many.
	maxPending = 65536
)

var (
	ErrNotLarval = errors.New("SPI was not reserved, or is installed already")
	ErrNoInbound = errors.New("outbound half without its inbound half")
	ErrWrongPeer = errors.New("SPI belongs to another peer")
	ErrSameKeys  = errors.New("both directions have the same key")
	ErrKeyReuse  = errors.New("key was installed before")
)

// Options are what a Table calls. Every function may be nil, must not block, and must not call the Table: Note and LeaseLow
// come while one SA is held, so they only post.
type Options struct {
	Leaser Leaser // nil: MemoryLeaser
	// Note is told what the data plane saw of a child.
	Note func(Note)
	// LeaseLow asks for Renew(in), off the packet path; nil: the table renews in a goroutine of its own, one for an SA.
	LeaseLow func(in SPI)
	// Installed gets the packets that came early on an inbound SPI, in order of arrival (protocol.md §1.2 K4 and K5).
	Installed func(spi SPI, early []Early)
	// Lost counts early packets that waited too long, or in vain (reason.LarvalTimeout).
	Lost func(packets, octets int)
}

// Table is the database. Its zero value is not usable; NewTable makes one.
type Table struct {
	opt Options
	// Readers load; the holder of mu stores a changed copy.
	in     [shards]atomic.Pointer[map[SPI]*Inbound]
	larval [shards]atomic.Pointer[map[SPI]struct{}] // the keys of pending
	egress atomic.Pointer[map[int]*Egress]

	mu      sync.Mutex
	pending map[SPI]*pending  // guarded by mu: larval SPIs and their early packets
	parked  int               // guarded by mu: octets of early packets in all
	out     map[SPI]*Outbound // guarded by mu: by the inbound SPI of its child
	sends   sending           // guarded by mu: of out
	tombs   graveyard         // guarded by mu
	keys    keyring           // guarded by mu
}

// NewTable makes an empty table.
func NewTable(opt Options) *Table {
	if opt.Leaser == nil {
		opt.Leaser = MemoryLeaser{}
	}
	t := &Table{opt: opt, pending: map[SPI]*pending{}, out: map[SPI]*Outbound{}, sends: sending{}}
	in, larval := map[SPI]*Inbound{}, map[SPI]struct{}{} // one empty map for all: none is ever changed, only replaced
	for i := range t.in {
		t.in[i].Store(&in)
		t.larval[i].Store(&larval)
	}
	t.egress.Store(&map[int]*Egress{})
	return t
}

// Lookup finds the inbound SA of an SPI. It neither locks nor allocates.
func (t *Table) Lookup(spi SPI) (*Inbound, bool) {
	in, ok := (*t.in[spi%shards].Load())[spi]
	return in, ok
}

// Reserve makes spi larval for o, false if it is reserved by RFC, in use, or remembered by a tombstone.
func (t *Table) Reserve(spi SPI, o Owner, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if spi < minSPI || len(t.pending) >= maxPending || t.pending[spi] != nil {
		return false
	}
	if _, used := t.Lookup(spi); used {
		return false
	}
	if _, dead := t.tombs.find(spi, now); dead {
		return false
	}
	t.pending[spi] = &pending{owner: o, since: now}
	t.setLarval(spi, true)
	return true
}

// Release gives up a larval SPI; its early packets are lost. Nothing happens to an SPI that is not larval.
func (t *Table) Release(spi SPI, _ time.Time) {
	t.mu.Lock()
	packets, octets := t.abandon(spi)
	t.mu.Unlock()
	t.lost(packets, octets)
}

// abandon ends a larval SPI and counts the early packets that are lost with it. Callers hold mu.
func (t *Table) abandon(spi SPI) (packets, octets int) {
	p := t.pending[spi]
	if p == nil {
		return 0, 0
	}
	packets, octets = len(p.early), p.octets
	t.unpark(spi)
	delete(t.pending, spi)
	t.setLarval(spi, false)
	return packets, octets
}

// Install puts the named halves of c into force: inbound before outbound, so that we can receive what our peer may send
// as soon as it hears from us (RFC 7296 §2.8). The inbound half needs a larval SPI of the same owner, the outbound half
// an installed inbound one. On error nothing has changed.
func (t *Table) Install(c Child, h Half, now time.Time) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("install SA %v: %w", c.In, err)
	}
	marks, err := t.claim(&c, h)
	if err != nil {
		return fmt.Errorf("install SA %v: %w", c.In, err)
	}
	if err := t.installHalves(c, h, now); err != nil {
		t.unclaim(marks)
		return err
	}
	return nil
}

func (t *Table) installHalves(c Child, h Half, now time.Time) error {
	if h&InboundHalf != 0 {
		if err := t.installInbound(c, now); err != nil {
			return fmt.Errorf("install inbound SA %v: %w", c.In, err)
		}
	}
	if h&OutboundHalf != 0 {
		if err := t.installOutbound(c); err != nil {
			if h&InboundHalf != 0 {
				t.Remove(c.In, c.Out, c.Owner, BothHalves, TombInstallFailed, now)
			}
			return fmt.Errorf("install outbound SA %v: %w", c.Out, err)
		}
	}
	return nil
}

func (c *Child) check() error {
	if c.In < minSPI {
		return fmt.Errorf("SPI %v is reserved (RFC 4303 §2.1)", c.In)
	}
	if !c.KeyIn.IsZero() && c.KeyIn.Equal(c.KeyOut) {
		return ErrSameKeys // two senders under one GCM key would repeat nonces
	}
	return nil
}

func (t *Table) installInbound(c Child, now time.Time) error {
	in, err := newInbound(c)
	if err != nil {
		return err
	}
	t.mu.Lock()
	p := t.pending[c.In]
	switch {
	case p == nil:
		t.mu.Unlock()
		return ErrNotLarval
	case p.owner != c.Owner:
		t.mu.Unlock()
		return ErrWrongPeer
	}
	in.note = t.opt.Note
	t.publish(c.In, in)
	early, late, lateOctets := p.fresh(now)
	t.abandon(c.In)
	t.mu.Unlock()
	t.lost(late, lateOctets)
	if len(early) > 0 && t.opt.Installed != nil {
		t.opt.Installed(c.In, early)
	}
	return nil
}

// publish stores in, or removes the SPI if in is nil. Callers hold mu.
func (t *Table) publish(spi SPI, in *Inbound) {
	next := maps.Clone(*t.in[spi%shards].Load())
	if in == nil {
		delete(next, spi)
	} else {
		next[spi] = in
	}
	t.in[spi%shards].Store(&next)
}

func (t *Table) installOutbound(c Child) error {
	out, err := newOutbound(c, &t.opt)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	in, ok := t.Lookup(c.In)
	switch {
	case !ok:
		return ErrNoInbound
	case in.Owner != c.Owner:
		return ErrWrongPeer
	case t.out[c.In] != nil:
		return errors.New("outbound half is installed already")
	}
	t.out[c.In] = out
	t.sends.add(out)
	t.tunnel(c.Tunnel).add(out)
	return nil
}

// Remove takes halves of a child out of force; SPIs that are not there are passed over. The inbound half, installed or
// larval, leaves a tombstone. An owner other than the SA's changes nothing: no peer removes another's SA.
func (t *Table) Remove(in, _ SPI, o Owner, h Half, why TombReason, now time.Time) {
	t.mu.Lock()
	packets, octets := t.remove(in, o, h, why, now)
	t.mu.Unlock()
	t.lost(packets, octets)
}

// remove counts the early packets that are lost. Callers hold mu.
func (t *Table) remove(in SPI, o Owner, h Half, why TombReason, now time.Time) (packets, octets int) {
	if p := t.pending[in]; p != nil && p.owner == o && h&InboundHalf != 0 {
		t.tombs.bury(Tombstone{SPI: in, Owner: o, Tunnel: -1, Created: p.since, Deleted: now, Why: why}, now)
		return t.abandon(in)
	}
	if out := t.out[in]; out != nil && out.Owner == o && h&OutboundHalf != 0 {
		t.withdraw(out)
	}
	sa, ok := t.Lookup(in)
	if !ok || sa.Owner != o || h&InboundHalf == 0 {
		return 0, 0
	}
	if out := t.out[in]; out != nil { // never send on a pair whose other half is gone (D32)
		t.withdraw(out)
	}
	t.publish(in, nil)
	t.tombs.bury(Tombstone{SPI: in, Owner: o, Tunnel: sa.Child.Tunnel, IKE: sa.IKE, Remote: sa.Child.Remote,
		Created: sa.Created, Deleted: now, Why: why}, now)
	return 0, 0
}

// withdraw takes an outbound half out of force. Callers hold mu.
func (t *Table) withdraw(out *Outbound) {
	t.tunnel(out.Child.Tunnel).remove(out)
	t.sends.drop(out)
	delete(t.out, out.Child.In)
}

// Move changes the outer endpoints of the child whose inbound SPI is in (RFC 7296 §2.23): keys, sequence numbers and
// window stay, as a second Install would not let them. False: there is no such outbound half of o.
func (t *Table) Move(in SPI, o Owner, local, remote netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if half, ok := t.Lookup(in); ok && half.Owner == o {
		half.sendsTo.Store(&remote)
	}
	out := t.out[in]
	if out == nil || out.Owner != o {
		return false
	}
	t.sends.drop(out)
	out.path.Store(&Path{local, remote})
	t.sends.add(out)
	return true
}

// State classifies an SPI of ours.
func (t *Table) State(spi SPI, now time.Time) State {
	if _, ok := t.Lookup(spi); ok {
		return Installed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.Lookup(spi); ok { // installed while we waited
		return Installed
	}
	if t.pending[spi] != nil {
		return Larval
	}
	if tomb, ok := t.tombs.find(spi, now); ok {
		if now.Sub(tomb.Deleted) < tomb.Why.Grace() {
			return Grace
		}
		return Tombed
	}
	return Unknown
}

// Tombstone tells what became of a removed inbound SPI.
func (t *Table) Tombstone(spi SPI, now time.Time) (Tombstone, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tombs.find(spi, now)
}

// Tunnel is the outbound choice of a tunnel interface; the same value for the life of the table.
func (t *Table) Tunnel(unit int) *Egress {
	if e := (*t.egress.Load())[unit]; e != nil {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tunnel(unit)
}

// tunnel makes the Egress at first use. Callers hold mu.
func (t *Table) tunnel(unit int) *Egress {
	all := *t.egress.Load()
	if e := all[unit]; e != nil {
		return e
	}
	e := newEgress()
	next := maps.Clone(all)
	next[unit] = e
	t.egress.Store(&next)
	return e
}

// Renew extends the sequence lease of the child whose inbound SPI was given to LeaseLow; it may wait for the store.
func (t *Table) Renew(in SPI) error {
	t.mu.Lock()
	o := t.out[in]
	t.mu.Unlock()
	if o == nil {
		return nil // gone meanwhile
	}
	return o.renew()
}

// Pair is what show commands tell of one child: no keys.
type Pair struct {
	Child      Child // KeyIn and KeyOut empty; Local and Remote as they are now
	In, Out    Counts
	Both       bool // false: the outbound half is not, or no more, in force
	ReplayTop  uint64
	Next       uint64 // next outbound sequence number
	LeaseBound uint64
}

// Snapshot lists the installed children by inbound SPI.
func (t *Table) Snapshot() []Pair {
	var pairs []Pair
	t.mu.Lock()
	outs := maps.Clone(t.out)
	t.mu.Unlock()
	for i := range t.in {
		for spi, in := range *t.in[i].Load() {
			p := Pair{Child: in.Child, In: in.counts.load(), ReplayTop: in.top.Load()}
			if out := outs[spi]; out != nil {
				p.Both, p.Out = true, out.counts.load()
				p.Child.Local, p.Child.Remote = out.Path().Local, out.Path().Remote
				p.Next, p.LeaseBound = out.next.Load(), out.bound.Load()
			}
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return int(int64(a.Child.In) - int64(b.Child.In)) })
	return pairs
}
