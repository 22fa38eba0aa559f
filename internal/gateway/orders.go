package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lockstep/internal/ike"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// orders pairs the commands of operators with their ends. References of recovery and of ike/peer have high bits of
// their own (recovery.RefTag and the highest): these count from 1.
type orders struct {
	mu      sync.Mutex
	last    uint64                      // guarded by mu
	waiting map[uint64]chan ike.Outcome // guarded by mu
}

func (o *orders) begin() (uint64, chan ike.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == nil {
		o.waiting = map[uint64]chan ike.Outcome{}
	}
	o.last++
	end := make(chan ike.Outcome, 1)
	o.waiting[o.last] = end
	return o.last, end
}

// end delivers an Outcome to whoever waits; false: nobody does.
func (o *orders) end(out ike.Outcome) bool {
	if out.Ref&recovery.RefTag != 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	end, ok := o.waiting[out.Ref]
	if ok {
		end <- out // has room for the only one
		delete(o.waiting, out.Ref)
	}
	return ok
}

func (o *orders) forget(ref uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.waiting, ref)
}

var errNotTaken = errors.New("the IKE engine did not take the command: it is overloaded, stopping, or has no such peer")

// Order implements exec.Gateway.
func (g *Gateway) Order(ctx context.Context, owner sa.Owner, c ike.Command) (ike.Outcome, error) {
	ref, end := g.orders.begin()
	defer g.orders.forget(ref)
	c.Ref = ref
	if !g.engine.Post(owner, c) {
		return ike.Outcome{}, errNotTaken
	}
	select {
	case out := <-end:
		return out, nil
	case <-ctx.Done():
		return ike.Outcome{}, fmt.Errorf("the command goes on, its end was not waited for: %w", ctx.Err())
	case <-g.ended:
		return ike.Outcome{}, errors.New("the gateway has stopped")
	}
}
