package datapath

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ip"
)

func TestPacketsCrossUnderEverySuiteFamilyAndNumberLength(t *testing.T) {
	ciphers := []suite.Cipher{gcm, {Encr: suite.EncrAESGCM16, KeyBits: 128}, {Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA256}}
	for _, cipher := range ciphers {
		for _, esn := range []bool{false, true} {
			c := childOf(spiA, spiB)
			c.Cipher, c.ESN, c.KeyIn, c.KeyOut = cipher, esn, keyOf(cipher, spiA), keyOf(cipher, spiB)
			a, b := pair(t, settings{}, settings{}, c)
			for _, pkt := range [][]byte{
				udp("10.1.0.1:7", "10.2.0.1:9", 0), udp("10.1.0.1:7", "10.2.0.1:9", 1393),
				udp("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", 999),
			} {
				a.leave(plain(pkt))
				b.receive()
				got := b.dev.frames()
				if len(got) == 0 || !bytes.Equal(got[len(got)-1], plain(pkt)) {
					t.Fatalf("%v esn=%v: %d octets did not arrive; drops %v", cipher, esn, len(pkt), b.Drops())
				}
			}
			if n := len(b.dev.frames()); n != 3 {
				t.Errorf("%d frames", n)
			}
		}
	}
}

func TestThePlaneRunsAndStopsWithEverythingClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{}, 2)
		for _, s := range []*site{a, b} {
			go func() { s.Run(ctx); done <- struct{}{} }()
		}
		late, other := newDevice(), newWire(netip.MustParseAddrPort("192.0.2.2:500"))
		synctest.Wait()
		if err := b.AddTunnel(7, late, TunnelOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := b.AddTunnel(7, late, TunnelOptions{}); err == nil {
			t.Error("a second device for one unit")
		}
		b.AddWire(other, other.local)
		for i := range 100 {
			a.dev.out <- plain(udp("10.1.0.1:7", "10.2.0.1:9", i))
		}
		other.in <- Run{Local: other.local, Remote: siteA, Encap: sa.EncapUDP, Buf: []byte("IKE")}
		synctest.Wait()
		if n := len(b.dev.frames()); n != 100 {
			t.Errorf("%d of 100 arrived", n)
		}
		if !slices.Equal(b.ike, []string{"IKE"}) {
			t.Errorf("IKE %q", b.ike)
		}
		stop()
		<-done
		<-done
		for _, c := range []chan struct{}{a.dev.done, b.dev.done, late.done, other.done, a.wire.done} {
			select {
			case <-c:
			default:
				t.Error("something was left open")
			}
		}
	})
}

func TestALoopOutlivesErrorsAndPanics(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	b.dev.hook = func() { panic("device") }
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 10)))
	b.receive()
	if b.Panics() != 1 || len(b.loops) != 1 {
		t.Fatalf("%d panics, told %v", b.Panics(), b.loops)
	}
	b.dropped(t, reason.PathPanic, 1)
	b.dev.hook = nil
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 10)))
	b.receive()
	if n := len(b.dev.frames()); n != 1 {
		t.Errorf("%d frames after the panic", n)
	}
	in, _ := b.table.Lookup(spiB)
	b.rx.turn(func() { b.rx.hold(in); panic("while an SA is held") })
	in.Hold() // hangs if it was not let go
	in.LetGo()
}

func TestARepeatedErrorIsToldOnceASecond(t *testing.T) {
	a, _ := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	a.wire.fail = errFake
	for range 10 {
		a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 10)))
	}
	a.dropped(t, reason.WireSendFailed, 10)
	a.now = t0.Add(time.Second)
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 10)))
	if len(a.loops) != 2 || !errors.Is(a.loops[0], errFake) {
		t.Errorf("told %v", a.loops)
	}
}

func TestIKEMessagesAreCopiedAndLeaveFromTheRightSocket(t *testing.T) {
	w500, w4500 := newWire(netip.MustParseAddrPort("192.0.2.1:500")), newWire(siteA)
	s := newSite(t, w4500, settings{})
	s.AddWire(w500, w500.local)
	buf := append([]byte{0, 0, 0, 0}, "hello"...)
	s.arrive(Run{Local: siteA, Remote: siteB, Encap: sa.EncapUDP, Buf: buf})
	buf[4] = 'x'
	s.arrive(Run{Local: w500.local, Remote: siteB, Buf: []byte("on 500")})
	if !slices.Equal(s.ike, []string{"hello", "on 500"}) {
		t.Errorf("%q", s.ike)
	}
	if err := s.SendIKE(w500.local, siteB, []byte("one"), false); err != nil {
		t.Fatal(err)
	}
	if err := s.SendIKE(siteA, siteB, []byte("two"), true); err != nil {
		t.Fatal(err)
	}
	if err := s.SendIKE(netip.MustParseAddrPort("192.0.2.9:500"), siteB, []byte("three"), false); !errors.Is(err, ErrNoWire) {
		t.Errorf("from an address without a socket: %v", err)
	}
	if string(w500.runs()[0].Buf) != "one" || string(w4500.runs()[0].Buf) != "\x00\x00\x00\x00two" {
		t.Errorf("%v, %v", w500.runs(), w4500.runs())
	}
}

func TestStraysAreTakenOnceAndWithTheirCounts(t *testing.T) {
	known := func(a netip.Addr) bool { return a == siteB.Addr() }
	s := newSite(t, newWire(siteA), settings{opt: Options{Known: known}})
	pkt := append([]byte{0xB0, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 40)...)
	run := Run{Local: siteA, Remote: siteB, Encap: sa.EncapUDP, Buf: slices.Concat(pkt, pkt, pkt[:30]), Seg: len(pkt)}
	s.arrive(run)
	select {
	case <-s.StrayWake():
	default:
		t.Fatal("nobody was woken")
	}
	want := Stray{Worker: s.rx.id, Src: siteB, Dst: siteA, SPI: 0xB0000001, Encap: sa.EncapUDP, First: t0, Last: t0, Count: 3, Octets: 126, MinLen: 30}
	if got := s.TakeStrays(nil); len(got) != 1 || got[0] != want {
		t.Fatalf("%+v", got)
	}
	if got := s.TakeStrays(nil); len(got) != 0 {
		t.Errorf("again %+v", got)
	}
	s.now = t0.Add(time.Second)
	s.arrive(run)
	if got := s.TakeStrays(nil); len(got) != 1 || got[0].Count != 6 || !got[0].Last.Equal(s.now) {
		t.Errorf("%+v", got)
	}
}

// A stray stays until it is taken, however many there are and however long nobody comes.
func TestManyStraysWaitForASlowHealer(t *testing.T) {
	s := newSite(t, newWire(siteA), settings{opt: Options{Known: func(netip.Addr) bool { return true }}})
	for i := range 1000 {
		pkt := append([]byte{0xB0, 0, byte(i >> 8), byte(i), 0, 0, 0, 9}, make([]byte, 40)...)
		s.arrive(Run{Local: siteA, Remote: siteB, Encap: sa.EncapUDP, Buf: pkt})
	}
	if got := s.TakeStrays(nil); len(got) != 1000 {
		t.Errorf("%d of 1000", len(got))
	}
}

func TestEarlyPacketsAreOpenedWhenTheirSAComes(t *testing.T) {
	wa, wb := wires()
	a, b := newSite(t, wa, settings{}), newSite(t, wb, settings{})
	c := childOf(spiA, spiB)
	a.install(t, c)
	b.table.Reserve(spiB, 1, t0)
	want := naive(bigTCP("10.1.0.1", "10.2.0.1", 7, 0x10, nil, 300), 100)
	for _, pkt := range want {
		a.leave(plain(pkt))
		b.receive()
	}
	if len(b.dev.frames()) != 0 || !slices.Equal(b.early, []sa.SPI{spiB}) || len(b.TakeStrays(nil)) != 0 {
		t.Fatalf("%d frames, asked for %v", len(b.dev.frames()), b.early)
	}
	if err := b.table.Install(mirror(c), sa.BothHalves, t0); err != nil {
		t.Fatal(err)
	}
	b.Plane.early.round()
	var got [][]byte
	for _, f := range b.dev.frames() {
		got = append(got, split(t, f)...)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d packets: % x", len(got), got)
	}
	b.dropped(t, reason.None, 0)
}

func TestARekeyLosesNothingInEitherOrder(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	old := childOf(spiA, spiB)
	next := childOf(spiA+1, spiB+1)
	send := func() { a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 100))) }
	send()
	b.table.Reserve(next.Out, 1, t0)
	if err := b.table.Install(mirror(next), sa.InboundHalf, t0); err != nil {
		t.Fatal(err)
	}
	send() // on the old one: A has not switched
	a.install(t, next)
	send() // on the new one
	a.table.Remove(old.In, old.Out, 1, sa.OutboundHalf, sa.TombRekeyed, t0)
	send()
	b.receive()
	runs := a.wire.runs()
	if len(b.dev.frames()) != 4 || runs[1].Buf[3] != 0 || runs[2].Buf[3] != 1 || runs[3].Buf[3] != 1 {
		t.Errorf("%d frames of 4", len(b.dev.frames()))
	}
	// A copy of a packet of the old SA, after the rekey, is a replay and no stray.
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: runs[0].Buf})
	b.dropped(t, reason.ReplayDuplicate, 1)
}

func TestAMovedPeerIsReachedWhereItIs(t *testing.T) {
	a, _ := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	to := netip.MustParseAddrPort("203.0.113.7:61000")
	a.table.Move(spiA, 1, siteA, to)
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 1)))
	if got := a.wire.runs(); len(got) != 1 || got[0].Remote != to {
		t.Errorf("%+v", got)
	}
}

func TestRawPacketsLeaveWithoutPorts(t *testing.T) {
	raw := newWire(netip.AddrPortFrom(siteA.Addr(), 0))
	a := newSite(t, newWire(siteA), settings{})
	a.AddWire(raw, raw.local)
	c := childOf(spiA, spiB)
	c.Encap = sa.EncapNone
	a.install(t, c)
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 1)))
	got := raw.runs()
	if len(got) != 1 || got[0].Remote != netip.AddrPortFrom(siteB.Addr(), 0) || got[0].Encap != sa.EncapNone {
		t.Errorf("%+v", got)
	}
}

func TestTheOuterHeaderHasDSCPAndECNOfTheInnerOne(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	pkt := udp("10.1.0.1:7", "10.2.0.1:9", 1)
	ip.SetTrafficClass(pkt, 46<<2|ip.ECT0)
	a.leave(plain(pkt))
	r := <-b.wire.in
	if r.TrafficClass != 46<<2|ip.ECT0 {
		t.Fatalf("outer class %#x", r.TrafficClass)
	}
	r.TrafficClass |= ip.CE
	b.arrive(r)
	want := append([]byte(nil), pkt...)
	ip.SetECN(want, ip.CE)
	if got := b.dev.frames(); len(got) != 1 || !bytes.Equal(got[0], plain(want)) {
		t.Errorf("the mark was lost: % x", got)
	}
}

// Frames that wait in the device leave in one run, but for those whose outer header differs.
func TestARunHasOneOuterHeader(t *testing.T) {
	a, _ := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	for _, class := range []uint8{0, 0, 46 << 2, 46 << 2, 46 << 2, 0} {
		pkt := udp("10.1.0.1:7", "10.2.0.1:9", 100)
		ip.SetTrafficClass(pkt, class)
		a.dev.out <- plain(pkt)
	}
	var err error
	if a.tx.n, err = a.dev.ReadFrame(a.tx.buf); err != nil {
		t.Fatal(err)
	}
	a.tx.turn(a.tx.round)
	var got []int
	for _, r := range a.wire.runs() {
		got = append(got, int(r.TrafficClass), len(packets([]Run{r})))
	}
	if !slices.Equal(got, []int{0, 2, 46 << 2, 3, 0, 1}) {
		t.Errorf("class and packets of the runs: %v", got)
	}
}

// A frame stays open over several reads, and the buffers in which its packets lie are not used again before it is written.
func TestAFrameStaysWholeOverManyReads(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	want := naive(bigTCP("10.1.0.1", "10.2.0.1", 7, 0x10, nil, 3*ringLen*100), 100)
	for _, pkt := range want {
		a.leave(plain(pkt)) // a run of one each
	}
	b.receive()
	var got [][]byte
	for _, f := range b.dev.frames() {
		got = append(got, split(t, f)...)
	}
	if len(got) != len(want) || len(b.dev.frames()) != 3 {
		t.Fatalf("%d packets in %d frames", len(got), len(b.dev.frames()))
	}
	for i := range want {
		if !bytes.Equal(got[i][20:], want[i][20:]) { // the IDs count anew in each frame
			t.Fatalf("packet %d: % x\nwant % x", i, got[i], want[i])
		}
	}
}

// lostDevice was deleted on the host.
type lostDevice struct{ *device }

func (lostDevice) ReadFrame([]byte) (int, error) {
	return 0, fmt.Errorf("read a frame: tun0: %w", ErrGone)
}

func TestADeletedDeviceEndsItsLoopAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan int, 10)
		p := New(Options{Table: sa.NewTable(sa.Options{}), Gone: func(unit int) { gone <- unit }})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		if err := p.AddTunnel(3, lostDevice{newDevice()}, TunnelOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(gone) != 1 || <-gone != 3 {
			t.Errorf("told %d times, want once", len(gone))
		}
		p.RemoveTunnel(3)
		if err := p.AddTunnel(3, newDevice(), TunnelOptions{}); err != nil {
			t.Error("another device for the tunnel:", err)
		}
		stop()
		<-done
	})
}
