package runner

import (
	"context"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// Notice takes a fact about a peer. It never waits, and may be called from any goroutine.
func (r *Runner) Notice(n ike.Notice) {
	if n.Kind == ike.PeerAlive {
		return // comes with every message and changes nothing here
	}
	r.queue.put(recovery.Told{Notice: n}, maxNotices)
}

// Outcome takes the end of a command; those that are not ours are passed over. It never waits.
func (r *Runner) Outcome(o ike.Outcome) {
	if o.Ref&recovery.RefTag == 0 {
		return
	}
	r.queue.put(recovery.Ended{Outcome: o}, maxInputs)
}

// Apply makes another configuration the running one. false: the runner is overloaded, and nothing has changed.
func (r *Runner) Apply(c *policy.Config) bool {
	if !r.queue.put(recovery.Configured{Settings: recovery.SettingsOf(c)}, maxInputs) {
		return false
	}
	r.config.Store(c)
	return true
}

// Clear is `clear crypto recovery`: pauses, quarantines and rungs of one owner, or of all (sa.NoOwner), end.
func (r *Runner) Clear(o sa.Owner) bool {
	return r.queue.put(recovery.Operator{Owner: o}, maxInputs)
}

// Incidents lists the open and the last closed incidents by ID. The result is shared: nobody may change it.
func (r *Runner) Incidents() []recovery.Incident { return r.shown.Load().incidents }

// Incident finds one by its ID.
func (r *Runner) Incident(id uint64) (recovery.Incident, bool) {
	for _, i := range r.Incidents() {
		if i.ID == id {
			return i, true
		}
	}
	return recovery.Incident{}, false
}

// Standings lists where recovery is with each owner, and the trend of 24 hours. The result is shared.
func (r *Runner) Standings() []recovery.Standing { return r.shown.Load().standings }

// Flows lists every flow that is remembered, the most recent first. It asks the running loop, and gives nil when ctx ends
// first.
func (r *Runner) Flows(ctx context.Context) (out []recovery.Flow) {
	r.ask(ctx, func() { out = r.engine.Flows() })
	return out
}

// Trends tells what was healed within a week, of the peers with which something was. It asks the running loop, and gives nil
// when ctx ends first.
func (r *Runner) Trends(ctx context.Context) (out []recovery.Trend) {
	r.ask(ctx, func() { out = r.engine.Trends(r.opt.Now()) })
	return out
}

// ask has the loop run do, and returns when it has, or when ctx ends before it began.
func (r *Runner) ask(ctx context.Context, do func()) {
	done := make(chan struct{})
	select {
	case r.asks <- func() { do(); close(done) }:
		<-done
	case <-ctx.Done():
	}
}

// Stats counts what did not go the usual way.
type Stats struct {
	Late   uint64 // strays whose SPI was in use again when they were looked at
	Unsent uint64 // orders that the IKE engine did not take
	Lost   uint64 // inputs that found no room
}

// Stats is safe from any goroutine.
func (r *Runner) Stats() Stats {
	return Stats{Late: r.late.Load(), Unsent: r.unsent.Load(), Lost: r.queue.dropped()}
}
