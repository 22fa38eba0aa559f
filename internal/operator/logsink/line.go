package logsink

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/event"
)

// Line is r as IOS prints it. The asterisk says that the clock is not known to be right.
func Line(r event.Record) string {
	head := "*" + Stamp(r.At) + ": "
	if r.Mnemonic == "" {
		return head + clean(r.Text, true)
	}
	return fmt.Sprintf("%s%%%s-%d-%s: %s", head, r.Facility, r.Severity, r.Mnemonic, clean(r.Text, false))
}

// Stamp is `Mon dd hh:mm:ss.mmm`, with two blanks before a one-digit day.
func Stamp(t time.Time) string { return t.Format("Jan _2 15:04:05.000") }

// clean replaces control characters: texts quote what peers say of themselves, which must not forge a line or steer a
// terminal. Debug pictures of messages have lines of their own.
func clean(s string, lines bool) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' && lines {
			return c
		}
		if c < ' ' || c >= 0x7F && c < 0xA0 || c == '\u2028' || c == '\u2029' {
			return '?'
		}
		return c
	}, s)
}

// localSeven is the facility that IOS sends with.
const localSeven = 23

// Datagram is r for a syslog host (RFC 5424 §6; no structured data).
func Datagram(r event.Record, hostname string) []byte {
	id := r.Facility + "-" + fmt.Sprint(uint8(r.Severity)) + "-" + r.Mnemonic
	if r.Mnemonic == "" {
		id = "-"
	}
	text := "%" + id + ": "
	if id == "-" {
		text = ""
	}
	return fmt.Appendf(nil, "<%d>1 %s %s lockstep - %s - %s%s", localSeven*8+int(r.Severity), r.At.UTC().Format("2006-01-02T15:04:05.000000Z"),
		field(hostname, 255), field(id, 32), text, clean(r.Text, false))
}

// field is a header field: printable, without blanks, of bounded length; "-" stands for nothing (RFC 5424 §6).
func field(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7F {
			return -1
		}
		return c
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}
