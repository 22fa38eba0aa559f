package exec

import (
	"context"
	"fmt"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func recoveryCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show crypto recovery [detail|trend|incident <1-4294967295>:incident]", Help: "Healing of lost SA agreement", Run: showing(r.recovery)},
		{Pattern: "show crypto invalid-spi", Help: "ESP that came without an SA, by flow", Run: showing(r.invalidSPI)},
	}
}

func (r *reader) recovery(ctx context.Context, c *call) (show.View, error) {
	if n, ok := c.Match.Var("incident"); ok {
		return r.incident(n.Number)
	}
	if c.Match.Has("trend") {
		return show.NewTrend(r.snapshot(ctx, 0), r.Trends(ctx)), nil
	}
	from := &show.RecoverySource{Identity: r.identity(), Standings: r.Standings(), Incidents: r.Incidents(), Stats: r.RecoveryStats()}
	want := withInterfaces
	if c.Match.Has("detail") {
		want |= withQuirks
	}
	return show.NewRecovery(r.snapshot(ctx, want), from, c.Match.Has("detail")), nil
}

func (r *reader) incident(id uint64) (show.View, error) {
	last := uint64(0)
	for _, i := range r.Incidents() {
		if i.ID == id {
			return show.NewIncident(i), nil
		}
		last = max(last, i.ID)
	}
	if last == 0 {
		return nil, fmt.Errorf("%% Incident %d is not known: there were none", id)
	}
	return nil, fmt.Errorf("%% Incident %d is not known, or was forgotten: the last one is %d", id, last)
}

func (r *reader) invalidSPI(ctx context.Context, _ *call) (show.View, error) {
	return show.NewInvalidSPI(r.snapshot(ctx, withFlows)), nil
}
