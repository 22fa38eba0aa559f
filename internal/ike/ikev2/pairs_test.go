package ikev2

import (
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
)

// The tables of two gateways that do different things at once (RFC 7296 §2.25, protocol.md §5.7), in the same manner as
// those of two rekeys: every order of arrival, the second act at any time, and any one message lost.

// bout is what both ends do, and the rule for what must be left.
type bout struct {
	a, b  act
	setup func(l *lab)   // before the gateways come up
	ready func(w *weave) // when they are up
	gap   bool           // packets may be lost: a delete is a delete
	rule  func(w *weave)
}

func (b bout) play(t *testing.T) (cases int) {
	t.Helper()
	one := func(losses int, atOnce bool) {
		cases += explore(func(pick func(int) int) {
			w := newWeave(t, pick, b.setup)
			w.losses, w.busy, w.wide, w.gap = losses, true, true, b.gap
			for _, s := range w.sides() {
				s.plane.lossy = b.gap
			}
			if b.ready != nil {
				b.ready(w)
			}
			w.starts = []start{{of: w.a, act: b.a, atOnce: atOnce}, {of: w.b, act: b.b, atOnce: atOnce}}
			w.run()
			b.rule(w)
			w.mustBeClean()
		})
	}
	one(0, false)
	one(1, false)
	t.Logf("a %v, b %v: %d cases", b.a, b.b, cases)
	return cases
}

// apart lets both ends pause for different times before they try again.
func apart(l *lab) {
	l.a.cfg.Env.Jitter = func(most time.Duration) time.Duration { return most / 5 }
	l.b.cfg.Env.Jitter = func(most time.Duration) time.Duration { return most * 4 / 5 }
}

// mustHold: both data planes have exactly these children.
func (w *weave) mustHold(want ...pair) {
	w.t.Helper()
	for _, s := range w.sides() {
		whole, halves := s.plane.pairs()
		if len(halves) != 0 || !slices.Equal(whole, want) {
			w.fatalf("%s holds %s, want %v", s.name, s.plane.holds(), want)
		}
	}
}

// mustHoldOneOther: both have the same one child, which is not the old one.
func (w *weave) mustHoldOneOther() {
	w.t.Helper()
	whole, _ := w.a.plane.pairs()
	if len(whole) != 1 || whole[0] == w.old {
		w.fatalf("a holds %s, want one new child", w.a.plane.holds())
	}
	w.mustHold(whole[0])
}

// mustBeOneIKE: both use the same IKE SA, and have no other. It is the old one or another, as other says.
func (w *weave) mustBeOneIKE(other bool) {
	w.t.Helper()
	a, b := ikeNames(w.a), ikeNames(w.b)
	if a != b || len(w.a.claims) != 1 || len(w.b.claims) != 1 || (a != w.oldIKE) != other {
		w.fatalf("IKE SAs %s (%d) and %s (%d) after %s", a, len(w.a.claims), b, len(w.b.claims), w.oldIKE)
	}
}

func (w *weave) mustBeOver() {
	w.t.Helper()
	w.mustHold()
	for _, s := range w.sides() {
		if s.closed == "" || len(s.claims) != 0 {
			w.fatalf("%s lives on: %v", s.name, s.claims)
		}
	}
}

// asked is the one request of s that fits, nil if it made none that came.
func (w *weave) asked(s *side, fits func(*letter) bool) *letter {
	w.t.Helper()
	all := w.requests(s, fits)
	if len(all) > 1 {
		w.fatalf("%s asks twice", s.name)
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// RFC 7296 §2.25.1: who closes the child answers its rekey with TEMPORARY_FAILURE, who has closed it with
// CHILD_SA_NOT_FOUND. Only a rekey that comes before its owner is told to close makes a child, which stays.
func TestEveryInterleavingOfAChildRekeyAndItsDelete(t *testing.T) {
	t.Parallel()
	bout{a: rekeyChild, b: deleteChild, gap: true, rule: func(w *weave) {
		request := w.asked(w.a, isRekeyOf(w.old.a))
		if request == nil || w.arrival(request) >= w.told[1] {
			w.mustHold()
			return
		}
		spis := w.spis(request)
		w.mustHold(pairOf(spis))
	}}.play(t)
}

// RFC 7296 §1.4.1: Deletes that cross are answered without Delete, others with the paired SPI.
func TestEveryInterleavingOfTwoChildDeletes(t *testing.T) {
	t.Parallel()
	bout{a: deleteChild, b: deleteChild, gap: true, rule: func(w *weave) {
		w.mustHold()
		for i, s := range w.sides() {
			request := w.asked(s, func(x *letter) bool { return len(ike2.All[*ike2.Delete](x.ps)) > 0 })
			if request == nil {
				continue
			}
			crossed := w.told[1-i] >= 0 && w.told[1-i] <= w.arrival(request)
			if answered := len(w.answer(request).ps) > 0; answered == crossed {
				w.fatalf("the Delete of %s is answered %v, crossed: %v", s.name, w.answer(request), crossed)
			}
		}
	}}.play(t)
}

// RFC 7296 §2.25.1, §2.25.2: each refuses what the other asks while his own is under way, and both try again.
func TestEveryInterleavingOfAChildRekeyAndAnIKERekey(t *testing.T) {
	t.Parallel()
	bout{a: rekeyChild, b: rekeyIKE, setup: apart, rule: func(w *weave) {
		w.mustHoldOneOther()
		w.mustBeOneIKE(true)
	}}.play(t)
}

func TestEveryInterleavingOfAChildDeleteAndAnIKERekey(t *testing.T) {
	t.Parallel()
	bout{a: deleteChild, b: rekeyIKE, setup: apart, gap: true, rule: func(w *weave) {
		w.mustHold()
		w.mustBeOneIKE(true)
	}}.play(t)
}

// The packet comes again: a refused child for a packet is asked for by the next one.
func TestEveryInterleavingOfAChildForAPacketAndAnIKERekey(t *testing.T) {
	t.Parallel()
	bout{a: createChild, b: rekeyIKE, setup: apart, ready: withoutChild, gap: true, rule: func(w *weave) {
		w.a.step(wanted())
		w.lab.run()
		w.mustHoldOneOther()
		w.mustBeOneIKE(true)
	}}.play(t)
}

// RFC 7296 §2.25.2: a Delete of the IKE SA ends whatever else is under way.
func TestEveryInterleavingOfAnIKEDeleteAndAnythingElse(t *testing.T) {
	for _, other := range []act{rekeyChild, deleteChild, rekeyIKE, deleteIKE} {
		t.Run(other.String(), func(t *testing.T) {
			t.Parallel()
			bout{a: other, b: deleteIKE, gap: true, rule: (*weave).mustBeOver}.play(t)
		})
	}
}

// RFC 4718 §5.11.6: a Delete that overtakes the answer which makes its child is answered empty, and remembered.
func TestEveryInterleavingOfANewChildAndItsDelete(t *testing.T) {
	t.Parallel()
	bout{a: createChild, b: deleteNewest, ready: withoutChild, gap: true, rule: func(w *weave) {
		if w.told[1] >= 0 {
			w.mustHold()
			return
		}
		w.mustHoldOneOther()
	}}.play(t)
}

// RFC 4718 §5.11.7: a rekey of a child whose answer is still missed is refused for the moment, and tried again.
func TestEveryInterleavingOfANewChildAndItsRekey(t *testing.T) {
	t.Parallel()
	bout{a: createChild, b: rekeyNewest, ready: withoutChild, gap: true, rule: func(w *weave) {
		w.mustHoldOneOther()
		first := w.spis(w.asked(w.a, func(x *letter) bool { return x.spiOf() != 0 }))
		if whole, _ := w.a.plane.pairs(); w.told[1] >= 0 && whole[0] == pairOf(first) {
			w.fatalf("the rekey was given up")
		}
	}}.play(t)
}

// withoutChild takes the first child away, so that packets want one.
func withoutChild(w *weave) {
	w.a.command(ike.Command{Verb: ike.VerbClearChild})
	w.lab.advance(time.Second)
	w.began = w.now
	w.letters, w.numbers, w.came, w.moves = map[string]*letter{}, [2]int{}, nil, nil
	w.drawing = newDiagram(w.now)
}

// Two children for one packet are reduced to one (twin.go): who has seen the other's request while his own was out deletes
// his own if it has the lowest nonce, or if the other has not seen it; never what the other asked for.
func TestEveryInterleavingOfTwoChildrenForOnePacket(t *testing.T) {
	t.Parallel()
	for _, n := range lowestFirst() {
		bout{a: createChild, b: createChild, gap: true, ready: func(w *weave) { withoutChild(w); w.force(n) }, rule: twinRule}.play(t)
	}
}

func twinRule(w *weave) {
	isCreate := func(x *letter) bool { return x.spiOf() != 0 }
	var asked [2]*letter
	var saw [2]bool
	for i, s := range w.sides() {
		asked[i] = w.asked(s, isCreate)
	}
	if asked[0] == nil || asked[1] == nil {
		for _, only := range asked {
			if only != nil {
				w.mustHold(pairOf(w.spis(only)))
			}
		}
		return
	}
	for i := range asked {
		saw[i] = w.arrival(asked[1-i]) < w.arrival(w.answer(asked[i]))
	}
	stays := 0
	switch {
	case saw[0] && !saw[1]:
		stays = 1
	case saw[0] && string(lowerNonce(w, asked[0])) < string(lowerNonce(w, asked[1])):
		stays = 1
	}
	w.mustHold(pairOf(w.spis(asked[stays])))
}
