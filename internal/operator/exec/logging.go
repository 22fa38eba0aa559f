package exec

import (
	"context"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func loggingCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show logging", Help: "Show the contents of logging buffers", Run: showing(r.logging)},
		{Pattern: "clear logging", Help: "Clear logging buffer", Privilege: cli.PrivilegedExec, Run: func(context.Context, *call) error {
			r.Log().Clear()
			return nil
		}},
		{Pattern: "show debugging", Help: "State of each debugging option", Run: showing(r.debugging)},
	}
}

func (r *reader) logging(context.Context, *call) (show.View, error) {
	return show.NewLogging(r.Log().Status(r.Lost())), nil
}

func (r *reader) debugging(context.Context, *call) (show.View, error) {
	return show.NewDebugging(r.Log().Debugging()), nil
}
