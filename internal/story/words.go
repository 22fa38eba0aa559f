package story

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// word is one word of a script line.
type word struct {
	text   string
	quoted bool
}

// split cuts a line into words: at blanks, but not between single quotes. A `#` where a word would begin ends the line.
func split(line string) ([]word, error) {
	var out []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return out, nil
		}
		if line[0] != '\'' {
			n := strings.IndexAny(line, " \t'")
			if n < 0 {
				n = len(line)
			}
			if n < len(line) && line[n] == '\'' {
				return nil, errors.New("a quote inside a word: quote the whole word")
			}
			out, line = append(out, word{text: line[:n]}), line[n:]
			continue
		}
		n := strings.IndexByte(line[1:], '\'')
		if n < 0 {
			return nil, errors.New("a quote is not closed")
		}
		out, line = append(out, word{line[1 : 1+n], true}), line[n+2:]
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			return nil, errors.New("a blank is missing behind a quote")
		}
	}
}

// words reads the words of a line one by one. The first mistake stays in err, and what is read after it is zero.
type words struct {
	rest []word
	err  error
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// next is the next word, which the user knows as what.
func (w *words) next(what string) word {
	if w.err != nil {
		return word{}
	}
	if len(w.rest) == 0 {
		w.fail("%s is missing", what)
		return word{}
	}
	x := w.rest[0]
	w.rest = w.rest[1:]
	return x
}

// plain is a word without quotes.
func (w *words) plain(what string) string {
	x := w.next(what)
	if x.quoted {
		w.fail("%s is expected without quotes, not '%s'", what, x.text)
		return ""
	}
	return x.text
}

// quoted is a word in quotes.
func (w *words) quoted(what string) string {
	x := w.next(what)
	if w.err == nil && !x.quoted {
		w.fail("%s is expected in single quotes, not %s", what, x.text)
		return ""
	}
	return x.text
}

// literal takes words that must stand there.
func (w *words) literal(text string) {
	for _, want := range strings.Fields(text) {
		if got := w.plain("`" + want + "`"); w.err == nil && got != want {
			w.fail("`%s` is expected, not %s", want, got)
		}
	}
}

// flag takes an optional word.
func (w *words) flag(name string) bool {
	if w.err != nil || len(w.rest) == 0 || w.rest[0] != (word{text: name}) {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// more says that there are words left.
func (w *words) more() bool { return w.err == nil && len(w.rest) > 0 }

// oneOf is one of some words.
func (w *words) oneOf(what string, choices ...string) string {
	got := w.plain(what)
	for _, c := range choices {
		if got == c {
			return got
		}
	}
	if w.err == nil {
		w.fail("%s is expected (%s), not %s", what, strings.Join(choices, ", "), got)
	}
	return ""
}

// count is a whole number in bounds.
func (w *words) count(what string, least, most int) int {
	got := w.plain(what)
	n, err := strconv.Atoi(got)
	if w.err == nil && (err != nil || n < least || n > most) {
		w.fail("%s is expected, a number from %d to %d, not %s", what, least, most, got)
		return 0
	}
	return n
}

// duration is a time such as 300ms or 1.5s.
func (w *words) duration(what string, least, most time.Duration) time.Duration {
	got := w.plain(what)
	d, err := time.ParseDuration(got)
	if w.err == nil && (err != nil || d < least || d > most) {
		w.fail("%s is expected, from %v to %v, not %s", what, least, most, got)
		return 0
	}
	return d
}

// end refuses what is left over.
func (w *words) end() {
	if w.err == nil && len(w.rest) > 0 {
		w.fail("nothing is expected behind it, not %s", w.rest[0].text)
	}
}
