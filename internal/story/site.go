package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/sa"
)

// site is one gateway of a story through its starts and crashes. The stage's goroutine alone starts and crashes it.
type site struct {
	*cast
	st      *stage
	dir     string // state directory
	console *console
	books   *books // of the last start

	// What makes a scripted peer of it; see deviate.go.
	deviates []string
	tuning   ikev2.Tuning
	form     atomic.Pointer[string] // how INVALID_SPI is written; nil: as it should be

	gw      *gateway.Gateway // nil: down
	ended   chan error       // gets what Run gave
	began   time.Time        // of the last start
	outages []outage

	mu    sync.Mutex
	world *world // guarded by mu; nil: down
}

// outage is one crash, and the return from it.
type outage struct {
	crashed, restarted time.Time
	lost               map[uint32]bool // SPIs on which ESP had come before the crash
	left               map[uint32]bool // SPIs on which it had sent; nil: not kept
}

func newSite(st *stage, c *cast, dir string) *site {
	s := &site{cast: c, st: st, dir: filepath.Join(dir, c.name)}
	s.console = &console{told: func(line string) { st.tell("log", c.name, message(line)) }}
	return s
}

// addr is where the gateway is on the network.
func (s *site) addr() netip.Addr { return addressesOf(s.config)[0] }

// start brings the gateway up.
func (s *site) start(ctx context.Context, frozen bool) error {
	if s.gw != nil {
		return fmt.Errorf("%s runs already", s.name)
	}
	how := ""
	if frozen {
		how = ", frozen: it begins no IKE SA on its own accord"
	}
	s.st.tell("fault", s.name, "starts"+how)
	w := newWorld(s.st.net, s.config)
	w.received = s.received
	o := gateway.Options{Config: s.config, Tree: s.tree, World: w, StateDir: s.dir, Version: s.st.opt.Version, Console: s.console, Frozen: frozen}
	broken := s.st.sabotageOf(s)
	if broken.options != nil {
		broken.options(ctx, &o)
	}
	s.books = &books{ctx: ctx, children: map[sa.SPI]sa.Child{}}
	o.Installer = s.books.under(o.Installer)
	if broken.world != nil {
		broken.world(w)
	}
	s.script(&o, w, broken)
	s.began = time.Now()
	s.console.turn(true)
	g, err := gateway.New(o)
	if err != nil {
		return err
	}
	s.gw, s.ended = g, make(chan error, 1)
	s.setWorld(w)
	go func(ended chan<- error) { ended <- g.Run(context.WithoutCancel(ctx)) }(s.ended) // kill ends it
	if broken.running != nil {
		broken.running(s.st, s)
	}
	return nil
}

func (s *site) setWorld(w *world) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world = w
}

func (s *site) place() *world {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world
}

var errDown = errors.New("it does not run")

func (s *site) thaw() error {
	if s.gw == nil {
		return errDown
	}
	s.gw.Freeze(false)
	s.st.tell("fault", s.name, "thaws: it begins IKE SAs again")
	return nil
}

// crash ends the gateway without a word to anybody. What is on its way to it is lost with it.
func (s *site) crash(lose bool) error {
	if s.gw == nil {
		return errDown
	}
	if err := s.kill(); err != nil {
		return err
	}
	now := time.Now()
	lost := map[uint32]bool{}
	for _, x := range s.st.eyes.esp(s.addr()) {
		lost[x.spi] = true
	}
	s.outages = append(s.outages, outage{crashed: now, lost: lost})
	what := "crashes: its SAs are gone"
	if lose {
		what += ", and its state directory"
		if err := os.RemoveAll(s.dir); err != nil {
			return err
		}
	}
	s.st.tell("fault", s.name, what)
	return nil
}

// kill ends the gateway and gives what its Run gave; that of an end before it was asked for is an error.
func (s *site) kill() error {
	select {
	case err := <-s.ended:
		s.gw = nil
		return fmt.Errorf("%s ended by itself: %w", s.name, orEnded(err))
	default:
	}
	s.setWorld(nil)
	s.console.turn(false)
	s.gw.Kill()
	s.gw = nil
	return <-s.ended
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

// restart starts the gateway after a crash.
func (s *site) restart(ctx context.Context, frozen bool) error {
	if len(s.outages) == 0 {
		return errors.New("it has not crashed")
	}
	last := &s.outages[len(s.outages)-1]
	last.restarted = time.Now()
	s.st.hunt(s, last.lost)
	return s.start(ctx, frozen)
}

// outage is the last one, once it is over.
func (s *site) outage() (outage, bool) {
	if len(s.outages) == 0 || s.outages[len(s.outages)-1].restarted.IsZero() {
		return outage{}, false
	}
	return s.outages[len(s.outages)-1], true
}

// up says that every tunnel's line protocol is.
func (s *site) up() bool {
	w := s.place()
	return w != nil && w.up()
}

// forward takes a packet from a host behind the gateway.
func (s *site) forward(pkt []byte) bool {
	w := s.place()
	return w != nil && w.forward(pkt)
}

// received takes a packet that came out of a tunnel.
func (s *site) received(pkt []byte) {
	now := time.Now()
	for _, f := range s.st.allFlows() {
		if f.to == s && f.take(pkt, now) {
			s.st.delivered(s, now)
			return
		}
	}
}

// logged lists the console lines since the last start that have a text in them.
func (s *site) logged(text string) []string { return s.console.since(s.began, text) }
