package spi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// block is how many counters one write of the identity file leases. At 1,000 SAs rekeyed every hour it is one fsync in
// four hours; a crash loses at most one block of 2^32.
const block = 4096

// maxRenewals bounds the search for an SPI that no live one of the previous key epoch has. A whole block of such in a
// row happens when nearly 2^32 SPIs were issued within two lifetimes.
const maxRenewals = 3

// ErrNoneFree: every SPI tried belongs to an SA that could still live.
var ErrNoneFree = errors.New("identity: no SPI is free")

// Node is the part of an SPI that names a gateway of a fleet: Number in the Bits highest bits before encryption. The
// zero Node is a gateway on its own.
type Node struct {
	Bits   uint8 // 0..8
	Number uint8 // below 2^Bits
}

func (n Node) check() error {
	if n.Bits > 8 || int(n.Number) >= 1<<n.Bits {
		return fmt.Errorf("node number %d in %d bits: bits are 0 to 8 and hold the number", n.Number, n.Bits)
	}
	return nil
}

// Option changes how an identity is opened.
type Option func(*Identity)

// WithNode gives the identity a place in a fleet. If the file was written for another node, a new key epoch begins.
func WithNode(n Node) Option { return func(id *Identity) { id.node = n } }

// Identity issues SPIs and recognises them. It is safe for concurrent use.
type Identity struct {
	memory  time.Duration // how long an SPI can live on somewhere: twice the maximum lifetime; guarded by mu once it is open
	node    Node
	opened  time.Time // as given to Open
	started time.Time // the same moment on this process's clock
	fresh   bool
	damage  error
	began   origin // where this run began to issue; set by Open, then only read

	saving sync.Mutex // held over a write; taken before mu
	disk   disk       // guarded by saving
	rand   io.Reader  // guarded by saving

	mu   sync.Mutex
	rec  record        // guarded by mu
	keys []permutation // guarded by mu: of rec.epochs, same order
	next uint64        // guarded by mu: next counter of rec.epochs[0]
}

// Open loads the identity file, or makes one, adds one to its boot generation and leases the first block of SPIs; all
// of that is on disk when it returns. maxLifetime is the longest that an SA may live. A file that cannot be used is set
// aside, Damage tells so, and the identity is Fresh. An error means that the state directory cannot be written, or that
// rand failed: no SPI can be issued safely.
func Open(path string, now time.Time, maxLifetime time.Duration, rand io.Reader, opts ...Option) (*Identity, error) {
	if path == "" {
		return nil, errors.New("identity file: no path")
	}
	return open(disk{path: path}, now, maxLifetime, rand, opts)
}

// OpenMemory makes an identity without a file, for tests and gateways that keep nothing: it is always Fresh.
func OpenMemory(now time.Time, maxLifetime time.Duration, rand io.Reader, opts ...Option) (*Identity, error) {
	return open(disk{}, now, maxLifetime, rand, opts)
}

func open(d disk, now time.Time, maxLifetime time.Duration, rand io.Reader, opts []Option) (*Identity, error) {
	if maxLifetime <= 0 {
		return nil, fmt.Errorf("identity: maximum lifetime %v of an SA", maxLifetime)
	}
	id := &Identity{memory: 2 * maxLifetime, opened: now.Round(0), started: time.Now(), disk: d, rand: rand}
	for _, opt := range opts {
		opt(id)
	}
	if err := id.node.check(); err != nil {
		return nil, err
	}
	old, err := d.load()
	id.damage = err
	id.fresh = old == nil
	rec := record{created: id.opened}
	if old != nil {
		rec = *old
	}
	rec.generation++
	if err := id.begin(rec); err != nil {
		return nil, err
	}
	id.began = origin{id.rec.epochs[0].number, id.next}
	return id, nil
}

// begin leases the first block behind what the record says was leased, and puts both in force.
func (id *Identity) begin(rec record) error {
	var next uint64
	if len(rec.epochs) > 0 {
		running := &rec.epochs[0]
		next = running.lease
		running.note(id.opened, next, id.memory) // a start before this one may have used all of its lease
	}
	id.saving.Lock()
	defer id.saving.Unlock()
	return id.extend(rec, next, id.opened)
}

// Next returns an SPI that was never issued before by this identity and is none of a live one of the previous key
// epoch: never 0 to 255, all other values occur. Once in 4096 calls it waits for an fsync, unless Renew came before.
// What a store restored or a peer chose is not known here: the caller checks its SA table too.
func (id *Identity) Next() (uint32, error) { return id.nextAt(id.now()) }

// LiveLonger says that SAs may live that long from now on. What was told of a shorter lifetime before stays: SAs of then may
// be there yet.
func (id *Identity) LiveLonger(maxLifetime time.Duration) {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.memory = max(id.memory, 2*maxLifetime)
}

func (id *Identity) nextAt(now time.Time) (uint32, error) {
	for range maxRenewals {
		if spi, ok := id.take(now); ok {
			return spi, nil
		}
		if err := id.renew(now, 1); err != nil {
			return 0, err
		}
	}
	return 0, ErrNoneFree
}

// take issues from the lease, false if it is used up.
func (id *Identity) take(now time.Time) (uint32, bool) {
	id.mu.Lock()
	defer id.mu.Unlock()
	running := &id.rec.epochs[0]
	for id.next < running.lease {
		running.note(now, id.next, id.memory)
		spi := id.keys[0].encrypt(running.plain(id.next))
		id.next++
		if len(id.keys) > 1 && id.issued(1, spi, now) {
			continue // a live SPI of the epoch before has this value
		}
		return spi, true
	}
	return 0, false
}

// Low reports that less than half a block is left, so that Renew is worth calling outside the loop that calls Next.
func (id *Identity) Low() bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.left() < block/2
}

// Renew leases another block if Low; it writes and fsyncs the identity file.
func (id *Identity) Renew() error { return id.renew(id.now(), block/2) }

// left is how many SPIs the lease still has. Callers hold mu.
func (id *Identity) left() uint64 { return id.rec.epochs[0].lease - id.next }

// renew leases a block if fewer than need SPIs are left.
func (id *Identity) renew(now time.Time, need uint64) error {
	id.saving.Lock()
	defer id.saving.Unlock()
	id.mu.Lock()
	enough := id.left() >= need
	rec, next := id.rec.clone(), id.next
	id.mu.Unlock()
	if enough {
		return nil // another caller was faster
	}
	return id.extend(rec, next, now)
}

// extend leases a block more in rec, saves it and only then puts it in force. At the end of the counters, or for
// another node, it begins a new key epoch. Callers hold saving; next is the next counter of the running epoch.
func (id *Identity) extend(rec record, next uint64, now time.Time) error {
	if len(rec.epochs) == 0 || rec.epochs[0].node != id.node || rec.epochs[0].lease+block > rec.epochs[0].limit() {
		if err := rec.turn(id.node, id.rand, now); err != nil {
			return err
		}
		next = reserved
	}
	rec.epochs[0].lease += block
	keys := make([]permutation, len(rec.epochs))
	for i, e := range rec.epochs {
		var err error
		if keys[i], err = newPermutation(e.key); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
	}
	if err := id.disk.save(&rec); err != nil {
		return err
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	if len(id.rec.epochs) > 0 && id.rec.epochs[0].number == rec.epochs[0].number {
		next = id.next                               // SPIs were issued while the file was written
		rec.epochs[0].marks = id.rec.epochs[0].marks // and marks set
	}
	id.rec, id.keys, id.next = rec, keys, next
	return nil
}

// turn begins a new key epoch; the running one becomes the one before, older ones are forgotten: two turns within the
// memory of SPIs (16 million SPIs in two lifetimes, with the smallest counter) make the oldest unrecognisable.
func (r *record) turn(n Node, rand io.Reader, now time.Time) error {
	e := epoch{number: 1, node: n, lease: reserved}
	if len(r.epochs) > 0 {
		last := &r.epochs[0]
		e.number = last.number + 1
		last.remember(now, last.lease) // nothing of it is issued from here on
	}
	if _, err := io.ReadFull(rand, e.key[:]); err != nil {
		return fmt.Errorf("draw a key for SPIs: %w", err)
	}
	r.epochs = append([]epoch{e}, r.epochs...)
	r.epochs = r.epochs[:min(len(r.epochs), maxEpochs)]
	return nil
}

// note remembers that all counters below counter were issued by now. Marks are at least a quarter of memory apart.
func (e *epoch) note(now time.Time, counter uint64, memory time.Duration) {
	if n := len(e.marks); n > 0 && now.Sub(e.marks[n-1].at) < memory/4 && !now.Before(e.marks[n-1].at) {
		return
	}
	e.remember(now, counter)
}

func (e *epoch) remember(now time.Time, counter uint64) {
	e.marks = append(e.marks, mark{now.Round(0), counter})
	if len(e.marks) > maxMarks {
		e.marks = slices.Delete(e.marks, 0, len(e.marks)-maxMarks)
	}
}

func (r *record) clone() record {
	c := *r
	c.epochs = slices.Clone(r.epochs)
	for i := range c.epochs {
		c.epochs[i].marks = slices.Clone(c.epochs[i].marks)
	}
	return c
}

// now is the time given to Open plus what passed since, so that marks are in the caller's time.
func (id *Identity) now() time.Time { return id.opened.Add(time.Since(id.started)) }

// Generation is the number of times the identity was opened, this one included: it grows by one each start.
func (id *Identity) Generation() uint64 {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.rec.generation
}

// Fresh reports that this start found no usable identity and made a new one.
func (id *Identity) Fresh() bool { return id.fresh }

// Damage is a *CorruptError if there was an identity file that could not be used, nil otherwise.
func (id *Identity) Damage() error { return id.damage }

// Created is when the identity was made.
func (id *Identity) Created() time.Time {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.rec.created
}

// Node is the place in the fleet that SPIs are issued for.
func (id *Identity) Node() Node { return id.node }

// Format hides the keys from every print verb.
func (id *Identity) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "SPI identity, generation %d (keys hidden)", id.Generation())
}
