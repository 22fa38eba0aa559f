package read

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// indexControl finds what no line of text has; ESC and TAB are let through, for terminal captures.
func indexControl(b []byte) int {
	for i, c := range b {
		if c < ' ' && c != '\t' && c != 0x1B && c != '\r' && c != '\a' && c != '\b' {
			return i
		}
	}
	return -1
}

// printable is at most n octets of s without what could steer a terminal; octets that are no UTF-8 become '?'.
func printable(s string, n int) string {
	if len(s) > n {
		s = s[:n]
		for !utf8.ValidString(s) && len(s) > n-4 {
			s = s[:len(s)-1]
		}
	}
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7F {
			clean = false
			break
		}
	}
	if clean {
		return strings.Clone(s)
	}
	return strings.Map(harmless, s)
}

// harmless replaces what could steer a terminal or turn the direction of a text around.
func harmless(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r == utf8.RuneError, r < ' ', r >= 0x7F && r < 0xA0, r == '\u2028', r == '\u2029', r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
		return '?'
	}
	return r
}

// Lines is a text of several lines as it may be shown: names of files, hosts and entries come from outside too.
func Lines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return harmless(r)
	}, s)
}

// Printable is s as it may be shown.
func Printable(s string) string { return printable(s, quoted) }

// after is what stands behind key, without leading blanks.
func after(s, key string) (string, bool) {
	i := strings.Index(s, key)
	if i < 0 {
		return "", false
	}
	return strings.TrimLeft(s[i+len(key):], " "), true
}

// addrAfter reads the address behind key: `destaddr=192.0.2.1,`, `from 192.0.2.1:500`, `src: 2001:db8::1/500`.
func addrAfter(s, key string) (netip.Addr, bool) {
	rest, ok := after(s, key)
	if !ok {
		return netip.Addr{}, false
	}
	return leadingAddr(rest)
}

func leadingAddr(s string) (netip.Addr, bool) {
	n := 0
	for n < len(s) && (s[n] == '.' || s[n] == ':' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'a' && s[n] <= 'f' || s[n] >= 'A' && s[n] <= 'F') {
		n++
	}
	word := strings.TrimRight(s[:n], ".:")
	if a, err := netip.ParseAddr(word); err == nil {
		return a.Unmap(), true
	}
	if i := strings.LastIndexByte(word, ':'); i > 0 {
		if a, err := netip.ParseAddr(word[:i]); err == nil {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// hexAfter reads the hexadecimal number behind key, with or without 0x. end tells that something follows it.
func hexAfter(s, key string) (v uint32, rest string, ok bool) {
	s, ok = after(s, key)
	if !ok {
		return 0, "", false
	}
	return leadingHex(s)
}

func leadingHex(s string) (uint32, string, bool) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] >= 'a' && s[n] <= 'f' || s[n] >= 'A' && s[n] <= 'F') {
		n++
	}
	v, err := strconv.ParseUint(s[:n], 16, 32)
	return uint32(v), s[n:], err == nil
}

func numberAfter(s, key string) (uint64, bool) {
	s, ok := after(s, key)
	if !ok {
		return 0, false
	}
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(s[:n], 10, 64)
	return v, err == nil
}

// wordAfter is the word behind key, up to a blank, comma, bracket or the end.
func wordAfter(s, key string) string {
	s, ok := after(s, key)
	if !ok {
		return ""
	}
	if i := strings.IndexAny(s, " ,)]}\"'"); i >= 0 {
		s = s[:i]
	}
	return strings.Clone(s)
}
