package read

import (
	"strings"
	"time"
)

// written is a time as it stands in a line, before a year is known.
type written struct {
	year                int // 0: none
	month               time.Month
	day, hour, min, sec int
	nano                int
	grain               time.Duration
	zone                string // as written; empty: none
	offset              int    // seconds east of UTC
	unset               bool   // `*`: the device does not trust its clock
	uptime              bool   // counted from the start of the device: only differences mean anything
	since               time.Duration
	epoch               int64 // seconds since 1970, if not 0
}

var months = map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}

// zones are the abbreviations that mean one offset wherever they are used in a log; CST and IST do not, and are left out.
var zones = map[string]int{"UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3,
	"MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
	"JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10, "AEDT": 11, "ACST": 9, "NZST": 12, "NZDT": 13, "SAST": 2, "BRT": -3}

// scan is a cursor over the head of a line.
type cursor struct {
	s string
}

func (c *cursor) peek() byte {
	if c.s == "" {
		return 0
	}
	return c.s[0]
}

func (c *cursor) byte(b byte) bool {
	if c.peek() != b {
		return false
	}
	c.s = c.s[1:]
	return true
}

func (c *cursor) blanks() int {
	n := len(c.s)
	c.s = strings.TrimLeft(c.s, " \t")
	return n - len(c.s)
}

// digits reads a number of at least least and at most most digits.
func (c *cursor) digits(least, most int) (int, bool) {
	n, v := 0, 0
	for n < len(c.s) && n < most && c.s[n] >= '0' && c.s[n] <= '9' {
		v = v*10 + int(c.s[n]-'0')
		n++
	}
	if n < least || n < len(c.s) && c.s[n] >= '0' && c.s[n] <= '9' {
		return 0, false
	}
	c.s = c.s[n:]
	return v, true
}

// clock reads `hh:mm:ss[.frac]`.
func (c *cursor) clock(w *written) bool {
	var ok [3]bool
	w.hour, ok[0] = c.digits(1, 2)
	if !ok[0] || !c.byte(':') {
		return false
	}
	w.min, ok[1] = c.digits(2, 2)
	if !ok[1] || !c.byte(':') {
		return false
	}
	w.sec, ok[2] = c.digits(2, 2)
	if !ok[2] || w.hour > 23 || w.min > 59 || w.sec > 60 {
		return false
	}
	w.grain = time.Second
	if len(c.s) > 1 && (c.s[0] == '.' || c.s[0] == ',') && c.s[1] >= '0' && c.s[1] <= '9' {
		c.s = c.s[1:]
		scale := int(time.Second)
		for c.s != "" && c.s[0] >= '0' && c.s[0] <= '9' {
			if scale >= 10 {
				scale /= 10
				w.nano += int(c.s[0]-'0') * scale
			}
			c.s = c.s[1:]
		}
		w.grain = time.Duration(max(scale, 1))
	}
	return true
}

// offset reads `Z`, `+02:00` or `+0200`.
func (c *cursor) zoneOffset(w *written) bool {
	if c.byte('Z') {
		w.zone = "UTC"
		return true
	}
	if c.peek() != '+' && c.peek() != '-' {
		return false
	}
	d := cursor{c.s[1:]}
	sign := 1
	if c.peek() == '-' {
		sign = -1
	}
	if len(d.s) < 4 {
		return false
	}
	h, ok := cursorDigits(&d, 2)
	if !ok {
		return false
	}
	d.byte(':')
	m, ok := cursorDigits(&d, 2)
	if !ok || h > 14 || m > 59 {
		return false
	}
	w.offset = sign * (h*3600 + m*60)
	w.zone = c.s[:len(c.s)-len(d.s)]
	c.s = d.s
	return true
}

func cursorDigits(c *cursor, n int) (int, bool) {
	if len(c.s) < n {
		return 0, false
	}
	v := 0
	for i := range n {
		if c.s[i] < '0' || c.s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(c.s[i]-'0')
	}
	c.s = c.s[n:]
	return v, true
}

// zoneName reads an abbreviation, glued to the time or behind a blank: `11:39:59KST:`, `13:27:57.707 CET:`. A word behind
// a blank that we do not know is a zone only if the message follows: else it is a host.
func (c *cursor) zoneName(w *written) {
	d := *c
	blank := d.blanks() > 0
	n := 0
	for n < len(d.s) && n < 6 && d.s[n] >= 'A' && d.s[n] <= 'Z' {
		n++
	}
	if n < 1 || n < len(d.s) && d.s[n] != ':' && d.s[n] != ' ' {
		return
	}
	name := d.s[:n]
	hours, known := zones[name]
	message := strings.HasPrefix(d.s[n:], ": %")
	if n < 2 && name != "Z" || blank && !known && (!message || n < 3) {
		return
	}
	w.zone, w.offset = name, hours*3600
	if name == "ACST" {
		w.offset += 1800
	}
	c.s = d.s[n:]
}

// stamp reads a time at the cursor, in any of the forms that devices and relays write. It moves only if it is one.
func (c *cursor) stamp() (written, bool) {
	for _, form := range []func(*cursor, *written) bool{isoStamp, monthStamp, uptimeStamp, dmesgStamp} {
		d, w := *c, written{}
		if form(&d, &w) {
			*c = d
			return w, true
		}
	}
	return written{}, false
}

// isoStamp is `2026-11-24T10:00:00.123456+01:00`, or with a blank instead of the T.
func isoStamp(c *cursor, w *written) bool {
	var ok bool
	if w.year, ok = c.digits(4, 4); !ok || !c.byte('-') {
		return false
	}
	month, ok := c.digits(2, 2)
	if !ok || !c.byte('-') {
		return false
	}
	if w.day, ok = c.digits(2, 2); !ok || !c.byte('T') && !c.byte(' ') {
		return false
	}
	w.month = time.Month(month)
	if !c.clock(w) || !w.sane() {
		return false
	}
	if !c.zoneOffset(w) {
		c.zoneName(w)
	}
	return true
}

// monthStamp is `[*|.]Nov 24 [2026] 10:00:00[.123] [CET]`.
func monthStamp(c *cursor, w *written) bool {
	w.unset = c.byte('*')
	if !w.unset {
		c.byte('.')
	}
	if len(c.s) < 12 {
		return false
	}
	var ok bool
	if w.month, ok = months[strings.ToLower(c.s[:3])]; !ok {
		return false
	}
	c.s = c.s[3:]
	if c.blanks() == 0 {
		return false
	}
	if w.day, ok = c.digits(1, 2); !ok || c.blanks() == 0 {
		return false
	}
	d := *c
	if year, ok := d.digits(4, 4); ok && year > 1990 && d.blanks() > 0 {
		w.year, *c = year, d
	}
	if !c.clock(w) || !w.sane() {
		return false
	}
	if !c.zoneOffset(w) {
		c.zoneName(w)
	}
	return true
}

// uptimeStamp is `00:12:34:`, `3d04h:` or `1w2d:` (`service timestamps uptime`).
func uptimeStamp(c *cursor, w *written) bool {
	d := *c
	w.uptime = true
	if d.clock(w) && d.peek() == ':' {
		w.since = time.Duration(w.hour)*time.Hour + time.Duration(w.min)*time.Minute + time.Duration(w.sec)*time.Second + time.Duration(w.nano)
		*c = d
		return true
	}
	units := []struct {
		letter byte
		each   time.Duration
	}{{'y', 365 * 24 * time.Hour}, {'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}}
	seen := 0
	for _, u := range units {
		d := *c
		if n, ok := d.digits(1, 3); ok && d.byte(u.letter) {
			w.since += time.Duration(n) * u.each
			w.grain = u.each
			*c = d
			seen++
		}
	}
	return seen == 2 && c.peek() == ':'
}

// dmesgStamp is `[12345.678901]`.
func dmesgStamp(c *cursor, w *written) bool {
	if !c.byte('[') {
		return false
	}
	c.blanks()
	whole, ok := c.digits(1, 9)
	if !ok || !c.byte('.') {
		return false
	}
	micro, ok := c.digits(6, 6)
	if !ok || !c.byte(']') {
		return false
	}
	w.uptime, w.grain = true, time.Microsecond
	w.since = time.Duration(whole)*time.Second + time.Duration(micro)*time.Microsecond
	return true
}

func (w *written) sane() bool {
	if w.month < 1 || w.month > 12 || w.day < 1 {
		return false
	}
	year := w.year
	if year == 0 {
		year = 2024 // has a 29 February
	}
	return time.Date(year, w.month, w.day, 0, 0, 0, 0, time.UTC).Day() == w.day
}
