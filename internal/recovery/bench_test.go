package recovery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

var (
	t0   = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	ours = netip.MustParseAddrPort("192.0.2.1:0")
	peer = netip.MustParseAddrPort("192.0.2.2:0")
)

const lostSPI = sa.SPI(0x7C41D9E2)

// rig is an engine with one static peer, and the clock.
type rig struct {
	t      *testing.T
	e      *Engine
	now    time.Time
	out    []Action
	flight []Action // orders under way, where a test keeps them
}

func static() Owner {
	return Owner{ID: 0, Name: "Tunnel0", Remote: peer.Addr(), Initiate: true, Lifetime: time.Hour, DPD: 20 * time.Second}
}

// newRig: command and extended are the switches of protocol.md §2.7.
func newRig(t *testing.T, command, extended bool, change ...func(*Settings)) *rig {
	s := Settings{InvalidSPI: command, Extended: extended, Owners: []Owner{static()}}
	for _, c := range change {
		c(&s)
	}
	return &rig{t: t, e: New(Options{Settings: s, Started: t0}), now: t0.Add(time.Second)}
}

func responderOnly(s *Settings) { s.Owners[0].Initiate = false }

func (r *rig) step(in Input) []Action {
	r.t.Helper()
	r.out = r.e.Step(r.now, in)
	return r.out
}

func (r *rig) wait(d time.Duration) []Action {
	r.t.Helper()
	var all []Action
	end := r.now.Add(d)
	for {
		next := r.e.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(r.now) {
			r.now = next
		}
		all = append(all, r.step(Tick{})...)
	}
	r.now = end
	r.out = append(all, r.step(Tick{})...)
	return r.out
}

func (r *rig) seen(spi sa.SPI) Seen {
	return Seen{Src: peer, Dst: ours, SPI: spi, First: r.now, At: r.now, Count: 1, Octets: 120, MinLen: 120, Owner: 0, OwnerBy: "configuration"}
}

func (r *rig) lost(spi sa.SPI) []Action { return r.step(FromLost(r.seen(spi), OriginEarlier)) }

// live brings an IKE SA up, with a child where in is not 0, and lets G pass.
func (r *rig) live(in sa.SPI) {
	r.t.Helper()
	r.notice(ike.Notice{Kind: ike.IKEUp, IKE: 7, Initiator: true})
	if in != 0 {
		r.notice(ike.Notice{Kind: ike.ChildUp, IKE: 7, In: in, Out: 0x5000, Initiator: true})
		r.notice(ike.Notice{Kind: ike.FirstInboundOK, IKE: 7, In: in})
	}
	r.now = r.now.Add(5 * time.Second)
}

func (r *rig) notice(n ike.Notice) []Action {
	n.At = r.now
	return r.step(Told{n})
}

// orders lists the commands among actions: "VerbDeleteSPI 0x7C41D9E2".
func orders(actions []Action) []string {
	var out []string
	for _, a := range actions {
		if o, ok := a.(Order); ok {
			s := verbName(o.Command.Verb)
			if o.Command.SPI != 0 {
				s += fmt.Sprintf(" 0x%08X", uint32(o.Command.SPI))
			}
			out = append(out, s)
		}
	}
	return out
}

func verbName(v ike.Verb) string {
	switch v {
	case ike.VerbInitiate:
		return "Initiate"
	case ike.VerbDeleteSPI:
		return "Delete"
	case ike.VerbRekeySPI:
		return "RekeySPI"
	case ike.VerbNotifySPI:
		return "NotifySPI"
	case ike.VerbLiveness:
		return "Liveness"
	case ike.VerbRekeyChild:
		return "RekeyChild"
	case ike.VerbClearIKE:
		return "ClearIKE"
	}
	return fmt.Sprint("verb ", v)
}

func (r *rig) want(actions []Action, want ...string) {
	r.t.Helper()
	if got := orders(actions); strings.Join(got, ", ") != strings.Join(want, ", ") {
		r.t.Errorf("orders %q, want %q", got, want)
	}
	for _, a := range actions {
		if o, ok := a.(Order); ok && (o.Why == "" || o.Command.Why == "" || o.Command.Ref&RefTag == 0) {
			r.t.Errorf("order without why or reference: %+v", o)
		}
	}
}

// end gives the orders among actions one result, and returns what follows.
func (r *rig) end(actions []Action, result ike.Result, trips int, detail string) []Action {
	r.t.Helper()
	var all []Action
	for _, a := range actions {
		if o, ok := a.(Order); ok {
			all = append(all, r.step(Ended{ike.Outcome{Ref: o.Command.Ref, Verb: o.Command.Verb, Owner: o.Owner,
				Result: result, RoundTrips: trips, Detail: detail}})...)
		}
	}
	r.out = all
	return all
}

func reports(actions []Action, k ReportKind) []Report {
	var out []Report
	for _, a := range actions {
		if rep, ok := a.(Report); ok && rep.Kind == k {
			out = append(out, rep)
		}
	}
	return out
}

func (r *rig) state() State { return r.e.owners[0].state }

func (r *rig) wantState(want State) {
	r.t.Helper()
	if got := r.state(); got != want {
		r.t.Errorf("state %v (%s), want %v", got, r.e.owners[0].why, want)
	}
}

func (r *rig) incident() Incident {
	r.t.Helper()
	all := r.e.Incidents()
	if len(all) == 0 {
		r.t.Fatal("no incident")
	}
	return all[len(all)-1]
}

// boot plays an IKE SA that is made with a reference (0: by start-up or the peer), up to the first packet.
func (r *rig) newIKE(ref uint64, initiator bool, in sa.SPI) []Action {
	var all []Action
	add := func(n ike.Notice) { all = append(all, r.notice(n)...) }
	add(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKESAInit})
	r.now = r.now.Add(40 * time.Millisecond)
	add(ike.Notice{Kind: ike.ExchangeEnded, IKE: 9, Exchange: isakmp.IKESAInit})
	add(ike.Notice{Kind: ike.ExchangeStarted, IKE: 9, Exchange: isakmp.IKEAuth})
	r.now = r.now.Add(40 * time.Millisecond)
	add(ike.Notice{Kind: ike.ExchangeEnded, IKE: 9, Exchange: isakmp.IKEAuth})
	add(ike.Notice{Kind: ike.IKEUp, IKE: 9, Initiator: initiator, ByCommand: ref, SRTT: 40 * time.Millisecond})
	add(ike.Notice{Kind: ike.ChildUp, IKE: 9, In: in, Out: 0x6000, Initiator: initiator, ByCommand: ref})
	return all
}

func (r *rig) firstInbound(in sa.SPI) []Action {
	return r.notice(ike.Notice{Kind: ike.FirstInboundOK, IKE: 9, In: in})
}
