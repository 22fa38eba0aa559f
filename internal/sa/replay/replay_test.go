package replay

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// naive is RFC 4303 §3.4.3 said plainly: remember everything, refuse 0, the too old and the seen.
type naive struct {
	top, size uint64
	seen      map[uint64]bool
}

func (n *naive) accept(seq uint64) bool {
	if seq == 0 || n.seen[seq] || seq <= n.top && n.top-seq >= n.size {
		return false
	}
	n.seen[seq] = true
	n.top = max(n.top, seq)
	return true
}

func sizes() []int { return []int{64, 65, 127, 128, 1000, 1024, 4096, 8192} }

func TestWindowAgreesWithPlainRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom(sizes()).Draw(t, "size")
		start := rapid.SampledFrom([]uint64{0, 1, 63, 64, 1<<32 - 10, 1 << 32, 1<<63 + 5, math.MaxUint64 - 70}).Draw(t, "start")
		w := New(size)
		model := naive{size: uint64(size), seen: map[uint64]bool{}}
		step := func(seq uint64) {
			if check := w.Check(seq); check != w.Check(seq) {
				t.Fatalf("Check(%d) changed its mind", seq)
			}
			check := w.Check(seq)
			got, want := w.Accept(seq), model.accept(seq)
			if got != want || check != got {
				t.Fatalf("top %d: Check(%d) = %v, Accept = %v, want %v", model.top, seq, check, got, want)
			}
			if w.Top() != model.top {
				t.Fatalf("after %d: top %d, want %d", seq, w.Top(), model.top)
			}
		}
		step(start)
		offsets := rapid.SliceOfN(rapid.OneOf(
			rapid.Int64Range(-3, 3),
			rapid.Int64Range(-70, 70),
			rapid.Int64Range(-int64(size)-2, -int64(size)+2),
			rapid.Int64Range(-2*int64(size), 2*int64(size)),
			rapid.Int64Range(0, 1<<40),
		), 1, 200).Draw(t, "offsets")
		for _, d := range offsets {
			seq := model.top + uint64(d)
			if d < 0 && seq > model.top || d > 0 && seq < model.top {
				continue // past the ends of 64 bits
			}
			step(seq)
		}
	})
}

func TestWindowRemembersExactlyItsSize(t *testing.T) {
	for _, size := range sizes() {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := New(size)
			top := uint64(100_000)
			w.Accept(top)
			if oldest := top - uint64(size) + 1; !w.Accept(oldest) {
				t.Errorf("%d refused: it is the oldest in a window of %d below %d", oldest, size, top)
			}
			if old := top - uint64(size); w.Accept(old) {
				t.Errorf("%d accepted: it is older than a window of %d below %d", old, size, top)
			}
			if w.Accept(top) {
				t.Errorf("%d accepted twice", top)
			}
		})
	}
}

func TestSizeIsBroughtIntoRange(t *testing.T) {
	for _, c := range [][2]int{{-1, 64}, {0, 64}, {63, 64}, {64, 64}, {8192, 8192}, {8193, 8192}, {math.MaxInt, 8192}} {
		w := New(c[0])
		if w.Size() != c[1] {
			t.Errorf("New(%d).Size() = %d, want %d", c[0], w.Size(), c[1])
		}
	}
}

func TestSequenceZeroIsNeverValid(t *testing.T) {
	w := New(64)
	for _, top := range []uint64{0, 1, 5, 63} {
		if top > 0 {
			w.Accept(top)
		}
		if w.Check(0) || w.Accept(0) {
			t.Errorf("sequence 0 accepted with top %d", top)
		}
	}
}

func TestCheckDoesNotRemember(t *testing.T) {
	w := New(64)
	if !w.Check(7) || w.Top() != 0 || !w.Accept(7) || w.Check(7) {
		t.Errorf("Check must not update and Accept must: top %d", w.Top())
	}
}

func TestResumeCountsEverythingBeforeAsSeen(t *testing.T) {
	for _, top := range []uint64{1, 62, 63, 64, 65, 1000, 1 << 32, 1<<40 + 17} {
		w := New(128)
		w.Resume(top)
		for seq := top; seq > 0 && seq+300 > top; seq-- {
			if w.Check(seq) {
				t.Fatalf("resumed at %d: %d is accepted again", top, seq)
			}
		}
		for seq := top + 1; seq < top+300; seq++ {
			if !w.Accept(seq) || w.Accept(seq) {
				t.Fatalf("resumed at %d: %d must be accepted exactly once", top, seq)
			}
		}
	}
}

func TestHighHalfIsInferredAsAppendixA2(t *testing.T) {
	const w1024 = 1024
	for _, c := range []struct {
		name string
		top  uint64
		low  uint32
		want uint32
	}{
		{"first packet", 0, 1, 0},
		{"leap at the start", 0, 0xFFFFFFF0, 0},
		{"in the window", 5 << 32 / 2, 1<<31 - 5, 2},
		{"oldest in the window (case A)", 3<<32 | 5000, 5000 - 1023, 3},
		{"just below the window means the next 2^32", 3<<32 | 5000, 5000 - 1024, 4},
		{"crossing forward", 0xFFFFFFFF, 0, 1},
		{"crossing forward by more", 7<<32 | 0xFFFFFF00, 17, 8},
		{"late packet from before the crossing (case B)", 1<<32 | 3, 0xFFFFFFFE, 0},
		{"oldest from before the crossing", 1<<32 | 3, 0xFFFFFC04, 0},
		{"older than that is ahead", 1<<32 | 3, 0xFFFFFC03, 1},
		{"case B, after the crossing", 1<<32 | 3, 2, 1},
		{"window edge between the cases", 2<<32 | 1023, 0, 2},
		{"window edge, one below", 2<<32 | 1022, 0xFFFFFFFF, 1},
	} {
		w := New(w1024)
		w.Resume(c.top)
		if got := w.SeqHigh(c.low, true); got != c.want {
			t.Errorf("%s: top %#x low %#x: high %d, want %d", c.name, c.top, c.low, got, c.want)
		}
		if got := w.SeqHigh(c.low, false); got != 0 {
			t.Errorf("%s: high %d without ESN", c.name, got)
		}
	}
}

// Whatever is less than a window behind or less than 2^32 - W ahead of the top must be inferred exactly.
func TestHighHalfIsRightWithinReach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom(sizes()).Draw(t, "size")
		top := rapid.OneOf(rapid.Uint64Range(1, 3<<32), rapid.Uint64Range(1<<32-10_000, 1<<32+10_000),
			rapid.Uint64Range(1, 10_000)).Draw(t, "top")
		delta := rapid.OneOf(rapid.Int64Range(-int64(size)+1, int64(size)),
			rapid.Int64Range(0, 1<<32-int64(size))).Draw(t, "delta")
		seq := int64(top) + delta
		if seq <= 0 {
			return
		}
		w := New(size)
		w.Resume(top)
		if got := w.SeqHigh(uint32(seq), true); got != uint32(seq>>32) {
			t.Fatalf("size %d top %#x seq %#x: high %d", size, top, seq, got)
		}
	})
}

// At the end of the 64-bit space the inferred number falls far behind the window and is refused.
func TestEndOfSequenceSpaceRefuses(t *testing.T) {
	w := New(64)
	w.Resume(math.MaxUint64)
	high := w.SeqHigh(5, true)
	if seq := uint64(high)<<32 | 5; w.Check(seq) {
		t.Errorf("sequence %#x accepted after the last number", seq)
	}
}

func FuzzWindowNeverAcceptsTwice(f *testing.F) {
	f.Add(uint16(64), uint64(1), uint64(2), uint64(1))
	f.Add(uint16(1024), uint64(1<<32), uint64(1<<32-1), uint64(1<<32))
	f.Fuzz(func(t *testing.T, size uint16, a, b, c uint64) {
		w := New(int(size))
		got := map[uint64]bool{}
		for _, seq := range []uint64{a, b, c, a, b, c} {
			if w.Accept(seq) {
				if got[seq] {
					t.Fatalf("%d accepted twice", seq)
				}
				got[seq] = true
			}
		}
	})
}

func TestWindowDoesNotAllocate(t *testing.T) {
	w := New(DefaultSize)
	seq := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		seq += 3
		w.SeqHigh(uint32(seq), true)
		w.Check(seq)
		w.Accept(seq)
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkInOrder(b *testing.B) {
	w := New(DefaultSize)
	b.ReportAllocs()
	for seq := uint64(1); b.Loop(); seq++ {
		if !w.Check(seq) || !w.Accept(seq) {
			b.Fatal(seq)
		}
	}
}
