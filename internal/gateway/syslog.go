package gateway

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"lockstep/internal/event"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/policy"
)

// sinkOptions are those of the `logging` lines.
func (g *Gateway) sinkOptions(cfg *policy.Config) logsink.Options {
	l := cfg.Logging
	o := logsink.Options{Hostname: cfg.Hostname, Size: l.Buffered, Session: l.Session, Console: g.opt.Console, Now: g.now}
	o.Buffer, o.Terse = logsink.Level(l.Severity), logsink.Level(l.Console)
	o.Monitor, o.Trap = logsink.Level(l.Monitor), logsink.Level(l.Trap)
	for _, name := range l.Hosts {
		to := &syslogHost{address: withPort(name)}
		if err := to.dial(); err != nil {
			g.bus.Publish(event.HostFailure(g.now(), "logging host "+name, err))
		}
		o.Hosts = append(o.Hosts, logsink.Host{Name: name, To: to})
	}
	return o
}

// log makes the `logging` lines of cfg those in force, and lets go of the sockets of those before.
func (g *Gateway) log(cfg *policy.Config) {
	o := g.sinkOptions(cfg)
	g.sink.Configure(o)
	g.closeHosts()
	for _, h := range o.Hosts {
		g.hostConns = append(g.hostConns, h.To.(io.Closer))
	}
}

func (g *Gateway) closeHosts() {
	for _, c := range g.hostConns {
		c.Close()
	}
	g.hostConns = nil
}

// syslogHost sends datagrams to a syslog server. At a start there may be no way to it yet, and later on another one: after
// an error the next datagram has a socket of its own.
type syslogHost struct {
	address string

	mu     sync.Mutex
	conn   net.Conn // guarded by mu; nil: the last datagram could not be sent
	closed bool     // guarded by mu
}

func (h *syslogHost) dial() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dialLocked()
}

func (h *syslogHost) dialLocked() (err error) {
	switch {
	case h.closed:
		return net.ErrClosed
	case h.conn == nil:
		h.conn, err = net.Dial("udp", h.address) // an address: nothing is looked up
	}
	return err
}

// Write sends one datagram.
func (h *syslogHost) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.dialLocked(); err != nil {
		return 0, err
	}
	n, err := h.conn.Write(b)
	if err != nil {
		h.conn.Close()
		h.conn = nil
	}
	return n, err
}

// Close ends it; nothing is sent afterwards.
func (h *syslogHost) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.conn == nil {
		return nil
	}
	return h.conn.Close()
}

// withPort adds port 514 where none is named.
func withPort(name string) string {
	if _, err := netip.ParseAddrPort(name); err == nil {
		return name
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), "514")
}
