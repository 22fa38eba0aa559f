package mgmt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"lockstep/internal/operator/cli"
)

var (
	errTooLong     = errors.New("the command took too long")
	errInterrupted = errors.New("interrupted")
)

// patience bounds how long one command may be silent: what prints works, and waits for the operator do not count.
type patience struct {
	limit time.Duration
	timer *time.Timer
}

func newPatience(limit time.Duration) *patience { return &patience{limit: limit} }

func (p *patience) begin(cancel context.CancelCauseFunc) {
	p.timer = time.AfterFunc(p.limit, func() { cancel(errTooLong) })
}

// pause and resume stand around a wait for the operator.
func (p *patience) pause()  { p.timer.Stop() }
func (p *patience) resume() { p.timer.Reset(p.limit) }

// audible is the output of a command, each piece of which is a sign of life.
type audible struct {
	io.Writer
	patience *patience
}

func (a audible) Write(b []byte) (int, error) {
	defer a.patience.resume()
	return a.Writer.Write(b)
}

// run carries out one line. A line that ends in ? is answered with help, as a terminal does at the key. The error is
// that of cli.Session.Execute, or why the command was ended.
func run(ctx context.Context, s *cli.Session, line string, out io.Writer, p *patience) (err error) {
	if begun, asked := question(line); asked {
		_, err := io.WriteString(out, s.Help(begun))
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.begin(cancel)
	defer p.pause()
	defer func() {
		if r := recover(); r != nil {
			err = newCrash(fmt.Sprintf("%q", line), r)
		}
	}()
	err = s.Execute(ctx, line, audible{out, p})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause // the command's own words for it are of less use
	}
	return err
}

// question splits off the ? of a line that asks for help. Behind a bar it belongs to the pattern of a filter.
func question(line string) (string, bool) {
	if strings.Contains(line, " |") {
		return line, false
	}
	return strings.CutSuffix(strings.TrimRight(line, " \t\r"), "?")
}

// crash is a panic: of a command, after which its session goes on, or of a session. The gateway goes on in any case.
type crash struct{ text string }

func newCrash(what string, why any) *crash {
	return &crash{fmt.Sprintf("%% Lockstep goes on, but %s failed: %v. Please report it with these lines:\n%s", what, why, strings.TrimSpace(string(debug.Stack())))}
}

func (c *crash) Error() string { return c.text }

// complaint is what an operator reads of an error, without a last newline. The line stands above a caret, because no
// terminal has echoed it.
func complaint(ctx context.Context, line string, err error) string {
	text := sentence(ctx, err)
	if strings.Contains(text, "^\n") {
		return line + "\n" + text
	}
	return text
}

// sentence is an error as IOS would print it.
func sentence(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, errTooLong):
		return "% The command took too long and was ended"
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errHangup):
		return "% The gateway stops"
	}
	if text := err.Error(); strings.HasPrefix(strings.TrimLeft(text, " "), "^") || strings.HasPrefix(text, "%") {
		return text
	}
	return "% " + err.Error()
}
