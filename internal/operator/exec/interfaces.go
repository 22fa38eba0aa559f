package exec

import (
	"context"
	"fmt"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func interfaceCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show interfaces [Tunnel<0-99999999>:unit]", Help: "Interface status and configuration", Run: showing(r.interfaces)},
	}
}

func (r *reader) interfaces(_ context.Context, c *call) (show.View, error) {
	all := r.Interfaces()
	unit, one := c.Match.Var("unit")
	if !one {
		return show.NewInterfaces(all, r.Now()), nil
	}
	for _, i := range all {
		if i.Unit == int(unit.Number) {
			return show.NewInterfaces([]show.Interface{i}, r.Now()), nil
		}
	}
	return nil, fmt.Errorf("%% Tunnel%d is not configured", unit.Number)
}
