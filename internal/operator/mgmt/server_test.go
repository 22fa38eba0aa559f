package mgmt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExecPrintsAndExits(t *testing.T) {
	h := serve(t, nil)
	for command, want := range map[string]struct {
		out, errs string
		exit      int
	}{
		"show version":                         {"Lockstep 1\n", "", 0},
		"sh ver | count step":                  {"Number of lines which match regexp = 1\n", "", 0},
		"show lines 3 | exclude 2":             {"line 1\nline 3\n", "", 0},
		"show version | json":                  {"{\n  \"said\": \"Lockstep 1\\n\"\n}\n", "", 0},
		"clear counters":                       {"cleared\n", "", 0},
		"exit":                                 {"", "", 0},
		"! a comment":                          {"", "", 0},
		"show ve?":                             {"version\n", "", 0},
		"show version zoo":                     {"", "show version zoo\n             ^\n% Invalid input detected at '^' marker.\n", 1},
		"show version | zoo":                   {"", "show version | zoo\n               ^\n% Invalid input detected at '^' marker.\n", 1},
		"show":                                 {"", "% Incomplete command.\n", 1},
		"show fail":                            {"", "% the engine is busy\n", 1},
		"terminal length 0":                    {"", "% Only an interactive session has a terminal: use it in `lockstep shell`\n", 1},
		"show version | redirect /etc/motd":    {"", "% Files cannot be written from here: redirect the output of `lockstep exec` instead\n", 1},
		"show version | include Lock?step|zoo": {"Lockstep 1\n", "", 0},
	} {
		if out, errs, exit := h.exec(t, command); out != want.out || errs != want.errs || exit != want.exit {
			t.Errorf("%q: exit %d\n%s---\n%s", command, exit, out, errs)
		}
	}
	if out, _, _ := h.exec(t, "show lines 100000"); !strings.HasSuffix(out, "line 99999\nline 100000\n") || strings.Count(out, "\n") != 100000 {
		t.Errorf("%d lines of a long output", strings.Count(out, "\n"))
	}
}

func TestOutputOfASlowCommandComesAsItIsWritten(t *testing.T) {
	h := serve(t, nil)
	c := h.connect(t)
	c.write(appendFrame([]byte(preamble), kindExec, []byte("show slow")))
	c.shows("slow begins", "")
}

func TestCommandIsCancelledWhenItsClientGoes(t *testing.T) {
	h := serve(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := Exec(ctx, h.Path(), "show slow", io.Discard, io.Discard)
		ended <- err
	}()
	<-h.slow
	cancel()
	if err := <-h.gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the command ended with %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the client ended with %v", err)
	}
	c := h.console(t, usual)
	c.keys("show slow\r")
	<-h.slow
	c.conn.Close()
	<-h.gone
}

func TestCommandThatTakesTooLongIsEnded(t *testing.T) {
	h := serve(t, func(l *limits) { l.command = 30 * time.Millisecond })
	if _, errs, exit := h.exec(t, "show slow"); exit != 1 || errs != "% The command took too long and was ended\n" {
		t.Errorf("exit %d, %q", exit, errs)
	}
	c := h.console(t, window{cols: 80, rows: 4})
	c.keys("show slow\r")
	c.shows("slow begins", "% The command took too long and was ended", "", "gw#")
	// The operator's own time is his: --More-- stays.
	c.keys("show lines 5\r")
	c.shows("line 3", " --More--")
	time.Sleep(60 * time.Millisecond)
	c.keys(" ")
	c.shows("line 4", "line 5", "gw#")
}

func TestClientThatNeverReadsLosesItsSessionOnly(t *testing.T) {
	h := serve(t, func(l *limits) { l.stall = 50 * time.Millisecond })
	deaf := h.connect(t)
	deaf.write(appendFrame([]byte(preamble), kindExec, []byte("show flood")))
	if err := <-h.gone; !errors.Is(err, errStalled) {
		t.Errorf("the command ended with %v", err)
	}
	if out, _, _ := h.exec(t, "show version"); out != "Lockstep 1\n" {
		t.Errorf("another client got %q", out)
	}
	// The same with log lines: Write must return at once however full the terminal is.
	c := h.console(t, usual)
	c.keys("terminal monitor\r")
	c.shows("gw#terminal monitor", "gw#")
	for range 5000 {
		h.emit(strings.Repeat("x", 500))
	}
	h.alone(t)
}

func TestSessionsAreBounded(t *testing.T) {
	h := serve(t, func(l *limits) { l.sessions = 2 })
	one, two := h.console(t, usual), h.console(t, usual)
	one.shows("gw#")
	two.shows("gw#")
	want := fmt.Sprintf("%% All 2 sessions are in use, by the processes %d: end one of them\n", os.Getpid())
	if _, errs, exit := h.exec(t, "show version"); exit != 1 || errs != want {
		t.Errorf("exit %d, %q", exit, errs)
	}
	two.keys("exit\r")
	two.ends(0)
	two.conn.Close()
	one.keys("exit\r")
	one.ends(0)
	h.alone(t) // an instant after the goodbye
	if out, _, _ := h.exec(t, "show version"); out != "Lockstep 1\n" {
		t.Errorf("there is no place again: %q", out)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	h := serve(t, func(l *limits) { l.idle, l.hello = 50*time.Millisecond, 50*time.Millisecond })
	watching := h.console(t, usual)
	watching.keys("terminal monitor\r")
	watching.shows("gw#terminal monitor", "gw#")
	c := h.console(t, usual)
	c.keys("x")
	c.shows("gw#x", "% The session was idle for too long and is closed", "")
	c.ends(1)
	silent := h.connect(t)
	silent.conn.SetReadDeadline(time.Now().Add(patient))
	if n, err := silent.conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a client that asks for nothing: %d, %v", n, err)
	}
	// Who watches the log is not idle.
	h.emit("still here")
	watching.until("the log", func() bool { return strings.Contains(watching.screen.String(), "still here") })
}

func TestGarbageIsRefusedAndHarmsNobody(t *testing.T) {
	h := serve(t, func(l *limits) { l.hello = 100 * time.Millisecond })
	huge := appendFrame([]byte(preamble), kindExec, nil)
	huge[len(huge)-2], huge[len(huge)-1] = 0xff, 0xff
	frame := func(k kind, body string) string { return string(appendFrame([]byte(preamble), k, []byte(body))) }
	for name, c := range map[string]struct{ sent, want string }{
		"HTTP":             {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "% this is the management socket of a Lockstep gateway: use `lockstep shell` or `lockstep exec`\n"},
		"octets":           {"\x00\xff\xfe", "% this is the management socket of a Lockstep gateway: use `lockstep shell` or `lockstep exec`\n"},
		"another version":  {"lockstep/2\nE", "R% this gateway speaks \"lockstep/1\" and the client another version: use the `lockstep` that runs as the gateway\n"},
		"unknown kind":     {frame('Z', "x"), "R% not understood: a session cannot begin with 'Z'\n"},
		"input first":      {frame(kindInput, "x"), "R% not understood: a session cannot begin with 'I'\n"},
		"odd window":       {frame(kindShell, "abc"), "R% not understood: a window of 3 octets\n"},
		"huge frame":       {string(huge), "R% not understood: a frame 'E' of 65535 octets\n"},
		"long command":     {frame(kindExec, strings.Repeat("x", maxCommand+1)), "R% not understood: the command has 4097 octets, at most 4096 are read\n"},
		"half a frame":     {preamble + "E\x00\x09show", ""},
		"nothing":          {"", ""},
		"control octets":   {frame(kindExec, "show version\x00"), "R% Invalid input: control characters\n"},
		"command and more": {frame(kindExec, "show slow") + "more", "Oslow begins\n"},
	} {
		conn, err := net.Dial("unix", h.Path())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(c.sent))
		conn.SetReadDeadline(time.Now().Add(patient))
		got, _ := io.ReadAll(conn)
		conn.Close()
		if kept := strip(got); kept != c.want {
			t.Errorf("%s: %q", name, kept)
		}
	}
	if out, _, _ := h.exec(t, "show version"); out != "Lockstep 1\n" {
		t.Errorf("a client after them got %q", out)
	}
}

// strip keeps the kind and body of the first frame, or what is no frame as it is.
func strip(b []byte) string {
	if f, err := readFrame(bytes.NewReader(b)); err == nil {
		return string(rune(f.kind)) + string(f.body)
	}
	return string(b)
}

func TestShellFramesOutOfPlaceEndTheSession(t *testing.T) {
	h := serve(t, nil)
	for name, sent := range map[string][]byte{
		"second request":  appendFrame(nil, kindExec, []byte("show version")),
		"broken window":   appendFrame(nil, kindWindow, []byte("x")),
		"input after end": appendFrame(appendFrame(nil, kindInput, nil), kindInput, []byte("x")),
		"half a frame":    {byte(kindInput), 0xff},
	} {
		c := h.console(t, usual)
		c.shows("gw#")
		c.write(sent)
		c.conn.(*net.UnixConn).CloseWrite()
		c.conn.SetReadDeadline(time.Now().Add(patient))
		if _, err := io.ReadAll(c.conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSocketIsThePrivilegedOnesAndGoesWithItsServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "er")
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	s, err := Listen(Options{Path: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(s.Path()); err != nil || st.Mode().Perm() != 0o660 || st.Mode()&fs.ModeSocket == 0 {
		t.Errorf("socket %v, %v", st, err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("directory %v, %v", st.Mode(), err)
	}
	s.Close()
	s.Close()
	if _, err := os.Lstat(s.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := Listen(Options{Path: path})
	if err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	_, err = Listen(Options{Path: path})
	if want := fmt.Sprintf("process %d (", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path+" already: stop it") {
		t.Errorf("two gateways on one socket: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the live socket is gone: %v", err)
	}
	// A socket that another one put in its place stays.
	os.Remove(path)
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another one's socket was removed: %v", err)
	}
}

func TestPlacesThatCannotHoldASocketAreNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                     "exists and is no socket",
		filepath.Join(file, "s"): "directory",
		filepath.Join(dir, strings.Repeat("x", 108)): "the system takes 107",
	} {
		if _, err := Listen(Options{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("a file was lost")
	}
}
