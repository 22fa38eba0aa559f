package recovery

import (
	"container/heap"
	"time"
)

// wakes is the heap of owners by the time at which they want a Tick.
type wakes []*owner

func (w wakes) Len() int           { return len(w) }
func (w wakes) Less(i, j int) bool { return w[i].wake.Before(w[j].wake) }
func (w wakes) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}
func (w *wakes) Push(x any) {
	o := x.(*owner)
	o.index = len(*w)
	*w = append(*w, o)
}
func (w *wakes) Pop() any {
	old := *w
	o := old[len(old)-1]
	old[len(old)-1] = nil
	*w, o.index = old[:len(old)-1], -1
	return o
}

// set puts o into the heap, moves it, or takes it out (zero time).
func (w *wakes) set(o *owner, at time.Time) {
	o.wake = at
	switch {
	case at.IsZero() && o.index >= 0:
		heap.Remove(w, o.index)
	case at.IsZero():
	case o.index >= 0:
		heap.Fix(w, o.index)
	default:
		heap.Push(w, o)
	}
}
