package udpio_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/datapath"
	"lockstep/internal/datapath/udpio"
	"lockstep/internal/host"
	"lockstep/internal/sa"
	"lockstep/internal/testing/lab"
)

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("192.0.2.2")
)

// listenPair is two gateways' sockets in two namespaces on one wire.
func listenPair(t *testing.T, o udpio.Options) (a, b *udpio.Sockets, nsA, nsB *lab.NS) {
	t.Helper()
	nsA, nsB = lab.NewNS(t, "a"), lab.NewNS(t, "b")
	lab.Link(nsA, "wan0", nsB, "wan0")
	nsA.IP("address add 192.0.2.1/24 dev wan0")
	nsB.IP("address add 192.0.2.2/24 dev wan0")
	listen := func(ns *lab.NS, at netip.Addr) (s *udpio.Sockets) {
		err := ns.Do(func() (err error) {
			o := o
			o.Local, o.Mark = at, host.OuterMark
			s, err = udpio.Listen(o)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	return listen(nsA, addrA), listen(nsB, addrB), nsA, nsB
}

// recv gives up after a while, so that a lost packet fails the test in place of hanging it.
func recv(t *testing.T, w datapath.Wire) datapath.Run {
	t.Helper()
	stop := time.AfterFunc(5*time.Second, func() { w.Close() })
	defer stop.Stop()
	r := datapath.Run{Buf: make([]byte, 0, 1<<16)}
	if err := w.Recv(&r); err != nil {
		t.Fatal("receive:", err)
	}
	return r
}

func TestRawESPStripsTheHeaderAndTellsAddresses(t *testing.T) {
	a, b, _, _ := listenPair(t, udpio.Options{})
	esp := func(n byte, size int) []byte { return append([]byte{1, 2, 3, n}, bytes.Repeat([]byte{n}, size-4)...) }
	run := append(append(esp(1, 100), esp(2, 100)...), esp(3, 40)...)
	err := a.ESP.Send(&datapath.Run{Remote: netip.AddrPortFrom(addrB, 4500), Buf: run, Seg: 100})
	if err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{100, 100, 40} {
		r := recv(t, b.ESP)
		if !bytes.Equal(r.Buf, esp(byte(i+1), size)) {
			t.Errorf("packet %d: % x", i, r.Buf)
		}
		if r.Remote != netip.AddrPortFrom(addrA, 0) || r.Local != netip.AddrPortFrom(addrB, 0) || r.Encap != sa.EncapNone || r.Seg != 0 {
			t.Errorf("packet %d: %v ← %v %v seg %d", i, r.Local, r.Remote, r.Encap, r.Seg)
		}
	}
}

func TestStandardPortsAreBothHeld(t *testing.T) {
	a, b, nsA, _ := listenPair(t, udpio.Options{})
	for i, w := range a.Wires()[:2] {
		port := []uint16{500, 4500}[i]
		if err := w.Send(&datapath.Run{Remote: netip.AddrPortFrom(addrB, port), Buf: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		if r := recv(t, b.Wires()[i]); r.Local.Port() != port || r.Remote != netip.AddrPortFrom(addrA, port) {
			t.Errorf("port %d: %v ← %v", port, r.Local, r.Remote)
		}
	}
	err := nsA.Do(func() error { _, err := udpio.Listen(udpio.Options{}); return err })
	if err == nil || !strings.Contains(err.Error(), "in use by udpio.test (pid") {
		t.Errorf("a second gateway: %v", err)
	}
}

func TestRunLargerThanTheRouteMTUIsFragmentedDatagramByDatagram(t *testing.T) {
	a, b, nsA, _ := listenPair(t, udpio.Options{})
	nsA.IP("link set wan0 mtu 1300")
	buf := append(bytes.Repeat([]byte{1}, 1400), bytes.Repeat([]byte{2}, 1400)...)
	if err := a.NATT.Send(&datapath.Run{Remote: b.NATT.Local(), Buf: buf, Seg: 1400}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if r := recv(t, b.NATT); len(r.Buf) != 1400 || r.Buf[0] != byte(i+1) {
			t.Errorf("datagram %d: %d octets of %d", i, len(r.Buf), r.Buf[0])
		}
	}
}

func TestDatagramThatMayNotBeFragmentedIsTooBig(t *testing.T) {
	a, b, nsA, _ := listenPair(t, udpio.Options{DF: udpio.DFAlways})
	nsA.IP("link set wan0 mtu 1300")
	run := datapath.Run{Remote: b.NATT.Local(), Buf: make([]byte, 1400)}
	if err := a.NATT.Send(&run); !errors.Is(err, udpio.ErrTooBig) {
		t.Errorf("1400 octets over an MTU of 1300: %v, want ErrTooBig", err)
	}
	if err := a.ESP.Send(&run); !errors.Is(err, udpio.ErrTooBig) {
		t.Errorf("the same over protocol 50: %v, want ErrTooBig", err)
	}
}

func TestMarkedPacketsFollowTheirOwnRule(t *testing.T) {
	a, b, nsA, _ := listenPair(t, udpio.Options{})
	nsA.IP("route add blackhole 192.0.2.2/32") // as if the peer lay behind a tunnel
	send := func() error {
		return a.NATT.Send(&datapath.Run{Remote: b.NATT.Local(), Buf: []byte("x")})
	}
	if err := send(); err == nil {
		t.Fatal("sent through a blackhole: the route is not in the way, and the test shows nothing")
	}
	nsA.IP("route add 192.0.2.0/24 dev wan0 table 77")
	nsA.IP("rule add fwmark 0x4c53 lookup 77")
	if err := send(); err != nil {
		t.Fatal("a marked packet did not take the rule:", err)
	}
	recv(t, b.NATT)
}
