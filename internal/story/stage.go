package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"lockstep/internal/story/relay"
)

// Options of one run.
type Options struct {
	// Twin names the sabotage twin to run; empty: the story as it is.
	Twin string
	// Tell gets the timeline as it happens, one call at a time; nil: nobody.
	Tell    func(Moment)
	Version string // that gateways say
}

// stage is a story being told. Steps run one after the other in the goroutine of Run.
type stage struct {
	story  *Story
	opt    Options
	twin   *Twin
	began  time.Time
	net    *relay.Network
	eyes   witness
	upsets upsets
	sites  map[string]*site

	rehearsed *rehearsal // the last one
	report    Report
	shown     string // what the last `show` printed
	shownBy   string

	telling sync.Mutex // held over Options.Tell
	group   sync.WaitGroup
	flowing context.Context    // of the traffic; nil: there is none
	stop    context.CancelFunc // of flowing
	senders sync.WaitGroup

	mu      sync.Mutex
	flows   []*flow               // guarded by mu; only grows
	losses  []*loss               // guarded by mu: what the network shall lose yet
	nats    []*translation        // guarded by mu
	lastESP map[netip.Addr][]byte // guarded by mu: by source
	hunts   map[netip.Addr]*hunt  // guarded by mu: by address of the site
}

// hunt follows the return of one site, for the timeline.
type hunt struct {
	site  *site
	lost  map[uint32]bool
	first time.Time // stray; zero: none yet
	back  bool
}

// loss is ESP from one address to another that the network shall lose: left packets, after it let skip pass.
type loss struct {
	from, to   netip.Addr
	skip, left int
}

// Run tells a story. The error says why it could not be told to its end; what the claims came to is in the Report. When
// it returns, nothing of the story is left: no goroutine, socket or file.
func Run(ctx context.Context, s *Story, o Options) (Report, error) {
	st := &stage{story: s, opt: o, began: time.Now(), net: relay.New(s.delay), sites: map[string]*site{},
		hunts: map[netip.Addr]*hunt{}, report: Report{Story: s.Name, Twin: o.Twin}}
	err := st.perform(ctx)
	st.report.end(err)
	return st.report, err
}

func (st *stage) perform(ctx context.Context) error {
	s := st.story
	if name := st.opt.Twin; name != "" {
		t, err := s.Twin(name)
		if err != nil {
			return err
		}
		st.twin = &t
	}
	dir, err := os.MkdirTemp("", "lockstep-story-")
	if err != nil {
		return fmt.Errorf("make a directory for the state of the gateways: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, c := range s.casts {
		st.sites[c.name] = newSite(st, c, dir)
	}
	st.eyes.inside = st.insides()
	st.net.Tap(st.entered)
	st.net.TapExit(st.left)
	st.net.Rule(st.fate)
	st.group.Go(func() { st.net.Run(ctx) })
	err = st.play(ctx)
	st.conclude()
	return errors.Join(err, st.clear(cancel))
}

// sabotageOf is what is broken at a site, from its first crash on if it crashes at all; zero: nothing.
func (st *stage) sabotageOf(s *site) sabotage {
	if st.twin == nil || st.twin.At != s.name || len(s.outages) == 0 && st.story.crashes[s.name] {
		return sabotage{}
	}
	return sabotages[st.twin.Name]
}

// insides are the addresses of hosts behind the gateways.
func (st *stage) insides() []netip.Addr {
	var out []netip.Addr
	for _, a := range st.story.casts {
		for _, b := range st.story.casts {
			if in, ok := a.inside(b); ok && a != b {
				out = append(out, in)
			}
		}
	}
	return out
}

func (st *stage) play(ctx context.Context) error {
	st.tell("net", "net", fmt.Sprintf("loopback UDP stands for the network, %v each way", st.story.delay))
	if st.twin != nil {
		st.tell("net", "net", fmt.Sprintf("sabotage %s at %s: %s", st.twin.Name, st.twin.At, sabotages[st.twin.Name].help))
	}
	for _, step := range st.story.steps {
		if err := step.do(ctx, st); err != nil {
			return fmt.Errorf("%s:%d: %s: %w", st.story.file, step.line, step.text, err)
		}
	}
	return nil
}

// clear takes the stage down and waits until nothing is left of it.
func (st *stage) clear(cancel func()) error {
	var errs []error
	st.stopTraffic()
	for _, s := range st.sites {
		if s.gw != nil {
			errs = append(errs, s.kill())
		}
	}
	cancel()
	st.net.Close()
	st.group.Wait()
	return errors.Join(errs...)
}

// until waits for something to become true; what: for the error.
func (st *stage) until(ctx context.Context, most time.Duration, what string, holds func() bool) error {
	const every = 5 * time.Millisecond
	for end := time.Now().Add(most); !holds(); {
		if time.Now().After(end) {
			return fmt.Errorf("waited %v for %s", most, what)
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
	return nil
}

// startTraffic begins a flow each way.
func (st *stage) startTraffic(ctx context.Context, a, b *site, behindA, behindB netip.Addr, rate int, oneWay bool) {
	every := time.Second / time.Duration(rate)
	flows, way := []*flow{newFlow(a, b, behindA, behindB, every)}, ", and none back"
	if !oneWay {
		flows, way = append(flows, newFlow(b, a, behindB, behindA, every)), ", and back"
	}
	st.mu.Lock()
	st.flows = append(st.flows, flows...)
	st.mu.Unlock()
	if st.flowing == nil {
		st.flowing, st.stop = context.WithCancel(ctx)
	}
	flowing := st.flowing
	for _, f := range flows {
		st.senders.Go(func() { f.run(flowing) })
	}
	st.tell("net", "net", fmt.Sprintf("%d numbered packets a second from %v behind %s to %v behind %s%s", rate, behindA, a.name, behindB, b.name, way))
}

func (st *stage) stopTraffic() {
	if st.flowing == nil {
		return
	}
	st.stop()
	st.senders.Wait()
	st.flowing = nil
	st.tell("net", "net", "traffic stops")
}

func (st *stage) allFlows() []*flow {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.flows
}

// flow is that from one site to another; nil: there is none.
func (st *stage) flow(from, to *site) *flow {
	for _, f := range st.allFlows() {
		if f.from == from && f.to == to {
			return f
		}
	}
	return nil
}

// partner is the site with which s has traffic; nil: none.
func (st *stage) partner(s *site) *site {
	for _, f := range st.allFlows() {
		if f.to == s {
			return f.from
		}
	}
	return nil
}

// lose lets the network lose ESP.
func (st *stage) lose(from, to *site, skip, n int) {
	st.mu.Lock()
	st.losses = append(st.losses, &loss{from.addr(), to.addr(), skip, n})
	st.mu.Unlock()
	st.tell("fault", "net", fmt.Sprintf("of the ESP packets from %s to %s, %d get lost after %d more", from.name, to.name, n, skip))
}

// loses says that the script wants this packet lost.
func (st *stage) loses(p relay.Packet) bool {
	s := classify(p.Src, p.Dst, p.Payload)
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, l := range st.losses {
		switch {
		case l.left == 0 || !s.fits(sawESP, l.from, l.to):
		case l.skip > 0:
			l.skip--
		default:
			l.left--
			return true
		}
	}
	return false
}

// siteAt is the site with an address, or behind a NAT that has it; nil: none.
func (st *stage) siteAt(a netip.Addr) *site {
	for _, s := range st.sites {
		if slices.Contains(addressesOf(s.config), a) {
			return s
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, n := range st.nats {
		if n.outside == a {
			return n.site
		}
	}
	return nil
}

// judge notes what a claim came to.
func (st *stage) judge(c Claim) {
	st.report.Claims = append(st.report.Claims, c)
	st.tellAll(Moment{Kind: "claim", Text: c.Claim + ": " + c.Value, Held: &c.Held}, time.Now())
}
