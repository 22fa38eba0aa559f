package mgmt

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/config/grammar"
	"lockstep/internal/operator/cli"
)

// Glossary has the help texts of Commands that no row can hold; whoever makes the table merges it with others.
func Glossary() grammar.Glossary {
	return grammar.Glossary{
		"terminal":    "Set terminal line parameters",
		"terminal no": "Negate a command or set its defaults",
	}
}

// Commands are those that belong to a session of this package. In any other session they are errors.
func Commands() []cli.Command {
	return []cli.Command{
		{Pattern: "terminal length <0-512>:lines",
			Help: "Set terminal line parameters\nSet number of lines on a screen\nNumber of lines on screen (0 for no pausing)", Run: ofShell(setLength)},
		{Pattern: "terminal width <0-512>:columns",
			Help: "Set terminal line parameters\nSet width of the display terminal\nNumber of characters on a screen line (0 for the window's)", Run: ofShell(setWidth)},
		{Pattern: "terminal monitor", Help: "Copy log and debug output to the current terminal", Run: ofShell(func(sh *shell, _ *cli.Call) error { return sh.watch(true) })},
		{Pattern: "terminal no monitor",
			Help: "Set terminal line parameters\nNegate a command or set its defaults\nCopy log and debug output to the current terminal", Run: ofShell(func(sh *shell, _ *cli.Call) error { return sh.watch(false) })},
		{Pattern: "terminal no length",
			Help: "Set terminal line parameters\nNegate a command or set its defaults\nFollow the window's number of lines", Run: ofShell(setLength)},
		{Pattern: "terminal no width",
			Help: "Set terminal line parameters\nNegate a command or set its defaults\nFollow the window's width", Run: ofShell(setWidth)},
		{Pattern: "show history", Help: "Display the session command history", Run: ofShell(showHistory)},
	}
}

type shellKey struct{}

var errNoShell = errors.New("% Only an interactive session has a terminal: use it in `lockstep shell`")

// ofShell finds the session that a command belongs to.
func ofShell(f func(*shell, *cli.Call) error) func(context.Context, *cli.Call) error {
	return func(ctx context.Context, c *cli.Call) error {
		sh, ok := ctx.Value(shellKey{}).(*shell)
		if !ok {
			return errNoShell
		}
		return f(sh, c)
	}
}

func setLength(sh *shell, c *cli.Call) error {
	sh.length = windowSize
	if v, given := c.Match.Var("lines"); given {
		sh.length = int(v.Number)
	}
	return nil
}

func setWidth(sh *shell, c *cli.Call) error {
	sh.width.Store(int64(c.Match.Int("columns")))
	sh.fit()
	return nil
}

func showHistory(sh *shell, c *cli.Call) error {
	if c.JSON {
		return c.WriteJSON(append([]string{}, sh.history.lines...))
	}
	for _, l := range sh.history.lines {
		if _, err := fmt.Fprintf(c.Out, "  %s\n", l); err != nil {
			return err
		}
	}
	return nil
}
