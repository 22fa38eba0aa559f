package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("192.0.2.2")
	addrC = netip.MustParseAddr("192.0.2.3")
)

// peerOf is the policy of one tunnel between two addresses, with a group whose arithmetic is quick.
func peerOf(id int, local, remote netip.Addr) *policy.Peer {
	key := policy.NewSecret([]byte("correct-horse"))
	return &policy.Peer{
		ID: id, Tunnel: &policy.Tunnel{Unit: id, Source: local, Destination: remote}, Remote: remote, Initiate: true,
		IKE: &policy.IKEv2Profile{Name: "PROF", MatchRemote: []policy.IdentityMatch{{Any: true}}, Lifetime: 24 * time.Hour},
		IPsec: &policy.IPsecProfile{Name: "VTI", Lifetime: time.Hour, ReplayWindow: 64,
			TransformSets: []policy.TransformSet{{Name: "TS", Cipher: policy.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}}}},
		Proposals: []policy.IKEProposal{{Name: "P1", Encr: []policy.Cipher{{Encr: suite.EncrAESGCM16, KeyBits: 256}},
			PRF: []uint16{suite.PRFHMACSHA256}, Groups: []uint16{suite.GroupCurve25519}}},
		Key: policy.KeyringPeer{Name: "k", Local: key, Remote: key},
	}
}

func configOf(peers ...*policy.Peer) *policy.Config {
	c := &policy.Config{Peers: peers}
	for _, p := range peers {
		c.Tunnels = append(c.Tunnels, p.Tunnel)
	}
	return c
}

// diary is what the engine under test did, in order, with the bubble's time since its making. It stands for every part
// around the engine.
type diary struct {
	t     *testing.T
	began time.Time

	mu       sync.Mutex
	lines    []string
	drops    map[reason.Drop]int
	outcomes []ike.Outcome
	notices  []ike.Notice
	events   []event.Record
	sent     []ike.Send
	nextSPI  uint32

	slowStore, slowInstall time.Duration
	failStore, failInstall error
	taken                  map[sa.SPI]bool // by others: Reserve says no
	larval                 map[sa.SPI]bool
	onSend                 func(ike.Send)
}

func newDiary(t *testing.T) *diary {
	return &diary{t: t, began: time.Now(), drops: map[reason.Drop]int{}, taken: map[sa.SPI]bool{}, larval: map[sa.SPI]bool{}}
}

func (d *diary) notef(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v ", time.Since(d.began))+fmt.Sprintf(format, args...))
}

func (d *diary) options(cfg *policy.Config) Options {
	return Options{Config: cfg, Installer: d, SPIs: d, Store: d, Shards: 1,
		Send: func(s ike.Send) {
			d.mu.Lock()
			d.sent = append(d.sent, s)
			d.mu.Unlock()
			d.notef("send %s", s.Bytes)
			if d.onSend != nil {
				d.onSend(s)
			}
		},
		Outcomes: func(o ike.Outcome) { d.mu.Lock(); d.outcomes = append(d.outcomes, o); d.mu.Unlock() },
		Notices:  func(n ike.Notice) { d.mu.Lock(); d.notices = append(d.notices, n); d.mu.Unlock() },
		Events:   func(r event.Record) { d.mu.Lock(); d.events = append(d.events, r); d.mu.Unlock() },
		Drop:     func(r reason.Drop, n int) { d.mu.Lock(); d.drops[r] += n; d.mu.Unlock() }}
}

func (d *diary) dropped(r reason.Drop) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.drops[r]
}

func (d *diary) wantLines(want ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		d.t.Errorf("got  %q\nwant %q", d.lines, want)
	}
}

// Put implements Store.
func (d *diary) Put(ctx context.Context, _ ike.Record) error {
	d.notef("put")
	pause(ctx, d.slowStore)
	d.notef("stored")
	return d.failStore
}

// pause is a disk that takes its time, and is given up at a crash.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Delete implements Store.
func (d *diary) Delete(_ context.Context, spi uint64) error {
	d.notef("forget %d", spi)
	return nil
}

// Next implements SPIs.
func (d *diary) Next() (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nextSPI++
	if d.nextSPI > 1000 {
		return 0, errors.New("used up")
	}
	return 0x1000 + d.nextSPI, nil
}

// Reserve implements Installer.
func (d *diary) Reserve(spi sa.SPI, _ sa.Owner, _ time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken[spi] {
		return false
	}
	d.larval[spi] = true
	return true
}

// Release implements Installer.
func (d *diary) Release(spi sa.SPI, _ time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.larval, spi)
}

// Install implements Installer.
func (d *diary) Install(c sa.Child, _ sa.Half, _ time.Time) error {
	d.notef("install %d", c.In)
	time.Sleep(d.slowInstall)
	d.notef("installed %d", c.In)
	return d.failInstall
}

// Remove implements Installer.
func (d *diary) Remove(in, _ sa.SPI, _ sa.Owner, _ sa.Half, why sa.TombReason, _ time.Time) {
	d.notef("remove %d: %v", in, why)
}

// State implements Installer.
func (d *diary) State(sa.SPI, time.Time) sa.State { return sa.Unknown }

// puppet is a machine whose test says what it does.
type puppet struct {
	spi      isakmp.SPI
	start    peer.Start
	deadline time.Time
	react    func(now time.Time, in ike.Input) []ike.Effect
}

func (m *puppet) Step(now time.Time, in ike.Input) []ike.Effect { return m.react(now, in) }
func (m *puppet) Deadline() time.Time                           { return m.deadline }
func (m *puppet) Status() ike.Status {
	return ike.Status{LocalSPI: m.spi, Owner: sa.Owner(m.start.Peer.ID)}
}
func (m *puppet) Record() ike.Record { return ike.Record{} }

// puppets makes machines that claim an SPI and are up at once; commands end well.
type puppets struct {
	mu    sync.Mutex
	made  map[int]*puppet // the last of each peer
	react func(m *puppet, now time.Time, in ike.Input) []ike.Effect
	first []ike.Effect
}

func (ps *puppets) make(st peer.Start) (ike.Machine, []ike.Effect) {
	m := &puppet{spi: st.Env.AllocIKE(), start: st}
	m.react = func(now time.Time, in ike.Input) []ike.Effect {
		if ps.react != nil {
			if out := ps.react(m, now, in); out != nil {
				return out
			}
		}
		return obey(in)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.made == nil {
		ps.made = map[int]*puppet{}
	}
	ps.made[st.Peer.ID] = m
	return m, append([]ike.Effect{ike.Claim{SPI: m.spi}, ike.Notice{Kind: ike.IKEUp, Initiator: true}}, ps.first...)
}

// obey ends commands well.
func obey(in ike.Input) []ike.Effect {
	c, ok := in.(ike.Command)
	if !ok {
		return nil
	}
	out := []ike.Effect{ike.Outcome{Ref: c.Ref, Verb: c.Verb, Result: ike.OK}}
	if c.Verb == ike.VerbShutdown || c.Verb == ike.VerbClearIKE {
		out = append(out, ike.Notice{Kind: ike.IKEDown}, ike.Closed{})
	}
	return out
}

// Initiate implements peer.Maker.
func (ps *puppets) Initiate(_ time.Time, st peer.Start, cmd ike.Command) (ike.Machine, []ike.Effect) {
	m, out := ps.make(st)
	return m, append(out, ike.Outcome{Ref: cmd.Ref, Verb: cmd.Verb, Result: ike.OK})
}

// Respond implements peer.Maker.
func (ps *puppets) Respond(_ time.Time, st peer.Start, _ ike.Datagram) (ike.Machine, []ike.Effect) {
	m, _ := ps.make(st)
	return m, []ike.Effect{ike.Claim{SPI: m.(*puppet).spi}}
}

func (ps *puppets) of(id int) *puppet {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.made[id]
}

// to is a protected message for a machine that we initiated.
func to(spi isakmp.SPI) []byte {
	return isakmp.Header{SPIi: spi, SPIr: 7, Version: isakmp.Version2, Exchange: isakmp.Informational, NextPayload: uint8(ike2.PayloadSK),
		Length: isakmp.HeaderLen}.Append(nil)
}

func said(s string) ike.Send { return ike.Send{Bytes: []byte(s)} }

// launch runs an engine in the bubble; it is killed when the test ends.
func launch(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.Run(context.Background()) }()
	t.Cleanup(e.Kill)
	return e
}
