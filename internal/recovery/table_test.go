package recovery

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/sa"
)

// evidence of each class that acts at the first packet.
func classes(r *rig) map[string]Evidence {
	s := r.seen(lostSPI)
	return map[string]Evidence{
		"K7":  FromTombstone(s, sa.Tombstone{SPI: lostSPI, Owner: 0, Deleted: r.now.Add(-time.Minute), Why: sa.TombCleared}),
		"K10": FromLost(s, OriginNotTold),
		"K12": FromUnknown(s),
	}
}

// TestEachCellOfWhatMayBeDoneWhen is the table of protocol.md §2.7 for an sVTI, for each class of evidence.
func TestEachCellOfWhatMayBeDoneWhen(t *testing.T) {
	const x = "0x7C41D9E2"
	type cells struct{ liveNoChild, liveWithChild, static, responderOnly string }
	for name, c := range map[string]struct {
		command, extended bool
		want              cells
	}{
		"parity, command off":   {false, false, cells{"Delete " + x, "Delete " + x, "", ""}},
		"parity, command on":    {true, false, cells{"Delete " + x, "Delete " + x, "Initiate", ""}},
		"extended, command off": {false, true, cells{"RekeySPI " + x, "Delete " + x, "", ""}},
		"extended, command on":  {true, true, cells{"RekeySPI " + x, "Delete " + x, "Initiate", ""}},
	} {
		for class := range classes(newRig(t, true, true)) {
			for column, want := range map[string]string{"live IKE SA, no child": c.want.liveNoChild, "live IKE SA, working child": c.want.liveWithChild,
				"static": c.want.static, "responder-only": c.want.responderOnly} {
				t.Run(name+"/"+class+"/"+column, func(t *testing.T) {
					r := newRig(t, c.command, c.extended)
					switch column {
					case "live IKE SA, no child":
						r.live(0)
					case "live IKE SA, working child":
						r.live(0x4000)
					case "responder-only":
						r = newRig(t, c.command, c.extended, responderOnly)
					}
					got := r.step(classes(r)[class])
					if s := strings.Join(orders(got), ", "); s != want {
						t.Errorf("orders %q, want %q", s, want)
					}
					if i := r.incident(); i.Result != Open || len(i.Timeline) < 2 || i.Timeline[1].Why == "" {
						t.Errorf("the incident does not tell why: %+v", i.Timeline)
					}
				})
			}
		}
	}
}

func TestWithoutTheCommandNothingEverInitiates(t *testing.T) {
	for _, extended := range []bool{false, true} {
		r := newRig(t, false, extended)
		for range 300 {
			r.want(r.lost(lostSPI))
			r.want(r.wait(100 * time.Millisecond))
		}
		if i := r.incident(); i.Verdict != Persistent || len(i.Timeline) > 4 {
			t.Errorf("verdict %v, %d entries: %v", i.Verdict, len(i.Timeline), i.Timeline)
		}
	}
}

func TestClassesThatNeverAct(t *testing.T) {
	for name, make := range map[string]func(Seen) Evidence{
		"K9 FOREIGN_OWNER": FromForeignOwner, "K11 NEVER_OURS without a live peer": FromNeverOurs,
		"the zero Evidence": func(Seen) Evidence { return Evidence{} },
		"no owner": func(s Seen) Evidence {
			s.Owner = sa.NoOwner
			return FromLost(s, OriginNotTold)
		},
		"an owner that nobody knows": func(s Seen) Evidence {
			s.Owner = 99
			return FromLost(s, OriginNotTold)
		},
		"K7 in its grace": func(s Seen) Evidence {
			return FromTombstone(s, sa.Tombstone{SPI: s.SPI, Owner: 0, Deleted: s.At.Add(-time.Second), Why: sa.TombRekeyed})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, true)
			for range 5 {
				r.want(r.step(make(r.seen(lostSPI))))
				r.now = r.now.Add(2 * time.Second)
			}
			if n := len(r.e.Incidents()); n != 0 {
				t.Errorf("%d incidents", n)
			}
			if name != "the zero Evidence" && (len(r.e.Flows()) != 1 || r.e.Flows()[0].Count != 5) {
				t.Errorf("not counted: %+v", r.e.Flows())
			}
		})
	}
}

func TestATombstoneActsOnceItsGraceIsOver(t *testing.T) {
	for why := sa.TombRekeyed; why <= sa.TombShutdown; why++ {
		r := newRig(t, true, true)
		tomb := sa.Tombstone{SPI: lostSPI, Owner: 0, Deleted: r.now, Why: why}
		if g := why.Grace(); g > 0 {
			r.now = r.now.Add(g - time.Millisecond)
			r.want(r.step(FromTombstone(r.seen(lostSPI), tomb)))
			r.now = r.now.Add(time.Millisecond)
		}
		r.want(r.step(FromTombstone(r.seen(lostSPI), tomb)), "Initiate")
		if i := r.incident(); i.Lost == 0 || i.First.After(r.now) {
			t.Errorf("%v: %+v", why, i)
		}
	}
}

func TestNeverOursIsToldToALivePeerOnlyAfterTwoSightings(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.want(r.step(FromNeverOurs(r.seen(lostSPI))))
	r.now = r.now.Add(250 * time.Millisecond) // less than T
	r.want(r.step(FromNeverOurs(r.seen(lostSPI))))
	r.now = r.now.Add(100 * time.Millisecond)
	got := r.step(FromNeverOurs(r.seen(lostSPI)))
	r.want(got, "Delete 0x7C41D9E2")
	r.end(got, 1, 1, "")

	// A tenth of the budget: another SPI waits for a minute, evidence of a lost one does not.
	first := r.now
	for r.now.Before(first.Add(59 * time.Second)) {
		r.want(r.step(FromNeverOurs(r.seen(0x1111))))
		r.now = r.now.Add(time.Second)
	}
	r.want(r.lost(0x2222), "Delete 0x00002222")
}

func TestM2IsSentOnlyWhereTheProfileAsks(t *testing.T) {
	r := newRig(t, true, true, func(s *Settings) { s.Owners[0].NotifySPI = true })
	r.live(0x4000)
	got := r.lost(lostSPI)
	r.want(got, "Delete 0x7C41D9E2", "NotifySPI 0x7C41D9E2")
	for _, a := range got { // a peer that cannot read it (CSC..40554) is never asked again
		o, ok := a.(Order)
		if !ok {
			continue
		}
		result, detail := okResult, ""
		if verbName(o.Command.Verb) == "NotifySPI" {
			result, detail = refusedResult, "INVALID_SYNTAX"
		}
		r.step(Ended{outcome(o, result, detail)})
	}
	r.now = r.now.Add(5 * time.Second)
	r.want(r.lost(0x3333), "Delete 0x00003333")
}
