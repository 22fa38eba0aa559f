package mgmt

import (
	"context"
	"errors"
	"io"
	"time"
)

// errIdle ends a session that waited for its operator for too long.
var errIdle = errors.New("the session was idle for too long")

// maxWaiting is how many frames may be typed ahead; after that the client's own buffers fill up.
const maxWaiting = 64

// input is what an operator has typed and the session has not taken. One goroutine puts, the session's own takes.
type input struct {
	chunks chan []byte
	// What follows belongs to the taker.
	rest []byte
	idle time.Duration // 0 or less: for ever
	// unattended reports that the operator watches and need not type.
	unattended func() bool
	// waiting is called before the taker blocks.
	waiting func()
}

func newInput(idle time.Duration) *input {
	return &input{chunks: make(chan []byte, maxWaiting), idle: idle, unattended: func() bool { return false }, waiting: func() {}}
}

// put hands over octets; it waits while too many are there.
func (in *input) put(ctx context.Context, b []byte) {
	select {
	case in.chunks <- b:
	case <-ctx.Done():
	}
}

// end says that no more octets come.
func (in *input) end() { close(in.chunks) }

// discard forgets what waits; the putter calls it.
func (in *input) discard() {
	for {
		select {
		case <-in.chunks:
		default:
			return
		}
	}
}

// ready reports that next will not wait.
func (in *input) ready() bool { return len(in.rest) > 0 || len(in.chunks) > 0 }

// next is the next octet. The error is io.EOF at the end of input, errIdle, or why ctx ended.
func (in *input) next(ctx context.Context) (byte, error) {
	for len(in.rest) == 0 {
		var err error
		if in.rest, err = in.chunk(ctx); err != nil {
			return 0, err
		}
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b, nil
}

func (in *input) chunk(ctx context.Context) ([]byte, error) {
	if len(in.chunks) == 0 {
		in.waiting()
	}
	var expired <-chan time.Time
	if in.idle > 0 && !in.unattended() {
		t := time.NewTimer(in.idle)
		defer t.Stop()
		expired = t.C
	}
	select {
	case b, ok := <-in.chunks:
		if !ok {
			return nil, io.EOF
		}
		return b, nil
	case <-expired:
		return nil, errIdle
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
