package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// FlowSpec is numbered UDP traffic in one direction.
type FlowSpec struct {
	From, To         *NS
	FromAddr, ToAddr netip.Addr
	PPS              int // packets a second
	Size             int // octets of UDP payload; 0: 100
}

// Gap is a run of missing numbers.
type Gap struct {
	First uint64 // first missing number; numbers start at 0
	Count uint64
	At    time.Duration // since the start, when the last one before it arrived
	Dark  time.Duration // from the last arrival before it to the first after
}

// Report is what became of a flow.
type Report struct {
	Sent, Received, Lost uint64
	Duplicates           uint64
	Reordered            uint64 // arrived after a higher number
	Refused              uint64 // the sender's kernel had no route, or no room
	Gaps                 []Gap  // first 100, in order of arrival; a reordered packet opens one
	LongestDark          time.Duration
}

func (r Report) String() string {
	s := fmt.Sprintf("sent %d, received %d, lost %d, duplicates %d, reordered %d, refused %d, longest dark %v", r.Sent, r.Received,
		r.Lost, r.Duplicates, r.Reordered, r.Refused, r.LongestDark.Round(time.Microsecond))
	if len(r.Gaps) > 0 {
		g := r.Gaps[0]
		s += fmt.Sprintf("; first gap: %d packets from number %d, %v after the start", g.Count, g.First, g.At.Round(time.Millisecond))
	}
	return s
}

// Flow is traffic under way.
type Flow struct {
	t     testing.TB
	out   *net.UDPConn
	in    *net.UDPConn
	stop  chan struct{}
	sent  atomic.Uint64
	fail  atomic.Uint64
	ended sync.WaitGroup
	start time.Time

	mu   sync.Mutex
	seen []byte // guarded by mu, as all below: arrivals of each number, up to 255
	got  uint64
	dups uint64
	late uint64
	high uint64 // one more than the highest number that arrived
	last time.Time
	gaps []Gap
	dark time.Duration
}

const maxFlow = 1 << 24 // numbers; at 1,000 a second more than four hours

// StartFlow begins to send; Stop ends it. A flow that is left running ends with the test.
func StartFlow(t testing.TB, s FlowSpec) *Flow {
	t.Helper()
	if s.Size == 0 {
		s.Size = 100
	}
	s.Size = max(s.Size, len(canary)+8)
	f := &Flow{t: t, stop: make(chan struct{}), start: time.Now(), last: time.Now()}
	err := s.To.Do(func() (err error) {
		f.in, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.ToAddr, 0)))
		return err
	})
	if err == nil {
		_ = f.in.SetReadBuffer(8 << 20)
		to := netip.AddrPortFrom(s.ToAddr, f.in.LocalAddr().(*net.UDPAddr).AddrPort().Port())
		err = s.From.Do(func() (err error) {
			f.out, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.FromAddr, 0)))
			if err == nil {
				f.ended.Go(func() { f.send(to, s.PPS, s.Size) })
			}
			return err
		})
	}
	if err != nil {
		t.Fatal("start a flow:", err)
	}
	go f.receive()
	t.Cleanup(func() { f.halt(); f.in.Close() })
	return f
}

// send keeps to the rate on average: what a late tick missed is sent at once.
func (f *Flow) send(to netip.AddrPort, pps, size int) {
	b := make([]byte, size)
	copy(b, canary)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		due := min(uint64(time.Since(f.start).Seconds()*float64(pps)), maxFlow)
		for n := f.sent.Load(); n < due; n++ {
			binary.BigEndian.PutUint64(b[len(canary):], n)
			if _, err := f.out.WriteToUDPAddrPort(b, to); err != nil {
				f.fail.Add(1) // unreachable while a tunnel is down: lost like any other
			}
			f.sent.Add(1)
		}
		select {
		case <-f.stop:
			return
		case <-tick.C:
		}
	}
}

func (f *Flow) receive() {
	b := make([]byte, 1<<16)
	for {
		n, _, err := f.in.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err == nil && n >= len(canary)+8 {
			f.arrived(binary.BigEndian.Uint64(b[len(canary):]), time.Now())
		}
	}
}

func (f *Flow) arrived(n uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n >= maxFlow {
		return
	}
	for uint64(len(f.seen)) <= n {
		f.seen = append(f.seen, 0)
	}
	if f.seen[n] < 255 {
		f.seen[n]++
	}
	if f.seen[n] > 1 {
		f.dups++
		return
	}
	f.got++
	if n < f.high {
		f.late++
		return
	}
	dark := now.Sub(f.last)
	f.dark = max(f.dark, dark)
	if n > f.high && len(f.gaps) < 100 {
		f.gaps = append(f.gaps, Gap{First: f.high, Count: n - f.high, At: f.last.Sub(f.start), Dark: dark})
	}
	f.high, f.last = n+1, now
}

// Received is the number of different packets that arrived so far; Sent the number that left.
func (f *Flow) Received() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
}

// Sent is the number of packets sent so far.
func (f *Flow) Sent() uint64 { return f.sent.Load() }

func (f *Flow) halt() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.ended.Wait()
	f.out.Close()
}

// Stop ends the sending, waits until everything arrived or nothing did for half a second, and reports.
func (f *Flow) Stop() Report {
	f.halt()
	sent := f.sent.Load()
	for got, quiet := f.Received(), 0; got < sent && quiet < 25; quiet++ {
		time.Sleep(20 * time.Millisecond)
		if now := f.Received(); now != got {
			got, quiet = now, 0
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := Report{Sent: sent, Received: f.got, Lost: sent - f.got, Duplicates: f.dups, Reordered: f.late, Refused: f.fail.Load(),
		Gaps: append([]Gap(nil), f.gaps...), LongestDark: f.dark}
	if f.high < sent && len(r.Gaps) < 100 {
		r.Gaps = append(r.Gaps, Gap{First: f.high, Count: sent - f.high, At: f.last.Sub(f.start)})
	}
	return r
}

// Both starts flows from HA to HB and back.
func (l *Lab) Both(t testing.TB, pps int) (ab, ba *Flow) {
	t.Helper()
	return StartFlow(t, FlowSpec{From: l.HA, To: l.HB, FromAddr: AddrHA, ToAddr: AddrHB, PPS: pps}),
		StartFlow(t, FlowSpec{From: l.HB, To: l.HA, FromAddr: AddrHB, ToAddr: AddrHA, PPS: pps})
}

// Ping sends one ICMP echo from a namespace and reports whether it was answered within limit.
func (n *NS) Ping(to netip.Addr, limit time.Duration) bool {
	_, err := n.Try("ping", "-c", "1", "-W", fmt.Sprintf("%.2f", limit.Seconds()), to.String())
	return err == nil
}
