package story

import (
	"context"
	"fmt"
	"time"
)

// Report is what a story came to. As JSON it is the last line of `lockstep demo -json`.
type Report struct {
	Story  string  `json:"story"`
	Twin   string  `json:"sabotage,omitempty"`
	OK     bool    `json:"ok"` // told to its end, and every claim held
	Error  string  `json:"error,omitempty"`
	Claims []Claim `json:"claims"`
	// HealMS is from the first packet on a lost SPI that reached the gateway that came back last, to the first inner packet
	// that came out of its tunnel; nil: none did.
	HealMS *float64 `json:"heal_ms"`
	// PacketsLost are those that reached it meanwhile and did not come out; nil: nothing crashed.
	PacketsLost *int `json:"packets_lost"`
	RoundTrips  int  `json:"round_trips"` // IKE exchanges that it ended in that time
	// LateMS is by how much timers of the story's own, those of network and traffic, were late at the worst since then: a
	// busy machine makes healing look slower than it is.
	LateMS float64 `json:"late_ms"`
	Tries  int     `json:"tries"` // see RunOnTime
}

// Claim is one claim and what it came to.
type Claim struct {
	Claim string `json:"claim"`
	Held  bool   `json:"held"`
	Value string `json:"value"`

	Kind string `json:"-"` // its first word
	// Timing: it failed on how long something took, and on nothing else: a machine with other work may be why.
	Timing bool `json:"-"`
}

// conclude measures the return of the gateway that came back last.
func (st *stage) conclude() {
	var last *site
	var at time.Time
	for _, s := range st.sites {
		if o, ok := s.outage(); ok && o.restarted.After(at) && st.partner(s) != nil {
			last, at = s, o.restarted
		}
	}
	late := st.net.Late()
	for _, f := range st.allFlows() {
		late = max(late, f.latest(at)) // at zero: nothing came back, all counts
	}
	st.report.LateMS = float64(late) / float64(time.Millisecond)
	if last == nil {
		return
	}
	m := st.measure(last)
	lost := m.lostIn()
	st.report.PacketsLost = &lost
	if m.healed() {
		ms := float64(m.back.Sub(m.first)) / float64(time.Millisecond)
		st.report.HealMS = &ms
		st.report.RoundTrips = m.exchanges
	}
}

// mostTries is how often a story is told on a machine that is too busy for it.
const mostTries = 4

// RunOnTime is Run, told again where nothing but times is wrong: once in any case, again while the machine was late
// itself. A twin is told once: it is to fail.
func RunOnTime(ctx context.Context, s *Story, o Options) (Report, error) {
	for try := 1; ; try++ {
		r, err := Run(ctx, s, o)
		r.Tries = try
		if err != nil || o.Twin != "" || try == mostTries || !r.OnlyTiming() || try > 1 && !r.Busy() {
			return r, err
		}
		if o.Tell != nil {
			o.Tell(Moment{Kind: "net", Who: "net", Text: fmt.Sprintf("%s The machine was up to %.1f ms late itself. Told again", r.verdict(), r.LateMS)})
		}
	}
}

// Busy says that nothing but times is wrong, on a machine that was late itself: it proves nothing about the gateway.
func (r Report) Busy() bool { return r.OnlyTiming() && r.LateMS >= OnTimeMS }

// end says how it went.
func (r *Report) end(err error) {
	r.OK = err == nil
	if err != nil {
		r.Error = err.Error()
	}
	for _, c := range r.Claims {
		r.OK = r.OK && c.Held
	}
	if r.Claims == nil {
		r.Claims = []Claim{}
	}
}

// OnTimeMS is what LateMS is below on a machine that has time for a story: what fails on times alone above it says more
// about the machine than about the gateway.
const OnTimeMS = 3

// OnlyTiming says that nothing but times is wrong: worth a second try on a busy machine.
func (r Report) OnlyTiming() bool {
	for _, c := range r.Claims {
		if !c.Held && !c.Timing {
			return false
		}
	}
	return !r.OK && r.Error == ""
}
