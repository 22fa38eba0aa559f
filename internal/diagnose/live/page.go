package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/report"
)

// serve offers the page, its data and metrics. Whoever can reach them reads what devices said, so the address must be a
// loopback one.
func (s *Service) serve(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("page address %q: %w", addr, err)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("page address %s is not a loopback address: put a proxy with authentication before it", ap)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page(func(w http.ResponseWriter, r *diagnose.Result) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		return report.LivePage(w, r)
	}))
	mux.HandleFunc("GET /json", s.page(func(w http.ResponseWriter, r *diagnose.Result) error {
		w.Header().Set("Content-Type", "application/json")
		return report.JSON(w, r)
	}))
	mux.HandleFunc("GET /metrics", s.metrics)
	srv := &http.Server{Handler: s.local(mux), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	s.closed, s.Addrs = append(s.closed, srv), append(s.Addrs, l.Addr())
	s.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(s.o.Errors, "page: %v\n", err)
		}
	})
	return nil
}

// local refuses what a browser was lured to ask for under another name.
func (s *Service) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Service) page(print func(http.ResponseWriter, *diagnose.Result) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		res, err := s.result(r.Context())
		if err != nil {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		if err := print(w, res); err != nil {
			fmt.Fprintf(s.o.Errors, "page: %v\n", err)
		}
	}
}

// result asks the loop.
func (s *Service) result(ctx context.Context) (*diagnose.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer := make(chan *diagnose.Result, 1)
	select {
	case s.ask <- answer:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"messages_total", "counter", "Syslog messages that arrived.", s.stats.received.Load()},
		{"messages_overflow_total", "counter", "Messages lost because the queue was full.", s.stats.overflow.Load()},
		{"messages_dropped_by_host_total", "counter", "Datagrams that the host dropped because our socket was full.", kernelDrops(s.ports)},
		{"messages_too_long_total", "counter", "Messages longer than 16 KiB, not read.", s.stats.long.Load()},
		{"streams_total", "counter", "TCP connections accepted.", s.stats.streams.Load()},
		{"streams_refused_total", "counter", "TCP connections refused: too many at once.", s.stats.refused.Load()},
		{"sightings_total", "counter", "Lines that tell of a packet without SA.", s.stats.sightings.Load()},
		{"flows", "gauge", "Flows that are followed.", uint64(s.stats.flows.Load())},
		{"flows_persistent", "gauge", "Black holes that are not over.", uint64(s.stats.persistent.Load())},
		{"flows_forgotten_total", "counter", "Flows forgotten for want of room.", uint64(s.stats.evicted.Load())},
		{"alerts_sent_total", "counter", "Alerts delivered.", s.alerts.sent.Load()},
		{"alerts_failed_total", "counter", "Alerts that nobody took.", s.alerts.failed.Load()},
		{"alerts_dropped_total", "counter", "Alerts lost because too many waited.", s.alerts.dropped.Load()},
	} {
		fmt.Fprintf(w, "# HELP lockstep_diagnose_%s %s\n# TYPE lockstep_diagnose_%s %s\nlockstep_diagnose_%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
}
