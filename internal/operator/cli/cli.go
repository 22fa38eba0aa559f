// Package cli is the exec mode as a session sees it: it finds the command of a line, prints IOS's errors, gives `?` and
// Tab, and passes output through the filters behind `|`. It reads no terminal and no socket (operator/mgmt does), and
// knows no command but those that change the session itself; operator/exec registers the others. Patterns are those of
// config/grammar.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lockstep/internal/config/grammar"
)

// Privilege levels of IOS.
const (
	UserExec       = 1
	PrivilegedExec = 15
)

// Command is one line of exec mode.
type Command struct {
	Pattern   string
	Help      string // of the last leading keyword, or one line a token of the pattern
	Privilege int    // least level that sees it; 0 counts as UserExec
	Run       func(ctx context.Context, c *Call) error
}

// Call is a command being carried out.
type Call struct {
	Match   *grammar.Match
	Session *Session
	Out     io.Writer // behind the filters
	// JSON: the line ended in `| json`, and the command writes its facts with WriteJSON instead of text.
	JSON bool
}

// WriteJSON writes one value as indented JSON and a newline.
func (c *Call) WriteJSON(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table is all exec commands: immutable, shared by the sessions.
type Table struct {
	grammar *grammar.Table
	run     map[*grammar.Command]Command
}

const mode = "exec"

// New compiles the commands, and those of the session itself. Errors are mistakes of whoever wrote them.
func New(glossary grammar.Glossary, commands []Command) (*Table, error) {
	all := append(sessionCommands(), commands...)
	rows := make([]grammar.Command, len(all))
	for i, c := range all {
		if c.Run == nil {
			return nil, fmt.Errorf("%q has nothing to run", c.Pattern)
		}
		rows[i] = grammar.Command{Mode: mode, Pattern: c.Pattern, Help: c.Help, Privilege: max(c.Privilege, UserExec)}
	}
	g, err := grammar.New(glossary, []grammar.Mode{{Name: mode}}, rows)
	if err != nil {
		return nil, err
	}
	t := &Table{grammar: g, run: map[*grammar.Command]Command{}}
	for i, c := range g.Commands(mode) {
		t.run[c] = all[i]
	}
	return t, nil
}

// Patterns lists the commands as they were written, for documentation.
func (t *Table) Patterns() []string {
	var out []string
	for _, c := range t.grammar.Commands(mode) {
		out = append(out, c.Pattern)
	}
	return out
}

// ErrLeave ends the session: `exit`, `logout`, `quit`.
var ErrLeave = errors.New("the session ends")

func sessionCommands() []Command {
	leave := func(context.Context, *Call) error { return ErrLeave }
	level := func(n int) func(context.Context, *Call) error {
		return func(_ context.Context, c *Call) error { return c.Session.setPrivilege(n) }
	}
	return []Command{
		{Pattern: "enable", Help: "Turn on privileged commands", Run: level(PrivilegedExec)},
		{Pattern: "disable", Help: "Turn off privileged commands", Run: level(UserExec)},
		{Pattern: "exit", Help: "Exit from the EXEC", Run: leave},
		{Pattern: "logout", Help: "Exit from the EXEC", Run: leave},
		{Pattern: "quit", Help: "Exit from the EXEC", Run: leave},
	}
}
