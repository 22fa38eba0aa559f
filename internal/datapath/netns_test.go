package datapath_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/datapath"
	"lockstep/internal/datapath/tunio"
	"lockstep/internal/datapath/udpio"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/testing/lab"
	"lockstep/internal/wire/ike2"
)

// tunnelEnd is one gateway's packet path on the kernel: sockets, a TUN, a child with keys that both ends know.
type tunnelEnd struct {
	ns    *lab.NS
	plane *datapath.Plane
	table *sa.Table
}

// tunnel connects two namespaces: 10.9.0.1 and fd00:9::1 in A, .2 in B.
func tunnel(t *testing.T, encap sa.Encap, offload bool) (a, b *tunnelEnd) {
	t.Helper()
	a, b = &tunnelEnd{ns: lab.NewNS(t, "a")}, &tunnelEnd{ns: lab.NewNS(t, "b")}
	lab.Link(a.ns, "wan0", b.ns, "wan0")
	c := sa.Child{Owner: 1, In: 0xA0001000, Out: 0xB0001000, Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256},
		KeyIn: secret("a"), KeyOut: secret("b"), TSLocal: everything(), TSRemote: everything(), Encap: encap, ReplayWindow: 1024,
		Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("192.0.2.2:4500"), Created: time.Now()}
	a.start(t, c, 1, offload)
	c.In, c.Out, c.KeyIn, c.KeyOut, c.Local, c.Remote = c.Out, c.In, c.KeyOut, c.KeyIn, c.Remote, c.Local
	b.start(t, c, 2, offload)
	return a, b
}

func secret(s string) policy.Secret {
	k := sha256.Sum256([]byte(s))
	return policy.NewSecret(append(k[:], k[:4]...))
}

func everything() []ike2.Selector {
	return []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0")), ike2.SelectorFromPrefix(netip.MustParsePrefix("::/0"))}
}

func (e *tunnelEnd) start(t *testing.T, c sa.Child, n int, offload bool) {
	t.Helper()
	e.ns.IP(fmt.Sprintf("address add %s/24 dev wan0", c.Local.Addr()))
	e.table = sa.NewTable(sa.Options{})
	e.table.Reserve(c.In, c.Owner, c.Created)
	if err := e.table.Install(c, sa.BothHalves, c.Created); err != nil {
		t.Fatal(err)
	}
	e.plane = datapath.New(datapath.Options{Table: e.table, Failed: func(loop string, err error) { t.Logf("%s: %v", loop, err) }})
	var wires *udpio.Sockets
	var tun *tunio.Device
	err := e.ns.Do(func() (err error) {
		if wires, err = udpio.Listen(udpio.Options{Local: c.Local.Addr(), NoOffload: !offload}); err != nil {
			return err
		}
		tun, err = tunio.Open(tunio.Options{Name: "Tunnel0", MTU: 1400, NoOffload: !offload})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e.plane.AddWire(wires.IKE, netip.AddrPortFrom(c.Local.Addr(), 500))
	e.plane.AddWire(wires.NATT, c.Local)
	e.plane.AddWire(wires.ESP, netip.AddrPortFrom(c.Local.Addr(), 0))
	if err := e.plane.AddTunnel(0, tun, datapath.TunnelOptions{MTU: 1400}); err != nil {
		t.Fatal(err)
	}
	e.ns.IP(fmt.Sprintf("address add 10.9.0.%d/24 dev Tunnel0", n))
	e.ns.IP(fmt.Sprintf("address add fd00:9::%d/64 dev Tunnel0 nodad", n))
	e.ns.IP("link set Tunnel0 up")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.plane.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
}

// A real kernel segments, checks checksums and reassembles on both sides: what arrives is what was sent, with and without
// offloads, over both encapsulations and both inner families.
func TestAKernelsTCPCrossesUnharmed(t *testing.T) {
	lab.NeedRoot(t)
	for _, encap := range []sa.Encap{sa.EncapUDP, sa.EncapNone} {
		for _, offload := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v offload=%v", encap, offload), func(t *testing.T) {
				a, b := tunnel(t, encap, offload)
				for _, to := range []string{"10.9.0.2:7000", "[fd00:9::2]:7000"} {
					transfer(t, a.ns, b.ns, to, 8<<20)
				}
				for name, e := range map[string]*tunnelEnd{"A": a, "B": b} {
					totals := e.plane.Drops()
					for why, n := range totals.Packets {
						if n > 0 {
							t.Errorf("%s dropped %d: %v", name, n, reason.Drop(why))
						}
					}
					if p := e.table.Snapshot()[0]; e.plane.Panics() != 0 || p.In.Packets == 0 || p.Out.Packets == 0 {
						t.Errorf("%s: %d panics, %d in, %d out", name, e.plane.Panics(), p.In.Packets, p.Out.Packets)
					}
				}
			})
		}
	}
}

// transfer sends random octets from one namespace to the other and compares their sums.
func transfer(t *testing.T, from, into *lab.NS, to string, octets int64) {
	t.Helper()
	var l net.Listener
	var c net.Conn
	if err := into.Do(func() (err error) { l, err = net.Listen("tcp", to); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan [32]byte, 1)
	go func() {
		s, err := l.Accept()
		if err != nil {
			return
		}
		defer s.Close()
		s.SetDeadline(time.Now().Add(20 * time.Second))
		h := sha256.New()
		if _, err := io.Copy(h, s); err != nil {
			t.Error(err)
		}
		got <- [32]byte(h.Sum(nil))
	}()
	if err := from.Do(func() (err error) { c, err = net.DialTimeout("tcp", to, 5*time.Second); return err }); err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	h, began := sha256.New(), time.Now()
	var seed [32]byte
	if _, err := io.Copy(io.MultiWriter(h, c), io.LimitReader(rand.NewChaCha8(seed), octets)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	select {
	case sum := <-got:
		if sum != [32]byte(h.Sum(nil)) {
			t.Errorf("%s: other octets arrived", to)
		}
		t.Logf("%s: %d octets in %v", to, octets, time.Since(began).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing arrived", to)
	}
}

// A packet that is too large for the tunnel is answered by us, and the kernel's sender learns from it.
func TestAKernelLearnsTheTunnelsMTUFromUs(t *testing.T) {
	lab.NeedRoot(t)
	a, _ := tunnel(t, sa.EncapUDP, true)
	a.ns.IP("link set Tunnel0 mtu 1500") // the kernel believes more than the tunnel carries
	a.plane.SetMTU(0, 1300)
	a.ns.Try("ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "10.9.0.2")
	if out := a.ns.IP("route get 10.9.0.2"); !strings.Contains(out, "mtu 1300") {
		t.Errorf("the kernel has not learnt: %s", out)
	}
	if n := a.plane.Drops().Packets[reason.TooBigDF]; n != 1 {
		t.Errorf("%d dropped as too big", n)
	}
}
