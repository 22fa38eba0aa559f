package ike

import (
	"math"
	"time"
)

// Schedule says when a request is transmitted again: after transmission n (from 0) it waits First × Factor^n, and after
// the last of Tries transmissions and its wait the peer counts as dead. Growth is a MUST (RFC 7296 §2.4).
type Schedule struct {
	First  time.Duration
	Factor float64
	Tries  int // transmissions, the first included
}

// RequestSchedule is for ordinary requests: 1, 2, 4 … 32 s, dead after 63 s, about what IOS does.
func RequestSchedule() Schedule { return Schedule{First: time.Second, Factor: 2, Tries: 6} }

// ProbeSchedule is for liveness checks with a reason, such as a hint or one-way traffic: 37 s (protocol.md §2.5).
func ProbeSchedule() Schedule { return Schedule{First: 500 * time.Millisecond, Factor: 1.8, Tries: 7} }

// Wait is the pause after transmission n, counted from 0.
func (s Schedule) Wait(n int) time.Duration {
	return time.Duration(float64(s.First) * math.Pow(s.Factor, float64(n)))
}

// Total is the time from the first transmission to giving up.
func (s Schedule) Total() time.Duration {
	var sum time.Duration
	for n := range s.Tries {
		sum += s.Wait(n)
	}
	return sum
}
