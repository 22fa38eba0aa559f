package udpio

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"lockstep/internal/datapath"
	"lockstep/internal/sa"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// pair is two wires on loopback.
func pair(t *testing.T, o Options) (a, b *UDP) {
	t.Helper()
	if !o.Local.IsValid() {
		o.Local = loopback
	}
	var out [2]*UDP
	for i := range out {
		u, err := ListenUDP(o, 0, sa.EncapUDP)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		out[i] = u
	}
	return out[0], out[1]
}

// datagrams splits runs into datagrams until want of them have come.
func datagrams(t *testing.T, w datapath.Wire, want int) [][]byte {
	t.Helper()
	var out [][]byte
	for len(out) < want {
		r := datapath.Run{Buf: make([]byte, 0, 1<<16)}
		if err := w.Recv(&r); err != nil {
			t.Fatal(err)
		}
		seg := r.Seg
		if seg == 0 {
			seg = len(r.Buf)
		}
		for b := r.Buf; len(b) > 0; {
			n := min(seg, len(b))
			out = append(out, b[:n])
			b = b[n:]
		}
	}
	return out
}

// numbered builds a run of n datagrams of seg octets, the last of last octets, each filled with its number.
func numbered(n, seg, last int) []byte {
	var b []byte
	for i := range n {
		size := seg
		if i == n-1 {
			size = last
		}
		b = append(b, bytes.Repeat([]byte{byte(i + 1)}, size)...)
	}
	return b
}

func TestRunArrivesAsTheSameDatagrams(t *testing.T) {
	for _, off := range []bool{false, true} {
		for _, c := range []struct{ n, seg, last int }{{1, 60, 60}, {5, 1400, 1400}, {44, 1464, 700}, {64, 1000, 1000}, {150, 200, 1}} {
			t.Run(fmt.Sprintf("nooffload=%v/%dx%d", off, c.n, c.seg), func(t *testing.T) {
				a, b := pair(t, Options{NoOffload: off})
				r := datapath.Run{Remote: b.Local(), Buf: numbered(c.n, c.seg, c.last), Seg: c.seg}
				if err := a.Send(&r); err != nil {
					t.Fatal(err)
				}
				got := datagrams(t, b, c.n)
				if len(got) != c.n {
					t.Fatalf("%d datagrams, want %d", len(got), c.n)
				}
				for i, d := range got {
					want := c.seg
					if i == c.n-1 {
						want = c.last
					}
					if len(d) != want || d[0] != byte(i+1) || d[len(d)-1] != byte(i+1) {
						t.Fatalf("datagram %d: %d octets of %d..%d, want %d of %d", i, len(d), d[0], d[len(d)-1], want, byte(i+1))
					}
				}
			})
		}
	}
}

func TestReceiverLearnsAddressesAndEncapsulation(t *testing.T) {
	any4, err := ListenUDP(Options{}, 0, sa.EncapUDP)
	if err != nil {
		t.Fatal(err)
	}
	defer any4.Close()
	a, _ := pair(t, Options{})
	for _, to := range []string{"127.0.0.1", "127.0.0.7"} {
		dst := netip.AddrPortFrom(netip.MustParseAddr(to), any4.Local().Port())
		if err := a.Send(&datapath.Run{Remote: dst, Buf: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		r := datapath.Run{Buf: make([]byte, 0, 2048)}
		if err := any4.Recv(&r); err != nil {
			t.Fatal(err)
		}
		if r.Local != dst || r.Remote != a.Local() || r.Encap != sa.EncapUDP || r.Seg != 0 {
			t.Errorf("got %v ← %v encap %v seg %d, want %v ← %v UDP 0", r.Local, r.Remote, r.Encap, r.Seg, dst, a.Local())
		}
		// The answer leaves from the address that was spoken to, though the socket listens on all.
		r.Buf = append(r.Buf[:0], "answer"...)
		if err := any4.Send(&r); err != nil {
			t.Fatal(err)
		}
		back := datapath.Run{Buf: make([]byte, 0, 2048)}
		if err := a.Recv(&back); err != nil {
			t.Fatal(err)
		}
		if back.Remote != dst {
			t.Errorf("answered from %v, want %v", back.Remote, dst)
		}
	}
}

func TestIPv6WireCarriesRuns(t *testing.T) {
	six := Options{Local: netip.IPv6Unspecified()}
	u, err := ListenUDP(six, 0, sa.EncapUDP)
	if err != nil {
		t.Skip("no IPv6:", err)
	}
	defer u.Close()
	a, err := ListenUDP(Options{Local: netip.IPv6Loopback()}, 0, sa.EncapUDP)
	if err != nil {
		t.Skip("no IPv6 loopback:", err)
	}
	defer a.Close()
	dst := netip.AddrPortFrom(netip.IPv6Loopback(), u.Local().Port())
	if err := a.Send(&datapath.Run{Remote: dst, Buf: numbered(3, 100, 50), Seg: 100}); err != nil {
		t.Fatal(err)
	}
	r := datapath.Run{Buf: make([]byte, 0, 2048)}
	if err := u.Recv(&r); err != nil {
		t.Fatal(err)
	}
	if r.Local != dst || r.Remote != a.Local() {
		t.Errorf("got %v ← %v, want %v ← %v", r.Local, r.Remote, dst, a.Local())
	}
}

func TestTryRecvNeverWaits(t *testing.T) {
	a, _ := pair(t, Options{})
	r := datapath.Run{Buf: make([]byte, 0, 64)}
	if err := a.TryRecv(&r); err != datapath.ErrAgain {
		t.Errorf("TryRecv on an empty socket: %v, want ErrAgain", err)
	}
}

func TestEmptyBufferIsRefused(t *testing.T) {
	a, _ := pair(t, Options{})
	if err := a.TryRecv(&datapath.Run{}); err == nil || err == datapath.ErrAgain {
		t.Errorf("TryRecv without a buffer: %v, want an error", err)
	}
}

func TestCloseUnblocksRecv(t *testing.T) {
	a, _ := pair(t, Options{})
	done := make(chan error, 1)
	go func() { done <- a.Recv(&datapath.Run{Buf: make([]byte, 0, 64)}) }()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Recv after Close: %v, want os.ErrClosed", err)
	}
	if err := a.Send(&datapath.Run{Remote: netip.AddrPortFrom(loopback, 9), Buf: []byte("x")}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Send after Close: %v, want os.ErrClosed", err)
	}
}

func TestPortInUseNamesTheProcess(t *testing.T) {
	a, _ := pair(t, Options{})
	_, err := ListenUDP(Options{Local: loopback}, a.Local().Port(), sa.EncapNone)
	if err == nil {
		t.Fatal("the same port twice")
	}
	self, _ := os.ReadFile("/proc/self/comm")
	want := fmt.Sprintf("in use by %s (pid %d)", strings.TrimSpace(string(self)), os.Getpid())
	if !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

func TestForeignAddressIsExplained(t *testing.T) {
	_, err := ListenUDP(Options{Local: netip.MustParseAddr("192.0.2.77")}, 0, sa.EncapNone)
	if err == nil || !strings.Contains(err.Error(), "not on this host") || !strings.Contains(err.Error(), "tunnel source") {
		t.Errorf("listening on a foreign address: %v", err)
	}
}

func TestSendWithoutRemoteIsAnError(t *testing.T) {
	a, _ := pair(t, Options{})
	if err := a.Send(&datapath.Run{Buf: []byte("x")}); err == nil {
		t.Error("a run without a remote address was sent")
	}
}

func TestEphemeralSocketsNeedNoPrivilege(t *testing.T) {
	s, err := Listen(Options{Local: loopback, Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.Wires()); n != 2 || s.ESP != nil {
		t.Errorf("%d wires, raw %v; want the two UDP ones", n, s.ESP)
	}
	if s.IKE.Local().Port() == s.NATT.Local().Port() {
		t.Error("both wires on one port")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	a, b := pair(t, Options{})
	send := datapath.Run{Remote: b.Local(), Buf: numbered(20, 1400, 1400), Seg: 1400}
	buf := make([]byte, 0, 1<<16)
	recv := datapath.Run{Buf: buf}
	n := testing.AllocsPerRun(200, func() {
		if err := a.Send(&send); err != nil {
			t.Fatal(err)
		}
		for {
			recv.Buf = buf
			if err := b.TryRecv(&recv); err != nil {
				if err != datapath.ErrAgain {
					t.Fatal(err)
				}
				return
			}
		}
	})
	if n > 0.1 { // the garbage collector may empty the pool once
		t.Errorf("%.2f allocations a run, want none", n)
	}
}

func BenchmarkSendRecvRun(b *testing.B) {
	var u [2]*UDP
	for i := range u {
		var err error
		if u[i], err = ListenUDP(Options{Local: loopback}, 0, sa.EncapUDP); err != nil {
			b.Fatal(err)
		}
		defer u[i].Close()
	}
	send := datapath.Run{Remote: u[1].Local(), Buf: numbered(44, 1464, 1464), Seg: 1464}
	buf := make([]byte, 0, 1<<16)
	recv := datapath.Run{Buf: buf}
	b.SetBytes(int64(len(send.Buf)))
	b.ReportAllocs()
	for b.Loop() {
		if err := u[0].Send(&send); err != nil {
			b.Fatal(err)
		}
		recv.Buf = buf
		if err := u[1].Recv(&recv); err != nil {
			b.Fatal(err)
		}
	}
}
