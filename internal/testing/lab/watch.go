package lab

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// canary stands in every datagram of a Flow: who sees it on the WAN has seen an inner packet in the clear, whatever is
// wrapped around it.
var canary = []byte("lockstep-lab-in-the-clear?")

// inner are the networks that must never show on the WAN.
var inner = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// ESPFlow is one direction of one SA as the wire shows it.
type ESPFlow struct {
	Src, Dst netip.Addr
	SPI      uint32
	UDP      bool // RFC 3948 encapsulation
}

// Watch records what passes an interface.
type Watch struct {
	t    testing.TB
	name string
	file *os.File // the packet socket
	done chan struct{}

	mu      sync.Mutex
	packets int
	leaks   []string // guarded by mu; the first few
	leaked  int
	esp     map[ESPFlow]int
	dropped int // by the kernel, for want of room
	pcap    *bufio.Writer
	out     *os.File
}

// Watch starts to record interface iface of the namespace; pcap, if not empty, is a file that gets every packet. The
// test fails at its end if an inner packet was seen.
func (n *NS) Watch(iface, pcap string) *Watch {
	n.t.Helper()
	w := &Watch{t: n.t, name: n.Name + "/" + iface, done: make(chan struct{}), esp: map[ESPFlow]int{}}
	err := n.Do(func() error {
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		all := int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return err
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
		w.file = os.NewFile(uintptr(fd), "packet "+iface)
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: i.Index})
	})
	if err != nil {
		n.t.Fatalf("watch %s: %v", w.name, err)
	}
	if pcap != "" {
		if err := w.record(pcap); err != nil {
			n.t.Fatal(err)
		}
	}
	go w.run()
	n.t.Cleanup(func() {
		w.Stop()
		for _, l := range w.Leaks() {
			n.t.Errorf("leaked in the clear on %s: %s", w.name, l)
		}
		if w.lost() > 0 {
			n.t.Errorf("the watcher on %s missed %d packets: it cannot vouch for the others", w.name, w.lost())
		}
	})
	return w
}

func (w *Watch) run() {
	defer close(w.done)
	buf := make([]byte, 1<<17)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		w.see(buf[:n])
	}
}

func (w *Watch) see(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets++
	if w.pcap != nil {
		writeRecord(w.pcap, time.Now(), frame)
	}
	if why := leak(frame); why != "" {
		w.leaked++
		if len(w.leaks) < 10 {
			w.leaks = append(w.leaks, why)
		}
	}
	if f, ok := espOf(frame); ok {
		w.esp[f]++
	}
}

// Stop ends the recording; the results stay.
func (w *Watch) Stop() {
	w.mu.Lock()
	stopped := w.file == nil
	w.mu.Unlock()
	if stopped {
		return
	}
	lost := w.drops()
	w.file.Close()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	w.file = nil
	w.dropped = lost
	if w.pcap != nil {
		w.pcap.Flush()
		w.out.Close()
	}
}

// drops reads and clears the socket's statistics.
func (w *Watch) drops() (n int) {
	conn, err := w.file.SyscallConn()
	if err != nil {
		return 0
	}
	_ = conn.Control(func(fd uintptr) {
		if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n = int(st.Drops)
		}
	})
	return n
}

func (w *Watch) lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Leaks describes the first inner packets that were seen in the clear; none is what every test wants.
func (w *Watch) Leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.leaks)
}

// Packets is the number of packets seen.
func (w *Watch) Packets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets
}

// ESP counts the ESP packets of each SA that was seen.
func (w *Watch) ESP() map[ESPFlow]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[ESPFlow]int, len(w.esp))
	for k, v := range w.esp {
		out[k] = v
	}
	return out
}

// leak says why a frame has no business on the WAN; empty: it has.
func leak(frame []byte) string {
	if bytes.Contains(frame, canary) {
		return "the payload of a test datagram in " + describe(frame)
	}
	src, dst, _, ok := ipv4Of(frame)
	if !ok {
		return ""
	}
	for _, p := range inner {
		if p.Contains(src) || p.Contains(dst) {
			return describe(frame)
		}
	}
	return ""
}

func describe(frame []byte) string {
	src, dst, rest, ok := ipv4Of(frame)
	if !ok {
		return fmt.Sprintf("a frame of %d octets", len(frame))
	}
	return fmt.Sprintf("%v → %v protocol %d, %d octets: % x", src, dst, frame[23], len(frame), rest[:min(len(rest), 16)])
}

// ipv4Of finds the addresses of an Ethernet frame with IPv4, and what follows the IP header.
func ipv4Of(f []byte) (src, dst netip.Addr, rest []byte, ok bool) {
	if len(f) < 34 || f[12] != 8 || f[13] != 0 {
		return
	}
	hl := int(f[14]&15) * 4
	if hl < 20 || len(f) < 14+hl {
		return
	}
	return netip.AddrFrom4([4]byte(f[26:30])), netip.AddrFrom4([4]byte(f[30:34])), f[14+hl:], true
}

// espOf finds ESP, raw or in UDP on port 4500.
func espOf(f []byte) (ESPFlow, bool) {
	src, dst, b, ok := ipv4Of(f)
	if !ok || f[20]&0x1f != 0 || f[21] != 0 { // not a first fragment
		return ESPFlow{}, false
	}
	out := ESPFlow{Src: src, Dst: dst}
	switch f[23] {
	case 50:
	case 17:
		if len(b) < 8 || binary.BigEndian.Uint16(b) != 4500 && binary.BigEndian.Uint16(b[2:]) != 4500 {
			return out, false
		}
		b, out.UDP = b[8:], true
	default:
		return out, false
	}
	if len(b) < 8 {
		return out, false
	}
	out.SPI = binary.BigEndian.Uint32(b)
	return out, out.SPI != 0 // zero: the non-ESP marker of IKE
}
