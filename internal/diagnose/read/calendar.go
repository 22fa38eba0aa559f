package read

import "time"

// calendar gives years to times that have none, from the end: the newest line of a file is not younger than the file.
type calendar struct {
	ref     time.Time // nothing in the file is younger; zero: unknown
	year    int
	last    time.Time
	assumed bool // a year was supplied

	// unset are the times of devices that do not trust their clock: IOS starts at 1 March, whatever the day, and that must
	// not move the year of what follows.
	unset *calendar
}

// wrap is how far a time must fall back to be one of the next year instead of a clock that was set.
const wrap = 180 * 24 * time.Hour

// At is the instant of w.
func (k *calendar) at(w written) time.Time {
	if w.epoch != 0 {
		return time.Unix(w.epoch, int64(w.nano)).UTC()
	}
	if w.uptime {
		return Uptime(w.since)
	}
	if w.unset && w.year == 0 {
		if k.unset == nil {
			k.unset = &calendar{ref: k.ref}
		}
		k.assumed, w.unset = true, false
		return k.unset.at(w)
	}
	loc := time.UTC
	if w.zone != "" && w.zone != "UTC" {
		loc = time.FixedZone(w.zone, w.offset)
	}
	date := func(year int) time.Time {
		return time.Date(year, w.month, w.day, w.hour, w.min, w.sec, w.nano, loc)
	}
	if w.year != 0 {
		k.year, k.last = w.year, date(w.year)
		return k.last
	}
	k.assumed = true
	if k.year == 0 {
		k.year = k.ref.Year()
		for n := 0; n < 8 && (date(k.year).After(k.ref.Add(36*time.Hour)) || date(k.year).Day() != w.day); n++ {
			k.year--
		}
		k.last = date(k.year)
		return k.last
	}
	t := date(k.year)
	switch {
	case t.Before(k.last.Add(-wrap)):
		k.year++
		t = date(k.year)
	case t.After(k.last.Add(wrap)):
		// A line of last December behind one of January: the relay changed their order.
		return date(k.year - 1)
	}
	k.last = t
	return t
}

// Uptime is the stamp of something that happened so long after its device started, at an unknown time.
func Uptime(since time.Duration) time.Time { return time.Time{}.Add(since + 24*time.Hour) }

// IsUptime tells such a stamp from one of the calendar, and gives the duration.
func IsUptime(t time.Time) (time.Duration, bool) {
	if t.IsZero() || t.Year() > 1500 {
		return 0, false
	}
	return t.Sub(time.Time{}) - 24*time.Hour, true
}
