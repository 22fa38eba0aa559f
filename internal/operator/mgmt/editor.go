package mgmt

import (
	"io"
	"slices"
	"strings"

	"golang.org/x/term"

	"lockstep/internal/operator/cli"
)

// editor is the line being typed: x/term moves the cursor, cli knows what may be typed.
type editor struct {
	terminal *term.Terminal
	keyboard *keyboard
	session  *cli.Session
	out      outlet
	history  *history

	quoted bool   // the next ? or Tab is typed
	ahead  []byte // of the last stroke: what x/term had no room for
}

func newEditor(k *keyboard, s *cli.Session, out outlet) *editor {
	e := &editor{keyboard: k, session: s, out: out, history: &history{}}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e, out}, "")
	e.terminal.History = e.history
	e.terminal.AutoCompleteCallback = e.key
	return e
}

// line reads one. io.EOF: Ctrl-D on an empty line, or the end of input.
func (e *editor) line() (string, error) {
	e.terminal.SetPrompt(e.session.Prompt())
	e.history.abandoned, e.quoted = false, false
	line, err := e.terminal.ReadLine()
	if e.history.abandoned {
		line = ""
	}
	return line, err
}

// Read gives x/term keys, up to the end of a line: what was typed ahead of a command may be meant for its pager.
func (e *editor) Read(p []byte) (int, error) {
	n := copy(p, e.ahead)
	e.ahead = e.ahead[n:]
	for n == 0 || n < len(p) && e.keyboard.in.ready() {
		s, text, err := e.keyboard.stroke()
		if err != nil {
			return n, err
		}
		if s != typed {
			// x/term takes Ctrl-C for the end of input: a line given up is one that nobody carries out.
			e.history.abandoned = s == abandoned
			text = []byte{keyEnter}
		}
		c := copy(p[n:], text)
		n, e.ahead = n+c, append(e.ahead[:0], text[c:]...)
		if s != typed {
			break
		}
	}
	return n, nil
}

// key answers Tab and ?; x/term calls it for every key that moves no cursor.
func (e *editor) key(line string, pos int, key rune) (string, int, bool) {
	if e.quoted {
		e.quoted = false
		if key == keyTab {
			return line[:pos] + " " + line[pos:], pos + 1, true // a blank as any other
		}
		return "", 0, false
	}
	switch key {
	case keyQuote:
		e.quoted = true
		return "", 0, false
	case '?':
		e.show(line+"?", e.session.Help(line[:pos]))
		return line, pos, true
	case keyTab:
		return e.complete(line, pos)
	}
	return "", 0, false
}

// complete finishes the word at the cursor as far as it is certain, and otherwise shows what it could be.
func (e *editor) complete(line string, pos int) (string, int, bool) {
	done, words := e.session.Complete(line[:pos])
	switch {
	case done != line[:pos]:
		return done + strings.TrimPrefix(line[pos:], " "), len(done), true
	case len(words) > 1:
		e.show(line, strings.Join(words, "  ")+"\n")
	default:
		io.WriteString(e.out, "\a")
	}
	return line, pos, true
}

// show writes text below the line as it stands; x/term writes the line again below that.
func (e *editor) show(line, text string) {
	io.WriteString(e.terminal, e.session.Prompt()+line+"\n"+text)
}

// historySize is IOS's limit for `terminal history size`.
const historySize = 256

// history is the lines of one session, oldest first, without empty ones and repetitions.
type history struct {
	lines     []string
	abandoned bool // the line that comes next was given up
}

// Add is called by x/term for each line.
func (h *history) Add(line string) {
	line = strings.TrimSpace(line)
	if h.abandoned || line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > historySize {
		h.lines = slices.Delete(h.lines, 0, 1)
	}
}

func (h *history) Len() int { return len(h.lines) }

// At counts from the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
