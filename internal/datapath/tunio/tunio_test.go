package tunio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
	"lockstep/internal/datapath/tunio"
	"lockstep/internal/testing/lab"
)

func open(t *testing.T, ns *lab.NS, o tunio.Options) *tunio.Device {
	t.Helper()
	d, err := tryOpen(ns, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func tryOpen(ns *lab.NS, o tunio.Options) (d *tunio.Device, err error) {
	err = ns.Do(func() error { d, err = tunio.Open(o); return err })
	return d, err
}

// up gives the device an address, so that the kernel routes 10.9.0.0/24 into it.
func up(ns *lab.NS, name string) {
	ns.Sysctl("net.ipv6.conf."+name+".disable_ipv6", "1") // no router solicitations among the frames
	ns.IP("address add 10.9.0.1/24 dev " + name)
	ns.IP("link set " + name + " up")
}

// dial makes a socket in the namespace.
func dial(t *testing.T, ns *lab.NS, network, to string) (c net.Conn) {
	t.Helper()
	if err := ns.Do(func() (err error) { c, err = net.Dial(network, to); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestFrameRoundTrip(t *testing.T) {
	for _, off := range []bool{false, true} {
		ns := lab.NewNS(t, "tun")
		d := open(t, ns, tunio.Options{Name: "Tunnel0", MTU: 1400, NoOffload: off})
		up(ns, "Tunnel0")
		c := dial(t, ns, "udp", "10.9.0.2:7")
		if _, err := c.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, tunio.FrameLen)
		n, err := d.ReadFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		p := b[tunio.HeaderLen:n]
		if p[0] != 0x45 || p[9] != 17 || !bytes.HasSuffix(p, []byte("ping")) {
			t.Fatalf("not our datagram: % x", p)
		}
		// Answer it: swap addresses and ports. The sums do not change, and the checksum, if it is only the pseudo
		// header's, is asked to be completed as it was asked of us.
		swap(p[12:16], p[16:20])
		swap(p[20:22], p[22:24])
		if err := d.WriteFrame([][]byte{b[:tunio.HeaderLen+20], p[20:28], p[28:]}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 16)
		if n, err = c.Read(got); err != nil || string(got[:n]) != "ping" {
			t.Errorf("answer %q, %v (no offload: %v)", got[:n], err, off)
		}
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

func TestLargeSendsComeAsOneFrameOnlyWithOffload(t *testing.T) {
	for _, off := range []bool{false, true} {
		ns := lab.NewNS(t, "gso")
		d := open(t, ns, tunio.Options{Name: "Tunnel0", MTU: 1400, NoOffload: off})
		up(ns, "Tunnel0")
		c := dial(t, ns, "udp", "10.9.0.2:7")
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var refused error
		err = raw.Control(func(fd uintptr) {
			refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000)
		})
		if err := errors.Join(err, refused); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, tunio.FrameLen)
		n, err := d.ReadFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		want, gso := 10_028, uint16(1000)
		if off {
			want, gso = 1028, 0
		}
		if n-tunio.HeaderLen != want || binary.NativeEndian.Uint16(b[4:]) != gso {
			t.Errorf("no offload %v: frame of %d octets with gso_size %d, want %d and %d", off, n-tunio.HeaderLen, binary.NativeEndian.Uint16(b[4:]), want, gso)
		}
	}
}

func TestTryReadFrameNeverWaits(t *testing.T) {
	ns := lab.NewNS(t, "try")
	d := open(t, ns, tunio.Options{Name: "Tunnel0"})
	if _, err := d.TryReadFrame(make([]byte, tunio.FrameLen)); err != datapath.ErrAgain {
		t.Errorf("TryReadFrame on a quiet device: %v, want ErrAgain", err)
	}
	if _, err := d.TryReadFrame(nil); err == nil || err == datapath.ErrAgain {
		t.Errorf("TryReadFrame without a buffer: %v, want an error", err)
	}
	if err := d.WriteFrame(nil); err == nil {
		t.Error("an empty frame was written")
	}
}

func TestCloseUnblocksReadFrame(t *testing.T) {
	ns := lab.NewNS(t, "close")
	d := open(t, ns, tunio.Options{Name: "Tunnel0"})
	done := make(chan error, 1)
	go func() { _, err := d.ReadFrame(make([]byte, tunio.FrameLen)); done <- err }()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("ReadFrame after Close: %v, want os.ErrClosed", err)
	}
}

func TestPersistentDeviceSurvivesAndIsAdopted(t *testing.T) {
	ns := lab.NewNS(t, "persist")
	first := open(t, ns, tunio.Options{Name: "Tunnel0", MTU: 1400, Persist: true})
	if first.Adopted() {
		t.Error("a new device says that it was adopted")
	}
	if _, err := tryOpen(ns, tunio.Options{Name: "Tunnel0", Adopt: true}); !errors.Is(err, tunio.ErrTaken) || !strings.Contains(err.Error(), "another lockstep") {
		t.Errorf("adopting a device in use: %v", err)
	}
	first.Close()
	if _, err := tryOpen(ns, tunio.Options{Name: "Tunnel0"}); !errors.Is(err, tunio.ErrTaken) {
		t.Errorf("making a device that exists: %v", err)
	}
	second := open(t, ns, tunio.Options{Name: "Tunnel0", Adopt: true, Persist: true})
	if mtu, err := second.MTU(); err != nil || mtu != 1400 || !second.Adopted() {
		t.Errorf("adopted %v with MTU %d, %v; want the former one's 1400", second.Adopted(), mtu, err)
	}
	if err := second.Remove(); err != nil {
		t.Fatal(err)
	}
	if out, err := ns.TryIP("link show Tunnel0"); err == nil {
		t.Errorf("a removed device is still there: %s", out)
	}
}

func TestNotPersistentDeviceGoesWithItsDescriptor(t *testing.T) {
	ns := lab.NewNS(t, "gone")
	open(t, ns, tunio.Options{Name: "Tunnel0"}).Close()
	if out, err := ns.TryIP("link show Tunnel0"); err == nil {
		t.Errorf("still there: %s", out)
	}
}

func TestForeignInterfaceIsNotAdopted(t *testing.T) {
	ns := lab.NewNS(t, "veth")
	ns.IP("link add Tunnel0 type veth peer name x")
	_, err := tryOpen(ns, tunio.Options{Name: "Tunnel0", Adopt: true})
	if !errors.Is(err, tunio.ErrTaken) || !strings.Contains(err.Error(), "ip link delete Tunnel0") {
		t.Errorf("adopting a veth: %v", err)
	}
}

func TestDeletedDeviceSaysSo(t *testing.T) {
	ns := lab.NewNS(t, "del")
	d := open(t, ns, tunio.Options{Name: "Tunnel0"})
	ns.IP("link set Tunnel0 up")
	ns.IP("link delete Tunnel0")
	if _, err := d.ReadFrame(make([]byte, tunio.FrameLen)); !errors.Is(err, datapath.ErrGone) {
		t.Errorf("reading a deleted device: %v, want ErrGone", err)
	}
}

func TestCarrierShowsOnTheInterface(t *testing.T) {
	ns := lab.NewNS(t, "carrier")
	d := open(t, ns, tunio.Options{Name: "Tunnel0"})
	ns.IP("link set Tunnel0 up")
	for _, up := range []bool{false, true} {
		if err := d.SetCarrier(up); err != nil {
			t.Fatal(err)
		}
		if got := !strings.Contains(ns.IP("link show Tunnel0"), "NO-CARRIER"); got != up {
			t.Errorf("carrier %v, want %v", got, up)
		}
	}
}

func TestLongNameIsRefused(t *testing.T) {
	if _, err := tunio.Open(tunio.Options{Name: "Tunnel1234567890"}); err == nil || !strings.Contains(err.Error(), "1 to 15 octets") {
		t.Errorf("a name of 16 octets: %v", err)
	}
}
