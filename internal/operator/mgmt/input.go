package mgmt

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// errIdle ends a session that waited for its operator for too long.
var errIdle = errors.New("the session was idle for too long")

// maxAhead is how many octets may be typed ahead of the session; after that the client's own buffers fill up, and
// nothing is lost. It must hold the body of a frame.
const maxAhead = 64 << 10

// input is what an operator has typed and the session has not taken. One goroutine puts, the session's own takes.
type input struct {
	mu    sync.Mutex
	ahead []byte // guarded by mu
	ended bool   // guarded by mu

	fresh chan struct{} // one slot: ahead or ended changed
	room  chan struct{} // one slot: ahead was emptied

	// What follows belongs to the taker.
	rest []byte
	idle time.Duration // 0 or less: for ever
	// unattended reports that the operator watches and need not type.
	unattended func() bool
	// waiting is called before the taker blocks.
	waiting func()
}

func newInput(idle time.Duration) *input {
	return &input{fresh: make(chan struct{}, 1), room: make(chan struct{}, 1), idle: idle,
		unattended: func() bool { return false }, waiting: func() {}}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put hands over octets; it waits while too many are there.
func (in *input) put(ctx context.Context, b []byte) {
	for !in.fits(b) {
		select {
		case <-in.room:
		case <-ctx.Done():
			return
		}
	}
}

func (in *input) fits(b []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.ahead)+len(b) > maxAhead {
		return false
	}
	in.ahead = append(in.ahead, b...)
	wake(in.fresh)
	return true
}

// end says that no more octets come.
func (in *input) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
	wake(in.fresh)
}

// discard forgets what waits.
func (in *input) discard() { in.takeAll() }

func (in *input) takeAll() (all []byte, ended bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	all, in.ahead = in.ahead, nil
	wake(in.room)
	return all, in.ended
}

// ready reports that next will not wait.
func (in *input) ready() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.rest)+len(in.ahead) > 0
}

// next is the next octet. The error is io.EOF at the end of input, errIdle, or why ctx ended.
func (in *input) next(ctx context.Context) (byte, error) {
	for len(in.rest) == 0 {
		all, ended := in.takeAll()
		if len(all) == 0 && ended {
			return 0, io.EOF
		}
		in.rest = all
		if len(all) > 0 {
			break
		}
		if err := in.await(ctx); err != nil {
			return 0, err
		}
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b, nil
}

// await blocks until something was put.
func (in *input) await(ctx context.Context) error {
	in.waiting()
	var expired <-chan time.Time
	if in.idle > 0 && !in.unattended() {
		t := time.NewTimer(in.idle)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-in.fresh:
		return nil
	case <-expired:
		return errIdle
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
