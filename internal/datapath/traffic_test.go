package datapath

import (
	"sync"
	"testing"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

func wantTraffic(t *testing.T, s *site, unit int, in, out Traffic) {
	t.Helper()
	gotIn, gotOut, ok := s.Traffic(unit)
	if !ok {
		t.Fatalf("tunnel %d has no counters", unit)
	}
	for name, x := range map[string][2]Traffic{"in": {gotIn, in}, "out": {gotOut, out}} {
		got, want := x[0], x[1]
		if !got.Last.Equal(want.Last) {
			t.Errorf("%s: last at %v, want %v", name, got.Last, want.Last)
		}
		got.Last, want.Last = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// sealedOn is a packet as the sender of child c makes it, under a number of the test's choice.
func sealedOn(t *testing.T, c sa.Child, seq uint64, next uint8, payload []byte) []byte {
	t.Helper()
	sealer, err := suite.NewSealer(c.Cipher, c.KeyOut.Reveal(), uint32(c.Out), c.ESN)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, sealer.SealedLen(len(payload)))
	if _, err := sealer.Seal(b, seq, payload, next); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTrafficIsThatOfInnerPacketsOnBothSides(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	wantTraffic(t, a, 0, Traffic{}, Traffic{})
	a.now, b.now = t0.Add(time.Minute), t0.Add(time.Hour)
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 72)))                // 100 octets
	a.leave(plain(udp("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", 152))) // 200
	a.leave(tcpFrame(10*1000, 1000))                                   // ten packets of 1040, which B merges
	b.receive()
	sum := Traffic{Packets: 12, Octets: 100 + 200 + 10*1040, Last: a.now}
	wantTraffic(t, a, 0, Traffic{}, sum)
	sum.Last = b.now
	wantTraffic(t, b, 0, sum, Traffic{})
}

func TestTrafficOutlivesRekeys(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	old := childOf(spiA, spiB)
	for i := range sa.SPI(5) {
		a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 72)))
		b.receive()
		next := childOf(spiA+i+1, spiB+i+1)
		b.install(t, mirror(next))
		a.install(t, next)
		a.table.Remove(old.In, old.Out, 1, sa.BothHalves, sa.TombRekeyed, t0)
		b.table.Remove(old.Out, old.In, 1, sa.BothHalves, sa.TombRekeyed, t0)
		old = next
	}
	wantTraffic(t, a, 0, Traffic{}, Traffic{Packets: 5, Octets: 500, Last: t0})
	wantTraffic(t, b, 0, Traffic{Packets: 5, Octets: 500, Last: t0}, Traffic{})
}

func TestDroppedTrafficIsCountedOnItsTunnel(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	a.leave(make([]byte, 60)) // not IP
	a.wire.fail = errFake
	a.leave(tcpFrame(3*1000, 1000)) // sealed, and the wire refuses three
	a.wire.fail = nil
	a.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 72)))
	a.table.Remove(spiA, spiB, 1, sa.OutboundHalf, sa.TombCleared, t0)
	a.leave(tcpFrame(2*1000, 1000)) // no child: two more
	wantTraffic(t, a, 0, Traffic{}, Traffic{Packets: 1, Octets: 100, Dropped: 1 + 3 + 2, Last: t0})

	b.receive()
	run := a.wire.runs()[0]
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: append([]byte(nil), run.Buf...)}) // a replay
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealedOn(t, childOf(spiA, spiB), 9, 59, make([]byte, 40))})
	b.dev.fail = errFake
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealedOn(t, childOf(spiA, spiB), 10, 4, udp("10.1.0.1:7", "10.2.0.1:9", 72))})
	stray := append([]byte{0xB0, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 40)...)
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: stray}) // of no tunnel
	totals := b.Drops().Packets
	for _, why := range []reason.Drop{reason.ReplayDuplicate, reason.DummyPacket, reason.DeviceWriteFailed, reason.InvalidSPI} {
		if totals[why] != 1 {
			t.Fatalf("%d dropped for %v: the test shows nothing", totals[why], why)
		}
	}
	// The replay and the one that the device refused; a dummy carries nothing that could be lost.
	wantTraffic(t, b, 0, Traffic{Packets: 1, Octets: 100, Dropped: 2, Last: t0}, Traffic{})
}

func TestEachTunnelHasItsOwnTraffic(t *testing.T) {
	_, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	second := newDevice()
	if err := b.AddTunnel(7, second, TunnelOptions{}); err != nil {
		t.Fatal(err)
	}
	other := childOf(spiA+1, spiB+1)
	other.Tunnel = 7
	b.install(t, mirror(other))
	// One row each, in turns, within one burst: what is counted must follow the tunnel.
	for i := range uint64(6) {
		b.wire.in <- Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealedOn(t, childOf(spiA, spiB), i+1, 4, udp("10.1.0.1:7", "10.2.0.1:9", 72))}
		b.wire.in <- Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealedOn(t, other, i+1, 4, udp("10.1.0.1:7", "10.2.0.1:9", 172))}
	}
	b.receive()
	wantTraffic(t, b, 0, Traffic{Packets: 6, Octets: 600, Last: t0}, Traffic{})
	wantTraffic(t, b, 7, Traffic{Packets: 6, Octets: 1200, Last: t0}, Traffic{})
	b.RemoveTunnel(7)
	if _, _, ok := b.Traffic(7); ok {
		t.Error("a removed tunnel has traffic")
	}
}

func TestTrafficNeverGoesBackWhileLoopsCount(t *testing.T) {
	var c tally
	const each = 2000
	var loops sync.WaitGroup
	for i := range 3 {
		loops.Go(func() {
			for n := range each {
				c.add(2, 10, 1, t0.Add(time.Duration(n*3+i)*time.Millisecond))
			}
		})
	}
	var before Traffic
	for before.Packets < 3*2*each {
		now := c.load()
		if now.Packets < before.Packets || now.Octets < before.Octets || now.Dropped < before.Dropped || now.Last.Before(before.Last) {
			t.Fatalf("%+v after %+v", now, before)
		}
		before = now
	}
	loops.Wait()
	want := Traffic{Packets: 3 * 2 * each, Octets: 3 * 10 * each, Dropped: 3 * each, Last: t0.Add((each*3 - 1) * time.Millisecond)}
	if got := c.load(); got.Packets != want.Packets || got.Octets != want.Octets || got.Dropped != want.Dropped || !got.Last.Equal(want.Last) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheSteadyStateAllocatesNothing(t *testing.T) {
	c := childOf(spiA, spiB)
	c.ReplayWindow = 0 // the same run again and again
	_, r, x := benchSite(t, c)
	f := tcpFrame(benchRow*(benchPayload-40), benchPayload-40)
	if n := testing.AllocsPerRun(100, func() { x.carry(f); x.send.flush() }); n != 0 {
		t.Errorf("%v allocations a frame on the way out", n)
	}
	run, copyOf := benchRun(t)
	if n := testing.AllocsPerRun(100, func() { copy(run.Buf, copyOf); r.run = run; r.process(); r.out.flush() }); n != 0 {
		t.Errorf("%v allocations a run on the way in", n)
	}
}
