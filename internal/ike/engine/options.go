package engine

import (
	"context"
	"crypto/rand"
	"io"
	"net/netip"
	"runtime"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

// Installer is the SA database; *sa.Table is one. Install may take its time, the others are quick.
type Installer interface {
	// Reserve makes an inbound SPI larval; false: it is in use or remembered.
	Reserve(spi sa.SPI, o sa.Owner, now time.Time) bool
	Release(spi sa.SPI, now time.Time)
	Install(c sa.Child, h sa.Half, now time.Time) error
	Remove(in, out sa.SPI, o sa.Owner, h sa.Half, why sa.TombReason, now time.Time)
	State(spi sa.SPI, now time.Time) sa.State
}

// Store keeps IKE SAs across restarts. Both calls may wait for a disk, and come from any goroutine.
type Store interface {
	// Put returns when rec is durable.
	Put(ctx context.Context, rec ike.Record) error
	// Delete forgets the IKE SA with our SPI spi, if it is known.
	Delete(ctx context.Context, spi uint64) error
}

// None is the store of `store persistence none`.
type None struct{}

// Put keeps nothing.
func (None) Put(context.Context, ike.Record) error { return nil }

// Delete has nothing to forget.
func (None) Delete(context.Context, uint64) error { return nil }

// SPIs issues inbound ESP SPIs; *spi.Identity does.
type SPIs interface{ Next() (uint32, error) }

// renewer is an SPIs that leases its numbers: Low asks for a Renew off the loops.
type renewer interface {
	Low() bool
	Renew() error
}

// Options are fixed for the life of an Engine. Functions are called from shard goroutines, several at a time; they must
// not block and not call back into the Engine, Post and Deliver excepted.
type Options struct {
	Config    *policy.Config
	Installer Installer
	SPIs      SPIs
	// Send hands one message to the network. Its Bytes are not to be changed.
	Send func(ike.Send)

	Store    Store                                   // nil: None
	Events   func(event.Record)                      // what an operator sees; nil: nobody
	Notices  func(ike.Notice)                        // facts for the recovery runner and status; nil: nobody
	Outcomes func(ike.Outcome)                       // ends of posted commands with a Ref; nil: nobody
	Drop     func(reason.Drop, int)                  // counts discarded messages; nil: nobody
	Moved    func(ike.Moved)                         // the peer of a child has another endpoint; nil: nobody
	Source   func(*policy.Tunnel) (netip.Addr, bool) // our address for a tunnel; nil: Tunnel.Source
	// SendsOn finds the child that sends to an endpoint on an outbound SPI, for notifies in the clear; nil: they are not
	// listened to.
	SendsOn func(out sa.SPI, remote netip.AddrPort) (in sa.SPI, o sa.Owner, ok bool)

	Shards  int                                           // 1..256; 0: as many as cores, at least 4
	Mailbox int                                           // inputs that may wait for one shard; 0: 1024
	Workers int                                           // of the crypto pool; 0: GOMAXPROCS
	Now     func() time.Time                              // nil: time.Now
	Rand    io.Reader                                     // nil: crypto/rand; else safe for concurrent use
	KE      func(group uint16) (suite.KeyExchange, error) // nil: from package suite and Rand; safe for concurrent use
	Tuning  ikev2.Tuning
	Frozen  bool // see Freeze
	// Restored says that IKE SAs of before may come back from the store: INITIAL_CONTACT is then not said.
	Restored bool
	// HalfOpen is the number of half-open IKE SAs of which no more are begun; 0: 1000. From Config.CookieChallenge, or
	// half of it, on cookies are asked for (RFC 7296 §2.6).
	HalfOpen int
	// StopWait bounds how long Stop waits for answers to its Deletes; 0: 3 s.
	StopWait time.Duration
	// Maker makes machines; nil: IKEv2. Tests put machines of their own here.
	Maker peer.Maker
}

const (
	maxShards       = 256 // the low octet of our IKE SPIs names the shard
	minShards       = 4
	defaultMailbox  = 1024
	defaultHalfOpen = 1000
	defaultStopWait = 3 * time.Second
	storeWriters    = 64              // Puts under way at once: what one group commit may carry
	maxWaiting      = 4096            // effects of one peer behind a barrier; more, and its messages are dropped
	cookiesPerPeer  = 2               // half-open IKE SAs of one peer from which it is asked for cookies
	staleAfter      = 2 * time.Second // a first message that waited longer is not answered (protocol.md §2.8)
	spiTries        = 16
	breath          = time.Millisecond // between two Ticks of one peer
	fewPeers        = 8                // so many begin at once; more are spread
	spreadPerSecond = 50               // peers that begin in a second (protocol.md §2.8)
	leastSpread     = 5 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Shards <= 0 {
		o.Shards = max(minShards, runtime.GOMAXPROCS(0))
	}
	o.Shards = min(o.Shards, maxShards)
	orDefault(&o.Mailbox, defaultMailbox)
	orDefault(&o.Workers, runtime.GOMAXPROCS(0))
	orDefault(&o.HalfOpen, defaultHalfOpen)
	orDefault(&o.StopWait, defaultStopWait)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.KE == nil {
		o.KE = keyExchange(o.Rand)
	}
	if o.Store == nil {
		o.Store = None{}
	}
	if o.Config == nil {
		o.Config = &policy.Config{}
	}
	return o.withListeners()
}

// withListeners puts a deaf listener where there is none.
func (o Options) withListeners() Options {
	if o.Send == nil {
		o.Send = func(ike.Send) {}
	}
	if o.Events == nil {
		o.Events = func(event.Record) {}
	}
	if o.Notices == nil {
		o.Notices = func(ike.Notice) {}
	}
	if o.Outcomes == nil {
		o.Outcomes = func(ike.Outcome) {}
	}
	if o.Drop == nil {
		o.Drop = func(reason.Drop, int) {}
	}
	if o.Moved == nil {
		o.Moved = func(ike.Moved) {}
	}
	if o.Source == nil {
		o.Source = func(t *policy.Tunnel) (netip.Addr, bool) { return t.Source, t.Source.IsValid() }
	}
	return o
}

func orDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}
