package ikev2

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// force makes the next nonces of s begin with these octets: first the one of its own request, then the one of its answer.
func (s *side) force(request, response byte) {
	s.rand.forced = [][]byte{bytes.Repeat([]byte{request}, nonceLen), bytes.Repeat([]byte{response}, nonceLen)}
}

// Both sides rekey at once; requests cross, and so do the answers:
//
//	a                         b
//	├─ REKEY Ni_a ───┐ ┌──────┤ REKEY Ni_b
//	│◄───────────────┼─┘      │
//	│                └───────►│
//	├─ Nr_a ─────────┐ ┌──────┤ Nr_b
//	│◄───────────────┼─┘      │
//	│                └───────►│
//
// The SA whose exchange holds the lowest nonce goes (RFC 7296 §2.8.1); a's exchange holds Ni_a and Nr_b.
func crossings() []struct {
	name               string
	niA, nrB, niB, nrA byte
	survivor           string // whose exchange made the SA that stays
} {
	return []struct {
		name               string
		niA, nrB, niB, nrA byte
		survivor           string
	}{
		{"Ni_a lowest", 1, 9, 5, 5, "b"},
		{"Nr_b lowest", 9, 1, 5, 5, "b"},
		{"Ni_b lowest", 5, 5, 1, 9, "a"},
		{"Nr_a lowest", 5, 5, 9, 1, "a"},
		{"compared as octets, not as signed", 0x80, 0xff, 0x7f, 0xff, "a"},
	}
}

// schedules are orders of the four messages that cross: 0 request of a, 1 request of b, 2 answer to a, 3 answer to b.
// A message waits until it exists.
func schedules() [][]int {
	return [][]int{{0, 1, 2, 3}, {1, 0, 3, 2}, {0, 1, 3, 2}, {1, 0, 2, 3}, {0, 2, 1, 3}, {1, 3, 0, 2}}
}

// cross gives both sides the command and delivers the messages in the order, then lets everything settle.
func (l *lab) cross(verb ike.Verb, order []int) {
	l.a.step(ike.Command{Verb: verb, Ref: 50})
	l.b.step(ike.Command{Verb: verb, Ref: 51})
	kind := func(p packet) int {
		n := 0
		if p.from == l.b {
			n = 1
		}
		if p.header().Response() {
			n = 3 - n // the answer of b answers a
		}
		return n
	}
	for _, want := range order {
		i := slices.IndexFunc(l.wire, func(p packet) bool { return p.header().Exchange == isakmp.CreateChildSA && kind(p) == want })
		if i < 0 {
			continue // never sent in this order
		}
		p := l.wire[i]
		l.wire = slices.Delete(l.wire, i, i+1)
		l.arrive(p)
	}
	l.run()
}

func TestSimultaneousChildRekeyLowestNonceLoses(t *testing.T) {
	for _, c := range crossings() {
		for _, order := range schedules() {
			t.Run(fmt.Sprintf("%s-%v", c.name, order), func(t *testing.T) {
				l := newLab(t)
				l.up()
				l.a.force(c.niA, c.nrA)
				l.b.force(c.niB, c.nrB)
				l.watch()
				l.cross(ike.VerbRekeyChild, order)
				crossed := slices.Index(order, 2) > slices.Index(order, 1) && slices.Index(order, 3) > slices.Index(order, 0)
				l.settle(1)
				l.a.want(50, ike.OK)
				l.b.want(51, ike.OK)
				// First child A001/B001. In a crossing a's exchange makes A002/B003, b's makes B002/A003.
				made := l.a.m.Status().Children[0]
				if !crossed {
					return
				}
				want := sa.SPI(0xA002)
				loserA, loserB := sa.SPI(0xA003), sa.SPI(0xB002)
				if c.survivor == "b" {
					want, loserA, loserB = 0xA003, 0xA002, 0xB003
				}
				if made.In != want {
					l.fatalf("%v stays, want %v", made.In, want)
				}
				if l.a.tombs[loserA] != sa.TombCollisionLoser || l.b.tombs[loserB] != sa.TombCollisionLoser {
					l.fatalf("losers went as %v and %v", l.a.tombs[loserA], l.b.tombs[loserB])
				}
				if l.a.tombs[0xA001] != sa.TombRekeyed || l.b.tombs[0xB001] != sa.TombRekeyed {
					l.fatalf("the old ones went as %v and %v", l.a.tombs[0xA001], l.b.tombs[0xB001])
				}
			})
		}
	}
}

func TestSimultaneousIKERekeyLowestNonceLoses(t *testing.T) {
	for _, c := range crossings() {
		for _, order := range schedules() {
			t.Run(fmt.Sprintf("%s-%v", c.name, order), func(t *testing.T) {
				l := newLab(t)
				l.up()
				l.a.force(c.niA, c.nrA)
				l.b.force(c.niB, c.nrB)
				l.watch()
				l.cross(ike.VerbRekeyIKE, order)
				l.settle(1)
				l.a.want(50, ike.OK)
				l.b.want(51, ike.OK)
				a, b := l.a.m.Status(), l.b.m.Status()
				if a.LocalSPI != b.RemoteSPI || a.RemoteSPI != b.LocalSPI || a.Initiator == b.Initiator {
					l.fatalf("different IKE SAs: %v/%v and %v/%v", a.LocalSPI, a.RemoteSPI, b.LocalSPI, b.RemoteSPI)
				}
				crossed := slices.Index(order, 2) > slices.Index(order, 1) && slices.Index(order, 3) > slices.Index(order, 0)
				if crossed && a.Initiator != (c.survivor == "a") {
					l.fatalf("the SA of the wrong exchange stays")
				}
				for _, s := range []*side{l.a, l.b} {
					if len(s.claims) != 1 || len(s.mach().sas) != 1 {
						l.fatalf("%s keeps %v", s.name, s.claims)
					}
				}
				l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 60})
				l.b.command(ike.Command{Verb: ike.VerbLiveness, Ref: 61})
				l.a.want(60, ike.OK)
				l.b.want(61, ike.OK)
			})
		}
	}
}

func TestCollisionsWithLossAndAllNonceOrdersAgreeInTheEnd(t *testing.T) {
	for _, verb := range []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE} {
		for _, c := range crossings() {
			for lost := range 8 {
				l := newLab(t)
				l.up()
				l.a.force(c.niA, c.nrA)
				l.b.force(c.niB, c.nrB)
				l.watch()
				n := 0
				l.fault = func(packet) fate {
					n++
					if n == lost+1 {
						return lose
					}
					return deliver
				}
				l.a.step(ike.Command{Verb: verb, Ref: 50})
				l.b.step(ike.Command{Verb: verb, Ref: 51})
				l.run()
				l.settle(1)
				l.a.result(50)
				l.b.result(51)
				if a, b := l.a.m.Status(), l.b.m.Status(); a.LocalSPI != b.RemoteSPI {
					l.fatalf("different IKE SAs")
				}
			}
		}
	}
}

func TestSimultaneousRekeyAcrossSlowInstallsAgrees(t *testing.T) {
	for _, c := range crossings() {
		for _, slowSide := range []string{"a", "b", "both"} {
			l := newLab(t)
			l.up()
			l.a.force(c.niA, c.nrA)
			l.b.force(c.niB, c.nrB)
			l.watch()
			install := func(e ike.Effect) bool { _, ok := e.(ike.Install); return ok }
			if slowSide != "b" {
				l.a.slow = install
			}
			if slowSide != "a" {
				l.b.slow = install
			}
			l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 50})
			l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 51})
			for range 40 {
				l.run()
				l.a.release()
				l.run()
				l.b.release()
			}
			l.a.slow, l.b.slow = nil, nil
			l.a.release()
			l.b.release()
			l.settle(1)
		}
	}
}

// One side rekeys the IKE SA while the other rekeys the child:
//
//	a                              b
//	├─ rekey IKE ────────┐ ┌───────┤ rekey child
//	│◄───────────────────┼─┘       │
//	│                    └────────►│
//	├─ TEMPORARY_FAILURE ┐ ┌───────┤ TEMPORARY_FAILURE     (RFC 7296 §2.25.2)
//
// Neither may deadlock: both try again, with jitter.
func TestChildRekeyAgainstIKERekeyIsTriedAgain(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Env.Jitter = func(most time.Duration) time.Duration { return most / 2 }
	l.up()
	l.watch()
	child, _ := l.a.out()
	before := l.a.m.Status().LocalSPI
	l.a.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 50})
	l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 51})
	l.run()
	if o := l.a.want(50, ike.Refused); o.Detail != "TEMPORARY_FAILURE" {
		t.Errorf("detail %q", o.Detail)
	}
	l.b.want(51, ike.Refused)
	l.settle(1)
	if now, _ := l.a.out(); now.In == child.In || l.a.m.Status().LocalSPI == before {
		l.fatalf("one of both was not tried again")
	}
}

func TestRekeyAgainstDeleteOfTheSameChildEndsAgreed(t *testing.T) {
	for _, order := range []string{"ab", "ba"} {
		l := newLab(t)
		l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = true, false
		l.up()
		if order == "ab" {
			l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 50})
			l.b.step(ike.Command{Verb: ike.VerbClearChild, Ref: 51})
		} else {
			l.b.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 51})
			l.a.step(ike.Command{Verb: ike.VerbClearChild, Ref: 50})
		}
		l.run()
		l.a.result(50)
		l.b.result(51)
		l.settle(1) // a wants a tunnel, and makes a fresh child
		l.mustWork()
	}
}

func TestDeletesOfTheSameChildCross(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.Initiate, l.b.cfg.Peer.Initiate = false, false
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbClearChild, Ref: 50})
	l.b.step(ike.Command{Verb: ike.VerbClearChild, Ref: 51})
	l.run()
	l.a.want(50, ike.OK)
	l.b.want(51, ike.OK)
	l.mustAgree(0)
	for _, s := range []*side{l.a, l.b} {
		m, last := s.mach(), s.sent[len(s.sent)-1]
		// RFC 7296 §1.4.1: the answers carry no Delete for it.
		if ps, _, err := l.other(s).mach().open(l.other(s).mach().cur, last.msg); err != nil || len(ps) != 0 {
			t.Errorf("%s answered with %d payloads, %v", s.name, len(ps), err)
		}
		m.out = nil
	}
}

func TestIKEDeletesCross(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbClearIKE, Ref: 50})
	l.b.step(ike.Command{Verb: ike.VerbClearIKE, Ref: 51})
	l.run()
	l.a.want(50, ike.OK)
	l.b.want(51, ike.OK)
	l.advance(time.Minute)
	if l.a.closed == "" || l.b.closed == "" || len(l.a.inbound)+len(l.b.inbound)+len(l.a.outbound)+len(l.b.outbound) != 0 {
		t.Error(l.transcript())
	}
}

func TestLoserOfACollisionIsNeverSentOn(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.force(9, 9)
	l.b.force(1, 9)
	l.fault = func(p packet) fate { // b's Delete of its loser does not get through for a while
		if p.from == l.b && p.header().Exchange == isakmp.Informational && !p.header().Response() {
			return lose
		}
		return deliver
	}
	l.watch()
	l.cross(ike.VerbRekeyChild, []int{0, 1, 2, 3})
	l.a.step(ike.Traffic{SPI: 0xA003, Kind: ike.FirstInbound})
	l.advance(15 * time.Second)
	if c, _ := l.a.out(); c.In != 0xA002 {
		l.fatalf("a sends on %v", c.In)
	}
	l.fault = nil
	l.settle(1)
}
