package datapath

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

var (
	t0    = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	siteA = netip.MustParseAddrPort("192.0.2.1:4500")
	siteB = netip.MustParseAddrPort("192.0.2.2:4500")
	any4  = ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))
	any6  = ike2.SelectorFromPrefix(netip.MustParsePrefix("::/0"))
	gcm   = suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}
)

// wire is a Wire in memory: what is sent on it arrives at its peer.
type wire struct {
	local netip.AddrPort
	in    chan Run
	peer  *wire
	done  chan struct{}
	once  sync.Once
	fail  error

	mu   sync.Mutex
	sent []Run
}

func newWire(local netip.AddrPort) *wire {
	return &wire{local: local, in: make(chan Run, 4096), done: make(chan struct{})}
}

func wires() (a, b *wire) {
	a, b = newWire(siteA), newWire(siteB)
	a.peer, b.peer = b, a
	return a, b
}

func (w *wire) fill(r *Run, from Run) {
	r.Buf = append(r.Buf[:0], from.Buf...)
	r.Seg, r.Local, r.Remote, r.Encap, r.TrafficClass = from.Seg, from.Local, from.Remote, from.Encap, from.TrafficClass
}

func (w *wire) Recv(r *Run) error {
	select {
	case got := <-w.in:
		w.fill(r, got)
		return nil
	case <-w.done:
		return net.ErrClosed
	}
}

func (w *wire) TryRecv(r *Run) error {
	select {
	case got := <-w.in:
		w.fill(r, got)
		return nil
	default:
		return ErrAgain
	}
}

func (w *wire) Send(r *Run) error {
	if w.fail != nil {
		return w.fail
	}
	c := *r
	c.Buf = append([]byte(nil), r.Buf...)
	w.mu.Lock()
	w.sent = append(w.sent, c)
	w.mu.Unlock()
	if w.peer != nil {
		c.Local, c.Remote = r.Remote, r.Local
		w.peer.in <- c
	}
	return nil
}

func (w *wire) Close() error { w.once.Do(func() { close(w.done) }); return nil }

func (w *wire) runs() []Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Run(nil), w.sent...)
}

// packets splits runs the plain way.
func packets(runs []Run) (out [][]byte) {
	for _, r := range runs {
		if r.Seg == 0 {
			out = append(out, r.Buf)
			continue
		}
		for b := r.Buf; len(b) > 0; {
			n := min(r.Seg, len(b))
			out = append(out, b[:n])
			b = b[n:]
		}
	}
	return out
}

// device is a Device in memory.
type device struct {
	out  chan []byte
	done chan struct{}
	once sync.Once
	fail error
	hook func()

	mu      sync.Mutex
	written [][]byte
}

func newDevice() *device { return &device{out: make(chan []byte, 4096), done: make(chan struct{})} }

func (d *device) ReadFrame(b []byte) (int, error) {
	select {
	case f := <-d.out:
		return copy(b, f), nil
	case <-d.done:
		return 0, net.ErrClosed
	}
}

func (d *device) TryReadFrame(b []byte) (int, error) {
	select {
	case f := <-d.out:
		return copy(b, f), nil
	default:
		return 0, ErrAgain
	}
}

func (d *device) WriteFrame(iov [][]byte) error {
	if d.hook != nil {
		d.hook()
	}
	if d.fail != nil {
		return d.fail
	}
	var f []byte
	for _, p := range iov {
		f = append(f, p...)
	}
	d.mu.Lock()
	d.written = append(d.written, f)
	d.mu.Unlock()
	return nil
}

func (d *device) Close() error { d.once.Do(func() { close(d.done) }); return nil }

func (d *device) frames() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([][]byte(nil), d.written...)
}

// site is one gateway's packet path, stepped by hand.
type site struct {
	*Plane
	table *sa.Table
	wire  *wire
	dev   *device
	rx    *receiver
	tx    *transmitter
	now   time.Time
	notes []sa.Note
	ike   []string
	early []sa.SPI
	asked []ip.Packet
	loops []error
	self  int // tunnels in recursion
}

type settings struct {
	opt    Options
	tunnel TunnelOptions
	sa     sa.Options
	bare   bool // no device
}

func newSite(t testing.TB, w *wire, c settings) *site {
	t.Helper()
	s := &site{wire: w, dev: newDevice(), now: t0}
	c.sa.Note = func(n sa.Note) { s.notes = append(s.notes, n) }
	c.sa.Installed = func(spi sa.SPI, e []sa.Early) { s.Inject(spi, e) }
	c.sa.Lost = func(n, octets int) { s.Lost(n, octets) }
	s.table = sa.NewTable(c.sa)
	o := c.opt
	o.Table, o.Now = s.table, func() time.Time { return s.now }
	o.IKE = func(local, remote netip.AddrPort, msg []byte) { s.ike = append(s.ike, string(msg)) }
	o.Early = func(spi sa.SPI) { s.early = append(s.early, spi) }
	o.Acquire = func(_ int, p ip.Packet) { s.asked = append(s.asked, p) }
	o.Recursive = func(int) { s.self++ }
	o.Failed = func(_ string, err error) { s.loops = append(s.loops, err) }
	s.Plane = New(o)
	s.AddWire(w, w.local)
	s.rx = newReceiver(s.Plane, w, w.local)
	if !c.bare {
		if err := s.AddTunnel(0, s.dev, c.tunnel); err != nil {
			t.Fatal(err)
		}
		s.tx = newTransmitter(s.Plane, (*s.tunnels.Load())[0])
	}
	return s
}

// arrive gives the receiver one run and writes what came of it.
func (s *site) arrive(r Run) {
	s.rx.turn(func() {
		s.rx.run, s.rx.age = r, 0
		s.rx.process()
		s.rx.out.flush()
	})
}

// leave gives the transmitter one frame and sends what came of it.
func (s *site) leave(f []byte) {
	s.tx.turn(func() {
		s.tx.n = copy(s.tx.buf, f)
		s.tx.carry(s.tx.buf[:s.tx.n])
		s.tx.send.flush()
	})
}

// receive empties the wire into the receiver, as its loop does.
func (s *site) receive() {
	s.rx.room(0)
	if s.wire.TryRecv(&s.rx.run) == nil {
		s.rx.turn(s.rx.round)
	}
}

func (s *site) dropped(t testing.TB, why reason.Drop, n uint64) {
	t.Helper()
	totals := s.Drops()
	if got := totals.Packets[why]; got != n {
		t.Errorf("%d dropped for %v, want %d", got, why, n)
	}
	for d := range totals.Packets {
		if reason.Drop(d) != why && totals.Packets[d] != 0 {
			t.Errorf("%d dropped for %v", totals.Packets[d], reason.Drop(d))
		}
	}
}

func keyOf(c suite.Cipher, spi sa.SPI) policy.Secret {
	k := sha256.Sum256(fmt.Append(nil, spi))
	k2 := sha256.Sum256(k[:])
	k3 := sha256.Sum256(k2[:])
	return policy.NewSecret(append(append(k[:], k2[:]...), k3[:]...)[:c.KeyLen()+c.IntegKeyLen()])
}

// childOf is A's side of a pair.
func childOf(in, out sa.SPI) sa.Child {
	return sa.Child{Owner: 1, In: in, Out: out, Cipher: gcm, KeyIn: keyOf(gcm, in), KeyOut: keyOf(gcm, out),
		TSLocal: []ike2.Selector{any4, any6}, TSRemote: []ike2.Selector{any4, any6}, Local: siteA, Remote: siteB,
		Encap: sa.EncapUDP, ReplayWindow: 1024, Created: t0}
}

func mirror(c sa.Child) sa.Child {
	c.In, c.Out, c.KeyIn, c.KeyOut = c.Out, c.In, c.KeyOut, c.KeyIn
	c.TSLocal, c.TSRemote, c.Local, c.Remote = c.TSRemote, c.TSLocal, c.Remote, c.Local
	return c
}

func (s *site) install(t testing.TB, c sa.Child) {
	t.Helper()
	if !s.table.Reserve(c.In, c.Owner, s.now) {
		t.Fatalf("%v is taken", c.In)
	}
	if err := s.table.Install(c, sa.BothHalves, s.now); err != nil {
		t.Fatal(err)
	}
}

const spiA, spiB = sa.SPI(0xA0001000), sa.SPI(0xB0001000)

// pair is two sites with one child between them.
func pair(t testing.TB, a, b settings, c sa.Child) (x, y *site) {
	t.Helper()
	wa, wb := wires()
	x, y = newSite(t, wa, a), newSite(t, wb, b)
	x.install(t, c)
	y.install(t, mirror(c))
	return x, y
}

func udp(src, dst string, payload int) []byte {
	return ip.AppendUDP(nil, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst), make([]byte, payload))
}

// plain is a frame of one packet.
func plain(pkt []byte) []byte { return append(make([]byte, VirtioLen), pkt...) }

var errFake = errors.New("fake failure")
