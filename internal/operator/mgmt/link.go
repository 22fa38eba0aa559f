package mgmt

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// linkBuffer is how much output is gathered before it is sent, so that a command may write in small pieces.
	linkBuffer = 32 << 10
	// linkDelay is how long it is gathered at most.
	linkDelay = 20 * time.Millisecond
)

// link sends frames to one client, from any goroutine. A client that takes nothing for the stall time loses its session.
type link struct {
	conn   net.Conn
	stall  time.Duration
	cancel context.CancelCauseFunc // of the session

	mu      sync.Mutex
	pending []byte      // guarded by mu
	last    int         // guarded by mu: where the last frame of pending begins
	late    *time.Timer // guarded by mu: sends what is pending; nil: nothing is
	err     error       // guarded by mu: why nothing can be sent any more
}

func newLink(conn net.Conn, stall time.Duration, cancel context.CancelCauseFunc) *link {
	return &link{conn: conn, stall: stall, cancel: cancel}
}

// send queues one frame.
func (l *link) send(k kind, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.queue(k, body)
	if len(l.pending) >= linkBuffer {
		return l.flushLocked()
	}
	if l.late == nil {
		l.late = time.AfterFunc(linkDelay, func() { l.flush() })
	}
	return nil
}

// queue makes one frame of pieces of the same kind: commands write by lines and less. Callers hold mu.
func (l *link) queue(k kind, body []byte) {
	n := len(l.pending) - l.last - frameHeader + len(body) // octets of the last frame's body then
	if len(l.pending) > 0 && kind(l.pending[l.last]) == k && n <= maxBody {
		l.pending = append(l.pending, body...)
		binary.BigEndian.PutUint16(l.pending[l.last+1:], uint16(n))
		return
	}
	l.last = len(l.pending)
	l.pending = appendFrame(l.pending, k, body)
}

func (l *link) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flushLocked()
}

func (l *link) flushLocked() error {
	if l.late != nil {
		l.late.Stop()
		l.late = nil
	}
	if l.err != nil || len(l.pending) == 0 {
		return l.err
	}
	l.conn.SetWriteDeadline(time.Now().Add(l.stall))
	_, err := l.conn.Write(l.pending)
	l.pending = l.pending[:0]
	if err != nil {
		l.err = errHangup
		if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
			l.err = errStalled
		}
		l.cancel(l.err)
	}
	return l.err
}

// end sends the last frame.
func (l *link) end(status int) {
	l.send(kindEnd, []byte{byte(status)})
	l.flush()
}

// refuse tells a client why it gets no session: in its own language if it does not speak ours.
func (l *link) refuse(why error) {
	text := "% " + strings.TrimPrefix(why.Error(), "% ") + "\n"
	switch {
	case errors.Is(why, errHangup):
	case errors.Is(why, errForeign):
		l.conn.SetWriteDeadline(time.Now().Add(l.stall))
		l.conn.Write([]byte(text))
	default:
		l.send(kindErr, []byte(text))
		l.end(1)
	}
}

// close makes sure that nothing is sent later.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late != nil {
		l.late.Stop()
		l.late = nil
	}
	if l.err == nil {
		l.err = errHangup
	}
}

// stream is one of a client's outputs.
type stream struct {
	link *link
	kind kind
}

func (l *link) stream(k kind) stream { return stream{l, k} }

func (s stream) Write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n := min(maxBody, len(b)-sent)
		if err := s.link.send(s.kind, b[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// Flush sends what is queued: before a session waits for its operator.
func (s stream) Flush() error { return s.link.flush() }
