package stray

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

var (
	t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	us = netip.MustParseAddr("192.0.2.1")
)

func flow(src string, spi sa.SPI) Key {
	return Key{Src: netip.MustParseAddr(src), Dst: us, Proto: 50, SPI: spi}
}

func take(t *testing.T, table *Table) (out []Stray, evicted uint64) {
	t.Helper()
	for table.Pending() {
		table.Flush()
		b := <-table.Batches()
		if len(b.Strays) > BatchSize {
			t.Fatalf("%d in a batch", len(b.Strays))
		}
		out, evicted = append(out, b.Strays...), evicted+b.Evicted
		table.Recycle(b)
	}
	return out, evicted
}

func TestAFlowIsHandedOverAtOnceAndCountedOn(t *testing.T) {
	table := New()
	k := flow("192.0.2.2", 0xFF0000AA)
	table.Note(k, 4500, 4500, sa.EncapUDP, 120, true, t0)
	got, _ := take(t, table)
	if len(got) != 1 || got[0].Key != k || got[0].Count != 1 || got[0].Encap != sa.EncapUDP || got[0].SrcPort != 4500 {
		t.Fatalf("%+v", got)
	}
	if more, _ := take(t, table); more != nil {
		t.Fatalf("handed over again: %+v", more)
	}
	table.Note(k, 4501, 4500, sa.EncapUDP, 80, true, t0.Add(time.Second))
	table.Note(k, 4501, 4500, sa.EncapUDP, 200, true, t0.Add(2*time.Second))
	got, _ = take(t, table)
	if len(got) != 1 || got[0].Count != 3 || got[0].Octets != 400 || got[0].MinLen != 80 || got[0].SrcPort != 4501 ||
		!got[0].First.Equal(t0) || !got[0].Last.Equal(t0.Add(2*time.Second)) {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsLostWhileTheHealerIsBusy(t *testing.T) {
	table := New()
	for i := range 500 {
		table.Note(flow("192.0.2.2", sa.SPI(1000+i)), 0, 0, sa.EncapNone, 100, true, t0)
		table.Flush() // nobody receives: must not wait, must not lose
	}
	seen := map[sa.SPI]bool{}
	for range 500 {
		select {
		case b := <-table.Batches():
			for _, s := range b.Strays {
				seen[s.SPI] = true
			}
			table.Recycle(b)
		default:
		}
		table.Flush()
	}
	if len(seen) != 500 {
		t.Errorf("%d flows of 500", len(seen))
	}
}

func TestStrangersCannotPushOutAPeer(t *testing.T) {
	table := New()
	peer := flow("192.0.2.2", 0xDEAD0001)
	table.Note(peer, 0, 0, sa.EncapNone, 100, true, t0)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200000 {
		src := netip.AddrFrom4([4]byte{203, 0, byte(r.Uint32()), byte(r.Uint32())})
		table.Note(Key{Src: src, Dst: us, Proto: 50, SPI: sa.SPI(r.Uint32())}, 0, 0, sa.EncapNone, 100, false, t0.Add(time.Duration(i)))
	}
	table.Note(peer, 0, 0, sa.EncapNone, 100, true, t0.Add(time.Second))
	got, evicted := take(t, table)
	if len(got) > 2*poolSize || evicted < 100000 {
		t.Errorf("%d handed over, %d evicted", len(got), evicted)
	}
	if got[0].Key != peer || got[0].Count != 2 {
		t.Errorf("the peer: %+v", got[0])
	}
}

func TestNotingDoesNotAllocate(t *testing.T) {
	table := New()
	r := rand.New(rand.NewPCG(3, 4))
	if n := testing.AllocsPerRun(20000, func() {
		table.Note(Key{Src: us, Dst: us, Proto: 50, SPI: sa.SPI(r.Uint32())}, 0, 0, sa.EncapNone, 100, false, t0)
		table.Flush()
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// BenchmarkUnknownSPIDrop is the whole of what a worker does for such a packet after it parsed the header.
func BenchmarkUnknownSPIDrop(b *testing.B) {
	db, w, table := sa.NewTable(sa.Options{}), counters.NewSet(1)[0], New()
	r := rand.New(rand.NewPCG(5, 6))
	spis := make([]sa.SPI, 1<<14)
	for i := range spis {
		spis[i] = sa.SPI(r.Uint32())
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		spi := spis[i%len(spis)]
		i++
		if _, ok := db.Lookup(spi); ok {
			b.Fatal("found")
		}
		w.Drop(reason.InvalidSPI, 120)
		table.Note(Key{Src: us, Dst: us, Proto: 50, SPI: spi}, 4500, 4500, sa.EncapUDP, 120, false, t0)
		table.Flush()
	}
}
