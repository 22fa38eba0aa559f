package engine

import (
	"context"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

// mostPerPeer is what a peer with one IKE SA and one child may take of the heap, in octets: engine, peer, machine and both
// halves in the SA table.
const mostPerPeer = 32 << 10

// numbered issues SPIs one after the other.
type numbered struct{ last atomic.Uint32 }

func (n *numbered) Next() (uint32, error) { return 255 + n.last.Add(1), nil }

// memorySide is an engine with a real SA table.
type memorySide struct {
	e  *Engine
	up atomic.Int32 // children
}

// perPeer brings n peers up between two engines in this process, and measures what one of them takes at one end.
func perPeer(tb testing.TB, n int) float64 {
	tb.Helper()
	address := func(side byte, i int) netip.Addr { return netip.AddrFrom4([4]byte{10, side, byte(i >> 8), byte(i)}) }
	var left, right []*policy.Peer
	for i := range n {
		a, b := address(1, i), address(2, i)
		left = append(left, peerOf(i, a, b))
		passive := peerOf(i, b, a)
		passive.Initiate = false
		right = append(right, passive)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var a, b memorySide
	begin := func(s *memorySide, other func() *Engine, peers []*policy.Peer) {
		e, err := New(Options{Config: configOf(peers...), Installer: sa.NewTable(sa.Options{}), SPIs: &numbered{},
			Send: func(m ike.Send) { other().Deliver(m.Remote, m.Local, append([]byte(nil), m.Bytes...)) },
			Notices: func(x ike.Notice) {
				if x.Kind == ike.ChildUp {
					s.up.Add(1)
				}
			}, Mailbox: 4 * n})
		if err != nil {
			tb.Fatal(err)
		}
		s.e = e
	}
	begin(&a, func() *Engine { return b.e }, left)
	begin(&b, func() *Engine { return a.e }, right)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, e := range []*Engine{a.e, b.e} {
		go e.Run(ctx)
		defer e.Kill()
	}
	for i := range n {
		a.e.Post(sa.Owner(i), ike.Command{Verb: ike.VerbInitiate, Why: "memory"})
	}
	for end := time.Now().Add(time.Minute); int(a.up.Load()) < n || int(b.up.Load()) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%d and %d of %d children are up", a.up.Load(), b.up.Load(), n)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(2*n)
}

func TestAPeerWithOneChildFitsItsMemory(t *testing.T) {
	got := perPeer(t, 200)
	t.Logf("%.0f octets a peer", got)
	if got > mostPerPeer {
		t.Errorf("%.0f octets a peer, at most %d", got, mostPerPeer)
	}
}

func BenchmarkMemoryOfAPeer(b *testing.B) {
	var sum float64
	n := 0
	for b.Loop() {
		sum += perPeer(b, 500)
		n++
	}
	b.ReportMetric(sum/float64(n), "B/peer")
}
