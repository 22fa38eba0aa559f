package sa

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/suite"
)

// leaseBlock is how many sequence numbers one grant covers: with the store that is one write every 65,536 packets.
const leaseBlock = 1 << 16

// Leaser grants sequence numbers, so that a crash can never make us use one twice under one key: what is granted is
// remembered before it is used (protocol.md §3.3). A child is named by its inbound SPI: the outbound one is its
// peer's choice, and two peers may choose the same (RFC 4301 §4.4.2).
type Leaser interface {
	// Grant allows every number below the bound that it returns, at least upTo. It may wait for a disk.
	Grant(in SPI, upTo uint64) (bound uint64, err error)
}

// MemoryLeaser grants at once: for `store none`, where keys do not outlive the process and so no number can come back.
type MemoryLeaser struct{}

// Grant implements Leaser.
func (MemoryLeaser) Grant(_ SPI, upTo uint64) (uint64, error) { return upTo, nil }

// Outbound is the sending half of a child. Hold and LetGo around a run of packets; between them one goroutine seals.
type Outbound struct {
	Child // without keys
	opt   *Options
	// Every IPv4, or IPv6, packet is within the selectors; never changes.
	wide4, wide6 bool

	mu     sync.Mutex // held over a run
	sealer *suite.Sealer
	told   limits
	spoke  time.Time // last NoteOutbound

	path   atomic.Pointer[Path]
	next   atomic.Uint64 // written under mu
	bound  atomic.Uint64 // exclusive; grows in renew
	asked  atomic.Bool   // LeaseLow was called and renew not yet
	counts counts
}

func newOutbound(c Child, opt *Options) (*Outbound, error) {
	sealer, err := suite.NewSealer(c.Cipher, c.KeyOut.Reveal(), uint32(c.Out), c.ESN)
	if err != nil {
		return nil, err
	}
	c.KeyIn, c.KeyOut = policy.Secret{}, policy.Secret{}
	o := &Outbound{Child: c, opt: opt, sealer: sealer,
		wide4: widest(c.TSLocal, 32) && widest(c.TSRemote, 32), wide6: widest(c.TSLocal, 128) && widest(c.TSRemote, 128)}
	o.path.Store(&Path{c.Local, c.Remote})
	o.next.Store(1) // RFC 4303 §3.3.3: the first packet has sequence number 1
	return o, o.renew()
}

// Hold takes the SA for a run of packets; LetGo gives it back.
func (o *Outbound) Hold()  { o.mu.Lock() }
func (o *Outbound) LetGo() { o.mu.Unlock() }

// Path is the outer endpoints of a child as they are now.
type Path struct{ Local, Remote netip.AddrPort }

// Path is where packets of this SA go from and to; Table.Move changes it.
func (o *Outbound) Path() *Path { return o.path.Load() }

// last is the highest sequence number of the SA's space.
func (o *Outbound) last() uint64 {
	if o.ESN {
		return 1<<64 - 1
	}
	return 1<<32 - 1
}

// Reserve takes n sequence numbers in a row, or says why none are to be had. Callers hold the SA.
func (o *Outbound) Reserve(n int, now time.Time) (first uint64, why reason.Drop) {
	first = o.next.Load()
	switch {
	case !o.Hard.IsZero() && !now.Before(o.Hard):
		return 0, reason.HardExpired
	case o.HardBytes > 0 && o.counts.octets.Load() >= o.HardBytes:
		o.limit(NoteHardBytes, o.counts.octets.Load(), now)
		return 0, reason.HardExpired
	case first > o.last() || o.last()-first < uint64(n-1):
		return 0, reason.SeqExhausted // RFC 4303 §3.3.3: never wrap
	case first+uint64(n) > o.bound.Load():
		o.low()
		return 0, reason.LeaseWait
	}
	o.next.Store(first + uint64(n))
	if o.bound.Load()-first-uint64(n) < leaseBlock/2 {
		o.low()
	}
	if !o.ESN && first >= (1<<32)/10*9 {
		o.limit(NoteSeqHigh, first, now)
	}
	return first, reason.None
}

// low asks for a longer lease, once until it is there. A bound at the end of the sequence space has nothing behind it.
func (o *Outbound) low() {
	if o.bound.Load() > o.last() || !o.asked.CompareAndSwap(false, true) {
		return
	}
	if o.opt.LeaseLow == nil {
		go o.renew() // an error ends in LeaseWait, which asks again
		return
	}
	o.opt.LeaseLow(o.Child.In)
}

func (o *Outbound) renew() error {
	defer o.asked.Store(false)
	old := max(o.bound.Load(), 1)
	if old > o.last() {
		return nil
	}
	want := old + leaseBlock
	if o.last() < want || want < old {
		want = o.last()
		if want != 1<<64-1 {
			want++ // exclusive
		}
	}
	bound, err := o.opt.Leaser.Grant(o.Child.In, want)
	if err != nil {
		return err
	}
	if bound < want {
		return errors.New("sequence lease shorter than asked for")
	}
	o.bound.Store(bound)
	return nil
}

// Sealer is for the holder of the SA.
func (o *Outbound) Sealer() *suite.Sealer { return o.sealer }

// Sent counts a run that was sealed: packets and octets of inner packets. Callers hold the SA.
func (o *Outbound) Sent(packets, octets int, now time.Time) {
	p, b := o.counts.packets.Add(uint64(packets)), o.counts.octets.Add(uint64(octets))
	o.counts.last.Store(now.UnixNano())
	if now.Sub(o.spoke) >= aliveEvery {
		o.spoke = now
		o.tell(NoteOutbound, 0, now)
	}
	if o.SoftPackets > 0 && p >= o.SoftPackets {
		o.limit(NoteSoftPackets, p, now)
	}
	if o.SoftBytes > 0 && b >= o.SoftBytes {
		o.limit(NoteSoftBytes, b, now)
	}
}

// Dropped counts packets that were discarded on this SA.
func (o *Outbound) Dropped(why reason.Drop, n int) { o.counts.drops[why].Add(uint64(n)) }

func (o *Outbound) limit(kind NoteKind, value uint64, now time.Time) {
	if o.told.due(kind, now) {
		o.tell(kind, value, now)
	}
}

func (o *Outbound) tell(kind NoteKind, value uint64, now time.Time) {
	if o.opt.Note != nil {
		o.opt.Note(Note{SPI: o.Child.In, Owner: o.Owner, Kind: kind, Value: value, At: now})
	}
}
