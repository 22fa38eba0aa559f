// Package relay is the network of a story: real UDP datagrams over loopback, through one program that delays each by the
// same time, as a path of that one-way latency would; a Rule loses, holds up and copies them, a NAT may stand before an
// address. Gateways speak with documentation addresses (192.0.2.x:500 and
// 4500); the relay maps them to unprivileged loopback ports, so that everything above the sockets sees what a network
// would show. It carries UDP alone: no TUN and no protocol 50. Stories and tests use it, the gateway never does.
package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxDatagram is the longest UDP payload over IPv4.
	maxDatagram = 65507
	// maxQueued bounds what is under way: at 200 packets a second and 20 ms each way a story has 8.
	maxQueued = 4096
	// maxPorts bounds the table of ports: a story has two a gateway.
	maxPorts = 64
)

// Packet is one datagram as it would be seen on the wire at one end of the path.
type Packet struct {
	At       time.Time // when it entered or left the path
	Src, Dst netip.AddrPort
	Payload  []byte // of the tap: not to be changed or kept
}

// Network is the relay and the ports that are attached to it.
type Network struct {
	delay time.Duration
	taps  atomic.Pointer[[]func(Packet)] // of what enters the path
	exits atomic.Pointer[[]func(Packet)] // of what leaves it
	rule  atomic.Pointer[func(Packet) Fate]

	mu    sync.Mutex
	ports map[netip.AddrPort]*Port // guarded by mu: by documentation address
	nats  map[netip.Addr]*nat      // guarded by mu: by the address behind it

	gate      sync.Mutex // held while a datagram arrives, and between Hold and its release
	queue     chan queued
	dropped   atomic.Uint64 // by the rule
	overflow  atomic.Uint64 // queue full
	unclaimed atomic.Uint64 // to an address where nobody listens
	late      atomic.Int64  // the longest time that a datagram was delivered after it was due, in nanoseconds
	group     sync.WaitGroup
}

// New makes a network whose datagrams take delay from end to end, and more where its Rule says so. Run must be called for anything to arrive.
func New(delay time.Duration) *Network {
	return &Network{delay: delay, ports: map[netip.AddrPort]*Port{}, nats: map[netip.Addr]*nat{}, queue: make(chan queued, maxQueued)}
}

// Tap adds an observer, called for each datagram that enters the path, dropped ones included, from several goroutines.
// Taps are added by one goroutine.
func (n *Network) Tap(f func(Packet)) { add(&n.taps, f) }

// TapExit adds an observer of the far end: it is called from Run for each datagram as it is handed to a port.
func (n *Network) TapExit(f func(Packet)) { add(&n.exits, f) }

func add(to *atomic.Pointer[[]func(Packet)], f func(Packet)) {
	var taps []func(Packet)
	if old := to.Load(); old != nil {
		taps = append(taps, *old...)
	}
	taps = append(taps, f)
	to.Store(&taps)
}

func show(taps *atomic.Pointer[[]func(Packet)], pkt Packet) {
	if all := taps.Load(); all != nil {
		for _, tap := range *all {
			tap(pkt)
		}
	}
}

// Lost counts the datagrams that did not arrive: by rule, for want of room, and for want of a listener.
func (n *Network) Lost() (byRule, overflow, unclaimed uint64) {
	return n.dropped.Load(), n.overflow.Load(), n.unclaimed.Load()
}

// Late is how long after its time a datagram was delivered at the worst, and begins anew: a measure of how busy the
// machine was.
func (n *Network) Late() time.Duration { return time.Duration(n.late.Swap(0)) }

// Port is one attached documentation address and port: a loopback socket of the gateway's side and one of the relay's.
type Port struct {
	net   *Network
	at    netip.AddrPort
	mine  *net.UDPConn // the gateway's
	relay *net.UDPConn // the relay's end of the same link
	raw   syscall.RawConn
	buf   []byte // of the one goroutine that receives
}

// ErrAgain: nothing is waiting.
var ErrAgain = errors.New("relay: nothing is waiting")

// Attach binds a documentation address and port. Closing the Port detaches it; another gateway may then take it.
func (n *Network) Attach(at netip.AddrPort) (*Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, taken := n.ports[at]; taken {
		return nil, fmt.Errorf("relay: %v is attached already", at)
	}
	if len(n.ports) >= maxPorts {
		return nil, fmt.Errorf("relay: more than %d ports", maxPorts)
	}
	mine, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("relay: bind a loopback port for %v: %w", at, err)
	}
	end, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		mine.Close()
		return nil, fmt.Errorf("relay: bind a loopback port for %v: %w", at, err)
	}
	raw, err := mine.SyscallConn()
	if err != nil {
		mine.Close()
		end.Close()
		return nil, fmt.Errorf("relay: bind a loopback port for %v: %w", at, err)
	}
	p := &Port{n, at, mine, end, raw, make([]byte, maxDatagram)}
	n.ports[at] = p
	n.group.Add(1)
	go n.collect(p)
	return p, nil
}

// Addr is the documentation address and port.
func (p *Port) Addr() netip.AddrPort { return p.at }

// header carries the far documentation address before the payload, on loopback only: 4 octets of address, 2 of port.
const header = 6

func putHeader(b []byte, a netip.AddrPort) {
	ip := a.Addr().As4()
	copy(b, ip[:])
	b[4], b[5] = byte(a.Port()>>8), byte(a.Port())
}

func readHeader(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5]))
}

// Send hands one datagram to the network; it does not wait for the path.
func (p *Port) Send(to netip.AddrPort, payload []byte) error {
	if !to.Addr().Unmap().Is4() {
		return fmt.Errorf("relay: %v is no IPv4 address", to)
	}
	if len(payload) > maxDatagram-header {
		return fmt.Errorf("relay: datagram of %d octets", len(payload))
	}
	b := make([]byte, header+len(payload))
	putHeader(b, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	copy(b[header:], payload)
	_, err := p.mine.WriteToUDPAddrPort(b, addrPortOf(p.relay))
	return err
}

// Recv waits for one datagram and returns its length in b and its sender. After Close it gives net.ErrClosed. One
// goroutine receives at a time.
func (p *Port) Recv(b []byte) (n int, from netip.AddrPort, err error) {
	for {
		size, sender, err := p.mine.ReadFromUDPAddrPort(p.buf)
		if err != nil {
			return 0, netip.AddrPort{}, err
		}
		if n, from, ok := p.accept(b, size, sender); ok {
			return n, from, nil
		}
	}
}

// TryRecv is Recv without the wait: ErrAgain if nothing is there.
func (p *Port) TryRecv(b []byte) (n int, from netip.AddrPort, err error) {
	for {
		var size int
		var sender syscall.Sockaddr
		var failed error
		err := p.raw.Read(func(fd uintptr) bool {
			size, sender, failed = syscall.Recvfrom(int(fd), p.buf, syscall.MSG_DONTWAIT)
			return true // never wait for more
		})
		switch {
		case err != nil:
			return 0, netip.AddrPort{}, err
		case errors.Is(failed, syscall.EINTR):
			continue
		case errors.Is(failed, syscall.EAGAIN):
			return 0, netip.AddrPort{}, ErrAgain
		case failed != nil:
			return 0, netip.AddrPort{}, failed
		}
		in4, _ := sender.(*syscall.SockaddrInet4)
		if in4 == nil {
			continue
		}
		if n, from, ok := p.accept(b, size, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port))); ok {
			return n, from, nil
		}
	}
}

// accept unwraps what is in buf. Another process of this machine may send to a loopback port: only our own relay is
// listened to.
func (p *Port) accept(b []byte, size int, sender netip.AddrPort) (n int, from netip.AddrPort, ok bool) {
	if sender != addrPortOf(p.relay) || size < header {
		return 0, netip.AddrPort{}, false
	}
	return copy(b, p.buf[header:size]), readHeader(p.buf), true
}

// Close detaches the port. Datagrams under way to it are lost.
func (p *Port) Close() error {
	p.net.mu.Lock()
	if p.net.ports[p.at] == p {
		delete(p.net.ports, p.at)
	}
	p.net.mu.Unlock()
	return errors.Join(p.mine.Close(), p.relay.Close())
}

func addrPortOf(c *net.UDPConn) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// collect reads what one gateway sends, until its port is closed.
func (n *Network) collect(p *Port) {
	defer n.group.Done()
	buf := make([]byte, maxDatagram)
	from := addrPortOf(p.mine)
	for {
		size, sender, err := p.relay.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || sender != from || size < header {
			continue
		}
		payload := append([]byte(nil), buf[header:size]...)
		n.admit(Packet{At: time.Now(), Src: p.at, Dst: readHeader(buf), Payload: payload})
	}
}

// Inject puts a datagram on the path that nobody attached has sent: what a forger would do.
func (n *Network) Inject(src, dst netip.AddrPort, payload []byte) {
	n.admit(Packet{At: time.Now(), Src: src, Dst: dst, Payload: append([]byte(nil), payload...)})
}

// admit shows a datagram to the taps and, if no rule loses it, sets it on its way.
func (n *Network) admit(pkt Packet) {
	show(&n.taps, pkt)
	f := n.fate(pkt)
	pkt.Src = n.leaves(pkt.Src)
	if f.Lost {
		n.dropped.Add(1)
		return
	}
	for range 1 + min(f.Copies, maxCopies) {
		select {
		case n.queue <- queued{due: pkt.At.Add(n.delay + f.Extra), pkt: pkt}:
		default:
			n.overflow.Add(1)
		}
	}
}

func (n *Network) deliver(pkt Packet) {
	n.mu.Lock()
	dst, reachable := n.enters(pkt.Dst)
	to := n.ports[dst]
	n.mu.Unlock()
	pkt.Dst = dst
	if to == nil || !reachable {
		n.unclaimed.Add(1) // a crashed gateway: nobody listens
		return
	}
	b := make([]byte, header+len(pkt.Payload))
	putHeader(b, pkt.Src)
	copy(b[header:], pkt.Payload)
	pkt.At = time.Now()
	show(&n.exits, pkt) // before anybody can answer it
	if _, err := to.relay.WriteToUDPAddrPort(b, addrPortOf(to.mine)); err != nil {
		n.unclaimed.Add(1) // closed between the look-up and the write
	}
}

// Close detaches every port and waits for the collectors.
func (n *Network) Close() {
	n.mu.Lock()
	ports := make([]*Port, 0, len(n.ports))
	for _, p := range n.ports {
		ports = append(ports, p)
	}
	n.mu.Unlock()
	for _, p := range ports {
		p.Close()
	}
	n.group.Wait()
}
