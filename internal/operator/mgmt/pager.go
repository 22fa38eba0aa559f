package mgmt

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// errQuit ends a command whose output nobody wants to read on.
var errQuit = errors.New("the operator has seen enough")

// pager stops output at every full screen until a key: blank for a screen more, Enter for a line more, anything else
// ends it.
type pager struct {
	screen *screen
	// size is asked for at every line: windows change. No rows: no stops.
	size func() window
	// key waits for the operator.
	key func() (stroke, []byte, error)

	used   int // rows since the last stop
	column int
	quit   bool
}

func (p *pager) Write(b []byte) (int, error) {
	if p.quit {
		return 0, errQuit
	}
	from := 0 // what was not written yet
	for at := 0; at < len(b); {
		w := p.size()
		if p.column == 0 && w.rows > 0 && p.used >= max(1, w.rows-1) {
			if _, err := p.screen.Write(b[from:at]); err != nil {
				return from, err
			}
			from = at
			if err := p.stop(w); err != nil {
				return from, err
			}
		}
		at += p.count(b[at:], w)
	}
	_, err := p.screen.Write(b[from:])
	return len(b), err
}

// count goes over the text up to the end of its first line, and says how long that is.
func (p *pager) count(b []byte, w window) int {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		p.column += utf8.RuneCount(b)
		return len(b)
	}
	p.column += utf8.RuneCount(b[:end])
	p.used += 1 + max(0, p.column-1)/max(1, w.cols)
	p.column = 0
	return end + 1
}

func (p *pager) stop(w window) error {
	if err := p.screen.pause(true); err != nil {
		return err
	}
	s, text, err := p.key()
	if err := errors.Join(err, p.screen.pause(false)); err != nil {
		return err
	}
	switch key := string(text); {
	case s == typed && (key == " " || key == nextPage):
		p.used = 0
	case s == entered || s == typed && key == down:
		p.used = max(0, w.rows-2)
	default:
		p.quit = true
		return errQuit
	}
	return nil
}
