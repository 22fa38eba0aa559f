package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/datapath"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/steer"
	"lockstep/internal/suite"
)

// fakeWorld is a host without sockets, whose lines are what SetLine made of them: they outlive a tunnel, as steer's do.
type fakeWorld struct {
	mu        sync.Mutex
	lines     map[int]bool  // guarded by mu
	addresses []netip.Addr  // guarded by mu; nil: they cannot be read
	strands   map[int]error // guarded by mu: why a tunnel has no way to its peer
	changed   chan struct{} // of Changes
	slow      time.Duration // that Refresh takes
	broken    error         // of Open
	looks     atomic.Int32
}

func newFakeWorld() *fakeWorld {
	return &fakeWorld{lines: map[int]bool{}, addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, strands: map[int]error{},
		changed: make(chan struct{}, 1)}
}

func (w *fakeWorld) Wires() ([]Wire, error) { return nil, nil }
func (w *fakeWorld) Open(*policy.Tunnel) (Device, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	return &fakeDevice{closed: make(chan struct{})}, nil
}
func (w *fakeWorld) Apply(*policy.Config) error                  { return nil }
func (w *fakeWorld) MTU(*policy.Tunnel) int                      { return 1400 }
func (w *fakeWorld) Close() error                                { return nil }
func (w *fakeWorld) Source(t *policy.Tunnel) (netip.Addr, error) { return t.Source, nil }

func (w *fakeWorld) SetEncapsulation(int, steer.Encapsulation) error { return nil }

func (w *fakeWorld) Changes(context.Context) (<-chan struct{}, error) { return w.changed, nil }

func (w *fakeWorld) Addresses() ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.addresses == nil {
		return nil, fmt.Errorf("read the host's addresses: interrupted")
	}
	return w.addresses, nil
}

func (w *fakeWorld) Underlay(t *policy.Tunnel) steer.Underlay {
	w.mu.Lock()
	defer w.mu.Unlock()
	return steer.Underlay{Err: w.strands[t.Unit], MTU: 1500}
}

func (w *fakeWorld) SetLine(unit int, up bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[unit] = up
	return nil
}

func (w *fakeWorld) Refresh() error {
	w.looks.Add(1)
	time.Sleep(w.slow)
	return nil
}

func (w *fakeWorld) up(unit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines[unit]
}

// fakeDevice carries nothing.
type fakeDevice struct {
	closed chan struct{}
	once   sync.Once
}

func (d *fakeDevice) ReadFrame([]byte) (int, error) {
	<-d.closed
	return 0, net.ErrClosed
}
func (d *fakeDevice) TryReadFrame([]byte) (int, error) { return 0, datapath.ErrAgain }
func (d *fakeDevice) WriteFrame([][]byte) error        { return nil }
func (d *fakeDevice) SetCarrier(bool) error            { return nil }
func (d *fakeDevice) Remove() error                    { return d.Close() }
func (d *fakeDevice) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// tunnels is a configuration with a tunnel of each unit.
func tunnels(t *testing.T, units ...int) (*policy.Config, *config.Tree) {
	t.Helper()
	var b strings.Builder
	b.WriteString(`crypto ikev2 keyring KR
 peer any
  address 0.0.0.0 0.0.0.0
  pre-shared-key correct-horse
crypto ikev2 profile PROF
 match identity remote any
 authentication remote pre-share
 authentication local pre-share
 keyring local KR
crypto ipsec transform-set TS esp-gcm 256
crypto ipsec profile VTI
 set transform-set TS
 set ikev2-profile PROF
`)
	for _, unit := range units {
		fmt.Fprintf(&b, `interface Tunnel%d
 tunnel source 192.0.2.1
 tunnel mode ipsec ipv4
 tunnel destination 198.51.100.%d
 tunnel protection ipsec profile VTI
`, unit, unit+1)
	}
	tree, ds := config.Parse("test", []byte(b.String()))
	cfg, more := config.Compile(tree)
	if ds = append(ds, more...); config.HasErrors(ds) {
		t.Fatal(ds)
	}
	return cfg, tree
}

// onFake builds a gateway on a host that is not there. Nothing of it runs.
func onFake(t *testing.T, units ...int) (*Gateway, *fakeWorld) {
	t.Helper()
	w := newFakeWorld()
	cfg, tree := tunnels(t, units...)
	g, err := New(Options{Config: cfg, Tree: tree, World: w, Frozen: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Kill() })
	return g, w
}

// giveChild installs a child SA for a tunnel.
func giveChild(t *testing.T, g *Gateway, unit int, spi sa.SPI) {
	t.Helper()
	key := func(b byte) policy.Secret { return policy.NewSecret(slices.Repeat([]byte{byte(spi), b}, 18)) }
	owner, now := g.running.Load().owner[unit], time.Now()
	g.table.Reserve(spi, owner, now)
	err := g.installer.Install(sa.Child{Owner: owner, Tunnel: unit, In: spi, Out: spi + 1, Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}, KeyIn: key(1), KeyOut: key(2),
		Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.1:4500"), Encap: sa.EncapUDP}, sa.BothHalves, now)
	if err != nil {
		t.Fatal(err)
	}
}

// told lists the texts of messages that wait for the log.
func told(g *Gateway) (out []string) {
	for {
		select {
		case r := <-g.sub.Records():
			out = append(out, r.Mnemonic+": "+r.Text)
		default:
			return out
		}
	}
}
