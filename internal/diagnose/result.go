package diagnose

import (
	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

// Result is everything that was found.
type Result struct {
	Flows    []verdict.Judged
	Counters []Counter
	Configs  []Configuration
	Findings []advise.Finding // about several inputs together
	Spans    []evidence.Span
	Bad      []error // inputs that could not be read
	Steps    []advise.Step
	Applet   []string
	Traffic  []evidence.Traffic
	IKE      []evidence.IKE // of packet captures
	Evicted  uint64
	Repeated uint64 // lines delivered twice
	Lost     uint64 // events that were not kept
	Covers   int    // lines and packets read
}

// Counter is a counter of a capture, and what became of it in the next one.
type Counter struct {
	evidence.Counter
	Delta   uint64
	Two     bool // there is a later capture
	Meaning string
}

// Configuration is what one file says.
type Configuration struct {
	File     string
	Hostname string
	Recovery bool // crypto isakmp invalid-spi-recovery
	Entries  []advise.Entry
	Findings []advise.Finding
}

// Persistent reports that a black hole was found.
func (r *Result) Persistent() bool {
	for _, f := range r.Flows {
		if f.Verdict == verdict.Persistent {
			return true
		}
	}
	return false
}
