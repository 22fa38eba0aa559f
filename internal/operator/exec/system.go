package exec

import (
	"context"
	"runtime"
	"time"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func systemCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show version", Help: "System software status", Run: showing(r.version)},
		{Pattern: "show clock", Help: "Display the system clock", Run: showing(r.clock)},
		{Pattern: "show running-config", Help: "Current operating configuration", Run: showing(r.running)},
	}
}

func (r *reader) version(context.Context, *call) (show.View, error) {
	return &show.Version{Version: r.Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Hostname: show.Clean(r.Config().Hostname),
		Started: r.Started(), Uptime: int64(r.Now().Sub(r.Started()) / time.Second), Identity: r.identity()}, nil
}

func (r *reader) clock(context.Context, *call) (show.View, error) {
	return &show.Clock{Time: r.Now()}, nil
}

// running shows keys to privilege 15 alone, and never as data, which ends in files and tickets.
func (r *reader) running(_ context.Context, c *call) (show.View, error) {
	reveal := c.Session.Privilege() >= cli.PrivilegedExec && !c.JSON
	return show.NewRunning(r.Config().Hostname, r.Running(reveal)), nil
}
