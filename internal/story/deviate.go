package story

import (
	"context"
	"maps"
	"slices"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/sa"
)

// deviation is how a scripted peer differs from a right gateway, where no real one is at hand that does: a published defect,
// or what the RFC lets it do. It goes in through a seam of the gateway, at each start; each has a file of its own, dev_*.go.
type deviation struct {
	help string // what it does, and what that imitates
	play func(s *site, o *gateway.Options, w *world)
}

var deviations = map[string]deviation{
	"draws-ff":         drawsFF,
	"drops-ff":         dropsFF,
	"early-switch":     earlySwitch,
	"ignores-delete":   ignoresDelete,
	"silent-start":     silentStart,
	"invalid-syntax":   invalidSyntax,
	"passive":          passive,
	"restores-counter": restoresCounter,
	"small-volume":     smallVolume,
	"stops-at-volume":  stopsAtVolume,
}

func deviationNames() []string { return slices.Sorted(maps.Keys(deviations)) }

func parseDeviate(p *parser, w *words) action {
	name := p.gateway(w)
	what := w.oneOf("the name of a deviation", deviationNames()...)
	return func(_ context.Context, st *stage) error {
		s := st.sites[name]
		if s.gw != nil {
			return errRuns
		}
		s.deviates = append(s.deviates, what)
		st.tell("fault", name, "is a scripted peer that "+deviations[what].help)
		return nil
	}
}

// tunings are the intervals that a story may shorten. They are our own choice, none is of a protocol.
var tunings = map[string]func(*ikev2.Tuning, time.Duration){
	"silent":  func(t *ikev2.Tuning, d time.Duration) { t.Silent = d },
	"recheck": func(t *ikev2.Tuning, d time.Duration) { t.Recheck = d },
	"switch":  func(t *ikev2.Tuning, d time.Duration) { t.Switch = d },
	"probe":   func(t *ikev2.Tuning, d time.Duration) { t.Probe.First, t.Probe.Factor, t.Probe.Tries = d/7, 2, 3 },
}

func parseTune(p *parser, w *words) action {
	name := p.gateway(w)
	knob := w.oneOf("the name of an interval", slices.Sorted(maps.Keys(tunings))...)
	d := w.duration("how long it shall be", time.Millisecond, maxWait)
	return func(_ context.Context, st *stage) error {
		s := st.sites[name]
		if s.gw != nil {
			return errRuns
		}
		tunings[knob](&s.tuning, d)
		return nil
	}
}

// script makes the gateway that is about to start what the story wants it to be.
func (s *site) script(o *gateway.Options, w *world, broken sabotage) {
	o.Tuning = s.tuning
	o.Tuning.Rewrite = s.rewrite
	if broken.play != nil {
		broken.play(s, o, w)
	}
	if !broken.honest {
		for _, name := range s.deviates {
			deviations[name].play(s, o, w)
		}
	}
}

// wrapInstaller puts something between the SA database and what stands before it already.
func wrapInstaller(o *gateway.Options, with func(engine.Installer) engine.Installer) {
	above := o.Installer
	o.Installer = func(to engine.Installer) engine.Installer {
		if above == nil {
			return with(to)
		}
		return above(with(to))
	}
}

// held lists the children that IKE has handed down, by inbound SPI.
func (b *books) held() []sa.Child {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []sa.Child
	for _, in := range slices.Sorted(maps.Keys(b.children)) {
		out = append(out, b.children[in])
	}
	return out
}

// initiator is a gateway that does not keep to `responder-only`.
var initiator = sabotage{
	help: "it begins IKE SAs although its configuration says responder-only",
	play: func(_ *site, o *gateway.Options, _ *world) {
		cfg := *o.Config
		cfg.Peers = slices.Clone(cfg.Peers)
		for i, p := range cfg.Peers {
			eager := *p
			eager.Initiate = true
			cfg.Peers[i] = &eager
		}
		o.Config = &cfg
	},
}
