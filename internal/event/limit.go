package event

import "time"

const (
	flowEvery   = time.Minute // one line a flow
	flowsPerSec = 10          // of rate-limited lines in all
	maxFlows    = 4096        // remembered keys
)

// Limiter decides which rate-limited records are printed. It is a plain value that its sink serialises; the zero value
// is ready. A forged flood can neither fill the log nor the memory: at most ten lines a second and 4,096 keys.
type Limiter struct {
	flows      map[string]*flowLimit
	second     time.Time // start of the running second
	inSecond   int
	suppressed uint64 // of keys that are not remembered
}

type flowLimit struct {
	printed    time.Time
	suppressed uint64
}

// Allow says whether r is printed now, and how many occurrences of its key had no line since the last one.
func (l *Limiter) Allow(r Record, now time.Time) (print bool, suppressed uint64) {
	e, known := Lookup(r.Facility, r.Mnemonic)
	if !known || e.Rate == Unlimited || r.RateKey == "" {
		return true, 0
	}
	n := max(r.Packets, 1)
	f := l.flows[r.RateKey]
	if f != nil && now.Sub(f.printed) < flowEvery {
		f.suppressed += n
		return false, 0
	}
	if now.Sub(l.second) >= time.Second || now.Before(l.second) {
		l.second, l.inSecond = now, 0
	}
	if l.inSecond >= flowsPerSec {
		l.skip(f, n)
		return false, 0
	}
	if f == nil {
		if f = l.remember(r.RateKey, now); f == nil {
			l.suppressed += n
			return false, 0
		}
	}
	l.inSecond++
	suppressed, f.suppressed, f.printed = f.suppressed, n-1, now // the line stands for one
	return true, suppressed
}

func (l *Limiter) skip(f *flowLimit, n uint64) {
	if f == nil {
		l.suppressed += n
		return
	}
	f.suppressed += n
}

// remember makes room by forgetting keys whose minute is over; nil if all are younger.
func (l *Limiter) remember(key string, now time.Time) *flowLimit {
	if l.flows == nil {
		l.flows = map[string]*flowLimit{}
	}
	if len(l.flows) >= maxFlows {
		for k, f := range l.flows {
			if now.Sub(f.printed) >= flowEvery {
				l.suppressed += f.suppressed
				delete(l.flows, k)
			}
		}
		if len(l.flows) >= maxFlows {
			return nil
		}
	}
	f := &flowLimit{}
	l.flows[key] = f
	return f
}

// Suppressed counts records that were not printed and belong to no key that is remembered.
func (l *Limiter) Suppressed() uint64 { return l.suppressed }
