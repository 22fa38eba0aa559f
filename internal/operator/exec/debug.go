package exec

import (
	"context"
	"fmt"

	"lockstep/internal/event"
	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

func debugCommands(g Gateway) []cli.Command {
	var out []cli.Command
	for _, t := range []struct {
		topic event.Topic
		help  string
	}{
		{event.TopicIKEv2, "IKEv2 messages and what they lead to"},
		{event.TopicIPsec, "Child SAs as they come and go"},
		{event.TopicRecovery, "Each decision of recovery, with its why"},
	} {
		tail := " crypto " + string(t.topic) + " [peer A.B.C.D]"
		for _, verb := range []string{"debug", "no debug", "undebug"} {
			out = append(out, cli.Command{Pattern: verb + tail, Help: t.help, Privilege: cli.PrivilegedExec, Run: debugging(g, t.topic, verb == "debug")})
		}
	}
	for _, pattern := range []string{"undebug all", "no debug all"} {
		out = append(out, cli.Command{Pattern: pattern, Help: "All debugging", Privilege: cli.PrivilegedExec, Run: undebug(g)})
	}
	return out
}

// debugging turns a topic on or off and says how it stands then: with `debug` for all peers, `no debug` for one of them
// leaves it on.
func debugging(g Gateway, t event.Topic, on bool) run {
	return func(_ context.Context, c *call) error {
		peer, _ := c.Match.Var("address")
		g.Log().Debug(t, peer.Addr, on)
		_, err := fmt.Fprintln(c.Out, show.DebugState(t, g.Log().Debugging()))
		return err
	}
}

func undebug(g Gateway) run {
	return func(_ context.Context, c *call) error {
		g.Log().Undebug()
		_, err := fmt.Fprintln(c.Out, "All possible debugging has been turned off")
		return err
	}
}
