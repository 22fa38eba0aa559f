package datapath

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// Ten rekeys in the order of protocol.md §1.4 while both loops run and numbered packets flow: none is lost, none comes
// twice, none becomes a stray. Run with -race it also shows that readers and writers of the table do not meet.
func TestTenRekeysUnderTrafficLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds, each = 10, 200
		a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
		ctx, stop := context.WithCancel(context.Background())
		var loops sync.WaitGroup
		loops.Go(func() { a.Run(ctx) })
		loops.Go(func() { b.Run(ctx) })
		src, dst := netip.MustParseAddrPort("10.1.0.1:7"), netip.MustParseAddrPort("10.2.0.1:9")
		sent := uint64(0)
		burst := func() {
			for range each {
				sent++
				a.dev.out <- plain(ip.AppendNumbered(nil, src, dst, sent, 100))
			}
		}
		old := childOf(spiA, spiB)
		for i := range rounds {
			next := childOf(spiA+sa.SPI(i)+1, spiB+sa.SPI(i)+1)
			burst() // under way while the SAs change
			b.table.Reserve(next.Out, 1, t0)
			if err := b.table.Install(mirror(next), sa.InboundHalf, t0); err != nil {
				t.Error(err)
			}
			a.install(t, next)
			burst()
			if err := b.table.Install(mirror(next), sa.OutboundHalf, t0); err != nil {
				t.Error(err)
			}
			a.table.Remove(old.In, old.Out, 1, sa.OutboundHalf, sa.TombRekeyed, t0)
			synctest.Wait() // everything sent on the old one has arrived
			b.table.Remove(old.Out, old.In, 1, sa.BothHalves, sa.TombRekeyed, t0)
			a.table.Remove(old.In, old.Out, 1, sa.BothHalves, sa.TombRekeyed, t0)
			old = next
		}
		synctest.Wait()
		seen := map[uint64]bool{}
		for _, f := range b.dev.frames() {
			n, ok := ip.Number(f[VirtioLen:])
			if !ok || seen[n] {
				t.Errorf("packet %d (%v) a second time", n, ok)
			}
			seen[n] = true
		}
		if len(seen) != int(sent) || sent != 2*rounds*each {
			t.Errorf("%d of %d arrived", len(seen), sent)
		}
		b.dropped(t, reason.None, 0)
		a.dropped(t, reason.None, 0)
		if got := b.TakeStrays(nil); len(got) != 0 {
			t.Errorf("strays %+v", got)
		}
		stop()
		loops.Wait()
	})
}

// Each pair of (key, number) leaves once, whatever the wire does with the packets.
func TestNoNumberLeavesTwiceUnderOneSPI(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a, _ := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	type number struct{ spi, seq uint32 }
	seen := map[number]bool{}
	for i := range 300 {
		a.wire.fail = nil
		if r.IntN(5) == 0 {
			a.wire.fail = errFake
		}
		if i%50 == 49 {
			next := childOf(spiA+sa.SPI(i), spiB+sa.SPI(i))
			a.install(t, next)
		}
		a.leave(tcpFrame(1+r.IntN(30000), 1+r.IntN(1400)))
	}
	for _, pkt := range packets(a.wire.runs()) {
		n := number{uint32(pkt[0])<<24 | uint32(pkt[1])<<16 | uint32(pkt[2])<<8 | uint32(pkt[3]),
			uint32(pkt[4])<<24 | uint32(pkt[5])<<16 | uint32(pkt[6])<<8 | uint32(pkt[7])}
		if seen[n] {
			t.Fatalf("%+v twice", n)
		}
		seen[n] = true
	}
	if len(seen) < 1000 {
		t.Errorf("only %d packets", len(seen))
	}
}

// A packet that arrives while its SA is being installed is parked or opened, never a stray: the receiver works without a
// pause while the install happens, so that it meets every moment of it.
func TestTheMomentOfTheInstallShowsNoStray(t *testing.T) {
	pkt := append([]byte{0xB0, 0, 0x10, 0, 0, 0, 0, 1}, make([]byte, 52)...)
	s := newSite(t, newWire(siteB), settings{})
	for i := range 1500 {
		c := mirror(childOf(spiA+sa.SPI(i), spiB+sa.SPI(i)))
		binary.BigEndian.PutUint32(pkt, uint32(c.In))
		s.table.Reserve(c.In, 1, t0)
		var installed atomic.Bool
		var group sync.WaitGroup
		group.Go(func() {
			if err := s.table.Install(c, sa.InboundHalf, t0); err != nil {
				t.Error(err)
			}
			installed.Store(true)
		})
		for !installed.Load() {
			s.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: pkt})
		}
		group.Wait()
	}
	if got := s.TakeStrays(nil); len(got) != 0 {
		t.Fatalf("%d strays", len(got))
	}
}

func TestALoopPausesBeforeItTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, newWire(siteA), settings{})
		pause := time.Duration(0)
		began := time.Now()
		for range 15 {
			if !s.rx.again(errFake, &pause) {
				t.Fatal("an error that may pass ended the loop")
			}
		}
		if took := time.Since(began); pause != mostPause || took < 4*time.Second || took > 8*time.Second {
			t.Errorf("pause %v after %v", pause, took)
		}
	})
}
