package exec

import (
	"context"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func ikeCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show crypto ikev2 sa [detailed]", Help: "Shows ikev2 SAs", Run: showing(r.ikeSAs)},
		{Pattern: "show crypto ikev2 session", Help: "Shows ikev2 active session", Run: showing(r.ikeSessions)},
		{Pattern: "show crypto session [detail]", Help: "Status of active crypto sessions", Run: showing(r.sessions)},
	}
}

func (r *reader) ikeSAs(ctx context.Context, c *call) (show.View, error) {
	return show.NewIKEv2SAs(r.snapshot(ctx, withIKE), c.Match.Has("detailed")), nil
}

func (r *reader) ikeSessions(ctx context.Context, _ *call) (show.View, error) {
	return show.NewIKEv2Sessions(r.snapshot(ctx, withIKE)), nil
}

func (r *reader) sessions(ctx context.Context, c *call) (show.View, error) {
	return show.NewSessions(r.snapshot(ctx, withIKE|withChildren|withInterfaces), c.Match.Has("detail")), nil
}
