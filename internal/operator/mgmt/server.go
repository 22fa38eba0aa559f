package mgmt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/logsink"
)

// Options make a Server.
type Options struct {
	Path  string     // of the socket; empty: DefaultPath
	Table *cli.Table // with those of Commands
	// Hostname is that of the prompt, asked for before each; nil: "lockstep".
	Hostname func() string
	Log      *logsink.Sink // what `terminal monitor` shows
	// Idle is how long a session at its prompt may do nothing; 0: ten minutes, as on IOS's lines; negative: for ever.
	Idle time.Duration
}

// limits are what a client may cost.
type limits struct {
	sessions int
	hello    time.Duration // until the request is there
	command  time.Duration // that a command may be silent
	stall    time.Duration // that output may wait for the client
	idle     time.Duration // at the prompt
	grace    time.Duration // to say goodbye when the gateway stops
}

func standard(idle time.Duration) limits {
	if idle == 0 {
		idle = 10 * time.Minute
	}
	return limits{sessions: 16, hello: 10 * time.Second, command: time.Minute, stall: 30 * time.Second, idle: idle, grace: time.Second}
}

// Server serves exec sessions on one unix socket.
type Server struct {
	opt      Options
	limits   limits
	listener *net.UnixListener
	own      fs.FileInfo // the socket as we made it
	close    sync.Once

	mu   sync.Mutex
	open map[*net.UnixConn]int // guarded by mu: sessions, with the process at the other end
}

// Listen takes the socket; an error is one sentence with the remedy. Call Serve or Close.
func Listen(o Options) (*Server, error) {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	// Absolute, so that a name with @ in front is a file with a mode like any other.
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("finding the socket's directory: %w", err)
	}
	o.Path = path
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	own, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("looking at the new socket: %w", err)
	}
	return &Server{opt: o, limits: standard(o.Idle), listener: l, own: own, open: map[*net.UnixConn]int{}}, nil
}

// Path is the socket's name.
func (s *Server) Path() string { return s.opt.Path }

// Close ends a Server that Serve was not called for, or makes Serve end without a word to its sessions' clients.
func (s *Server) Close() error {
	s.close.Do(func() {
		removeOwn(s.opt.Path, s.own)
		s.listener.Close()
	})
	return nil
}

// acceptPause is how long no client is taken after the system refused one, for want of descriptors as a rule.
const acceptPause = 100 * time.Millisecond

// Serve serves until ctx ends; then sessions are told, their commands cancelled, and the socket is removed. It returns
// when the last session has ended.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
		case !s.admit(conn):
			s.refuse(conn)
		default:
			sessions.Go(func() { s.attend(ctx, conn) })
		}
	}
}

func (s *Server) admit(conn *net.UnixConn) bool {
	pid := peerPID(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limits.sessions {
		return false
	}
	s.open[conn] = pid
	return true
}

func (s *Server) dismiss(conn *net.UnixConn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

// refuse answers a client that is one too many. It fits into the buffer of a fresh connection, so that nobody waits.
func (s *Server) refuse(conn *net.UnixConn) {
	defer conn.Close()
	s.mu.Lock()
	pids := slices.Compact(slices.Sorted(maps.Values(s.open)))
	s.mu.Unlock()
	text := fmt.Sprintf("%% All %d sessions are in use, by the processes %s: end one of them\n", s.limits.sessions,
		strings.Join(strings.Fields(strings.Trim(fmt.Sprint(pids), "[]")), ", "))
	conn.SetWriteDeadline(time.Now().Add(acceptPause))
	conn.Write(appendFrame(appendFrame(nil, kindErr, []byte(text)), kindEnd, []byte{1}))
}

// attend is one connection from its first octet to its last.
func (s *Server) attend(ctx context.Context, conn *net.UnixConn) {
	defer s.dismiss(conn)
	ctx, cancel := context.WithCancelCause(ctx)
	l := newLink(conn, s.limits.stall, cancel)
	var others sync.WaitGroup // goroutines of this session
	done := make(chan struct{})
	others.Go(func() { closeAfter(ctx, conn, s.limits.grace, done) })
	defer func() {
		if why := recover(); why != nil {
			l.refuse(newCrash("the session", why))
		}
		l.close()
		close(done)
		cancel(nil)
		conn.Close()
		others.Wait()
	}()

	r := bufio.NewReader(conn)
	req, err := s.hello(conn, r)
	if err != nil {
		l.refuse(err)
		return
	}
	if !req.shell {
		others.Go(func() { awaitHangup(r, cancel) })
		l.end(s.exec(ctx, l, req.command))
		return
	}
	sh := newShell(ctx, s, l, req.window)
	others.Go(func() { sh.receive(ctx, r, cancel) })
	l.end(sh.serve(ctx))
}

// closeAfter closes conn when ctx has ended and the session took longer than grace to notice.
func closeAfter(ctx context.Context, conn net.Conn, grace time.Duration, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(grace):
		conn.Close()
	}
}

var (
	errHangup  = errors.New("the client hung up")
	errStalled = errors.New("the client does not take its output")
	// errForeign is a client that does not speak our protocol at all.
	errForeign = errors.New("this is the management socket of a Lockstep gateway: use `lockstep shell` or `lockstep exec`")
)

// hello reads what a client wants.
func (s *Server) hello(conn net.Conn, r *bufio.Reader) (request, error) {
	conn.SetReadDeadline(time.Now().Add(s.limits.hello))
	defer conn.SetReadDeadline(time.Time{})
	for i := range preamble {
		b, err := r.ReadByte()
		if err != nil {
			return request{}, errHangup
		}
		if b == preamble[i] {
			continue
		}
		if i < strings.IndexByte(preamble, '/') {
			return request{}, errForeign
		}
		return request{}, fmt.Errorf("this gateway speaks %q and the client another version: use the `lockstep` that runs as the gateway", strings.TrimSpace(preamble))
	}
	f, err := readFrame(r)
	if err != nil && !errors.Is(err, errFrame) {
		return request{}, errHangup
	}
	if err != nil {
		return request{}, err
	}
	return parseRequest(f)
}

// awaitHangup ends an exec session whose client goes away, or says what it has no business to say.
func awaitHangup(r *bufio.Reader, cancel context.CancelCauseFunc) {
	r.ReadByte()
	cancel(errHangup)
}

// exec carries out one command, and returns its exit status.
func (s *Server) exec(ctx context.Context, l *link, command string) int {
	session := s.session()
	out := &plainScreen{out: l.stream(kindOut)}
	err := run(ctx, session, command, out, newPatience(s.limits.command))
	if err == nil || errors.Is(err, cli.ErrLeave) {
		return 0
	}
	fmt.Fprintln(l.stream(kindErr), complaint(ctx, command, err))
	return 1
}

// session begins an exec session; whoever may open the socket is trusted with everything.
func (s *Server) session() *cli.Session {
	c := cli.NewSession(s.opt.Table, cli.PrivilegedExec)
	c.Hostname = s.opt.Hostname
	return c
}
