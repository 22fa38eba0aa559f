package ikev2

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// lab wires two machines back to back in one goroutine: a network of datagrams, two effect runners that keep the contract
// of package ike, and a model of each side's SA database.
type lab struct {
	t     testing.TB
	now   time.Time
	a, b  *side
	wire  []packet      // in flight, in order
	log   []string      // what happened, for a failure
	story func() string // tells it in place of log, which is not kept then; nil: log
	// fault decides what becomes of a packet; nil: deliver.
	fault func(p packet) fate
	// rewrite changes a packet on its way, as a translator does; nil: no change.
	rewrite func(p *packet)
	// check runs after every step of a machine.
	check func()
	// tap sees every message as it leaves.
	tap func(p packet)
}

type fate uint8

const (
	deliver fate = iota
	lose
	twice
	hold // put behind all others
)

type packet struct {
	from, to      *side
	local, remote netip.AddrPort // of the sender
	msg           []byte
	held          bool
}

func (p packet) header() isakmp.Header { h, _ := isakmp.ParseHeader(p.msg); return h }

func (p packet) String() string {
	h := p.header()
	kind := "request"
	if h.Response() {
		kind = "response"
	}
	return fmt.Sprintf("%s→%s %v %s %d", p.from.name, p.to.name, h.Exchange, kind, h.MessageID)
}

// side is one gateway: its machine, its runner, its SA database.
type side struct {
	lab     *lab
	name    string
	cfg     Config
	m       ike.Machine
	queue   []ike.Effect
	blocked *ike.EffectID
	open    func()     // ends the open barrier
	jar     *CookieJar // asks for cookies; nil: none
	// slow keeps a barrier open until release; fail makes it fail.
	slow func(e ike.Effect) bool
	fail func(e ike.Effect) error

	sad      map[sa.SPI]sa.State
	inbound  map[sa.SPI]sa.Child
	outbound []sa.Child // newest last
	tombs    map[sa.SPI]sa.TombReason
	claims   map[isakmp.SPI]bool
	drops    map[reason.Drop]int
	outcomes map[uint64]ike.Outcome
	notices  []ike.Notice
	events   []event.Record
	sent     []packet
	moved    []ike.Moved
	closed   string
	plane    *plane // packets and the real SA database beside the model; nil: the model alone
	rand     *drbg
	nextID   ike.EffectID
	nextSPI  sa.SPI
	nextIKE  isakmp.SPI
}

// drbg is a deterministic source: SHA-256 in counter mode. forced octets come first.
type drbg struct {
	seed   string
	n      uint64
	rest   []byte
	forced [][]byte // whole reads of 32 octets, in order: nonces
}

func (r *drbg) Read(b []byte) (int, error) {
	if len(b) == nonceLen && len(r.forced) > 0 {
		copy(b, r.forced[0])
		r.forced = r.forced[1:]
		return len(b), nil
	}
	for i := range b {
		if len(r.rest) == 0 {
			r.n++
			sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(r.seed), r.n))
			r.rest = sum[:]
		}
		b[i], r.rest = r.rest[0], r.rest[1:]
	}
	return len(b), nil
}

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("198.51.100.2")
)

func testPeer(remote netip.Addr) *policy.Peer {
	return &policy.Peer{
		ID: 0, Tunnel: &policy.Tunnel{Unit: 0}, Remote: remote, Initiate: true,
		IKE: &policy.IKEv2Profile{Name: "prof", Lifetime: 24 * time.Hour},
		IPsec: &policy.IPsecProfile{Name: "ipsec", Lifetime: time.Hour, LifetimeKB: 4608000, ReplayWindow: 64,
			TransformSets: []policy.TransformSet{{Name: "gcm", Cipher: policy.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}}}},
		Proposals: []policy.IKEProposal{{Name: "prop", Encr: []policy.Cipher{{Encr: suite.EncrAESGCM16, KeyBits: 256}},
			PRF: []uint16{suite.PRFHMACSHA256}, Groups: []uint16{suite.GroupCurve25519}}},
		Key: policy.KeyringPeer{Name: "other", Local: policy.NewSecret([]byte("shared secret")), Remote: policy.NewSecret([]byte("shared secret"))},
	}
}

// newLab makes two gateways that know each other; change them before start.
func newLab(t testing.TB) *lab {
	l := &lab{t: t, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	l.a = l.newSide("a", addrA, addrB, 0xA000)
	l.b = l.newSide("b", addrB, addrA, 0xB000)
	return l
}

func (l *lab) newSide(name string, own, other netip.Addr, base uint32) *side {
	s := &side{lab: l, name: name, sad: map[sa.SPI]sa.State{}, inbound: map[sa.SPI]sa.Child{}, tombs: map[sa.SPI]sa.TombReason{},
		claims: map[isakmp.SPI]bool{}, drops: map[reason.Drop]int{}, outcomes: map[uint64]ike.Outcome{},
		rand: &drbg{seed: name}, nextSPI: sa.SPI(base), nextIKE: isakmp.SPI(base) << 32}
	keys := &drbg{seed: name + " keys"}
	s.cfg = Config{Peer: testPeer(other), Local: netip.AddrPortFrom(own, 500), Remote: netip.AddrPortFrom(other, 500),
		Encap:  policy.EncapNever,
		NextID: func() ike.EffectID { s.nextID++; return s.nextID },
		Env: ike.Env{Rand: s.rand,
			KE: func(group uint16) (suite.KeyExchange, error) {
				g, ok := suite.GroupByID(group)
				if !ok {
					return nil, errors.New("no such group")
				}
				return g.Generate(keys)
			},
			AllocSPI: func(o sa.Owner) (sa.SPI, error) {
				s.nextSPI++
				s.sad[s.nextSPI] = sa.Larval
				s.plane.reserve(s.nextSPI, o)
				return s.nextSPI, nil
			},
			AllocIKE: func() isakmp.SPI { s.nextIKE++; return s.nextIKE },
			SPIState: func(spi sa.SPI) sa.State { return s.sad[spi] },
		}}
	return s
}

func (l *lab) logf(format string, args ...any) {
	if l.story != nil {
		return
	}
	l.log = append(l.log, l.now.Format("05.000 ")+fmt.Sprintf(format, args...))
}

// transcript is the story so far.
func (l *lab) transcript() string {
	if l.story != nil {
		return l.story()
	}
	return strings.Join(l.log, "\n")
}

func (l *lab) fatalf(format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf(format+"\n%s", append(args, l.transcript())...)
}

func (l *lab) other(s *side) *side {
	if s == l.a {
		return l.b
	}
	return l.a
}

// start lets a begin; b answers when the first message comes.
func (l *lab) start() {
	m, effects := Initiate(l.now, l.a.cfg, ike.Command{Verb: ike.VerbInitiate, Ref: 1})
	l.a.m = m
	l.a.take(effects)
}

// up is start and run, and the tunnel must be up.
func (l *lab) up() {
	l.t.Helper()
	l.start()
	l.run()
	l.mustWork()
}

func (s *side) take(effects []ike.Effect) {
	s.queue = append(s.queue, effects...)
	s.runEffects()
}

// step gives one input; its effects queue behind those that wait for a barrier.
func (s *side) step(in ike.Input) {
	if s.closed != "" || s.m == nil {
		return
	}
	s.take(s.m.Step(s.lab.now, in))
}

func (s *side) runEffects() {
	for len(s.queue) > 0 && s.blocked == nil {
		e := s.queue[0]
		s.queue = s.queue[1:]
		s.perform(e)
	}
	if s.lab.check != nil {
		s.lab.check()
	}
}

func (s *side) perform(e ike.Effect) {
	switch e := e.(type) {
	case ike.Persist:
		s.barrier(e, e.ID, nil)
	case ike.Install:
		s.sad[e.Child.In] = max(s.sad[e.Child.In], sa.Installing)
		s.barrier(e, e.ID, func() { s.install(e) })
	case ike.Compute:
		s.barrier(e, e.ID, nil)
	case ike.Remove:
		s.remove(e)
	case ike.Release:
		if s.sad[e.SPI] != sa.Larval {
			s.lab.fatalf("%s releases %v, which is %v", s.name, e.SPI, s.sad[e.SPI])
		}
		delete(s.sad, e.SPI)
		s.plane.release(e.SPI)
	case ike.Moved:
		s.moved = append(s.moved, e)
	case ike.Send:
		s.transmit(e)
	case ike.Dropped:
		s.drops[e.Why]++
		s.lab.logf("%s drops: reason %d", s.name, e.Why)
	case ike.Report:
		if s.lab.story == nil || !strings.Contains(e.Event.Text, "\n") { // a diagram has the messages
			s.events = append(s.events, e.Event)
		}
		if e.Event.Mnemonic != "" {
			s.lab.logf("%s: %%%s: %s", s.name, e.Event.Mnemonic, e.Event.Text)
		} else if !strings.Contains(e.Event.Text, "\n") {
			s.lab.logf("%s: %s", s.name, e.Event.Text)
		}
	case ike.Outcome:
		if _, twice := s.outcomes[e.Ref]; twice {
			s.lab.fatalf("%s: second outcome for %d", s.name, e.Ref)
		}
		s.outcomes[e.Ref] = e
		s.lab.logf("%s: outcome of %d: %d after %d round trips %s", s.name, e.Ref, e.Result, e.RoundTrips, e.Detail)
	case ike.Notice:
		s.notices = append(s.notices, e)
	case ike.Claim:
		s.claims[e.SPI] = true
	case ike.Disclaim:
		delete(s.claims, e.SPI)
	case ike.Closed:
		s.closed = e.Why
		s.lab.logf("%s closed: %s", s.name, e.Why)
	}
}

// barrier performs a barrier effect now, or leaves it open until release.
func (s *side) barrier(e ike.Effect, id ike.EffectID, do func()) {
	finish := func() {
		d := ike.Done{ID: id}
		if s.fail != nil {
			d.Err = s.fail(e)
		}
		if c, ok := e.(ike.Compute); ok && d.Err == nil {
			d.Value, d.Err = c.Run()
		}
		if d.Err == nil && do != nil {
			do()
		}
		s.lab.logf("%s: %T done %v", s.name, e, d.Err)
		if s.closed == "" {
			s.queue = append(s.m.Step(s.lab.now, d), s.queue...)
		}
	}
	if s.slow != nil && s.slow(e) {
		s.blocked = &id
		s.open = func() { s.blocked = nil; finish(); s.runEffects() }
		return
	}
	finish()
}

// release ends the open barrier of s.
func (s *side) release() {
	if f := s.open; f != nil {
		s.open = nil
		f()
	}
}

func (s *side) install(e ike.Install) {
	if e.Half&sa.InboundHalf != 0 {
		s.sad[e.Child.In] = sa.Installed
		s.inbound[e.Child.In] = e.Child
	}
	if e.Half&sa.OutboundHalf != 0 {
		s.outbound = append(s.outbound, e.Child)
	}
	s.plane.install(e)
	s.lab.logf("%s: install %d of %v/%v", s.name, e.Half, e.Child.In, e.Child.Out)
}

func (s *side) remove(e ike.Remove) {
	s.plane.remove(e)
	s.lab.logf("%s: remove %d of %v/%v: %v", s.name, e.Half, e.In, e.Out, e.Why)
	if e.Half&sa.InboundHalf != 0 {
		delete(s.inbound, e.In)
		s.sad[e.In] = sa.Tombed
		s.tombs[e.In] = e.Why
	}
	if e.Half&sa.OutboundHalf != 0 {
		s.outbound = slices.DeleteFunc(s.outbound, func(c sa.Child) bool { return c.Out == e.Out })
	}
}

func (s *side) transmit(e ike.Send) {
	if len(e.Bytes) == 1 {
		if e.Marker || e.Bytes[0] != 0xff {
			s.lab.fatalf("%s: keepalive with marker", s.name)
		}
		s.sent = append(s.sent, packet{from: s, to: s.lab.other(s), local: e.Local, remote: e.Remote, msg: e.Bytes})
		return
	}
	if e.Marker != (e.Local.Port() == 4500) {
		s.lab.fatalf("%s: marker %v from port %d", s.name, e.Marker, e.Local.Port())
	}
	p := packet{from: s, to: s.lab.other(s), local: e.Local, remote: e.Remote, msg: slices.Clone(e.Bytes)}
	s.sent = append(s.sent, p)
	s.lab.wire = append(s.lab.wire, p)
	if s.lab.tap != nil {
		s.lab.tap(p)
	}
}

// run delivers until the network is silent.
func (l *lab) run() {
	for n := 0; len(l.wire) > 0; n++ {
		if n > 10000 {
			l.fatalf("the network does not fall silent")
		}
		l.hop()
	}
}

// hop takes one packet off the wire.
func (l *lab) hop() {
	p := l.wire[0]
	l.wire = l.wire[1:]
	what := deliver
	if l.fault != nil && !p.held {
		what = l.fault(p)
	}
	switch what {
	case lose:
		l.logf("%v lost", p)
		return
	case hold:
		p.held = true
		l.logf("%v held", p)
		l.wire = append(l.wire, p)
		return
	case twice:
		l.arrive(p)
	}
	l.arrive(p)
}

func (l *lab) arrive(p packet) {
	l.logf("%v", p)
	if l.rewrite != nil {
		l.rewrite(&p)
	}
	d := ike.Datagram{Local: p.remote, Remote: p.local, Bytes: slices.Clone(p.msg)}
	h := p.header()
	if p.to.m == nil && h.Exchange == isakmp.IKESAInit && !h.Response() {
		if j := p.to.jar; j != nil {
			if ok, reply := j.Check(d.Bytes, d.Remote, l.now); !ok {
				l.logf("%s asks for a cookie", p.to.name)
				l.wire = append(l.wire, packet{from: p.to, to: p.from, local: d.Local, remote: d.Remote, msg: reply})
				return
			}
		}
		m, effects := Respond(l.now, p.to.cfg, d)
		p.to.m = m
		p.to.take(effects)
		if p.to.closed != "" && h.SPIr == 0 && !p.to.claims[h.SPIr] && len(p.to.claims) == 0 {
			p.to.m, p.to.closed = nil, "" // an answer without state
		}
		return
	}
	p.to.step(d)
}

// advance lets time pass, with every Tick in its place, and the network run dry after each.
func (l *lab) advance(d time.Duration) {
	end := l.now.Add(d)
	for n := 0; ; n++ {
		if n > 100000 {
			l.fatalf("deadlines without end")
		}
		next, who := end, (*side)(nil)
		for _, s := range []*side{l.a, l.b} {
			if s.m == nil || s.closed != "" {
				continue
			}
			if t := s.m.Deadline(); !t.IsZero() && !t.After(next) {
				next, who = t, s
			}
		}
		if next.After(l.now) {
			l.now = next
		}
		if who == nil {
			return
		}
		who.step(ike.Tick{})
		l.run()
	}
}

// command gives a command and lets the network run dry.
func (s *side) command(c ike.Command) {
	s.step(c)
	s.lab.run()
}

// out is the SA that a side sends on.
func (s *side) out() (sa.Child, bool) {
	if len(s.outbound) == 0 {
		return sa.Child{}, false
	}
	return s.outbound[len(s.outbound)-1], true
}

// mustWork: each side sends on an SA that the other has installed, with the same keys and mirrored selectors.
func (l *lab) mustWork() {
	l.t.Helper()
	for _, s := range []*side{l.a, l.b} {
		if why := l.broken(s); why != "" {
			l.fatalf("%s", why)
		}
	}
}

func (l *lab) broken(s *side) string {
	c, ok := s.out()
	if !ok {
		return s.name + " has no outbound SA"
	}
	peer, ok := l.other(s).inbound[c.Out]
	switch {
	case !ok:
		return fmt.Sprintf("%s sends on %v, which the other side does not have", s.name, c.Out)
	case !c.KeyOut.Equal(peer.KeyIn) || c.Cipher != peer.Cipher || c.ESN != peer.ESN:
		return fmt.Sprintf("%s and its peer have different keys for %v", s.name, c.Out)
	case !slices.Equal(c.TSLocal, peer.TSRemote) || !slices.Equal(c.TSRemote, peer.TSLocal):
		return fmt.Sprintf("selectors of %v differ: %v %v", c.Out, c.TSLocal, peer.TSRemote)
	case c.Encap != peer.Encap:
		return fmt.Sprintf("encapsulation of %v differs", c.Out)
	}
	return ""
}

// watch checks make-before-break after every step: whoever sends, sends on what the other side can receive.
func (l *lab) watch() {
	l.check = func() {
		for _, s := range []*side{l.a, l.b} {
			if why := l.broken(s); why != "" {
				l.fatalf("make-before-break: %s", why)
			}
		}
	}
}

// settle lets grace, fallbacks and Deletes pass, so that both sides have the same set of SAs, which is n pairs.
func (l *lab) settle(n int) {
	l.t.Helper()
	l.advance(3 * time.Minute)
	l.mustAgree(n)
}

func (l *lab) mustAgree(n int) {
	l.t.Helper()
	for _, s := range []*side{l.a, l.b} {
		if len(s.inbound) != n || len(s.outbound) != n || len(s.m.Status().Children) != n {
			l.fatalf("%s has %d inbound, %d outbound, %d children, want %d", s.name, len(s.inbound), len(s.outbound), len(s.m.Status().Children), n)
		}
		for _, c := range s.outbound {
			if _, ok := l.other(s).inbound[c.Out]; !ok {
				l.fatalf("%s: %v is not at the other side", s.name, c.Out)
			}
		}
		for spi, st := range s.sad {
			if st == sa.Larval || st == sa.Installing {
				l.fatalf("%s: %v is left %v", s.name, spi, st)
			}
		}
	}
}

// result is how a command ended; it must have.
func (s *side) result(ref uint64) ike.Outcome {
	s.lab.t.Helper()
	o, ok := s.outcomes[ref]
	if !ok {
		s.lab.fatalf("%s: command %d has no outcome", s.name, ref)
	}
	return o
}

func (s *side) want(ref uint64, r ike.Result) ike.Outcome {
	s.lab.t.Helper()
	o := s.result(ref)
	if o.Result != r {
		s.lab.fatalf("%s: command %d ended with %d (%s), want %d", s.name, ref, o.Result, o.Detail, r)
	}
	return o
}

// said counts events with the mnemonic whose text has all parts.
func (s *side) said(mnemonic string, parts ...string) bool {
	return slices.ContainsFunc(s.events, func(r event.Record) bool {
		if r.Mnemonic != mnemonic {
			return false
		}
		for _, p := range parts {
			if !strings.Contains(r.Text, p) {
				return false
			}
		}
		return true
	})
}

// noticed counts notices of a kind.
func (s *side) noticed(k ike.NoticeKind) (n int) {
	for _, x := range s.notices {
		if x.Kind == k {
			n++
		}
	}
	return n
}

// mach is the machine behind the interface.
func (s *side) mach() *machine { return s.m.(*machine) }

// inject puts a request of s on the wire that its machine knows nothing of.
func (s *side) inject(e isakmp.Exchange, id uint32, response bool, ps []ike2.Payload) packet {
	m := s.mach()
	msg, err := m.seal(m.cur, e, response, id, ps)
	m.out = nil
	if err != nil {
		s.lab.fatalf("%v", err)
	}
	return packet{from: s, to: s.lab.other(s), local: m.path.local, remote: m.path.remote, msg: msg}
}
