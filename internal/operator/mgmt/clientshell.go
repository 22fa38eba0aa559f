package mgmt

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Shell joins an operator to a session of the gateway behind the socket until one of them ends it. If in is a terminal
// it is in raw mode meanwhile, and the gateway edits the lines; otherwise lines are read as they come, and nothing is
// echoed. exit is 1 if a line of a pipe was refused or failed. The goroutine that reads in ends with the read that it is
// in when the session ends: nobody else may want what comes next.
func Shell(ctx context.Context, socket string, in io.Reader, stdout, stderr io.Writer) (exit int, err error) {
	c, err := dial(ctx, socket)
	if err != nil {
		return 1, err
	}
	defer c.close()
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		leave, err := c.takeOver(f)
		if err != nil {
			return 1, err
		}
		defer leave()
	} else {
		c.begin(kindShell, nil)
	}
	go c.forward(in)
	return c.receive(stdout, stderr)
}

// takeOver begins a session on a terminal: raw mode, and word of each new size. leave gives the terminal back.
func (c *client) takeOver(f *os.File) (leave func(), err error) {
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("preparing the terminal: %w", err)
	}
	c.begin(kindShell, size(f))
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-resized:
				c.send(kindWindow, size(f))
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		close(done)
		term.Restore(int(f.Fd()), before)
	}, nil
}

// size is the body of a window frame.
func size(f *os.File) []byte {
	cols, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		cols, rows = 0, 0 // the gateway takes the usual
	}
	return window{cols, rows}.append(nil)
}

// forward sends what is typed.
func (c *client) forward(in io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := in.Read(b)
		if n > 0 && c.send(kindInput, b[:n]) != nil {
			return
		}
		if err != nil {
			c.send(kindInput, nil)
			return
		}
	}
}
