package gateway

import (
	"errors"
	"slices"

	"lockstep/internal/config"
	"lockstep/internal/event"
	"lockstep/internal/policy"
)

// Apply makes another configuration the running one, without touching the tunnels that it leaves as they are: they keep
// their SAs. from and who are told in %SYS-5-CONFIG_I. cfg belongs to the gateway from then on. An error lists what the
// host refused; what could be done is done.
func (g *Gateway) Apply(cfg *policy.Config, tree *config.Tree, from, who string) (config.Difference, error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	old := g.Config()
	cfg.KeepIDs(old)
	diff := config.Diff(old, cfg)
	var errs []error
	note := func(err error) { errs = append(errs, err) }

	g.log(cfg)
	g.lines.turn.Lock()
	note(g.world.Apply(cfg)) // twins first, as at the start
	added := g.openTunnels(cfg, note)
	if added {
		note(g.world.Apply(cfg))
	}
	gone := g.dropTunnels(old, cfg)
	g.running.Store(newRunning(cfg, tree))
	g.lines.look()
	g.lines.turn.Unlock()

	g.state.identity.LiveLonger(longestLifetime(cfg))
	g.engine.Apply(cfg, anew(diff))
	if !g.runner.Apply(cfg) {
		note(errors.New("recovery is overloaded and goes by the configuration of before: reload again"))
	}
	for _, d := range gone {
		note(d.Remove())
	}
	g.lines.changed()
	g.bus.Publish(event.Configured(g.now(), from, who))
	return diff, errors.Join(errs...)
}

// openTunnels opens the devices of tunnels that are new, and gives the others their new options.
func (g *Gateway) openTunnels(cfg *policy.Config, note func(error)) (added bool) {
	for _, t := range cfg.Tunnels {
		if g.lines.update(t) {
			g.plane.SetTunnelOptions(t.Unit, tunnelOptions(t))
			continue
		}
		note(g.open(t))
		added = true
	}
	return added
}

// dropTunnels takes tunnels out of the packet path that cfg has no more. Their devices are given back for removal.
func (g *Gateway) dropTunnels(old, cfg *policy.Config) []Device {
	var gone []Device
	for _, t := range old.Tunnels {
		kept := slices.ContainsFunc(cfg.Tunnels, func(n *policy.Tunnel) bool { return n.Unit == t.Unit })
		if kept {
			continue
		}
		g.plane.RemoveTunnel(t.Unit)
		if d := g.lines.remove(t.Unit); d != nil {
			gone = append(gone, d)
		}
	}
	return gone
}

// anew says of a tunnel whether its SAs were made under terms that no longer hold.
func anew(d config.Difference) func(unit int) bool {
	names := map[string]bool{}
	for _, c := range d.Changed {
		names[c.Tunnel] = c.SAs
	}
	return func(unit int) bool { return names[tunnelName(unit)] }
}
