package gateway

import (
	"context"
	"slices"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/datapath"
	"lockstep/internal/datapath/counters"
	"lockstep/internal/ike"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
)

// What operators' commands ask: exec.Gateway.

// Now is the gateway's clock.
func (g *Gateway) Now() time.Time { return g.now() }

// Started is when New was called.
func (g *Gateway) Started() time.Time { return g.started }

// Version is that of Options.
func (g *Gateway) Version() string { return g.opt.Version }

// Identity implements exec.Gateway.
func (g *Gateway) Identity() (generation uint64, created time.Time, fresh bool) {
	id := g.state.identity
	return id.Generation(), id.Created(), id.Fresh()
}

// Config is the running configuration.
func (g *Gateway) Config() *policy.Config { return g.running.Load().config }

// Running implements exec.Gateway.
func (g *Gateway) Running(reveal bool) string {
	tree := g.running.Load().tree
	if tree == nil {
		tree = &config.Tree{}
	}
	return config.Running(tree, reveal)
}

// Log implements exec.Gateway.
func (g *Gateway) Log() *logsink.Sink { return g.sink }

// Lost implements exec.Gateway.
func (g *Gateway) Lost() uint64 { return g.sub.Lost() }

// IKE lists the IKE SAs by peer.
func (g *Gateway) IKE(ctx context.Context) []ike.Status { return g.engine.Status(ctx) }

// Quirks are the faults that peers have shown.
func (g *Gateway) Quirks(ctx context.Context) map[sa.Owner]ike.Quirks { return g.engine.Quirks(ctx) }

// Children lists the installed child SAs.
func (g *Gateway) Children() []sa.Pair { return g.table.Snapshot() }

// Drops is what was discarded so far, by reason.
func (g *Gateway) Drops() counters.Totals { return g.plane.Drops() }

// Incidents implements exec.Gateway.
func (g *Gateway) Incidents() []recovery.Incident { return g.runner.Incidents() }

// Standings implements exec.Gateway.
func (g *Gateway) Standings() []recovery.Standing { return g.runner.Standings() }

// Flows implements exec.Gateway.
func (g *Gateway) Flows(ctx context.Context) []recovery.Flow { return g.runner.Flows(ctx) }

// Trends implements exec.Gateway.
func (g *Gateway) Trends(ctx context.Context) []recovery.Trend { return g.runner.Trends(ctx) }

// RecoveryStats implements exec.Gateway.
func (g *Gateway) RecoveryStats() runner.Stats { return g.runner.Stats() }

// ClearRecovery implements exec.Gateway.
func (g *Gateway) ClearRecovery(o sa.Owner) bool { return g.runner.Clear(o) }

// Interfaces lists the tunnels in the order of the configuration.
func (g *Gateway) Interfaces() []show.Interface {
	run, host := g.running.Load(), g.hosts.Load()
	var out []show.Interface
	for _, t := range run.config.Tunnels {
		i := show.Interface{Name: t.Name(), Unit: t.Unit, Description: t.Description, AdminUp: !t.Shutdown, Address: t.Address,
			AdjustMSS: t.AdjustMSS, SourceIF: t.SourceIF, Destination: t.Destination}
		i.Source, _ = host.source(t.Unit)
		if t.Protection != nil {
			i.Profile = t.Protection.Name
		}
		if in, sent, ok := g.plane.Traffic(t.Unit); ok {
			i.In, i.Out = trafficOf(in), trafficOf(sent)
		}
		g.lines.describe(&i)
		out = append(out, i)
	}
	slices.SortStableFunc(out, func(a, b show.Interface) int { return a.Unit - b.Unit })
	return out
}

func trafficOf(t datapath.Traffic) show.Traffic {
	return show.Traffic{Packets: t.Packets, Octets: t.Octets, Dropped: t.Dropped, Last: t.Last}
}

// describe adds how the line stands.
func (l *lines) describe(i *show.Interface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.all[i.Unit]
	if x == nil {
		return
	}
	i.LineUp, i.Recursive, i.Since, i.Flaps, i.MTU, i.PathMTU = x.up, x.recursive, x.since, x.flaps, x.mtu, x.path
}
