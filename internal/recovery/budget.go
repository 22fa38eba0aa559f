package recovery

import "time"

// bucket is a token bucket in whole tokens, filled by time.
type bucket struct {
	tokens float64
	at     time.Time
}

// take uses one token if there is one.
func (b *bucket) take(now time.Time, perSecond, burst int) bool {
	if b.at.IsZero() {
		b.tokens = float64(burst)
	} else if now.After(b.at) {
		b.tokens += now.Sub(b.at).Seconds() * float64(perSecond)
	}
	b.tokens, b.at = min(b.tokens, float64(burst)), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// budget is what one owner may cost (protocol.md §2.8 rule 6).
type budget struct {
	last    time.Time   // action
	deletes []time.Time // Delete messages of the last minute
	strange time.Time   // until which K11 has used its share
	pauses  int         // back-offs in a row
}

// gapEnd is when the next action may be taken.
func (b *budget) gapEnd(gap time.Duration) time.Time {
	if b.last.IsZero() {
		return time.Time{}
	}
	return b.last.Add(gap)
}

// deleteAt is when the next Delete may be sent; zero: now.
func (b *budget) deleteAt(now time.Time, perMinute int) time.Time {
	for len(b.deletes) > 0 && now.Sub(b.deletes[0]) >= time.Minute {
		b.deletes = b.deletes[1:]
	}
	if len(b.deletes) < perMinute {
		return time.Time{}
	}
	return b.deletes[0].Add(time.Minute)
}

// pause is the next back-off: 1, 2, 4 … 300 s, give or take a quarter.
func (b *budget) pause(least time.Duration, jitter func(time.Duration) time.Duration) time.Duration {
	p := mostPause
	if b.pauses < 9 {
		p = min(firstPause<<b.pauses, mostPause)
	}
	b.pauses++
	return max(p-p/4+jitter(p/2), least)
}
