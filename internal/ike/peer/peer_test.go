package peer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

var (
	us   = netip.MustParseAddr("192.0.2.1")
	them = netip.MustParseAddr("192.0.2.2")
)

func newYear() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }

// script is a machine that does what its test says.
type script struct {
	name     string
	spi      isakmp.SPI
	init     bool
	ref      uint64 // of the command that began it
	start    Start
	lab      *lab
	deadline time.Time
	lockstep bool
	children []ike.ChildStatus
	got      []ike.Input
	react    func(in ike.Input) []ike.Effect // nil: commands end well, the ending ones close
}

func (m *script) Step(_ time.Time, in ike.Input) []ike.Effect {
	m.got = append(m.got, in)
	m.lab.trace = append(m.lab.trace, fmt.Sprintf("%s<%s", m.name, inputName(in)))
	if m.react != nil {
		return m.react(in)
	}
	if c, ok := in.(ike.Command); ok {
		return m.obey(c, ike.OK)
	}
	return nil
}

func (m *script) obey(c ike.Command, r ike.Result) []ike.Effect {
	var out []ike.Effect
	if c.Ref != 0 {
		out = append(out, ike.Outcome{Ref: c.Ref, Verb: c.Verb, Result: r})
	}
	switch c.Verb {
	case ike.VerbClearIKE, ike.VerbShutdown, ike.VerbDiscard:
		out = append(out, ike.Notice{Kind: ike.IKEDown, Cause: c.Cause}, ike.Closed{Why: c.Why})
	}
	return out
}

func (m *script) Deadline() time.Time { return m.deadline }
func (m *script) Status() ike.Status {
	return ike.Status{LocalSPI: m.spi, PeerLockstep: m.lockstep, State: m.name, Children: m.children}
}
func (m *script) Record() ike.Record { return ike.Record{} }

func inputName(in ike.Input) string {
	switch in := in.(type) {
	case ike.Command:
		return verbNames[in.Verb]
	case ike.Datagram:
		return "msg"
	case ike.Tick:
		return "tick"
	case ike.Done:
		return "done"
	case ike.Traffic:
		return "traffic"
	case ike.Reconfigured:
		return "reconfigured"
	}
	return "acquire"
}

var verbNames = map[ike.Verb]string{ike.VerbInitiate: "initiate", ike.VerbDeleteSPI: "delete", ike.VerbRekeySPI: "rekeyspi",
	ike.VerbLiveness: "liveness", ike.VerbClearIKE: "clear", ike.VerbShutdown: "shutdown", ike.VerbDiscard: "discard",
	ike.VerbKickLarval: "kick", ike.VerbClearChild: "clearchild", ike.VerbRekeyIKE: "rekeyike", ike.VerbNotifySPI: "notify"}

// lab is one Peer with machines of the test.
type lab struct {
	*testing.T
	p        *Peer
	now      time.Time
	machines []*script
	trace    []string
	nextSPI  isakmp.SPI // of the next machine
	lockstep bool       // of the next machine's peer
	remoteID policy.Identity
	effects  []ike.Effect
	onStart  func(m *script, ref uint64) []ike.Effect
}

func newLab(t *testing.T, o Options) *lab {
	l := &lab{T: t, now: newYear(), nextSPI: 100, remoteID: fqdn("they")}
	o.Maker = l
	o.Env.AllocSPI = func(sa.Owner) (sa.SPI, error) { return 0x1001, nil }
	l.p = New(&policy.Peer{ID: 3, Tunnel: &policy.Tunnel{Unit: 3, Source: us}, Remote: them, Initiate: true, IKE: &policy.IKEv2Profile{}}, o)
	return l
}

func fqdn(name string) policy.Identity { return policy.Identity{Kind: policy.IDFQDN, Value: name} }

func (l *lab) machine(name string, s Start, init bool) *script {
	m := &script{name: fmt.Sprintf("%s%d", name, len(l.machines)), spi: l.nextSPI, init: init, start: s, lab: l, lockstep: l.lockstep}
	l.machines = append(l.machines, m)
	l.nextSPI++
	return m
}

// Initiate implements Maker.
func (l *lab) Initiate(_ time.Time, s Start, cmd ike.Command) (ike.Machine, []ike.Effect) {
	m := l.machine("i", s, true)
	m.ref = cmd.Ref
	out := []ike.Effect{ike.Claim{SPI: m.spi}}
	if l.onStart != nil {
		out = append(out, l.onStart(m, cmd.Ref)...)
	}
	return m, out
}

// Respond implements Maker.
func (l *lab) Respond(_ time.Time, s Start, _ ike.Datagram) (ike.Machine, []ike.Effect) {
	m := l.machine("r", s, false)
	out := []ike.Effect{ike.Claim{SPI: m.spi}}
	if l.onStart != nil {
		out = append(out, l.onStart(m, 0)...)
	}
	return m, out
}

func (l *lab) step(in ike.Input) []ike.Effect {
	out := l.p.Step(l.now, in)
	l.effects = append(l.effects, out...)
	return out
}

// makes lets machine m return effects, as if for a message of its peer.
func (l *lab) makes(m *script, effects ...ike.Effect) []ike.Effect {
	old := m.react
	first := true
	m.react = func(in ike.Input) []ike.Effect {
		if first {
			first = false
			return effects
		}
		if old != nil {
			return old(in)
		}
		if c, ok := in.(ike.Command); ok {
			return m.obey(c, ike.OK)
		}
		return nil
	}
	return l.step(toSPI(m))
}

// toSPI is a protected message for a machine.
func toSPI(m *script) ike.Datagram {
	h := isakmp.Header{SPIi: 7, SPIr: m.spi, Version: isakmp.Version2, Exchange: isakmp.Informational, Flags: isakmp.FlagInitiator, Length: isakmp.HeaderLen}
	if m.init {
		h.SPIi, h.SPIr, h.Flags = m.spi, 7, 0
	}
	return ike.Datagram{Bytes: h.Append(nil)}
}

// call is an IKE_SA_INIT request of the peer.
func call(spii isakmp.SPI, salt uint32) ike.Datagram {
	h := isakmp.Header{SPIi: spii, Version: isakmp.Version2, Exchange: isakmp.IKESAInit, Flags: isakmp.FlagInitiator, Length: isakmp.HeaderLen + 4}
	return ike.Datagram{Local: netip.AddrPortFrom(us, 500), Remote: netip.AddrPortFrom(them, 500), Bytes: binary.BigEndian.AppendUint32(h.Append(nil), salt)}
}

func (l *lab) up(m *script, contact bool) {
	l.makes(m, ike.Notice{Kind: ike.IKEUp, InitialContact: contact, Initiator: m.init, LocalID: fqdn("we"), RemoteID: l.remoteID}, ike.Outcome{Ref: m.ref, Verb: ike.VerbInitiate, Result: ike.OK})
}
func (l *lab) child(m *script, in sa.SPI) {
	l.makes(m, ike.Install{ID: ike.EffectID(in), Half: sa.BothHalves, Child: sa.Child{Owner: 3, In: in, Out: in + 1}}, ike.Notice{Kind: ike.ChildUp, In: in})
}

// answered brings up an IKE SA that the peer began.
func (l *lab) answered(spii isakmp.SPI, contact bool, child sa.SPI) *script {
	l.step(call(spii, uint32(child)))
	m := l.machines[len(l.machines)-1]
	l.up(m, contact)
	l.child(m, child)
	return m
}

func (l *lab) pass(d time.Duration) {
	end := l.now.Add(d)
	for range 1000 {
		next := l.p.Deadline()
		if next.IsZero() || next.After(end) {
			l.now = end
			return
		}
		if next.After(l.now) {
			l.now = next
		}
		l.step(ike.Tick{})
	}
	l.Fatalf("1000 ticks did not get past %v", l.now)
}

func outcomes(effects []ike.Effect) []ike.Outcome { return pick[ike.Outcome](effects) }

func pick[T ike.Effect](effects []ike.Effect) []T {
	var out []T
	for _, e := range effects {
		if o, ok := e.(T); ok {
			out = append(out, o)
		}
	}
	return out
}

func drops(effects []ike.Effect) []reason.Drop {
	var out []reason.Drop
	for _, d := range pick[ike.Dropped](effects) {
		out = append(out, d.Why)
	}
	return out
}

func (l *lab) wantOutcome(effects []ike.Effect, ref uint64, r ike.Result) {
	l.Helper()
	o := outcomes(effects)
	if len(o) != 1 || o[0].Ref != ref || o[0].Result != r {
		l.Errorf("outcomes %+v, want one with ref %d and result %d", o, ref, r)
	}
}

func (l *lab) saw(step string) bool { return slices.Contains(l.trace, step) }
func (l *lab) count(step string) int {
	return strings.Count(strings.Join(l.trace, " ")+" ", step+" ")
}

func TestMessagesReachTheMachineThatClaimedTheSPI(t *testing.T) {
	l := newLab(t, Options{})
	one, two := l.answered(11, false, 0x2001), l.answered(12, false, 0x2002)
	l.trace = nil
	l.step(toSPI(two))
	if got := strings.Join(l.trace, " "); got != two.name+"<msg" {
		t.Errorf("trace %q", got)
	}
	l.makes(one, ike.Disclaim{SPI: one.spi})
	if got := drops(l.step(toSPI(one))); !slices.Equal(got, []reason.Drop{reason.IKEUnknownSPI}) {
		t.Errorf("after Disclaim: drops %v", got)
	}
}

func TestARepeatedFirstMessageReachesTheMachineItMade(t *testing.T) {
	l := newLab(t, Options{})
	l.step(call(11, 1))
	l.step(call(11, 1))
	if len(l.machines) != 1 || !l.saw("r0<msg") {
		t.Fatalf("%d machines, trace %v", len(l.machines), l.trace)
	}
	if !l.p.Repeats(call(11, 1).Bytes) || l.p.Repeats(call(11, 2).Bytes) {
		t.Error("Repeats goes by something else than the whole message")
	}
	l.step(call(11, 2)) // same SPI, other octets: RFC 7296 §2.1, another IKE SA
	if len(l.machines) != 2 {
		t.Errorf("%d machines", len(l.machines))
	}
}

func TestOurOwnFirstMessageComesBackAsReflected(t *testing.T) {
	l := newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	if got := drops(l.step(call(l.machines[0].spi, 1))); !slices.Equal(got, []reason.Drop{reason.IKEReflected}) {
		t.Errorf("drops %v", got)
	}
}

func TestHalfOpenIKESAsOfOnePeerAreBounded(t *testing.T) {
	l := newLab(t, Options{})
	for i := range uint32(maxHalfOpen) {
		l.step(call(11, i))
	}
	if got := drops(l.step(call(11, 99))); !slices.Equal(got, []reason.Drop{reason.IKEHalfOpenLimit}) {
		t.Errorf("drops %v", got)
	}
	if l.p.HalfOpen() != maxHalfOpen {
		t.Errorf("%d half-open", l.p.HalfOpen())
	}
}

func TestAuthenticatedIKESAsOfOnePeerAreBounded(t *testing.T) {
	l := newLab(t, Options{})
	for i := range maxUp + 1 {
		l.answered(isakmp.SPI(11+i), false, sa.SPI(0x2000+16*i))
		l.now = l.now.Add(time.Minute)
	}
	if !l.saw("r0<clear") || l.saw("r1<clear") {
		t.Errorf("the oldest alone makes room: %v", l.trace)
	}
}

func TestCommandsGoToTheIKESAThatHadTheSPIElseToTheNewest(t *testing.T) {
	l := newLab(t, Options{})
	old := l.answered(11, false, 0x2001)
	l.now = l.now.Add(time.Minute)
	young := l.answered(12, false, 0x2002)
	l.makes(old, ike.Remove{In: 0x2001, Half: sa.BothHalves})
	l.trace = nil
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0x2001, Ref: 1}), 1, ike.OK)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbRekeySPI, SPI: 0x9999, Ref: 2}), 2, ike.OK)
	if want := []string{old.name + "<delete", young.name + "<rekeyspi"}; !slices.Equal(l.trace, want) {
		t.Errorf("trace %v, want %v", l.trace, want)
	}
	l.step(ike.Command{Verb: ike.VerbDiscard})
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0x2001, Ref: 3}), 3, ike.NoIKE)
}

func TestTrafficAndDonesReachTheirMachine(t *testing.T) {
	l := newLab(t, Options{})
	one := l.answered(11, false, 0x2001)
	l.answered(12, false, 0x2002)
	l.trace = nil
	l.step(ike.Traffic{SPI: 0x2001, Kind: ike.SoftBytes})
	l.step(ike.Done{ID: 0x2001})
	l.step(ike.Done{ID: 0x2001}) // a second one is nobody's
	l.step(ike.Traffic{SPI: 0x7777})
	if want := []string{one.name + "<traffic", one.name + "<done"}; !slices.Equal(l.trace, want) {
		t.Errorf("trace %v, want %v", l.trace, want)
	}
}

func TestAKickReachesTheMachineThatOfferedTheSPI(t *testing.T) {
	l := newLab(t, Options{})
	l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbKickLarval, SPI: 0x1001, Ref: 2}), 2, ike.Moot)
	if _, err := l.machines[0].start.Env.AllocSPI(3); err != nil {
		t.Fatal(err)
	}
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbKickLarval, SPI: 0x1001, Ref: 3}), 3, ike.OK)
}

func TestOneOutcomeForACommandToAllAndItIsTheWorst(t *testing.T) {
	l := newLab(t, Options{})
	l.answered(11, false, 0x2001)
	bad := l.answered(12, false, 0x2002)
	bad.react = func(in ike.Input) []ike.Effect {
		if c, ok := in.(ike.Command); ok {
			return bad.obey(c, ike.TimedOut)
		}
		return nil
	}
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbClearIKE, Ref: 9}), 9, ike.TimedOut)
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbClearIKE, Ref: 10}), 10, ike.OK) // none left
}

func TestEveryCommandEndsInOneOutcomeWhateverTheMachineDoes(t *testing.T) {
	l := newLab(t, Options{})
	m := l.answered(11, false, 0x2001)
	m.react = func(in ike.Input) []ike.Effect {
		c, ok := in.(ike.Command)
		switch {
		case !ok:
			return nil
		case c.Verb == ike.VerbLiveness:
			return append(m.obey(c, ike.OK), m.obey(c, ike.OK)...) // twice
		case c.Verb == ike.VerbRekeyIKE:
			return nil // never
		}
		return m.obey(c, ike.OK)
	}
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbLiveness, Ref: 1}), 1, ike.OK)
	if got := outcomes(l.step(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 2})); len(got) != 0 {
		t.Fatalf("too early: %v", got)
	}
	m.react = nil
	out := outcomes(l.step(ike.Command{Verb: ike.VerbDiscard, Ref: 3}))
	if len(out) != 2 || out[0].Ref != 3 || out[1].Ref != 2 || out[1].Result != ike.NoIKE {
		t.Errorf("outcomes %+v", out)
	}
}

func TestAPanicClosesItsMachineAlone(t *testing.T) {
	l := newLab(t, Options{})
	bad := l.answered(11, false, 0x2001)
	good := l.answered(12, false, 0x2002)
	if _, err := bad.start.Env.AllocSPI(3); err != nil {
		t.Fatal(err)
	}
	bad.react = func(ike.Input) []ike.Effect { panic("boom") }
	out := l.step(ike.Command{Verb: ike.VerbDeleteSPI, SPI: 0x2001, Ref: 5})
	l.wantOutcome(out, 5, ike.InternalFailed)
	if got := drops(out); !slices.Equal(got, []reason.Drop{reason.IKEPanic}) {
		t.Errorf("drops %v", got)
	}
	if r := pick[ike.Remove](out); len(r) != 1 || r[0].In != 0x2001 || r[0].Half != sa.BothHalves || r[0].Owner != 3 {
		t.Errorf("removals %+v", r)
	}
	if r := pick[ike.Release](out); len(r) != 1 || r[0].SPI != 0x1001 {
		t.Errorf("releases %+v", r)
	}
	if r := pick[ike.Report](out); len(r) != 1 || !strings.Contains(r[0].Event.Text, "boom") {
		t.Errorf("reports %+v", r)
	}
	if d := pick[ike.Disclaim](out); len(d) != 1 || d[0].SPI != bad.spi {
		t.Errorf("claims dropped %v", d)
	}
	l.trace = nil
	l.step(toSPI(bad))
	l.step(toSPI(good))
	if want := []string{good.name + "<msg"}; !slices.Equal(l.trace, want) {
		t.Errorf("trace %v: the other must live, the broken one must not be stepped", l.trace)
	}
}

func TestAPanicWhileBeginningIsCaught(t *testing.T) {
	l := newLab(t, Options{})
	l.onStart = func(*script, uint64) []ike.Effect { panic("boom") }
	l.wantOutcome(l.step(ike.Command{Verb: ike.VerbInitiate, Ref: 5}), 5, ike.InternalFailed)
	if got := drops(l.step(call(11, 1))); !slices.Equal(got, []reason.Drop{reason.IKEPanic}) || !l.p.Empty() {
		t.Errorf("drops %v, empty %v", got, l.p.Empty())
	}
}
