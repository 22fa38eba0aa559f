package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	siteA = netip.MustParseAddrPort("192.0.2.1:500")
	siteB = netip.MustParseAddrPort("192.0.2.2:4500")
)

func running(t *testing.T, delay time.Duration) *Network {
	t.Helper()
	n := New(delay)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { n.Run(ctx) })
	t.Cleanup(func() { cancel(); n.Close(); done.Wait() })
	return n
}

func attach(t *testing.T, n *Network, at netip.AddrPort) *Port {
	t.Helper()
	p, err := n.Attach(at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func recv(t *testing.T, p *Port) (string, netip.AddrPort) {
	t.Helper()
	p.mine.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 2000)
	n, from, err := p.Recv(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), from
}

func TestDatagramsArriveInOrderAfterTheDelayUnderTheirOwnAddresses(t *testing.T) {
	const delay = 15 * time.Millisecond
	n := running(t, delay)
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	begin := time.Now()
	for i := range 20 {
		if err := a.Send(siteB, fmt.Appendf(nil, "packet %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		got, from := recv(t, b)
		if got != fmt.Sprintf("packet %d", i) || from != siteA {
			t.Fatalf("got %q from %v as number %d", got, from, i)
		}
		if took := time.Since(begin); took < delay {
			t.Fatalf("arrived after %v", took)
		}
	}
	if err := b.Send(siteA, nil); err != nil { // an empty datagram is a datagram
		t.Fatal(err)
	}
	if got, from := recv(t, a); got != "" || from != siteB {
		t.Errorf("got %q from %v", got, from)
	}
}

func TestTapsSeeWhatTheRuleLoses(t *testing.T) {
	n := New(0)
	var mu sync.Mutex
	var seen []string
	n.Tap(func(p Packet) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%v %v %s", p.Src, p.Dst, p.Payload))
	})
	n.Rule(func(p Packet) Fate { return Fate{Lost: bytes.HasPrefix(p.Payload, []byte("lose"))} })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go n.Run(ctx)
	defer n.Close()
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	for _, s := range []string{"lose me", "keep me"} {
		if err := a.Send(siteB, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := recv(t, b); got != "keep me" {
		t.Errorf("got %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen[0] != "192.0.2.1:500 192.0.2.2:4500 lose me" {
		t.Errorf("seen %q", seen)
	}
	if byRule, _, _ := n.Lost(); byRule != 1 {
		t.Errorf("%d lost by rule", byRule)
	}
}

func TestExitTapsSeeWhatArrivesAndNothingElse(t *testing.T) {
	const delay = 5 * time.Millisecond
	n := New(delay)
	seen := make(chan Packet, 10)
	var entered time.Time
	n.Tap(func(p Packet) { entered = p.At })
	n.TapExit(func(p Packet) { seen <- p })
	n.Rule(func(p Packet) Fate { return Fate{Lost: bytes.HasPrefix(p.Payload, []byte("lose"))} })
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { n.Run(ctx) })
	defer func() { cancel(); n.Close(); done.Wait() }()
	attach(t, n, siteB)
	nobody := netip.MustParseAddrPort("192.0.2.9:500")
	n.Inject(siteA, siteB, []byte("lose me"))
	n.Inject(siteA, nobody, []byte("to nobody"))
	n.Inject(siteA, siteB, []byte("keep me"))
	p := <-seen
	if string(p.Payload) != "keep me" || p.Src != siteA || p.Dst != siteB || p.At.Sub(entered) < delay {
		t.Errorf("%+v, which entered at %v", p, entered)
	}
	if len(seen) != 0 {
		t.Errorf("also %+v", <-seen)
	}
}

func TestTryRecvDoesNotWait(t *testing.T) {
	n := running(t, 0)
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	buf := make([]byte, 100)
	if _, _, err := b.TryRecv(buf); !errors.Is(err, ErrAgain) {
		t.Fatalf("an empty port gave %v", err)
	}
	arrived := make(chan struct{}, 2)
	n.TapExit(func(Packet) { arrived <- struct{}{} })
	for _, s := range []string{"first", "second"} {
		if err := a.Send(siteB, []byte(s)); err != nil {
			t.Fatal(err)
		}
		<-arrived
	}
	if got, from := recv(t, b); got != "first" || from != siteA {
		t.Errorf("got %q from %v", got, from)
	}
	if size, from, err := b.TryRecv(buf); err != nil || string(buf[:size]) != "second" || from != siteA {
		t.Errorf("got %q from %v: %v", buf[:size], from, err)
	}
	b.Close()
	if _, _, err := b.TryRecv(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed port gave %v", err)
	}
}

func TestAPortCanBeTakenAgainAfterACrash(t *testing.T) {
	n := running(t, 0)
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	if _, err := n.Attach(siteB); err == nil {
		t.Fatal("one address was attached twice")
	}
	b.Close()
	if _, _, err := b.Recv(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive on a closed port: %v", err)
	}
	again := attach(t, n, siteB)
	if err := a.Send(siteB, []byte("to the new one")); err != nil {
		t.Fatal(err)
	}
	if got, _ := recv(t, again); got != "to the new one" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyTheRelayIsListenedTo(t *testing.T) {
	n := running(t, 0)
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	forged := make([]byte, header+6)
	putHeader(forged, siteA)
	copy(forged[header:], "forged")
	for _, to := range []*net.UDPConn{b.mine, b.relay} {
		if _, err := stranger.WriteToUDPAddrPort(forged, addrPortOf(to)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Send(siteB, []byte("real")); err != nil {
		t.Fatal(err)
	}
	if got, from := recv(t, b); got != "real" || from != siteA {
		t.Errorf("got %q from %v", got, from)
	}
}

func TestFullQueueLosesAndCounts(t *testing.T) {
	n := New(time.Hour)
	for range maxQueued + 3 {
		n.admit(Packet{At: time.Now(), Src: siteA, Dst: siteB})
	}
	if _, overflow, _ := n.Lost(); overflow != 3 {
		t.Errorf("%d counted", overflow)
	}
	n.deliver(Packet{Dst: siteB})
	if _, _, unclaimed := n.Lost(); unclaimed != 1 {
		t.Errorf("%d unclaimed", unclaimed)
	}
}

func TestImpossibleDatagramsAreRefused(t *testing.T) {
	n := running(t, 0)
	a := attach(t, n, siteA)
	if err := a.Send(netip.MustParseAddrPort("[2001:db8::1]:500"), nil); err == nil {
		t.Error("an IPv6 destination was taken")
	}
	if err := a.Send(siteB, make([]byte, maxDatagram)); err == nil {
		t.Error("a datagram too long was taken")
	}
}
