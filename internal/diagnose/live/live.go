package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

const (
	// queued messages wait while the loop judges all flows for the page: two seconds of 30,000 messages.
	queued = 1 << 16
	// longest is the longest message that is read; RFC 5425 §4.3.1 asks for 8,192 octets.
	longest = 16 << 10
	// socketBuffer holds what arrives while the process does not run.
	socketBuffer = 8 << 20
	maxStreams   = 512
)

// Options says where to listen and whom to tell.
type Options struct {
	Listen  []string // udp:ADDR or tcp:ADDR
	Page    string   // loopback address of page and metrics; empty: none
	Command string   // run for each alert, with it as JSON on standard input
	Webhook string   // gets each alert as a JSON POST
	Known   verdict.Known
	Configs []diagnose.Configuration
	Out     io.Writer // changes of verdicts, a line each
	Errors  io.Writer // what went wrong beside it
}

// message is one syslog message as it arrived.
type message struct {
	from netip.Addr
	text []byte
	at   time.Time
}

// Service is a running collector.
type Service struct {
	o      Options
	queue  chan message
	ask    chan chan *diagnose.Result
	alerts *alerts
	wg     sync.WaitGroup
	closed []io.Closer
	ports  []int // of UDP

	Addrs   []net.Addr // in the order of Options.Listen, then the page's
	stats   stats
	printed sync.Mutex
}

// stats are counted by several goroutines.
type stats struct {
	received, overflow, long, streams, refused atomic.Uint64
	flows, persistent, evicted                 atomic.Int64
	sightings                                  atomic.Uint64
}

// Start listens. Run must follow.
func Start(o Options) (*Service, error) {
	s := &Service{o: o, queue: make(chan message, queued), ask: make(chan chan *diagnose.Result), alerts: newAlerts(o)}
	for _, where := range o.Listen {
		if err := s.listen(where); err != nil {
			s.close()
			return nil, err
		}
	}
	if o.Page != "" {
		if err := s.serve(o.Page); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *Service) close() {
	for _, c := range s.closed {
		c.Close()
	}
}

func (s *Service) listen(where string) error {
	network, addr, ok := strings.Cut(where, ":")
	switch {
	case ok && network == "udp":
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			return err
		}
		s.closed, s.Addrs = append(s.closed, pc), append(s.Addrs, pc.LocalAddr())
		conn := pc.(*net.UDPConn)
		if err := enlarge(conn); err != nil {
			fmt.Fprintf(s.o.Errors, "%v: %v\n", conn.LocalAddr(), err)
		}
		s.ports = append(s.ports, pc.LocalAddr().(*net.UDPAddr).Port)
		s.wg.Go(func() { s.datagrams(conn) })
		return nil
	case ok && network == "tcp":
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		s.closed, s.Addrs = append(s.closed, l), append(s.Addrs, l.Addr())
		s.wg.Go(func() { s.streams(l) })
		return nil
	}
	return fmt.Errorf("%q is not udp:ADDR or tcp:ADDR", where)
}

// put queues a message, or counts it: a listener never waits for the loop.
func (s *Service) put(m message) {
	s.stats.received.Add(1)
	select {
	case s.queue <- m:
	default:
		s.stats.overflow.Add(1)
	}
}

func (s *Service) datagrams(conn *net.UDPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if n > longest {
			s.stats.long.Add(1)
			continue
		}
		s.put(message{from.Addr().Unmap(), append([]byte(nil), buf[:n]...), time.Now()})
	}
}

// Run judges until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	defer s.wg.Wait()
	defer s.close()
	alertCtx, stopAlerts := context.WithCancel(context.Background())
	s.wg.Go(func() { s.alerts.run(alertCtx) })
	defer stopAlerts()
	b := newBench(s)
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case m := <-s.queue:
			b.take(m)
		case answer := <-s.ask:
			answer <- b.result(time.Now())
		case now := <-tick.C:
			b.quiet(now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Service) say(format string, args ...any) {
	s.printed.Lock()
	defer s.printed.Unlock()
	fmt.Fprintln(s.o.Out, read.Printable(fmt.Sprintf(format, args...))) // hosts are whatever the network says
}
