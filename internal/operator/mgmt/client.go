package mgmt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"syscall"
)

// Exec has one command carried out by the gateway behind the socket. exit is the command's status, 0 or 1; what it
// printed has gone to stdout, why it was refused to stderr. An error says that the gateway could not be asked, in one
// sentence with the remedy.
func Exec(ctx context.Context, socket, command string, stdout, stderr io.Writer) (exit int, err error) {
	if len(command) > maxCommand {
		return 1, fmt.Errorf("the command has %d octets: at most %d are read", len(command), maxCommand)
	}
	c, err := dial(ctx, socket)
	if err != nil {
		return 1, err
	}
	defer c.close()
	c.begin(kindExec, []byte(command))
	return c.receive(stdout, stderr)
}

// client is the operator's end of a connection.
type client struct {
	ctx    context.Context
	conn   net.Conn
	hangup func() bool

	mu sync.Mutex // held while a frame is written
}

func dial(ctx context.Context, socket string) (*client, error) {
	if socket == "" {
		socket = DefaultPath
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, remedy(socket, err)
	}
	return &client{ctx: ctx, conn: conn, hangup: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

// remedy says what to do where no gateway answers.
func remedy(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no gateway answers on %s: start one with `lockstep run -c FILE`, or name its socket with -socket", socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user: run the command as root, or join the socket's group", socket)
	}
	return fmt.Errorf("the gateway cannot be asked: %w", err)
}

func (c *client) close() {
	c.hangup()
	c.conn.Close()
}

// begin asks for a session. Where the gateway has refused it already, its reason can still be read.
func (c *client) begin(k kind, body []byte) {
	c.conn.Write(appendFrame([]byte(preamble), k, body))
}

func (c *client) send(k kind, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(appendFrame(nil, k, body))
	return err
}

// ahead is how many frames are taken from the gateway before they are printed: the reader of `… | less` must not hold a
// session of the gateway. At 16 KiB each they are 64 MiB.
const ahead = 4096

// receive prints what the gateway sends, until its last frame.
func (c *client) receive(stdout, stderr io.Writer) (int, error) {
	frames := make(chan frame, ahead)
	var broken error // set before frames is closed
	done := make(chan struct{})
	defer close(done)
	go func() {
		defer close(frames)
		broken = c.read(frames, done)
	}()
	for f := range frames {
		var err error
		switch f.kind {
		case kindOut:
			_, err = stdout.Write(f.body)
		case kindErr:
			_, err = stderr.Write(f.body)
		case kindEnd:
			return status(f.body), nil
		}
		if err != nil {
			return 1, fmt.Errorf("writing what the gateway answered: %w", err)
		}
	}
	if c.ctx.Err() != nil {
		return 1, c.ctx.Err()
	}
	return 1, broken
}

func status(body []byte) int {
	if len(body) != 1 {
		return 1
	}
	return int(body[0])
}

// read takes frames off the connection, the last one included.
func (c *client) read(frames chan<- frame, done <-chan struct{}) error {
	r := bufio.NewReader(c.conn)
	for {
		if err := expectFrame(r); err != nil {
			return err
		}
		f, err := readFrame(r)
		if err != nil {
			return fmt.Errorf("the gateway ended the session early: %w", noEOF(err))
		}
		select {
		case frames <- f:
		case <-done:
			return nil
		}
		if f.kind == kindEnd {
			return nil
		}
	}
}

// expectFrame looks whether a frame comes: the socket may be another program's.
func expectFrame(r *bufio.Reader) error {
	b, err := r.Peek(1)
	if err != nil {
		return fmt.Errorf("the gateway ended the session early: %w", noEOF(err))
	}
	switch kind(b[0]) {
	case kindOut, kindErr, kindEnd:
		return nil
	}
	line, _ := r.ReadSlice('\n')
	return fmt.Errorf("this is no gateway's socket, or another version's: it says %.100q", strings.TrimSpace(string(line)))
}
