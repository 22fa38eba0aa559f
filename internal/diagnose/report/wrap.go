package report

import (
	"strings"
	"time"
	"unicode/utf8"

	"lockstep/internal/diagnose/read"
)

// columns is what a line of the report has at most.
const columns = 100

// wrap breaks text into lines that begin with first and then rest, at blanks where it can.
func wrap(first, rest, text string) string {
	var b strings.Builder
	prefix := first
	room := columns - width(prefix)
	for text != "" {
		cut := text
		if width(cut) > room {
			cut = head(text, room)
			if i := strings.LastIndexByte(cut, ' '); i > room/3 {
				cut = cut[:i]
			}
		}
		b.WriteString(prefix)
		b.WriteString(strings.TrimRight(cut, " "))
		b.WriteByte('\n')
		text = strings.TrimLeft(text[len(cut):], " ")
		prefix, room = rest, columns-width(rest)
	}
	return b.String()
}

func width(s string) int { return utf8.RuneCountInString(s) }

// head is the first n characters.
func head(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// clip shortens a name to n characters.
func clip(s string, n int) string {
	if width(s) <= n {
		return s
	}
	return head(s, n-1) + "…"
}

// clock is a time as the device writes it.
func clock(t time.Time) string {
	if t.IsZero() {
		return "no time"
	}
	if up, ok := read.IsUptime(t); ok {
		return "up " + up.String()
	}
	return t.Format("2006-01-02 15:04:05.000 MST")
}
