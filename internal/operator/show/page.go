package show

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// View is what one show command tells: text in IOS's layout by Text, and by its exported fields the same facts as JSON,
// with keys in snake_case, times as RFC 3339 and no secrets. What peers say of themselves is cleaned when a view is made.
type View interface{ Text(w io.Writer) error }

// page writes lines and remembers the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// maxQuoted bounds what is quoted of a peer, in characters.
const maxQuoted = 255

// Clean makes a text that others chose fit for a line: control and formatting characters (escape sequences, line ends,
// reversed writing) become question marks, and it is cut.
func Clean(s string) string {
	n := 0
	return strings.Map(func(c rune) rune {
		if n++; n > maxQuoted {
			return -1
		}
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// stamp is a moment as in log lines.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("Jan _2 15:04:05.000")
}

// fullStamp has year and zone too.
func fullStamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("Jan _2 2006 15:04:05.000 MST")
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

// age is a duration as IOS prints it: 00:05:32, 1d03h, 2w3d, 1y4w.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < day:
		return clock(d)
	case d < week:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	case d < year:
		return fmt.Sprintf("%dw%dd", d/week, d%week/day)
	}
	return fmt.Sprintf("%dy%dw", d/year, d%year/week)
}

// since is the age of a moment, "never" if there was none.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return age(now.Sub(t))
}

// clock is hours, minutes and seconds; hours may exceed 24.
func clock(d time.Duration) string {
	d = max(d, 0)
	return fmt.Sprintf("%02d:%02d:%02d", d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
}

// seconds is what is left of, or passed in, d: whole seconds, not below zero.
func seconds(d time.Duration) int64 { return int64(max(d, 0) / time.Second) }
