package event

import "time"

const (
	flowEvery   = time.Minute // one line a flow
	linesPerSec = 10          // of one message, all flows
	maxFlows    = 4096        // remembered keys
)

// Limiter decides which rate-limited records are printed. It is a plain value that its sink serialises; the zero value
// is ready. A forged flood can neither fill the log nor the memory: at most ten lines a second of each message and 4,096
// keys. Messages do not share a budget: a flood of forged ESP must not hide that a peer's authentication failed.
type Limiter struct {
	flows      map[string]*flowLimit
	budgets    map[string]*budget // by mnemonic of the catalogue
	suppressed uint64             // of keys that are not remembered
}

// budget is what one message has printed in the running second.
type budget struct {
	second time.Time // its start
	lines  int
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
	b := l.budgetOf(e, now)
	if b.lines >= linesPerSec {
		l.skip(f, n)
		return false, 0
	}
	if f == nil {
		if f = l.remember(r.RateKey, now); f == nil {
			l.suppressed += n
			return false, 0
		}
	}
	b.lines++
	suppressed, f.suppressed, f.printed = f.suppressed, n-1, now // the line stands for one
	return true, suppressed
}

// budgetOf is the message's budget of the running second; there are as many as the catalogue has messages.
func (l *Limiter) budgetOf(e Entry, now time.Time) *budget {
	if l.budgets == nil {
		l.budgets = map[string]*budget{}
	}
	b := l.budgets[e.Mnemonic]
	if b == nil {
		b = &budget{}
		l.budgets[e.Mnemonic] = b
	}
	if now.Sub(b.second) >= time.Second || now.Before(b.second) {
		*b = budget{second: now}
	}
	return b
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
