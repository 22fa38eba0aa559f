package mgmt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"lockstep/internal/config/grammar"
	"lockstep/internal/event"
	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/logsink"
)

// patient bounds every wait of a test: long enough for a busy machine, and only used up by a failure.
const patient = 10 * time.Second

// house is a server with some commands, and what they need to be watched.
type house struct {
	*Server
	log  *logsink.Sink
	stop func()        // ends Serve, and waits for it
	slow chan struct{} // receives when `show slow` has begun
	gone chan error    // why `show slow` or `show flood` ended
}

// serve opens a house whose limits are the usual ones, changed by adjust.
func serve(t testing.TB, adjust func(*limits)) *house {
	t.Helper()
	h := &house{log: logsink.New(logsink.Options{}), slow: make(chan struct{}, 100), gone: make(chan error, 100)}
	table, err := cli.New(glossary(), append(Commands(), h.commands()...))
	if err != nil {
		t.Fatal(err)
	}
	h.Server, err = Listen(Options{Path: filepath.Join(t.TempDir(), "s"), Table: table, Log: h.log, Hostname: func() string { return "gw" }})
	if err != nil {
		t.Fatal(err)
	}
	if adjust != nil {
		adjust(&h.limits)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	h.stop = func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
			served <- nil
		case <-time.After(patient):
			t.Error("Serve does not end")
		}
	}
	t.Cleanup(func() {
		h.stop()
		noneLeft(t)
	})
	return h
}

func glossary() grammar.Glossary {
	g := grammar.Glossary{"show": "Show running system information"}
	maps.Copy(g, Glossary())
	return g
}

func (h *house) commands() []cli.Command {
	say := func(text string) func(context.Context, *cli.Call) error {
		return func(_ context.Context, c *cli.Call) error {
			if c.JSON {
				return c.WriteJSON(map[string]string{"said": text})
			}
			_, err := io.WriteString(c.Out, text)
			return err
		}
	}
	return []cli.Command{
		{Pattern: "show version", Help: "System version", Run: say("Lockstep 1\n")},
		{Pattern: "show open", Help: "A line without an end", Run: say("no end")},
		{Pattern: "show name", Help: "What a peer calls itself", Run: say("peer \x1b[31m\u009b2Jred\a\n")},
		{Pattern: "show fail", Help: "Fails", Run: func(context.Context, *cli.Call) error { return errors.New("the engine is busy") }},
		{Pattern: "show panic", Help: "Panics", Run: func(context.Context, *cli.Call) error { panic("nil map") }},
		{Pattern: "show lines <0-100000>:n", Help: "So many lines", Run: func(_ context.Context, c *cli.Call) error {
			for i := range c.Match.Int("n") {
				if _, err := fmt.Fprintf(c.Out, "line %d\n", i+1); err != nil {
					h.gone <- err
					return err
				}
			}
			return nil
		}},
		{Pattern: "show slow", Help: "Waits until it is cancelled", Run: func(ctx context.Context, c *cli.Call) error {
			io.WriteString(c.Out, "slow begins\n")
			h.slow <- struct{}{}
			<-ctx.Done()
			h.gone <- ctx.Err()
			return fmt.Errorf("waiting: %w", ctx.Err())
		}},
		{Pattern: "show flood", Help: "Writes until it cannot", Run: func(_ context.Context, c *cli.Call) error {
			for {
				if _, err := c.Out.Write(make([]byte, 8192)); err != nil {
					h.gone <- err
					return err
				}
			}
		}},
		{Pattern: "clear counters", Help: "Clear counters", Privilege: 15, Run: say("cleared\n")},
	}
}

// alone waits until the server has no session left.
func (h *house) alone(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patient); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		n := len(h.open)
		h.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d sessions live on", n)
		}
	}
}

// emit logs one line.
func (h *house) emit(text string) {
	h.log.Write(event.Record{Facility: "SYS", Severity: event.Notification, Mnemonic: "TEST", Text: text})
}

// exec runs one command as a client does.
func (h *house) exec(t testing.TB, command string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	exit, err := Exec(ctx, h.Path(), command, &out, &errs)
	if err != nil {
		t.Fatalf("%q: %v", command, err)
	}
	return out.String(), errs.String(), exit
}

// noneLeft fails if a goroutine of this package lives, apart from the test's own.
func noneLeft(t testing.TB) {
	t.Helper()
	var left []string
	for end := time.Now().Add(patient); time.Now().Before(end); {
		var b bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&b, 2)
		left = nil
		for g := range strings.SplitSeq(b.String(), "\n\n") {
			if strings.Contains(g, "lockstep/internal/operator/mgmt.") && !strings.Contains(g, "_test.go") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
}

// console is a test's end of a shell: it types, and looks at the screen.
type console struct {
	t      testing.TB
	conn   net.Conn
	screen *vt
	raw    []byte
	exit   int // -1: not over
}

// console opens a shell on a terminal of that size.
func (h *house) console(t testing.TB, w window) *console {
	t.Helper()
	c := h.connect(t)
	c.screen = newVT(w.cols)
	c.write(append([]byte(preamble), appendFrame(nil, kindShell, w.append(nil))...))
	return c
}

func (h *house) connect(t testing.TB) *console {
	t.Helper()
	conn, err := net.Dial("unix", h.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &console{t: t, conn: conn, exit: -1, screen: newVT(80)}
}

func (c *console) write(b []byte) {
	c.t.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(patient))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// keys types.
func (c *console) keys(s string) {
	c.t.Helper()
	c.write(appendFrame(nil, kindInput, []byte(s)))
}

func (c *console) resize(w window) {
	c.screen.cols = w.cols
	c.write(appendFrame(nil, kindWindow, w.append(nil)))
}

// until reads output until done, or the session's end.
func (c *console) until(what string, done func() bool) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patient))
	for !done() {
		f, err := readFrame(c.conn)
		if err != nil {
			c.t.Fatalf("waiting for %s: %v; the screen shows:\n%s", what, err, c.screen)
		}
		switch f.kind {
		case kindEnd:
			c.exit = status(f.body)
			if !done() {
				c.t.Fatalf("the session ended instead of %s; the screen shows:\n%s", what, c.screen)
			}
		default:
			c.raw = append(c.raw, f.body...)
			c.screen.write(f.body)
		}
	}
}

// shows waits until the last lines of the screen are these.
func (c *console) shows(lines ...string) {
	c.t.Helper()
	want := strings.Join(lines, "\n")
	c.until(fmt.Sprintf("%q", want), func() bool { return strings.HasSuffix("\n"+c.screen.String(), "\n"+want) })
}

// ends waits for the end of the session.
func (c *console) ends(exit int) {
	c.t.Helper()
	c.until("the end", func() bool { return c.exit >= 0 })
	if c.exit != exit {
		c.t.Errorf("exit status %d, want %d", c.exit, exit)
	}
}

// vt is as much of a VT100 as x/term uses, without scrolling.
type vt struct {
	cols, x, y int
	rows       [][]rune
	state      string // an unfinished sequence
}

func newVT(cols int) *vt { return &vt{cols: cols, rows: [][]rune{nil}} }

func (v *vt) write(b []byte) {
	for _, r := range string(b) {
		switch {
		case v.state != "":
			v.state += string(r)
			if r >= '@' && r != '[' {
				v.sequence(v.state[2:len(v.state)-1], r)
				v.state = ""
			}
		case r == 0x1b:
			v.state = string(r)
		case r == '\r':
			v.x = 0
		case r == '\n':
			v.down(1)
		case r >= ' ':
			if v.x == v.cols {
				v.x = 0
				v.down(1)
			}
			for len(v.rows[v.y]) <= v.x {
				v.rows[v.y] = append(v.rows[v.y], ' ')
			}
			v.rows[v.y][v.x] = r
			v.x++
		}
	}
}

func (v *vt) down(n int) {
	v.y += n
	for len(v.rows) <= v.y {
		v.rows = append(v.rows, nil)
	}
}

func (v *vt) sequence(parameter string, final rune) {
	n := 1
	fmt.Sscan(parameter, &n)
	switch final {
	case 'A':
		v.y = max(0, v.y-n)
	case 'B':
		v.down(n)
	case 'C':
		v.x += n
	case 'D':
		v.x = max(0, v.x-n)
	case 'K':
		v.rows[v.y] = v.rows[v.y][:min(v.x, len(v.rows[v.y]))]
	case 'J':
		v.rows, v.y = [][]rune{nil}, 0
	case 'H':
		v.x, v.y = 0, 0
	default:
		panic(fmt.Sprintf("the terminal got ESC[%s%c", parameter, final))
	}
}

// String is the screen down to the cursor or the last line, without blanks at the ends of lines.
func (v *vt) String() string {
	var lines []string
	for _, r := range v.rows {
		lines = append(lines, strings.TrimRight(string(r), " "))
	}
	for len(lines)-1 > v.y && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n")
}
