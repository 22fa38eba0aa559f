package recovery

import (
	"maps"
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

// RefTag marks the references of our orders: an Outcome without it is not ours. (The highest bit belongs to ike/peer.)
const RefTag = uint64(1) << 62

const (
	maxHistory = 256 // closed incidents
	maxOpen    = 4096
)

// Engine is the healing brain. Callers serialise its use.
type Engine struct {
	set      Settings
	jitter   func(most time.Duration) time.Duration
	started  time.Time
	owners   map[sa.Owner]*owner
	refs     map[uint64]*owner
	lastRef  uint64
	lastID   uint64
	flows    *flowTable
	open     int
	history  []*incident // closed, oldest first
	reauth   bucket
	wakes    wakes
	now      time.Time
	out      []Action
	revision uint64
	refused  uint64 // evidence without room
}

// Options make an Engine.
type Options struct {
	Settings Settings
	// Jitter gives a random duration in [0, most]; nil: none.
	Jitter func(most time.Duration) time.Duration
	// Started is when the gateway started: SPIs that it lost before have no tombstones.
	Started time.Time
}

// New makes an engine that knows of no SA yet.
func New(o Options) *Engine {
	e := &Engine{jitter: o.Jitter, started: o.Started, owners: map[sa.Owner]*owner{}, refs: map[uint64]*owner{}, flows: newFlowTable()}
	if e.jitter == nil {
		e.jitter = func(time.Duration) time.Duration { return 0 }
	}
	e.configure(o.Settings)
	return e
}

// Step takes one input. Inputs that make no sense (an owner that nobody knows, an Outcome that nobody waits for) are
// ignored.
func (e *Engine) Step(now time.Time, in Input) []Action {
	if now.After(e.now) { // a clock that goes back must not give budget twice
		e.now = now
	}
	e.out = nil
	switch v := in.(type) {
	case Evidence:
		e.evidence(v)
	case Told:
		e.told(v.Notice)
	case Ended:
		e.ended(v.Outcome)
	case Inbound:
		if o := e.owners[v.Owner]; o != nil {
			e.delivered(o, v.At, nil)
			e.settle(o)
		}
	case Configured:
		e.configure(v.Settings)
	case Operator:
		e.operator(v.Owner)
	case Tick:
	}
	e.tick()
	return e.out
}

// Deadline is when a Tick is wanted; zero: never.
func (e *Engine) Deadline() time.Time {
	if len(e.wakes) == 0 {
		return time.Time{}
	}
	return e.wakes[0].wake
}

func (e *Engine) tick() {
	for len(e.wakes) > 0 && !e.wakes[0].wake.After(e.now) {
		o := e.wakes[0]
		e.wakes.set(o, time.Time{})
		e.due(o)
		e.settle(o)
	}
}

// due does what the time of one owner asks for.
func (e *Engine) due(o *owner) {
	e.revision++
	if !o.retry.IsZero() && !o.retry.After(e.now) {
		o.retry = time.Time{}
		e.advance(o)
		return
	}
	if o.until.IsZero() || o.until.After(e.now) {
		return
	}
	switch {
	case o.state.flying():
		e.lostFlight(o)
	case o.state == Healing:
		o.budget.pauses, o.alarm = 0, false
		o.to(Idle, e.now, time.Time{}, "clean")
	case o.state == Watching:
		o.to(Idle, e.now, time.Time{}, "silent")
	default:
		o.to(Idle, e.now, time.Time{}, "pause over")
		e.advance(o)
	}
}

// evidence counts a finding, judges it, and reacts where it may.
func (e *Engine) evidence(v Evidence) {
	if v.class == 0 || v.class > Unknown {
		return // the zero Evidence
	}
	e.revision++
	o := e.owners[v.seen.Owner]
	peer := ""
	if o == nil {
		v.seen.Owner = sa.NoOwner
	} else {
		peer = o.Name
	}
	f := e.flows.see(v, peer)
	if f == nil {
		e.refused++
		return
	}
	if o == nil {
		f.judge(false, 0)
		return
	}
	_, busy := o.busy(e.now)
	f.judge(busy, o.t())
	if f.inc == nil && o.quarantined(f.Key, e.now) {
		return // its incident is closed, and nothing would come of another
	}
	if !e.concerns(o, f, v, busy) {
		e.await(o, v)
		return
	}
	leaked := o.disown(v.seen.SPI)
	i := f.inc
	if i == nil {
		if i = e.begin(o, f, v, leaked); i == nil {
			return
		}
	}
	e.count(i, v, busy)
	e.advance(o)
	e.settle(o)
}

// concerns says whether the evidence opens or continues an incident.
func (e *Engine) concerns(o *owner, f *flow, v Evidence, busy bool) bool {
	switch {
	case f.inc != nil:
		return true
	case v.class == Tombstone && e.now.Sub(v.tomb.Deleted) < v.tomb.Why.Grace():
		return false // still expected: counted only
	case v.class == ForeignOwner:
		return false
	case v.class == NeverOurs:
		// Anybody can send it: two sightings, an authenticated live peer, and a tenth of the budget (protocol.md §1.2).
		return o.ups > 0 && f.Verdict == Persistent && !busy && !e.now.Before(o.budget.strange)
	}
	return true
}

// await has an owner at rest wait for what may explain a finding that opens no incident: a second sighting, or the end
// of a tombstone's grace. Silence ends it.
func (e *Engine) await(o *owner, v Evidence) {
	switch {
	case o.state != Idle:
		return
	case v.class == Tombstone:
		o.to(Watching, e.now, e.now.Add(freshFor), "packets on an SPI that was removed a moment ago are still expected: "+v.tomb.Why.String())
	case v.class == NeverOurs && o.ups > 0:
		o.to(Watching, e.now, e.now.Add(freshFor), "an SPI that we never issued, from the address of a live peer: acts if it is seen again")
	default:
		return
	}
	e.settle(o)
}

func (e *Engine) count(i *incident, v Evidence, busy bool) {
	f := i.flow
	if v.seen.At.Sub(later(i.Last, i.acked)) >= cleanFor {
		i.rung = 0 // the key was silent: another story
	}
	i.Last = f.Last
	i.explained = i.explained || busy
	// What is told of packets may come after the proof that others arrived since: they were lost all the same.
	if i.Delivered.IsZero() || v.seen.At.Before(i.Delivered) {
		i.Lost += v.seen.Count
	}
	if f.Verdict != i.Verdict {
		i.note(e.now, "verdict "+f.Verdict.String(), "revised: "+verdictWhy(f, busy))
		i.Verdict, i.Revised = f.Verdict, true
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func verdictWhy(f *flow, busy bool) string {
	switch {
	case busy:
		return "an IKE exchange with the peer is outstanding or just ended"
	case f.Verdict == Persistent:
		return "seen again after " + f.Last.Sub(f.First).Round(time.Millisecond).String() + ", no exchange outstanding"
	}
	return "seen once or for a moment"
}

// operator starts anew for one owner or all.
func (e *Engine) operator(id sa.Owner) {
	for _, key := range slices.Sorted(maps.Keys(e.owners)) {
		o := e.owners[key]
		if id != sa.NoOwner && id != key {
			continue
		}
		o.budget.pauses, o.retry = 0, time.Time{}
		e.pardon(o, "cleared by the operator")
		o.quiet.until, o.quiet.pause, o.quiet.since, o.quiet.rekeys = time.Time{}, 0, time.Time{}, nil
		if !o.state.flying() {
			o.to(Idle, e.now, time.Time{}, "cleared by the operator")
		}
		for _, i := range o.open {
			i.acked, i.deleteOK = time.Time{}, false
			i.note(e.now, "recovery cleared by the operator", "pauses and rungs start anew")
		}
		e.advance(o)
		e.settle(o)
	}
	e.revision++
}

// configure takes new settings. An owner keeps its state by name; one that is gone takes its incidents with it.
func (e *Engine) configure(s Settings) {
	e.set = s.withDefaults()
	byName := map[string]*owner{}
	for _, o := range e.owners {
		byName[o.Name] = o
	}
	e.owners = map[sa.Owner]*owner{}
	for _, c := range e.set.Owners {
		o := byName[c.Name]
		if o == nil || o.Remote != c.Remote {
			o = newOwner(c)
		} else {
			delete(byName, c.Name)
		}
		o.Owner = c
		e.owners[c.ID] = o
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		e.dismiss(byName[name])
	}
	e.revision++
}

// dismiss ends everything of an owner that is no longer configured.
func (e *Engine) dismiss(o *owner) {
	for _, i := range slices.Clone(o.open) {
		e.close(o, i, Unproven, "the peer is no longer configured")
	}
	if o.flight != nil {
		e.disown(o)
	}
	e.flows.forget(o.ID)
	e.wakes.set(o, time.Time{})
}

// order sends one command.
func (e *Engine) order(o *owner, verb ike.Verb, spi sa.SPI, why string) {
	e.lastRef++
	ref := RefTag | e.lastRef
	c := ike.Command{Verb: verb, SPI: spi, Ref: ref, Why: why}
	o.flight.refs[ref] = c
	e.refs[ref] = o
	e.out = append(e.out, Order{Owner: o.ID, Command: c, Why: why})
}

func (e *Engine) report(k ReportKind, o *owner, i *incident, what, why string) {
	r := Report{Kind: k, At: e.now, Peer: o.Name, Remote: o.Remote, What: what, Why: why}
	if i != nil {
		r.Incident = i.snapshot()
	}
	e.publish(r)
}

func (e *Engine) publish(r Report) {
	e.out = append(e.out, r)
	e.revision++
}

// Revision changes when something that snapshots show has changed.
func (e *Engine) Revision() uint64 { return e.revision }
