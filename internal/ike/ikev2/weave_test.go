package ikev2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

// A weave is one case of a collision table: two gateways that are up, each told to do something, and one order in which
// the network carries what they say. Every point at which something else could have come next is a choice; explore
// goes through all of them. Time passes only where nothing is under way, so a lost message is missed for as long as
// everything else takes.
type weave struct {
	*lab
	pick   func(n int) int
	starts []start
	losses int  // messages that may still be lost
	busy   bool // notes of the data plane reach the machines; false: an idle tunnel
	gap    bool // what is done may cost packets: only what arrives must be good

	began   time.Time
	letters map[string]*letter // by their octets
	numbers [2]int             // letters so far in exchanges of a and of b
	came    []*letter          // in order of arrival, repetitions too
	ended   map[string]bool    // side and IKE SA whose Delete it got
	told    [2]int             // how many had come when a and b were told; -1: the one was not
	lost    []packet
	moves   []string
	old     pair // the child that the case begins with
	oldIKE  string
	drawing *diagram
	wide    bool // the diagram names the IKE SA of each message
	sealed  [2][]byte
}

// TestMain lets garbage lie for longer: the tables make much of it, and keep nothing.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// start is what one side is told. It happens at any time, or before all else where atOnce is set.
type start struct {
	of     *side
	act    act
	atOnce bool
	done   bool
}

// act is something that a gateway may be told at any time.
type act uint8

const (
	rekeyChild act = iota
	deleteChild
	createChild // a packet wants a child
	rekeyIKE
	deleteIKE
	rekeyNewest // the child that the case itself has made
	deleteNewest
)

var actNames = [...]string{"rekeys the child", "deletes the child", "wants a child", "rekeys the IKE SA", "deletes the IKE SA",
	"rekeys the new child", "deletes the new child"}

func (a act) String() string { return actNames[a] }

const (
	refA, refB = 50, 51
	hopTime    = 10 * time.Millisecond
	caseTime   = 6 * time.Minute // within which the last retransmission and every grace is over
)

// explore runs a case for every sequence of choices and counts them. run may stop early, but not choose differently for
// the same choices.
func explore(run func(pick func(n int) int)) int {
	var path []int
	for n := 1; ; n++ {
		var taken, width []int
		run(func(n int) int {
			choice := 0
			if len(taken) < len(path) {
				choice = path[len(taken)]
			}
			taken, width = append(taken, choice), append(width, n)
			return choice
		})
		i := len(taken) - 1
		for i >= 0 && taken[i]+1 == width[i] {
			i--
		}
		if i < 0 {
			return n
		}
		path = append(slices.Clone(taken[:i]), taken[i]+1)
	}
}

// newWeave brings both gateways up. change edits them before.
func newWeave(t testing.TB, pick func(int) int, change func(l *lab)) *weave {
	w := &weave{lab: newLab(t), pick: pick, letters: map[string]*letter{}, ended: map[string]bool{}}
	for _, s := range w.sides() {
		s.cfg.Peer.Initiate = false // nothing but the case makes a child
		s.cfg.Env.KE = toyKE(s.rand)
	}
	w.drawing = newDiagram(w.now)
	w.lab.story = w.story
	w.packets()
	if change != nil {
		change(w.lab)
	}
	w.up()
	w.old = pair{0xA001, 0xB001}
	w.oldIKE = ikeNames(w.a)
	w.began = w.now
	w.told = [2]int{-1, -1}
	w.tap = w.leaves
	return w
}

// toy is a key exchange that costs nothing and hides nothing: both ends get the same octets, which is all a table needs.
type toy struct {
	group  suite.Group
	public []byte
}

func toyKE(rand io.Reader) func(uint16) (suite.KeyExchange, error) {
	return func(id uint16) (suite.KeyExchange, error) {
		g, ok := suite.GroupByID(id)
		if !ok {
			return nil, errors.New("no such group")
		}
		k := toy{g, make([]byte, g.PublicLen())}
		_, err := io.ReadFull(rand, k.public[:8])
		return k, err
	}
}

func (k toy) Group() uint16  { return k.group.ID() }
func (k toy) Public() []byte { return k.public }
func (k toy) Shared(peer []byte) ([]byte, error) {
	if string(peer) < string(k.public) {
		return append(slices.Clone(peer), k.public...), nil
	}
	return append(slices.Clone(k.public), peer...), nil
}

func (l *lab) sides() [2]*side { return [2]*side{l.a, l.b} }

// ikeNames is the current IKE SA of a side as the pair of SPIs of its two ends, a's first.
func ikeNames(s *side) string {
	st := s.m.Status()
	if s == s.lab.a {
		return ikeName(st.LocalSPI) + "-" + ikeName(st.RemoteSPI)
	}
	return ikeName(st.RemoteSPI) + "-" + ikeName(st.LocalSPI)
}

// leaves notes a message that was sent.
func (w *weave) leaves(p packet) {
	x, again := w.letters[string(p.msg)]
	if !again {
		read := w.read(p)
		i := 0
		if read.asker == w.b {
			i = 1
		}
		w.numbers[i]++
		read.n, read.left = w.numbers[i], len(w.came)
		x = &read
		w.letters[string(p.msg)] = x
	}
	if again && !x.header().Response() && w.ended[p.from.name+x.sa] {
		w.fatalf("%s repeats %s on an IKE SA that it knows to be over", p.from.name, x.name())
	}
	w.drawing.leaves(w.now, *x, again, w.wide)
}

// move is one thing that may come next.
type move struct {
	name string
	do   func()
}

// options are all that may come next while something is under way.
func (w *weave) options() []move {
	var out []move
	for i := range w.starts {
		s := &w.starts[i]
		if !s.done {
			out = append(out, move{s.of.name + "!", func() { w.begin(s) }})
			if s.atOnce {
				return out
			}
		}
	}
	for i, p := range w.wire {
		x := w.letters[string(p.msg)]
		out = append(out, move{x.name(), func() { w.deliver(i, x) }})
	}
	if w.losses > 0 {
		for i, p := range w.wire {
			x := w.letters[string(p.msg)]
			out = append(out, move{x.name() + "✗", func() { w.lose(i, x) }})
		}
	}
	for _, s := range w.sides() {
		if s.open != nil {
			out = append(out, move{s.name + "+", func() { w.drawing.draw(w.now, s == w.a, "installed"); s.release() }})
		}
	}
	return out
}

func (w *weave) begin(s *start) {
	s.done = true
	if s.act == rekeyIKE && ikeNames(s.of) != w.oldIKE || s.of.closed != "" {
		return // replaced already: the next one is not the subject
	}
	newest := s.of.plane.newest()
	if newest == 0 && (s.act == rekeyNewest || s.act == deleteNewest) {
		return
	}
	w.drawing.draw(w.now, s.of == w.a, s.act.String())
	i, ref, spi := 0, uint64(refA), w.old.a
	if s.of == w.b {
		i, ref, spi = 1, refB, w.old.b
	}
	w.told[i] = len(w.came)
	switch s.act {
	case rekeyChild:
		s.of.step(ike.Command{Verb: ike.VerbRekeyChild, SPI: spi, Ref: ref})
	case deleteChild:
		s.of.step(ike.Command{Verb: ike.VerbClearChild, SPI: spi, Ref: ref})
	case createChild:
		s.of.step(wanted())
	case rekeyIKE:
		s.of.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: ref})
	case rekeyNewest:
		s.of.step(ike.Command{Verb: ike.VerbRekeyChild, SPI: newest, Ref: ref})
	case deleteNewest:
		s.of.step(ike.Command{Verb: ike.VerbClearChild, SPI: newest, Ref: ref})
	case deleteIKE:
		s.of.step(ike.Command{Verb: ike.VerbClearIKE, Ref: ref})
	}
}

// wanted is a packet that finds no child.
func wanted() ike.Acquire {
	return ike.Acquire{TSLocal: prefix("10.9.0.1/32"), TSRemote: prefix("10.9.0.1/32")}
}

func (w *weave) deliver(i int, x *letter) {
	p := w.wire[i]
	w.wire = slices.Delete(w.wire, i, i+1)
	w.now = w.now.Add(hopTime)
	w.drawing.comes(w.now, *x)
	w.came = append(w.came, x)
	if d, ok := ike2.Find[*ike2.Delete](x.ps); ok && d.Protocol == ike2.ProtoIKE {
		w.ended[p.to.name+x.sa] = true
	}
	w.arrive(p)
}

func (w *weave) lose(i int, x *letter) {
	w.losses--
	w.lost = append(w.lost, w.wire[i])
	w.wire = slices.Delete(w.wire, i, i+1)
	w.drawing.vanishes(w.now, *x)
}

// run carries the case to its end, with packets both ways after every step.
func (w *weave) run() {
	w.exchangePackets()
	end := w.began.Add(caseTime)
	for {
		if options := w.options(); len(options) > 0 {
			m := options[0]
			if len(options) > 1 {
				m = options[w.pick(len(options))]
			}
			w.moves = append(w.moves, m.name)
			m.do()
		} else if !w.pass(end) {
			break
		}
		w.exchangePackets()
	}
	w.tap = nil
	w.stragglers()
}

// pass lets time pass until the next deadline of either side, false at the end.
func (w *weave) pass(end time.Time) bool {
	next, who := end, (*side)(nil)
	for _, s := range w.sides() {
		if s.closed != "" {
			continue
		}
		if t := s.m.Deadline(); !t.IsZero() && t.Before(next) {
			next, who = t, s
		}
	}
	if next.After(w.now) {
		w.now = next
	}
	if who == nil {
		return false
	}
	who.step(ike.Tick{})
	return true
}

// stragglers brings lost messages after all: copies that took minutes. They may change nothing.
func (w *weave) stragglers() {
	before := w.a.plane.holds() + w.b.plane.holds()
	for _, p := range w.lost {
		w.arrive(p)
	}
	w.lab.run()
	if after := w.a.plane.holds() + w.b.plane.holds(); after != before {
		w.fatalf("a late copy changed the children from %s to %s", before, after)
	}
}

// exchangePackets sends one packet each way, and lets those of the step before arrive only now. Where there is a child,
// make-before-break promises that they get through: on the old SA, on the new one, or early and then when it is there.
func (w *weave) exchangePackets() {
	for i, s := range w.sides() {
		if w.sealed[i] != nil && s.closed == "" && w.other(s).closed == "" {
			w.reaches(w.other(s), w.sealed[i])
		}
		w.sealed[i] = nil
		if b := s.plane.seal(); b != nil && w.other(s).closed == "" {
			w.reaches(w.other(s), b)
			w.sealed[i] = s.plane.seal()
		}
	}
	for _, s := range w.sides() {
		if w.busy {
			s.plane.tell()
		}
		s.plane.notes = nil
	}
}

func (w *weave) reaches(s *side, b []byte) {
	if w.gap && !s.plane.knows(b) {
		return
	}
	s.plane.receive(b)
}

// story is the case so far: what was chosen, the diagram, what both hold, and what they said of it.
func (w *weave) story() string {
	text := fmt.Sprintf("moves: %s\n%s\na holds %s\nb holds %s\n", w.schedule(), w.drawing, w.a.plane.holds(), w.b.plane.holds())
	for _, s := range w.sides() {
		for _, e := range s.events {
			text += "\n" + s.name + ": " + e.Text
		}
	}
	return text
}

// schedule is the case in words: a! and b! are the commands, a1 the first message of a's exchanges, ✗ its loss, a+ an
// installation of a that ends.
func (w *weave) schedule() string { return strings.Join(w.moves, " ") }

// replay picks by a schedule, so that a case can be named. What it leaves open goes the first way.
func (w *weave) replay(schedule string) {
	todo := strings.Fields(schedule)
	w.pick = func(int) int {
		at := len(w.moves)
		if at >= len(todo) {
			return 0
		}
		i := slices.IndexFunc(w.options(), func(m move) bool { return m.name == todo[at] })
		if i < 0 {
			w.fatalf("the schedule %q goes another way", schedule)
		}
		return i
	}
}

// requests are the first arrivals of requests of s that fit.
func (w *weave) requests(s *side, fits func(x *letter) bool) (out []*letter) {
	for _, x := range w.came {
		if x.from == s && !x.header().Response() && fits(x) && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// arrival is the place of a letter's first arrival among all, or never, which is behind all.
func (w *weave) arrival(x *letter) int {
	if i := slices.Index(w.came, x); i >= 0 {
		return i
	}
	return len(w.came)
}

// answer is the response to a request, nil if there was none.
func (w *weave) answer(request *letter) *letter {
	for _, x := range w.letters {
		if x.header().Response() && x.asker == request.asker && x.sa == request.sa && x.header().MessageID == request.header().MessageID {
			return x
		}
	}
	return nil
}

// mustBeClean: no SPI is left half made, and no early packet waits.
func (w *weave) mustBeClean() {
	w.t.Helper()
	for _, s := range w.sides() {
		for spi, st := range s.sad {
			if st == sa.Larval || st == sa.Installing {
				w.fatalf("%s: %v is left %v", s.name, spi, st)
			}
		}
		if s.plane.early != 0 {
			w.fatalf("%s: %d early packets wait for ever", s.name, s.plane.early)
		}
	}
	w.uniqueIVs()
	w.mustRefuseWhileBusy()
}

// mustRefuseWhileBusy: an IKE rekey and an exchange about a child do not go together, nor does an IKE rekey with the end of
// its IKE SA. Who is asked for the one while his own other is out says TEMPORARY_FAILURE (RFC 7296 §2.25.1, §2.25.2).
func (w *weave) mustRefuseWhileBusy() {
	w.t.Helper()
	for _, s := range w.sides() {
		for _, asked := range w.requests(s, func(x *letter) bool { return x.spiOf() != 0 }) {
			for _, own := range w.requests(w.other(s), func(x *letter) bool { return x.sa == asked.sa && conflict(asked, x) }) {
				at := w.arrival(asked)
				if own.left > at || w.arrival(w.answer(own)) < at {
					continue
				}
				if answer := w.answer(asked); answer != nil && ike2.FindNotify(answer.ps, ike2.TemporaryFailure) == nil {
					w.fatalf("%s is answered %v while %s is out", asked.name(), answer, own.name())
				}
			}
		}
	}
}

func conflict(asked, own *letter) bool {
	if _, deletes := ike2.Find[*ike2.Delete](own.ps); isIKERekey(asked) {
		return deletes || own.spiOf() != 0 && !isIKERekey(own)
	}
	return isIKERekey(own)
}
