package ikev2

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// The collision tables (RFC 7296 §2.8.1, §2.8.2, §2.25): every order in which the messages of two gateways that act at
// once can arrive, without loss and with any one message lost, for every order of nonces. What must be left is worked out
// from the messages alone, by the rules of the RFC; the state of the machines is asked for nothing.

// ranks are the first octets of Ni of a, Nr of b, Ni of b, Nr of a: all orders of four.
func ranks() (out [][4]byte) {
	for a := range 4 {
		for b := range 4 {
			for c := range 4 {
				if d := 6 - a - b - c; a != b && b != c && a != c {
					out = append(out, [4]byte{byte(1 + 60*a), byte(1 + 60*b), byte(1 + 60*c), byte(1 + 60*d)})
				}
			}
		}
	}
	return out
}

// lowestFirst are four of them: each nonce is the lowest once.
func lowestFirst() [][4]byte {
	return [][4]byte{{1, 9, 9, 9}, {9, 1, 9, 9}, {9, 9, 1, 9}, {9, 9, 9, 1}}
}

func (w *weave) force(n [4]byte) {
	w.a.force(n[0], n[3])
	w.b.force(n[2], n[1])
}

func isRekeyOf(spi sa.SPI) func(*letter) bool {
	return func(x *letter) bool {
		n := ike2.FindNotify(x.ps, ike2.RekeySA)
		if n == nil {
			return false
		}
		named, _ := n.ChildSPI()
		return sa.SPI(named) == spi
	}
}

// verdict of two rekeys of one SA: which exchanges made one, and which of these stays.
type verdict struct {
	asked  [2]*letter // requests of a and of b, nil where none was made
	made   [2]bool
	stays  int // 0: that of a's exchange, 1: of b's
	reason string
}

// judge says what must become of two rekeys of one SA. A request is agreed to unless who gets it has had the answer to his
// own by then (RFC 7296 §2.8.1: to him the SA is replaced). Of two that are agreed to, that with the lowest of the four
// nonces is closed, compared octet by octet.
func (w *weave) judge(asked [2]*letter) verdict {
	v := verdict{asked: asked}
	finished := [2]int{len(w.came) + 1, len(w.came) + 1} // when a and b had the answer to their own
	for i, x := range w.came {
		for e := range 2 {
			switch {
			case x == asked[e] && i == w.arrival(x):
				v.made[e] = i < finished[1-e]
			case asked[e] != nil && v.made[e] && x == w.answer(asked[e]) && i == w.arrival(x):
				finished[e] = i
			}
		}
	}
	switch {
	case v.made[0] && v.made[1]:
		v.stays, v.reason = 0, "the lowest nonce is of b's exchange"
		if bytes.Compare(lowerNonce(w, asked[0]), lowerNonce(w, asked[1])) < 0 {
			v.stays, v.reason = 1, "the lowest nonce is of a's exchange"
		}
	case v.made[1]:
		v.stays, v.reason = 1, "only b's exchange made one"
	default:
		v.reason = "only a's exchange made one"
	}
	return v
}

func lowerNonce(w *weave, request *letter) []byte {
	a, b := request.nonce(), w.answer(request).nonce()
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

// spis are those of the exchange of request: a's and b's.
func (w *weave) spis(request *letter) [2]uint64 {
	out := [2]uint64{request.spiOf(), w.answer(request).spiOf()}
	if request.from == w.b {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// deletes are all that a side's requests delete, in the order of their first leaving.
func (w *weave) deletes(s *side) (out []string) {
	for _, x := range w.requests(s, func(*letter) bool { return true }) {
		for _, d := range ike2.All[*ike2.Delete](x.ps) {
			if d.Protocol == ike2.ProtoIKE {
				out = append(out, "IKE "+x.sa)
			}
			for _, spi := range d.SPIs {
				out = append(out, fmt.Sprintf("%X", spi))
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestEveryInterleavingOfTwoChildRekeysLeavesTheSameChild(t *testing.T) {
	t.Parallel()
	cases := 0
	each := func(nonces [4]byte, losses int, busy bool, atOnce bool) {
		cases += explore(func(pick func(int) int) {
			w := newWeave(t, pick, nil)
			w.losses, w.busy = losses, busy
			w.force(nonces)
			w.starts = []start{{of: w.a, act: rekeyChild, atOnce: atOnce}, {of: w.b, act: rekeyChild, atOnce: atOnce}}
			w.run()
			w.checkChildRekeys()
		})
	}
	for _, n := range ranks() {
		each(n, 0, true, true)
	}
	for i, n := range lowestFirst() {
		each(n, 1, i == 0 || i == 3, i%2 == 1)
	}
	t.Logf("child rekey collisions: %d cases", cases)
}

// The same where one side takes its time: what is slow there ends at any later moment, among whatever else comes.
func TestEveryInterleavingOfTwoRekeysAmidSlowWorkLeavesTheSameSA(t *testing.T) {
	t.Parallel()
	install := func(e ike.Effect) bool { _, ok := e.(ike.Install); return ok }
	store := func(e ike.Effect) bool { _, ok := e.(ike.Persist); return ok }
	arithmetic := func(e ike.Effect) bool { _, ok := e.(ike.Compute); return ok }
	cases := 0
	for _, c := range []struct {
		what act
		slow func(ike.Effect) bool
		side int
	}{
		{rekeyChild, install, 0}, {rekeyChild, install, 1}, {rekeyChild, arithmetic, 0}, {rekeyChild, store, 1},
		{rekeyIKE, arithmetic, 0}, {rekeyIKE, arithmetic, 1}, {rekeyIKE, store, 0},
	} {
		cases += explore(func(pick func(int) int) {
			w := newWeave(t, pick, func(l *lab) {
				for _, s := range l.sides() {
					s.cfg.Peer.Proposals[0].Groups = []uint16{suite.GroupMODP2048} // computed off the loop
					s.cfg.Peer.IPsec.PFS = suite.GroupMODP2048
				}
			})
			w.busy, w.wide = true, c.what == rekeyIKE
			w.force(lowestFirst()[0])
			w.sides()[c.side].slow = c.slow
			w.starts = []start{{of: w.a, act: c.what, atOnce: true}, {of: w.b, act: c.what, atOnce: true}}
			w.run()
			w.sides()[c.side].slow = nil
			if c.what == rekeyIKE {
				w.checkIKERekeys()
			} else {
				w.checkChildRekeys()
			}
		})
	}
	t.Logf("rekey collisions amid slow work: %d cases", cases)
}

// checkChildRekeys holds both data planes to the verdict, and the wire to who has to delete what.
func (w *weave) checkChildRekeys() {
	w.t.Helper()
	var asked [2]*letter
	for i, s := range w.sides() {
		old := []sa.SPI{w.old.a, w.old.b}[i]
		all := w.requests(s, isRekeyOf(old))
		if len(all) > 1 {
			w.fatalf("%s rekeys %X twice", s.name, uint32(old))
		}
		if len(all) == 1 {
			asked[i] = all[0]
		}
	}
	v := w.judge(asked)
	stays := w.spis(v.asked[v.stays])
	want := pairOf(stays)
	for _, s := range w.sides() {
		whole, halves := s.plane.pairs()
		if len(halves) != 0 || len(whole) != 1 || whole[0] != want {
			w.fatalf("%s holds %s, and %v must survive: %s", s.name, s.plane.holds(), want, v.reason)
		}
	}
	var toDelete [2][]string
	winner, loser := v.stays, 1-v.stays
	toDelete[winner] = append(toDelete[winner], []string{"A001", "B001"}[winner])
	tombs := [2]map[sa.SPI]sa.TombReason{{w.old.a: sa.TombRekeyed}, {w.old.b: sa.TombRekeyed}}
	if v.made[loser] {
		gone := w.spis(v.asked[loser])
		toDelete[loser] = append(toDelete[loser], fmt.Sprintf("%X", gone[loser]))
		tombs[0][sa.SPI(gone[0])], tombs[1][sa.SPI(gone[1])] = sa.TombCollisionLoser, sa.TombCollisionLoser
	}
	for i, s := range w.sides() {
		if got := w.deletes(s); !slices.Equal(got, toDelete[i]) {
			w.fatalf("%s deletes %v, want %v: %s", s.name, got, toDelete[i], v.reason)
		}
		for spi, why := range tombs[i] {
			if s.tombs[spi] != why {
				w.fatalf("%s: %X went as %v, want %v", s.name, uint32(spi), s.tombs[spi], why)
			}
		}
		if len(s.tombs) != len(tombs[i]) {
			w.fatalf("%s: %d SAs went, want %d", s.name, len(s.tombs), len(tombs[i]))
		}
	}
	w.mustBeClean()
	for i, s := range w.sides() {
		// Who is told when the other has replaced the child already finds it gone.
		if r := s.result([]uint64{refA, refB}[i]).Result; r != ike.OK && (asked[i] != nil || r != ike.ChildNotFound) {
			w.fatalf("%s: the command ended with %d", s.name, r)
		}
	}
}

func TestEveryInterleavingOfTwoIKERekeysLeavesTheSameIKESA(t *testing.T) {
	t.Parallel()
	cases := 0
	each := func(nonces [4]byte, losses int, atOnce bool) {
		cases += explore(func(pick func(int) int) {
			w := newWeave(t, pick, nil)
			w.losses, w.busy, w.wide = losses, true, true
			w.force(nonces)
			w.starts = []start{{of: w.a, act: rekeyIKE, atOnce: atOnce}, {of: w.b, act: rekeyIKE, atOnce: atOnce}}
			w.run()
			w.checkIKERekeys()
		})
	}
	for i, n := range lowestFirst() {
		each(n, 1, i%2 == 1)
	}
	for i, n := range ranks() {
		if i%2 == 0 { // the comparison is that of children, which have them all
			each(n, 0, true)
		}
	}
	t.Logf("IKE rekey collisions: %d cases", cases)
}

// a asks with group 31 and b with group 20, of which neither will do: each is refused with INVALID_KE_PAYLOAD, and asks again
// with group 19, unless the other was faster.
func TestEveryInterleavingOfTwoIKERekeysWithTheWrongGroupLeavesTheSameIKESA(t *testing.T) {
	t.Parallel()
	cases := 0
	for i := range 2 {
		n := lowestFirst()[2*i]
		cases += explore(func(pick func(int) int) {
			w := newWeave(t, pick, nil)
			w.busy, w.wide = true, true
			w.a.cfg.Peer.Proposals[0].Groups = []uint16{suite.GroupCurve25519, suite.GroupECP256}
			w.b.cfg.Peer.Proposals[0].Groups = []uint16{suite.GroupECP384, suite.GroupECP256}
			w.a.force(9, 9) // of what is refused
			w.force(n)
			w.starts = []start{{of: w.a, act: rekeyIKE, atOnce: true}, {of: w.b, act: rekeyIKE, atOnce: true}}
			w.run()
			w.checkIKERekeys()
		})
	}
	t.Logf("IKE rekey collisions with INVALID_KE_PAYLOAD: %d cases", cases)
}

// fitting are IKE rekeys with a group that the other permits; the others must have been refused.
func (w *weave) fitting(s *side) (out []*letter) {
	w.t.Helper()
	permitted := w.other(s).cfg.Peer.Proposals[0].Groups
	for _, x := range w.requests(s, isIKERekey) {
		ke, _ := ike2.Find[*ike2.KE](x.ps)
		if slices.Contains(permitted, ke.Group) {
			out = append(out, x)
		} else if w.answer(x).spiOf() != 0 {
			w.fatalf("%s is agreed to with the wrong group", x.name())
		}
	}
	return out
}

func isIKERekey(x *letter) bool {
	p, ok := ike2.Find[*ike2.SA](x.ps)
	return ok && p.Proposals[0].Protocol == ike2.ProtoIKE
}

// forgets says that whoever asked has heard the end of the old IKE SA before the answer: then there is nothing to answer to,
// and the attempt is forgotten (RFC 7296 §2.8.2).
func (w *weave) forgets(request *letter) bool {
	ends := w.requests(w.other(request.from), func(x *letter) bool {
		d, ok := ike2.Find[*ike2.Delete](x.ps)
		return ok && d.Protocol == ike2.ProtoIKE && x.sa == request.sa
	})
	return len(ends) > 0 && w.arrival(ends[0]) < w.arrival(w.answer(request))
}

// checkIKERekeys holds both ends to the verdict: one IKE SA, with the child that the old one had.
func (w *weave) checkIKERekeys() {
	w.t.Helper()
	var asked [2]*letter
	for i, s := range w.sides() {
		all := w.fitting(s)
		if len(all) > 1 {
			w.fatalf("%s rekeys the IKE SA twice", s.name)
		}
		if len(all) == 1 {
			asked[i] = all[0]
		}
	}
	v := w.judge(asked)
	name := func(e int) string {
		spis := w.spis(v.asked[e])
		return ikeName(isakmp.SPI(spis[0])) + "-" + ikeName(isakmp.SPI(spis[1]))
	}
	var toDelete [2][]string
	toDelete[v.stays] = []string{"IKE " + w.oldIKE}
	if loser := 1 - v.stays; v.made[loser] && !w.forgets(v.asked[loser]) {
		spis := w.spis(v.asked[loser])
		toDelete[loser] = []string{"IKE " + saName(isakmp.SPI(spis[loser]), isakmp.SPI(spis[1-loser]))}
	}
	for i, s := range w.sides() {
		if got := ikeNames(s); got != name(v.stays) {
			w.fatalf("%s uses IKE SA %s, and %s must survive: %s", s.name, got, name(v.stays), v.reason)
		}
		if len(s.claims) != 1 || !s.claims[s.m.Status().LocalSPI] || len(s.mach().sas) != 1 {
			w.fatalf("%s keeps other IKE SAs: %v", s.name, s.claims)
		}
		if s.plane.holds() != w.old.String() || len(s.tombs) != 0 {
			w.fatalf("%s: the child was not inherited: %s", s.name, s.plane.holds())
		}
		if got := w.deletes(s); !slices.Equal(got, toDelete[i]) {
			w.fatalf("%s deletes %v, want %v: %s", s.name, got, toDelete[i], v.reason)
		}
		if r := s.outcomes[[]uint64{refA, refB}[i]].Result; r != ike.OK && (w.told[i] >= 0 || r != 0) {
			w.fatalf("%s: the command ended with %d", s.name, r)
		}
	}
	w.mustBeClean()
	w.mustServe()
}

// mustServe: what is left of the IKE SA works in both directions, and owns the child.
func (w *weave) mustServe() {
	w.t.Helper()
	for _, s := range w.sides() {
		s.command(ike.Command{Verb: ike.VerbLiveness, Ref: 70})
		s.want(70, ike.OK)
	}
	w.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 71})
	w.a.want(71, ike.OK)
	w.exchangePackets()
}

func pairOf(spis [2]uint64) pair { return pair{sa.SPI(spis[0]), sa.SPI(spis[1])} }
