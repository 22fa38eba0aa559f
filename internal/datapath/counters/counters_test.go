package counters

import (
	"sync"
	"testing"

	"lockstep/internal/reason"
)

func TestTotalsAddUpAllWorkersAndLoseNothing(t *testing.T) {
	s := NewSet(4)
	var group sync.WaitGroup
	for _, w := range s {
		group.Go(func() {
			for range 1000 {
				w.Drop(reason.InvalidSPI, 100)
				w.Drop(reason.None, 7)
				w.Drop(reason.Drop(reason.Count), 7)
				s.Totals()
			}
		})
	}
	group.Wait()
	want := Totals{}
	want.Packets[reason.InvalidSPI], want.Octets[reason.InvalidSPI] = 4000, 400000
	if got := s.Totals(); got != want {
		t.Errorf("%+v", got)
	}
}

func BenchmarkDrop(b *testing.B) {
	w := NewSet(1)[0]
	b.ReportAllocs()
	for b.Loop() {
		w.Drop(reason.InvalidSPI, 100)
	}
}
