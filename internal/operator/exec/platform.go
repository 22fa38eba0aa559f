package exec

import (
	"context"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func platformCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show platform hardware qfp active statistics drop", Help: "Packets discarded, by group", Run: showing(r.statisticsDrop)},
		{Pattern: "show platform hardware qfp active feature ipsec datapath drops [all]", Help: "Packets discarded, by reason", Run: showing(r.datapathDrops)},
	}
}

// statisticsDrop shows rows of zero too, so that the filter of Cisco's page on invalid SPIs finds its seven counters.
func (r *reader) statisticsDrop(context.Context, *call) (show.View, error) {
	d := r.Drops()
	return show.NewStatisticsDrop(&d, true), nil
}

func (r *reader) datapathDrops(_ context.Context, c *call) (show.View, error) {
	d := r.Drops()
	return show.NewDatapathDrops(&d, c.Match.Has("all")), nil
}
