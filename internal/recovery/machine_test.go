package recovery

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// line is one line of protocol.md §2.6: in a state, an input leads to orders and a next state.
type line struct {
	from   State
	name   string          // input and guard
	before func(r *rig)    // leads to from, beside a new engine; nil: that is it
	owner  func(*Settings) // nil: static, both switches on
	in     func(r *rig) []Action
	orders string
	next   State
	also   func(r *rig) string // what else the line promises; not empty: what is wrong
}

const x = "0x7C41D9E2"

func tombOf(why sa.TombReason, age time.Duration) func(r *rig) []Action {
	return func(r *rig) []Action {
		return r.step(FromTombstone(r.seen(lostSPI), sa.Tombstone{SPI: lostSPI, Owner: 0, Deleted: r.now.Add(-age), Why: why}))
	}
}

func (r *rig) exchange(k ike.NoticeKind) []Action {
	return r.notice(ike.Notice{Kind: k, IKE: 7, Exchange: isakmp.CreateChildSA})
}

// flying leads into the flight that the first packet on the lost SPI begins.
func flying(child sa.SPI, live bool) func(r *rig) {
	return func(r *rig) {
		if live {
			r.live(child)
		}
		r.flight = r.lost(lostSPI)
	}
}

// acked is flying, acknowledged; later is how long ago.
func acked(child sa.SPI, later time.Duration) func(r *rig) {
	return func(r *rig) {
		flying(child, true)(r)
		r.end(r.flight, ike.OK, 1, "")
		r.wait(later)
	}
}

func after(result ike.Result, detail string) func(r *rig) []Action {
	return func(r *rig) []Action { return r.end(r.flight, result, 1, detail) }
}

func again(r *rig) []Action { return r.lost(lostSPI) }

func openWith(result Result) func(r *rig) string {
	return func(r *rig) string {
		if got := r.incident().Result; got != result {
			return "the incident is " + got.String()
		}
		return ""
	}
}

func alarmed(text string) func(r *rig) string {
	return func(r *rig) string {
		for _, g := range reports(r.out, GaveUp) {
			if strings.Contains(g.Why, text) {
				return ""
			}
		}
		return "no alarm about " + text
	}
}

func pausedAtLeast(least, most time.Duration) func(r *rig) string {
	return func(r *rig) string {
		if d := r.e.owners[0].until.Sub(r.now); d < least || d > most {
			return "pause of " + d.String()
		}
		return ""
	}
}

var lines = []line{
	{Idle, "Evidence K11, first", func(r *rig) { r.live(0x4000) }, nil,
		func(r *rig) []Action { return r.step(FromNeverOurs(r.seen(lostSPI))) }, "", Watching, noIncident},
	{Idle, "Evidence K11 without a live IKE SA", nil, nil,
		func(r *rig) []Action { return r.step(FromNeverOurs(r.seen(lostSPI))) }, "", Idle, noIncident},
	{Idle, "a tombstone in grace", nil, nil, tombOf(sa.TombRekeyed, time.Second), "", Watching, noIncident},
	{Idle, "an exchange outstanding", func(r *rig) { r.live(0x4000); r.exchange(ike.ExchangeStarted) }, nil, again, "", Watching, openWith(Open)},
	{Idle, "Evidence K7 after grace", func(r *rig) { r.live(0x4000) }, nil, tombOf(sa.TombRekeyed, time.Minute), "Delete " + x, Deleting, openWith(Open)},
	{Idle, "Evidence K10", func(r *rig) { r.live(0x4000) }, nil, again, "Delete " + x, Deleting, openWith(Open)},
	{Idle, "Evidence K12", func(r *rig) { r.live(0x4000) }, nil,
		func(r *rig) []Action { return r.step(FromUnknown(r.seen(lostSPI))) }, "Delete " + x, Deleting, openWith(Open)},

	{Watching, "its exchange goes on, seen again", watching, nil, again, "", Watching, openWith(Open)},
	{Watching, "its exchange ended less than G ago", watching, nil,
		func(r *rig) []Action { r.exchange(ike.ExchangeEnded); return again(r) }, "", Watching, openWith(Open)},
	{Watching, "its reason is over, seen again", watching, nil, func(r *rig) []Action {
		r.exchange(ike.ExchangeEnded)
		r.now = r.now.Add(leastG)
		return again(r)
	}, "Delete " + x, Deleting, openWith(Open)},
	{Watching, "its exchange never ends, seen for 30 s", watching, nil, func(r *rig) []Action {
		for range 29 {
			r.want(again(r))
			r.now = r.now.Add(time.Second)
		}
		r.want(again(r))
		r.now = r.now.Add(time.Second)
		return again(r)
	}, "Delete " + x, Deleting, openWith(Open)},
	{Watching, "5 s of silence", watching, nil, func(r *rig) []Action { return r.wait(freshFor) }, "", Idle, openWith(Passed)},
	{Watching, "the grace is over, seen again", func(r *rig) { r.live(0x4000); tombOf(sa.TombRekeyed, 0)(r) }, nil,
		tombOf(sa.TombRekeyed, 5*time.Second), "Delete " + x, Deleting, openWith(Open)},
	{Watching, "a tombstone in grace, 5 s of silence", func(r *rig) { tombOf(sa.TombRekeyed, 0)(r) }, nil,
		func(r *rig) []Action { return r.wait(freshFor) }, "", Idle, noIncident},

	{Idle, "Decide: live IKE SA, a working child", func(r *rig) { r.live(0x4000) }, nil, again, "Delete " + x, Deleting, nil},
	{Idle, "Decide: live IKE SA, parity mode", func(r *rig) { r.live(0) }, parity, again, "Delete " + x, Deleting, nil},
	{Idle, "Decide: live IKE SA, no working child", func(r *rig) { r.live(0) }, nil, again, "RekeySPI " + x, Recreating, nil},
	{Idle, "Decide: a call is being answered", func(r *rig) { r.notice(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKEAuth}) }, nil,
		again, "", Watching, nil},
	{Idle, "Decide: no IKE SA, may be called", nil, nil, again, "Initiate", Reauth, nil},
	{Idle, "Decide: no IKE SA, may not be called", nil, responderOnly, again, "", Watching, openWith(Open)},
	{Idle, "Decide: no IKE SA, the command is off", nil, func(s *Settings) { s.InvalidSPI = false }, again, "", Watching, openWith(Open)},
	{Idle, "Decide: the budget of new IKE SAs is empty", func(r *rig) { r.e.reauth = bucket{0, r.now} }, nil, again, "", Backoff, nil},
	{Idle, "Decide: the budget of Deletes is empty", func(r *rig) {
		r.live(0x4000)
		r.e.owners[0].budget.deletes = make([]time.Time, defaultDeletes)
		for i := range defaultDeletes {
			r.e.owners[0].budget.deletes[i] = r.now
		}
	}, nil, again, "", Backoff, pausedAtLeast(time.Minute, time.Minute)},

	{Deleting, "DeleteAcked, a working child", flying(0x4000, true), nil, after(ike.OK, ""), "", Healing, openWith(Open)},
	{Deleting, "DeleteAcked, no working child", func(r *rig) {
		flying(0x4000, true)(r)
		r.notice(ike.Notice{Kind: ike.ChildDown, IKE: 7, In: 0x4000})
	}, nil, after(ike.OK, ""), "Initiate", Recreating, nil},
	{Deleting, "moot: the SPI is in use again", flying(0x4000, true), nil, after(ike.Moot, ""), "", Healing, openWith(Passed)},
	{Deleting, "retransmissions exhausted", func(r *rig) { flying(0x4000, true)(r); r.wait(63 * time.Second); again(r) }, nil,
		after(ike.TimedOut, ""), "Initiate", Reauth, openWith(Open)},
	{Deleting, "other SPIs, single flight", flying(0x4000, true), nil,
		func(r *rig) []Action { r.now = r.now.Add(3 * time.Second); return r.lost(0x9999) }, "", Deleting, nil},
	{Healing, "same SPI less than 2 s after the acknowledgement", acked(0x4000, 1900*time.Millisecond), nil, again, "", Healing, nil},
	{Healing, "same SPI 2 s after the acknowledgement", acked(0x4000, 2*time.Second), nil, again, "RekeyChild", Recreating, nil},
	{Healing, "same SPI after a fresh child", func(r *rig) {
		acked(0x4000, 2*time.Second)(r)
		r.end(again(r), ike.OK, 1, "")
		r.wait(2 * time.Second)
	}, nil, again, "Liveness", Probing, nil},
	{Probing, "LivenessOK: the peer ignores us", probing, nil, after(ike.OK, ""), "", Idle, alarmed("ignores Delete")},
	{Probing, "LivenessTimeout", func(r *rig) { probing(r); r.wait(37 * time.Second); again(r) }, nil, after(ike.TimedOut, ""), "Initiate", Reauth, nil},
	{Idle, "an hour of quarantine is over", func(r *rig) { probing(r); r.end(r.flight, ike.OK, 1, "") }, nil, func(r *rig) []Action {
		r.want(r.wait(59 * time.Minute))
		r.want(again(r))
		r.wait(time.Minute)
		return again(r)
	}, "Delete " + x, Deleting, nil},

	{Recreating, "ChildUp", flying(0, true), nil, after(ike.OK, "rekeyed"), "", Healing, openWith(Open)},
	{Recreating, "NO_ADDITIONAL_SAS", flying(0, true), nil, after(ike.Refused, "NO_ADDITIONAL_SAS"), "", Backoff, alarmed("NO_ADDITIONAL_SAS")},
	{Recreating, "TS_UNACCEPTABLE", flying(0, true), nil, after(ike.Refused, "TS_UNACCEPTABLE"), "", Backoff, alarmed("TS_UNACCEPTABLE")},
	{Recreating, "NO_PROPOSAL_CHOSEN", flying(0, true), nil, after(ike.Refused, "NO_PROPOSAL_CHOSEN"), "", Backoff, alarmed("NO_PROPOSAL_CHOSEN")},
	{Recreating, "TEMPORARY_FAILURE", flying(0, true), nil, after(ike.Refused, "TEMPORARY_FAILURE"), "", Backoff, pausedAtLeast(5*time.Second, 10*time.Second)},

	{Reauth, "AUTH and ChildUp", flying(0, false), nil, after(ike.OK, ""), "", Healing, openWith(Open)},
	{Reauth, "timeout", flying(0, false), nil, after(ike.TimedOut, ""), "", Backoff, pausedAtLeast(750*time.Millisecond, 1250*time.Millisecond)},
	{Reauth, "AUTHENTICATION_FAILED", flying(0, false), nil, after(ike.AuthFailed, ""), "", Backoff, pausedAtLeast(time.Minute, time.Minute)},
	{Reauth, "the peer calls, too: busy", flying(0, false), nil, after(ike.Busy, ""), "", Watching, openWith(Open)},

	{Healing, "10 s clean", acked(0x4000, 0), nil, func(r *rig) []Action { return r.wait(cleanFor) }, "", Idle, nil},
	{Backoff, "its pause is over: the evidence is kept", backingOff, nil,
		func(r *rig) []Action { again(r); return r.wait(2 * time.Second) }, "Initiate", Reauth, nil},
	{Backoff, "its pause is over, silent", func(r *rig) {
		flying(0, false)(r)
		r.wait(freshFor)
		r.end(r.flight, ike.TimedOut, 0, "")
	}, nil, func(r *rig) []Action { return r.wait(10 * time.Second) }, "", Idle, nil},
	{Backoff, "Authenticated", backingOff, nil, func(r *rig) []Action { return r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 3}) }, "", Idle, nil},
	{Backoff, "Operator(clear)", backingOff, nil, func(r *rig) []Action {
		r.wait(500 * time.Millisecond)
		again(r)
		r.want(r.step(Operator{sa.NoOwner})) // the gap between two actions of one owner holds all the same
		return r.wait(1500 * time.Millisecond)
	}, "Initiate", Reauth, nil},

	{Deleting, "NewIKE with INITIAL_CONTACT", flying(0x4000, true), nil, begunAnew, "", Healing, ordersEndUnheard},
	{Reauth, "NewIKE with INITIAL_CONTACT", flying(0, false), nil, begunAnew, "", Healing, ordersEndUnheard},
	{Idle, "a quarantined key, NewIKE with INITIAL_CONTACT", quarantinedKey, nil, begunAnew, "", Healing, nothingKept},
	{Idle, "a quarantined key, NewIKE without INITIAL_CONTACT", quarantinedKey, nil, func(r *rig) []Action {
		r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 12})
		return again(r)
	}, "Delete " + x, Deleting, nothingKept},
	{Idle, "a quarantined key, Operator(clear)", quarantinedKey, nil, func(r *rig) []Action {
		r.wait(defaultGap)
		again(r)
		return r.step(Operator{sa.NoOwner})
	}, "Delete " + x, Deleting, nothingKept},
	{Idle, "NewIKE with INITIAL_CONTACT", nil, nil, begunAnew, "", Healing, nil},
	{Deleting, "NewIKE without INITIAL_CONTACT: we go on", flying(0x4000, true), nil,
		func(r *rig) []Action { return r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 12}) }, "", Deleting, nil},
}

func parity(s *Settings) { s.Extended = false }

func watching(r *rig) { r.live(0x4000); r.exchange(ike.ExchangeStarted); again(r) }

func probing(r *rig) {
	acked(0x4000, 2*time.Second)(r)
	r.end(again(r), ike.OK, 1, "")
	r.wait(2 * time.Second)
	r.flight = again(r)
}

func quarantinedKey(r *rig) {
	probing(r)
	r.end(r.flight, ike.OK, 1, "")
	r.wait(defaultGap)
	r.want(again(r))
}

func nothingKept(r *rig) string {
	if s := r.e.Standings()[0]; s.Kept != 0 || !r.incident().Quarantined.IsZero() {
		return "the quarantine goes on"
	}
	return ""
}

func backingOff(r *rig) { flying(0, false)(r); r.end(r.flight, ike.TimedOut, 0, "") }

func begunAnew(r *rig) []Action {
	return r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 12, InitialContact: true})
}

// ordersEndUnheard: the IKE SA under a cancelled order is discarded, and its end changes nothing.
func ordersEndUnheard(r *rig) string {
	r.want(r.end(r.flight, ike.NoIKE, 0, "discarded"))
	r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 7, Cause: sa.TombInitialContact})
	if r.state() != Healing {
		return "the end of a cancelled order led to " + r.state().String()
	}
	return ""
}

func noIncident(r *rig) string {
	if n := len(r.e.Incidents()); n != 0 {
		return "an incident was opened"
	}
	if len(r.e.Flows()) != 1 {
		return "the flow is not recorded"
	}
	return ""
}

// TestEachLineOfTheMachine is protocol.md §2.6 line by line. What is not there is not built: K4 and K5 have no Evidence,
// Hinted needs tokens, and ownership needs a fleet.
func TestEachLineOfTheMachine(t *testing.T) {
	for _, l := range lines {
		t.Run(l.from.String()+"/"+l.name, func(t *testing.T) {
			change := l.owner
			if change == nil {
				change = func(*Settings) {}
			}
			r := newRig(t, true, true, change)
			if l.before != nil {
				l.before(r)
			}
			if r.state() != l.from {
				t.Fatalf("the line begins in %v, want %v", r.state(), l.from)
			}
			got := l.in(r)
			if s := strings.Join(orders(got), ", "); s != l.orders {
				t.Errorf("orders %q, want %q", s, l.orders)
			}
			r.wantState(l.next)
			if l.also != nil {
				if wrong := l.also(r); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}

func TestAPeerThatPutsUsOffForMinutesLosesItsIKESA(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0)
	begun := r.now
	var closed []Action
	for len(closed) == 0 {
		step := again(r)
		if len(orders(step)) == 0 {
			r.now = r.now.Add(100 * time.Millisecond)
			continue
		}
		r.want(step, "RekeySPI "+x)
		if got := r.end(step, ike.Refused, 1, "TEMPORARY_FAILURE"); len(orders(got)) > 0 {
			closed = got
			break
		}
		r.wantState(Backoff)
		if r.now.Sub(begun) > 10*time.Minute {
			t.Fatal("put off without end")
		}
	}
	if d := r.now.Sub(begun); d < putOffMost || d > putOffMost+15*time.Second {
		t.Errorf("closed after %v", d)
	}
	r.want(closed, "ClearIKE")
	again(r)
	r.notice(ike.Notice{Kind: ike.IKEDown, IKE: 7, Cause: sa.TombCleared})
	r.want(r.end(closed, ike.OK, 1, ""))
	r.want(r.wait(2*time.Second), "Initiate")
}

func TestAPeerThatPutsUsOffNowAndThenKeepsItsIKESA(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0)
	for range 20 {
		step := again(r)
		r.want(step, "RekeySPI "+x)
		r.want(r.end(step, ike.Refused, 1, "TEMPORARY_FAILURE"))
		r.wait(time.Hour)
	}
}

// TestTheEndOfAnIKESAIsCountedOnce: of two IKE SAs one dies under an order; its notice comes before or after the order's
// end.
func TestTheEndOfAnIKESAIsCountedOnce(t *testing.T) {
	for _, result := range []ike.Result{ike.TimedOut, ike.NoIKE} {
		for _, noticeFirst := range []bool{true, false} {
			r := newRig(t, true, true)
			r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 6})
			flying(0x4000, true)(r)
			r.wait(6 * time.Second)
			down := ike.Notice{Kind: ike.IKEDown, IKE: 7, Cause: sa.TombDPD}
			if noticeFirst {
				r.notice(down)
			}
			r.end(r.flight, result, 0, "")
			if !noticeFirst {
				r.notice(down)
			}
			if ups := r.e.owners[0].ups; ups != 1 {
				t.Errorf("result %d, notice first %v: %d IKE SAs, want 1", result, noticeFirst, ups)
			}
			r.want(again(r), "Delete "+x) // over the one that is left
		}
	}
}
