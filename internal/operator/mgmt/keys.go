package mgmt

import (
	"context"
	"unicode/utf8"
)

// Octets of keys.
const (
	keyCtrlC     = 0x03
	keyTab       = '\t'
	keyEnter     = '\r'
	keyQuote     = 0x16 // Ctrl-V: the next ? or Tab is typed
	keyEscape    = 0x1b
	keyInterrupt = 0x1e // Ctrl-Shift-6, IOS's own
)

// Keys as the line editor knows them.
const (
	up, down, right, left = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
	wordLeft, wordRight   = "\x1b[1;3D", "\x1b[1;3C"
	lineStart, lineEnd    = "\x01", "\x05"
	deleteChar            = "\x1b[3~"
	deleteWord            = "\x17"
	deleteToStart         = "\x15"
	nextPage              = "\x1b[6~" // for the pager; the editor ignores it
)

// stroke is what the octets so far amount to.
type stroke uint8

const (
	unfinished stroke = iota
	typed             // text holds what the line editor shall see
	entered           // the line is done
	abandoned         // the line is given up: Ctrl-C, Ctrl-Z
)

// keys turns the octets of many kinds of terminal into the few sequences that golang.org/x/term reads. It knows IOS's
// control keys, and drops what x/term would trip over: broken UTF-8, an escape with nothing behind it, sequences of keys
// that mean nothing here. It is a plain value that looks at one octet at a time.
type keys struct {
	text     []byte // of a stroke; valid until the next octet
	sequence []byte // an unfinished escape sequence or character
	afterCR  bool
}

// maxSequence bounds an escape sequence; no key of a terminal has a longer one.
const maxSequence = 16

func (k *keys) take(b byte) stroke {
	lf := b == '\n' && k.afterCR
	k.afterCR = b == keyEnter
	switch {
	case lf:
		return unfinished // CR LF is one Enter
	case b < ' ' && b != keyEscape || b == 0x7f && !k.within(keyEscape):
		k.sequence = k.sequence[:0] // a control key ends whatever was begun
		return k.control(b)
	case b == keyEscape:
		k.sequence = append(k.sequence[:0], b)
		return unfinished
	case k.within(keyEscape):
		return k.escape(b)
	case b >= utf8.RuneSelf || len(k.sequence) > 0:
		return k.character(b)
	}
	return k.emit(string(rune(b)))
}

func (k *keys) within(first byte) bool { return len(k.sequence) > 0 && k.sequence[0] == first }

func (k *keys) emit(s string) stroke {
	k.text = append(k.text[:0], s...)
	return typed
}

// control are the keys that IOS and x/term share, and those that x/term calls otherwise.
func (k *keys) control(b byte) stroke {
	switch b {
	case keyCtrlC, 0x1a: // Ctrl-Z
		return abandoned
	case keyEnter, '\n':
		return entered
	case 0x18: // Ctrl-X
		return k.emit(deleteToStart)
	case 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x0b, 0x0c, 0x0e, 0x10, 0x14, 0x15, 0x17, 0x7f, keyTab, keyQuote:
		return k.emit(string(rune(b)))
	}
	return unfinished
}

// escape goes on with a sequence (ECMA-48 §5.4): ESC, [ or O, parameters, one final octet.
func (k *keys) escape(b byte) stroke {
	k.sequence = append(k.sequence, b)
	n := len(k.sequence)
	switch {
	case n == 2 && (b == '[' || b == 'O'):
		return unfinished
	case n > 2 && b < '@' && n < maxSequence:
		return unfinished
	case n == 3 && b == '[': // a function key of the Linux console
		return unfinished
	}
	text, known := sequences[string(k.sequence[1:])]
	bare := n == 2 && !known // Esc, and then a key of its own
	k.sequence = k.sequence[:0]
	switch {
	case known:
		return k.emit(text)
	case bare:
		return k.take(b)
	}
	return unfinished
}

// sequences are what stands behind ESC on the terminals of today: xterm, VT220, the Linux console, screen.
var sequences = map[string]string{
	"[A": up, "[B": down, "[C": right, "[D": left,
	"OA": up, "OB": down, "OC": right, "OD": left,
	"[H": lineStart, "[F": lineEnd, "OH": lineStart, "OF": lineEnd,
	"[1~": lineStart, "[4~": lineEnd, "[7~": lineStart, "[8~": lineEnd,
	"[3~": deleteChar, "[6~": nextPage,
	"[1;5C": wordRight, "[1;5D": wordLeft, "[1;3C": wordRight, "[1;3D": wordLeft,
	"b": wordLeft, "f": wordRight, "\x7f": deleteWord,
}

// character goes on with one of several octets.
func (k *keys) character(b byte) stroke {
	k.sequence = append(k.sequence, b)
	if !utf8.FullRune(k.sequence) {
		return unfinished
	}
	r, n := utf8.DecodeRune(k.sequence)
	broken := r == utf8.RuneError || n < len(k.sequence)
	k.sequence = k.sequence[:0]
	switch {
	case broken && b < utf8.RuneSelf:
		return k.take(b) // the octet that broke it is a key of its own
	case broken || r < 0xa0: // C1 controls
		return unfinished
	}
	return k.emit(string(r))
}

// keyboard is the keys of one operator.
type keyboard struct {
	ctx  context.Context // of the session
	in   *input
	keys keys
}

// stroke waits for the next key.
func (k *keyboard) stroke() (stroke, []byte, error) {
	for {
		b, err := k.in.next(k.ctx)
		if err != nil {
			return unfinished, nil, err
		}
		if s := k.keys.take(b); s != unfinished {
			return s, k.keys.text, nil
		}
	}
}
