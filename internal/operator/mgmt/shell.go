package mgmt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/logsink"
)

// shell is one interactive session. Its own goroutine runs serve; another one runs receive.
type shell struct {
	cli      *cli.Session
	in       *input
	out      outlet // of the operator
	errs     io.Writer
	screen   *screen
	editor   *editor // nil: the operator has no terminal
	history  *history
	patience *patience
	log      *logsink.Sink

	window atomic.Pointer[window] // as the client told
	width  atomic.Int64           // `terminal width`; 0: the window's
	length int                    // `terminal length`; windowSize: the window's

	monitor *monitor // `terminal monitor`; nil: off
	watched atomic.Bool

	mu        sync.Mutex
	interrupt context.CancelCauseFunc // guarded by mu: of the command that runs; nil: none does
}

// windowSize is the `terminal length` of a session that follows its window.
const windowSize = -1

// newShell begins a session on a terminal of that size; nil: it has none, and lines come from a pipe.
func newShell(ctx context.Context, s *Server, l *link, w *window) *shell {
	sh := &shell{cli: s.session(), in: newInput(s.limits.idle), out: l.stream(kindOut), errs: l.stream(kindErr), log: s.opt.Log,
		history: &history{}, patience: newPatience(s.limits.command), length: windowSize}
	sh.in.waiting = func() { sh.out.Flush() }
	sh.in.unattended = sh.watched.Load
	sh.screen = newScreen(sh.out)
	if w == nil {
		return sh
	}
	sh.window.Store(w)
	sh.cli.Echo = true
	sh.editor = newEditor(&keyboard{ctx: ctx, in: sh.in}, sh.cli, sh.out)
	sh.history = sh.editor.history
	sh.screen.editor = sh.editor.terminal
	sh.screen.output.out = crlf{sh.out}
	sh.errs = sh.screen
	sh.fit()
	return sh
}

// receive takes the client's frames until it hangs up.
func (sh *shell) receive(ctx context.Context, r *bufio.Reader, cancel context.CancelCauseFunc) {
	defer func() {
		if why := recover(); why != nil {
			cancel(newCrash("the session", why))
		}
		cancel(errHangup)
	}()
	ended := false
	for {
		f, err := readFrame(r)
		switch {
		case err != nil:
			return
		case f.kind == kindWindow && sh.editor != nil:
			w, err := parseWindow(f.body)
			if err != nil {
				return
			}
			sh.window.Store(&w)
			sh.fit()
		case f.kind == kindInput && len(f.body) == 0 && !ended:
			ended = true
			sh.in.end()
		case f.kind == kindInput && !ended:
			sh.hear(ctx, f.body)
		default:
			return
		}
	}
}

// fit tells the editor how wide its lines are.
func (sh *shell) fit() {
	if sh.editor == nil {
		return
	}
	w := sh.size()
	sh.editor.terminal.SetSize(w.cols, w.rows)
	sh.out.Flush()
}

// size is the terminal's, as the operator wants it seen.
func (sh *shell) size() window {
	w := *sh.window.Load()
	if n := int(sh.width.Load()); n > 0 {
		w.cols = n
	}
	return w
}

// hear hands over what was typed. The interrupt key ends the command that runs, and forgets what was typed before.
func (sh *shell) hear(ctx context.Context, b []byte) {
	if i := bytes.LastIndexAny(b, string([]byte{keyCtrlC, keyInterrupt})); i >= 0 && sh.editor != nil && sh.cancelCommand() {
		sh.in.discard()
		b = b[i+1:]
	}
	if len(b) > 0 {
		sh.in.put(ctx, b)
	}
}

// cancelCommand ends the command that runs, and reports whether one did.
func (sh *shell) cancelCommand() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.interrupt == nil {
		return false
	}
	sh.interrupt(errInterrupted)
	return true
}

// serve reads lines and carries them out until the session ends, and returns its exit status: 1 if a line of a pipe was
// refused or failed.
func (sh *shell) serve(ctx context.Context) int {
	defer sh.watch(false)
	status := 0
	for {
		line, err := sh.line(ctx)
		if err != nil {
			return max(status, sh.leave(ctx, err))
		}
		err = sh.carryOut(ctx, line)
		if errors.Is(err, cli.ErrLeave) {
			return status
		}
		if err != nil && sh.editor == nil {
			status = 1
		}
	}
}

func (sh *shell) line(ctx context.Context) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if sh.editor == nil {
		return sh.plainLine(ctx)
	}
	if err := sh.screen.edit(true); err != nil {
		return "", err
	}
	line, err := sh.editor.line()
	if broken := sh.screen.edit(false); broken != nil {
		return "", broken
	}
	if err != nil {
		fmt.Fprintln(sh.screen) // below the prompt
	}
	return line, err
}

// plainLine reads a line of a pipe; the last one needs no end.
func (sh *shell) plainLine(ctx context.Context) (string, error) {
	var line []byte
	for {
		b, err := sh.in.next(ctx)
		if err == io.EOF && len(line) > 0 || err == nil && b == '\n' {
			break
		}
		if err != nil {
			return "", err
		}
		if len(line) <= maxCommand { // one more than may be: carryOut refuses it
			line = append(line, b)
		}
	}
	text := strings.TrimSuffix(string(line), "\r")
	sh.history.Add(text)
	return text, nil
}

// carryOut runs one line and tells its errors.
func (sh *shell) carryOut(ctx context.Context, line string) error {
	over := ctx // the session
	ctx, cancel := context.WithCancelCause(over)
	defer cancel(nil)
	sh.running(cancel)
	defer sh.running(nil)
	out := sh.output(ctx)
	err := errLong
	if len(line) <= maxCommand {
		err = run(context.WithValue(ctx, shellKey{}, sh), sh.cli, line, out, sh.patience)
	}
	if p, ok := out.(*pager); ok && p.quit {
		return nil
	}
	switch {
	case err == nil, errors.Is(err, cli.ErrLeave):
	case errors.Is(err, errInterrupted):
		sh.in.rest = nil
	case over.Err() != nil: // leave tells why
	case sh.editor != nil:
		fmt.Fprintf(sh.errs, "%s\n\n", sentence(ctx, err))
	default:
		fmt.Fprintln(sh.errs, complaint(ctx, line, err))
	}
	return err
}

var errLong = fmt.Errorf("%% The line is too long: at most %d octets are read", maxCommand)

func (sh *shell) running(cancel context.CancelCauseFunc) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.interrupt = cancel
}

// output is where a command writes: on a terminal, through a pager.
func (sh *shell) output(ctx context.Context) io.Writer {
	if sh.editor == nil {
		return sh.screen
	}
	k := &keyboard{ctx: ctx, in: sh.in}
	return &pager{screen: sh.screen, size: sh.page, key: func() (stroke, []byte, error) {
		sh.patience.pause()
		defer sh.patience.resume()
		return k.stroke()
	}}
}

// page is the size that the pager keeps to.
func (sh *shell) page() window {
	w := sh.size()
	if sh.length != windowSize {
		w.rows = sh.length
	}
	return w
}

// leave says goodbye, and returns the exit status.
func (sh *shell) leave(ctx context.Context, err error) int {
	cause := context.Cause(ctx)
	var broken *crash
	switch {
	case errors.Is(cause, errHangup), errors.Is(cause, errStalled):
		return 1 // nobody listens
	case errors.As(cause, &broken):
		return sh.part(broken.Error())
	case cause != nil:
		return sh.part("% The gateway stops")
	case errors.Is(err, errIdle):
		return sh.part("% The session was idle for too long and is closed")
	}
	return 0
}

func (sh *shell) part(why string) int {
	fmt.Fprintln(sh.errs, why)
	return 1
}
