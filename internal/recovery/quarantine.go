package recovery

import (
	"slices"
	"time"
)

// A key on which packets come although the peer has acknowledged every rung is left alone for an hour. It is the key, not
// its peer: whoever is on the path can send a lost SPI again and again in the peer's name, and must not keep recovery
// from another SPI that is a real black hole.

// maxKept bounds the quarantined keys of one owner; the one that would leave first goes.
const maxKept = 256

// kept is a key in quarantine. It outlives its incident.
type kept struct {
	key   Key
	until time.Time
}

// quarantined says that k is left alone.
func (o *owner) quarantined(k Key, now time.Time) bool {
	return slices.ContainsFunc(o.kept, func(q kept) bool { return q.key == k && now.Before(q.until) })
}

// inQuarantine counts the keys that are left alone.
func (o *owner) inQuarantine(now time.Time) int {
	n := 0
	for _, q := range o.kept {
		if now.Before(q.until) {
			n++
		}
	}
	return n
}

// quarantine ends what is done about the keys of a reaction that helped nothing. The operator is told of the first key
// of an owner, not of each.
func (e *Engine) quarantine(o *owner, incs []*incident, why string) {
	o.kept = slices.DeleteFunc(o.kept, func(q kept) bool { return !e.now.Before(q.until) })
	until := e.now.Add(quarantine)
	for _, i := range incs {
		if !i.Closed.IsZero() {
			continue // moot
		}
		i.rung, i.Quarantined = 0, until
		i.note(e.now, "quarantined for an hour", why)
		if len(o.kept) == 0 {
			e.report(GaveUp, o, i, "gave up", i.Key.SPI.String()+": "+why)
		}
		if len(o.kept) >= maxKept {
			o.kept = o.kept[1:]
		}
		o.kept = append(o.kept, kept{i.Key, until})
	}
}

// pardon starts anew with an owner: rungs and quarantines end.
func (e *Engine) pardon(o *owner, why string) {
	o.alarm, o.kept = false, nil
	for _, i := range o.open {
		i.rung = 0
		if e.now.Before(i.Quarantined) {
			i.note(e.now, "quarantine over", why)
		}
		i.Quarantined = time.Time{}
	}
}
