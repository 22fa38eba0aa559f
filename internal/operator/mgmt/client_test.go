package mgmt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// pipe gives lines to `lockstep shell` as a script would.
func (h *house) pipe(t testing.TB, script string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	exit, err := Shell(ctx, h.Path(), strings.NewReader(script), &out, &errs)
	if err != nil {
		t.Fatalf("%q: %v", script, err)
	}
	return out.String(), errs.String(), exit
}

func TestShellOfAPipeIsPlain(t *testing.T) {
	h := serve(t, nil)
	for script, want := range map[string]struct {
		out, errs string
		exit      int
	}{
		"":                                   {"", "", 0},
		"show version":                       {"Lockstep 1\n", "", 0},
		"show version\r\n\n! x\nshow open\n": {"Lockstep 1\nno end", "", 0},
		"terminal length 2\nshow lines 4\n":  {"line 1\nline 2\nline 3\nline 4\n", "", 0},
		"terminal width 40\nshow ve?\nexit\nshow lines 1\n":   {"version\n", "", 0},
		"show zoo\nshow fail\nshow version\n":                 {"Lockstep 1\n", "show zoo\n     ^\n% Invalid input detected at '^' marker.\n% the engine is busy\n", 1},
		"!" + strings.Repeat("x", 9000) + "\nshow version\n":  {"Lockstep 1\n", "% The line is too long: at most 4096 octets are read\n", 1},
		strings.Repeat("show version | count L\n", 2000):      {strings.Repeat("Number of lines which match regexp = 1\n", 2000), "", 0},
		"show version\nshow history | json\n":                 {"Lockstep 1\n[\n  \"show version\",\n  \"show history | json\"\n]\n", "", 0},
		"terminal monitor\nterminal monitor\nterminal no mon": {"", "", 0},
	} {
		if out, errs, exit := h.pipe(t, script); out != want.out || errs != want.errs || exit != want.exit {
			t.Errorf("%.80q: exit %d\n%.200q\n%.200q", script, exit, out, errs)
		}
	}
}

func TestReaderThatIsSlowHoldsNoSession(t *testing.T) {
	h := serve(t, func(l *limits) { l.stall = 50 * time.Millisecond })
	r, w := io.Pipe() // as `| less`
	ended := make(chan error, 1)
	go func() {
		_, err := Exec(context.Background(), h.Path(), "show lines 100000", w, io.Discard)
		w.CloseWithError(err)
		ended <- err
	}()
	if _, err := r.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	h.alone(t)
	rest, err := io.ReadAll(r)
	if err != nil || <-ended != nil || !bytes.HasSuffix(rest, []byte("\nline 100000\n")) {
		t.Errorf("%d octets, %v", len(rest), err)
	}
}

func TestClientsSayInOneSentenceWhyNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for socket, want := range map[string]string{
		filepath.Join(dir, "none"): "no gateway answers on " + filepath.Join(dir, "none") + ": start one with `lockstep run -c FILE`, or name its socket with -socket",
		stale:                      "no gateway answers on " + stale + ": start one with `lockstep run -c FILE`, or name its socket with -socket",
	} {
		if _, err := Exec(context.Background(), socket, "show version", nil, nil); err == nil || err.Error() != want {
			t.Errorf("exec: %v", err)
		}
		if _, err := Shell(context.Background(), socket, strings.NewReader(""), nil, nil); err == nil || err.Error() != want {
			t.Errorf("shell: %v", err)
		}
	}
	if got := remedy("/s", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}).Error(); !strings.HasPrefix(got, "/s may not be opened by this user: run") {
		t.Error(got)
	}
	if _, err := Exec(context.Background(), "/s", strings.Repeat("x", 5000), nil, nil); err == nil || err.Error() != "the command has 5000 octets: at most 4096 are read" {
		t.Errorf("a long command: %v", err)
	}
}

func TestClientsSurviveOtherPrograms(t *testing.T) {
	for answer, want := range map[string]string{
		"SSH-2.0-x\r\n":           `this is no gateway's socket, or another version's: it says "SSH-2.0-x"`,
		"":                        "the gateway ended the session early: unexpected EOF",
		"O\x00\x05abc":            "the gateway ended the session early: within a frame: unexpected EOF",
		"O\xff\xffabc":            "the gateway ended the session early: not understood: a frame 'O' of 65535 octets",
		"O\x00\x01aX\x00\x01\x07": "",
		"X\x00\x00":               "",
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, answer)
		}()
		exit, err := Exec(context.Background(), socket, "show version", io.Discard, io.Discard)
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil || exit == 0 {
			t.Errorf("%q: exit %d, %v", answer, exit, err)
		}
		l.Close()
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestClientEndsWhenNobodyWantsItsOutput(t *testing.T) {
	h := serve(t, nil)
	if _, err := Exec(context.Background(), h.Path(), "show flood", broken{}, io.Discard); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
	<-h.gone
}

// pty is a terminal of the kernel: keyboard and screen at one end, the file that a program has at the other.
func pty(t *testing.T) (own, program *os.File) {
	t.Helper()
	own, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { own.Close() })
	n, err := unix.IoctlGetInt(int(own.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(own.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return own, program
}

func TestShellTakesARealTerminalAndGivesItBack(t *testing.T) {
	h := serve(t, nil)
	own, program := pty(t)
	resize := func(cols, rows uint16) {
		if err := unix.IoctlSetWinsize(int(own.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows}); err != nil {
			t.Fatal(err)
		}
	}
	resize(60, 5)
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		io.WriteString(own, "\r") // lets the goroutine go that reads the terminal
	}()
	before, err := term.GetState(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		exit, err := Shell(ctx, h.Path(), program, program, program)
		ended <- errors.Join(err, map[bool]error{true: fmt.Errorf("exit %d", exit)}[exit != 0])
	}()
	screen, output := newVT(60), make(chan []byte, 100)
	go func() {
		for {
			b := make([]byte, 4096)
			n, err := own.Read(b)
			if err != nil {
				return
			}
			output <- b[:n]
		}
	}()
	shows := func(want string) {
		t.Helper()
		for !strings.HasSuffix("\n"+screen.String(), "\n"+want) {
			select {
			case b := <-output:
				screen.write(b)
			case <-time.After(patient):
				t.Fatalf("no %q; the screen shows:\n%s", want, screen)
			}
		}
	}
	shows("gw#")
	io.WriteString(own, "sh lin\t9\r")
	shows("gw#sh lines 9\nline 1\nline 2\nline 3\nline 4\n --More--")
	io.WriteString(own, "q")
	shows("line 4\ngw#")
	resize(50, 20)
	syscall.Kill(os.Getpid(), syscall.SIGWINCH) // the kernel would tell the terminal's own processes
	screen.write(<-output)                      // the editor draws its line again
	io.WriteString(own, "show lines 12\r")
	shows("gw#show lines 12\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\nline 11\nline 12\ngw#")
	io.WriteString(own, "\x03exit\r")
	if err := <-ended; err != nil {
		t.Errorf("Shell: %v", err)
	}
	if after, err := term.GetState(int(program.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %v", err)
	}
}
