package gateway

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	consoleRoom = 1024 // lines that wait for a slow terminal
	consoleLast = time.Second
)

// console writes to a terminal or a pipe that may stand still (Ctrl-S, a stopped reader) without anybody waiting for it:
// lines that find no room are counted, and told when there is room again.
type console struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Uint64
	done  chan struct{}
	close sync.Once
}

func newConsole(to io.Writer) *console {
	c := &console{to: to, lines: make(chan []byte, consoleRoom), done: make(chan struct{})}
	go c.write()
	return c
}

// Write takes whole lines; it never waits and never fails.
func (c *console) Write(b []byte) (int, error) {
	select {
	case c.lines <- append([]byte(nil), b...):
	default:
		c.lost.Add(1)
	}
	return len(b), nil
}

func (c *console) write() {
	defer close(c.done)
	for b := range c.lines {
		_, _ = c.to.Write(b) // a console that went away is no reason to end
		if n := c.lost.Swap(0); n > 0 {
			fmt.Fprintf(c.to, "%d lines had no room here: show logging has the last ones\n", n)
		}
	}
}

// Close writes what waits, as long as that takes no longer than a moment. Nobody writes any more.
func (c *console) Close() {
	c.close.Do(func() { close(c.lines) })
	select {
	case <-c.done:
	case <-time.After(consoleLast):
	}
}
