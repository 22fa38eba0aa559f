package mgmt

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"golang.org/x/term"
)

// maxHeld is how many log lines wait for the end of a line of output.
const maxHeld = 100

// outlet is where a session's output goes: a stream of a link, one day an SSH channel.
type outlet interface {
	io.Writer
	Flush() error
}

// plainScreen is the output of commands without a terminal: a filter against control characters, which peers' names
// could hold and which would steer the terminal where the output ends up.
type plainScreen struct {
	out  io.Writer
	last byte
}

func (s *plainScreen) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	clean := make([]byte, len(b))
	for i, c := range b {
		clean[i] = c
		c1 := s.last == 0xc2 && c >= 0x80 && c < 0xa0 // U+0080 to U+009F in UTF-8
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c1 {
			clean[i] = '?'
		}
		s.last = c
	}
	return s.out.Write(clean)
}

// lineOpen reports that the last line has no end yet.
func (s *plainScreen) lineOpen() bool { return s.last != 0 && s.last != '\n' }

// screen is what the operator of a shell sees: lines being typed, output of commands, and log lines, which never stand
// within either. Commands write from the session's goroutine, log lines come from another one.
type screen struct {
	out    outlet
	editor *term.Terminal // nil: the operator has no terminal

	mu      sync.Mutex
	output  plainScreen // guarded by mu
	editing bool        // guarded by mu: the editor has the line at the bottom
	paused  bool        // guarded by mu: --More-- stands there
	held    []string    // guarded by mu
	lost    int         // guarded by mu: log lines that found no room in held
}

func newScreen(out outlet) *screen {
	s := &screen{out: out}
	s.output.out = out
	return s
}

// Write is output of a command.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.output.Write(b); err != nil {
		return 0, err
	}
	return len(b), s.release()
}

// crlf is the output of a terminal in raw mode.
type crlf struct{ outlet }

func (w crlf) Write(b []byte) (int, error) {
	if _, err := w.outlet.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// notice shows a log line as soon as no line is open.
func (s *screen) notice(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editing {
		// The editor takes its line away, and writes it again below.
		_, err := io.WriteString(s.editor, line+"\n")
		return errOr(err, s.out.Flush)
	}
	if len(s.held) == maxHeld {
		s.lost++
		return nil
	}
	s.held = append(s.held, line)
	return errOr(s.release(), s.out.Flush)
}

func errOr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// release shows the log lines that wait. Callers hold mu.
func (s *screen) release() error {
	if len(s.held) == 0 || s.paused || s.output.lineOpen() {
		return nil
	}
	var b bytes.Buffer
	for _, l := range s.held {
		b.WriteString(l + "\n")
	}
	if s.lost > 0 {
		fmt.Fprintf(&b, "%% %d log lines were not shown: see show logging\n", s.lost)
	}
	s.held, s.lost = nil, 0
	_, err := s.output.out.Write(b.Bytes()) // logsink has cleaned them, and pictures of messages have several lines
	return err
}

// edit hands the bottom line to the editor, or takes it back. A command that left its last line open gets an end.
func (s *screen) edit(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on && s.output.lineOpen() {
		if _, err := s.output.Write([]byte("\n")); err != nil {
			return err
		}
	}
	if err := s.release(); err != nil {
		return err
	}
	s.editing = on && s.editor != nil
	return nil
}

const more = " --More-- "

// pause puts --More-- at the bottom, or takes it away.
func (s *screen) pause(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = on
	text := more
	if !on {
		text = "\r" + string(bytes.Repeat([]byte(" "), len(more))) + "\r"
	}
	if _, err := io.WriteString(s.out, text); err != nil {
		return err
	}
	if on {
		return s.out.Flush()
	}
	return s.release()
}
