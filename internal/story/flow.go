package story

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lockstep/internal/wire/ip"
)

const (
	insidePort = 7 // echo, RFC 862; nobody answers
	payloadLen = 64
)

// flow is the numbered packets from the hosts behind one gateway to those behind another. A packet's number is its index
// in sent, so that loss is counted exactly.
type flow struct {
	from, to *site
	src, dst netip.AddrPort
	every    time.Duration

	mu    sync.Mutex
	sent  []departure     // guarded by mu
	got   []delivery      // guarded by mu: in order of arrival, each number once
	seen  map[uint64]bool // guarded by mu: the numbers of got
	twice int             // guarded by mu: deliveries of a number that had arrived
}

// departure is one packet sent towards the gateway.
type departure struct {
	at     time.Time
	late   time.Duration // after its time
	routed bool          // there was a route into a tunnel, and room
}

// delivery is one packet that came out of the far tunnel.
type delivery struct {
	number uint64
	at     time.Time
}

func newFlow(from, to *site, src, dst netip.Addr, every time.Duration) *flow {
	return &flow{from: from, to: to, src: netip.AddrPortFrom(src, insidePort), dst: netip.AddrPortFrom(dst, insidePort),
		every: every, seen: map[uint64]bool{}}
}

// run sends until ctx ends. The times are those of a clock, not of the last packet: a pause of the machine is made good
// for, and the rate stays.
func (f *flow) run(ctx context.Context) {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := uint64(0); ; n++ {
		due := began.Add(time.Duration(n) * f.every)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		f.send(n, time.Since(due))
	}
}

func (f *flow) send(n uint64, late time.Duration) {
	pkt := ip.AppendNumbered(nil, f.src, f.dst, n, payloadLen)
	f.mu.Lock() // before it can arrive
	f.sent = append(f.sent, departure{at: time.Now(), late: late})
	f.mu.Unlock()
	if f.from.forward(pkt) {
		f.mu.Lock()
		f.sent[n].routed = true
		f.mu.Unlock()
	}
}

// take notes a packet that came out at the far end; false: it belongs to another flow.
func (f *flow) take(pkt []byte, at time.Time) bool {
	p, flaw := ip.Parse(pkt)
	if flaw != ip.NoFlaw || p.Src != f.src.Addr() || p.Dst != f.dst.Addr() {
		return false
	}
	n, ok := ip.Number(pkt)
	if !ok {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n >= uint64(len(f.sent)):
		return false // not ours
	case f.seen[n]:
		f.twice++
	default:
		f.seen[n] = true
		f.got = append(f.got, delivery{n, at})
	}
	return true
}

// deliveredAfter says that a packet came out after that time.
func (f *flow) deliveredAfter(t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got) > 0 && f.got[len(f.got)-1].at.After(t)
}

// latest is how late a packet was sent at the worst since that time.
func (f *flow) latest(since time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var most time.Duration
	for _, d := range f.sent {
		if !d.at.Before(since) {
			most = max(most, d.late)
		}
	}
	return most
}

// flowView is a flow at one moment.
type flowView struct {
	sent  []departure
	got   []delivery
	twice int
}

func (f *flow) view() flowView {
	f.mu.Lock()
	defer f.mu.Unlock()
	return flowView{slices.Clone(f.sent), slices.Clone(f.got), f.twice}
}

// since lists the deliveries at and after a time.
func (v flowView) since(t time.Time) []delivery {
	var out []delivery
	for _, d := range v.got {
		if !d.at.Before(t) {
			out = append(out, d)
		}
	}
	return out
}

// sentSince counts packets sent at and after a time.
func (v flowView) sentSince(t time.Time) int {
	at := slices.IndexFunc(v.sent, func(d departure) bool { return !d.at.Before(t) })
	if at < 0 {
		return 0
	}
	return len(v.sent) - at
}

// missing counts the numbers below the last sent one that never arrived.
func (v flowView) missing() int { return len(v.sent) - len(v.got) }

// lastArrived counts, from the last packet sent backwards, those that arrived without a gap.
func (v flowView) lastArrived() int {
	have := map[uint64]bool{}
	for _, d := range v.got {
		have[d.number] = true
	}
	n := 0
	for n < len(v.sent) && have[uint64(len(v.sent)-1-n)] {
		n++
	}
	return n
}
