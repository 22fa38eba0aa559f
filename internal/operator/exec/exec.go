package exec

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"lockstep/internal/config/grammar"
	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
)

// New compiles the exec mode over a gateway, the session's own commands included.
func New(g Gateway) (*cli.Table, error) { return cli.New(glossary(), Commands(g)) }

// With is New with more commands beside these, and the words that they explain.
func With(g Gateway, words grammar.Glossary, more []cli.Command) (*cli.Table, error) {
	all := glossary()
	maps.Copy(all, words)
	return cli.New(all, append(Commands(g), more...))
}

// Commands lists every command over a gateway.
func Commands(g Gateway) []cli.Command {
	r := &reader{g}
	return slices.Concat(systemCommands(r), loggingCommands(r), ikeCommands(r), ipsecCommands(r), recoveryCommands(r),
		interfaceCommands(r), platformCommands(r), clearCommands(g), rekeyCommands(g), debugCommands(g))
}

type (
	call = cli.Call
	run  = func(ctx context.Context, c *cli.Call) error
)

// readWait bounds how long a show command waits for IKE and recovery to tell how they stand: they answer in microseconds
// unless they are stuck, and then an operator wants to know.
const readWait = 5 * time.Second

// errStuck is better than a table that looks complete and is not.
var errStuck = errors.New("% IKE or recovery did not tell its state in time: nothing is shown, try again")

// showing makes a command of a function that makes a view.
func showing(view func(ctx context.Context, c *call) (show.View, error)) run {
	return func(ctx context.Context, c *call) error {
		ctx, cancel := context.WithTimeout(ctx, readWait)
		defer cancel()
		v, err := view(ctx, c)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errStuck
		case c.JSON:
			return c.WriteJSON(v)
		}
		return v.Text(c.Out)
	}
}

// reader takes snapshots for the show commands.
type reader struct{ Gateway }

// parts are what a snapshot may hold beside the configuration; IKE, quirks and flows are asked of running loops.
type parts uint8

const (
	withIKE parts = 1 << iota
	withChildren
	withInterfaces
	withFlows
	withQuirks
)

func (r *reader) snapshot(ctx context.Context, p parts) *show.Snapshot {
	s := &show.Snapshot{Now: r.Now(), Config: r.Config()}
	if p&withIKE != 0 {
		s.IKE = r.IKE(ctx)
	}
	if p&withChildren != 0 {
		s.Children = r.Children()
	}
	if p&withInterfaces != 0 {
		s.Interfaces = r.Interfaces()
	}
	if p&withFlows != 0 {
		s.Flows = r.Flows(ctx)
	}
	if p&withQuirks != 0 {
		s.Quirks = r.Quirks(ctx)
	}
	return s
}

func (r *reader) identity() show.Identity {
	generation, created, fresh := r.Identity()
	return show.Identity{Generation: generation, Created: created, Fresh: fresh}
}
