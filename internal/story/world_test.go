package story

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lockstep/internal/datapath"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/steer"
	"lockstep/internal/story/relay"
	"lockstep/internal/suite"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

var (
	addrA   = netip.MustParseAddr("192.0.2.1")
	addrB   = netip.MustParseAddr("192.0.2.2")
	insideA = netip.MustParseAddrPort("10.1.0.10:7")
	insideB = netip.MustParseAddrPort("10.2.0.10:7")
)

func twoTunnels() *policy.Config {
	return &policy.Config{
		Tunnels: []*policy.Tunnel{{Unit: 0, Source: addrA, Destination: addrB}, {Unit: 1, Source: addrA, Destination: addrB}},
		Routes: []policy.Route{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Tunnel: 0}, {Prefix: netip.MustParsePrefix("10.2.0.0/24"), Tunnel: 1},
			{Prefix: netip.MustParsePrefix("10.2.0.0/30"), Tunnel: -1, Via: addrB}},
	}
}

func TestRoutesFollowTheLine(t *testing.T) {
	w := newWorld(relay.New(0), twoTunnels())
	var devices []*device
	for _, tun := range w.config.Tunnels {
		d, err := w.Open(tun)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, d.(*device))
	}
	pkt := ip.AppendNumbered(nil, insideA, insideB, 1, 0)
	went := func(want int) {
		t.Helper()
		if ok := w.forward(pkt); ok != (want >= 0) {
			t.Errorf("forwarded: %v", ok)
		}
		for unit, d := range devices {
			select {
			case f := <-d.frames:
				if n, numbered := ip.Number(f[datapath.VirtioLen:]); unit != want || !numbered || n != 1 {
					t.Errorf("tunnel %d got %x", unit, f)
				}
			default:
				if unit == want {
					t.Errorf("tunnel %d got nothing", unit)
				}
			}
		}
	}
	went(-1)
	w.SetLine(0, true)
	went(0)
	w.SetLine(1, true) // more specific
	went(1)
	if !w.up() {
		t.Error("both lines are up")
	}
	devices[1].Close()
	went(-1)
	w.SetLine(1, false)
	went(0)
	if w.up() || w.forward([]byte{0x45}) {
		t.Error("up without all lines, or a broken packet was forwarded")
	}
}

func TestTheWorldTellsSourceAndMTU(t *testing.T) {
	w := newWorld(relay.New(0), twoTunnels())
	tun := w.config.Tunnels[0]
	if a, err := w.Source(tun); a != addrA || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := w.Source(&policy.Tunnel{SourceIF: "wan0"}); err == nil {
		t.Error("a tunnel without address has a source")
	}
	if w.MTU(tun) != 0 {
		t.Error("an MTU before anything was negotiated")
	}
	e := steer.Encapsulation{UDP: true, Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}}
	if err := w.SetEncapsulation(0, e); err != nil || w.MTU(tun) != e.InnerMTU(pathMTU, false) || w.MTU(tun) < 1400 {
		t.Errorf("MTU %d, %v", w.MTU(tun), err)
	}
	if m := w.MTU(&policy.Tunnel{MTU: 1300}); m != 1300 {
		t.Errorf("`ip mtu 1300` gives %d", m)
	}
}

// pair is the NAT-T wires of two worlds, joined.
func pair(t *testing.T) (n *relay.Network, a, b *wire, worldB *world) {
	t.Helper()
	n = relay.New(0)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { n.Run(ctx) })
	t.Cleanup(func() { cancel(); n.Close(); done.Wait() })
	open := func(addr netip.Addr) (*wire, *world) {
		w := newWorld(n, &policy.Config{Tunnels: []*policy.Tunnel{{Source: addr}}})
		wires, err := w.Wires()
		if err != nil {
			t.Fatal(err)
		}
		if len(wires) != 2 || wires[0].Local.Port() != isakmp.Port || wires[1].Local != natPort(addr) {
			t.Fatalf("%+v", wires)
		}
		return wires[1].Wire.(*wire), w
	}
	a, _ = open(addrA)
	b, worldB = open(addrB)
	return n, a, b, worldB
}

func espOn(spi, seq uint32) []byte {
	b := make([]byte, esp.MinLen+4)
	esp.PutHeader(b, spi, seq)
	return b
}

func TestASegmentIsADatagram(t *testing.T) {
	_, a, b, _ := pair(t)
	first, second, last := espOn(1000, 1), espOn(1000, 2), espOn(1000, 3)[:esp.MinLen]
	run := datapath.Run{Local: natPort(addrA), Remote: natPort(addrB), Encap: sa.EncapUDP, Seg: len(first),
		Buf: append(append(append([]byte(nil), first...), second...), last...)}
	if err := a.Send(&run); err != nil {
		t.Fatal(err)
	}
	if err := a.Send(&datapath.Run{Remote: natPort(addrB), Buf: []byte{0xff}}); err != nil { // a run of one
		t.Fatal(err)
	}
	for _, want := range [][]byte{first, second, last, {0xff}} {
		r := datapath.Run{Buf: make([]byte, 0, 2000)}
		if err := b.Recv(&r); err != nil {
			t.Fatal(err)
		}
		if string(r.Buf) != string(want) || r.Seg != 0 || r.Local != natPort(addrB) || r.Remote != natPort(addrA) || r.Encap != sa.EncapUDP {
			t.Errorf("got %+v, want %x", r, want)
		}
	}
	r := datapath.Run{Buf: make([]byte, 0, 2000)}
	if err := b.TryRecv(&r); !errors.Is(err, datapath.ErrAgain) {
		t.Errorf("an empty wire gave %v", err)
	}
	b.Close()
	if err := b.Recv(&r); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed wire gave %v", err)
	}
}

func TestAHiddenPacketIsTheNextESPAlone(t *testing.T) {
	n, a, b, w := pair(t)
	arrived := make(chan struct{}, 10)
	n.TapExit(func(relay.Packet) { arrived <- struct{}{} })
	w.hide.Store(1)
	for _, d := range [][]byte{{0xff}, espOn(1000, 1), espOn(1000, 2)} {
		if err := a.Send(&datapath.Run{Remote: natPort(addrB), Buf: d}); err != nil {
			t.Fatal(err)
		}
		<-arrived
	}
	for _, want := range [][]byte{{0xff}, espOn(1000, 2)} {
		r := datapath.Run{Buf: make([]byte, 0, 2000)}
		if err := b.Recv(&r); err != nil || string(r.Buf) != string(want) {
			t.Errorf("%x, %v, want %x", r.Buf, err, want)
		}
	}
}

func TestWiresThatCannotAllBeOpenedAreClosed(t *testing.T) {
	n := relay.New(0)
	defer n.Close()
	taken, err := n.Attach(natPort(addrA))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(n, twoTunnels())
	if _, err := w.Wires(); err == nil {
		t.Fatal("a port was taken twice")
	}
	taken.Close()
	if _, err := w.Wires(); err != nil {
		t.Errorf("something was left open: %v", err)
	}
}

func TestADeviceHasFramesAndAnEnd(t *testing.T) {
	var out [][]byte
	d := newDevice(func(pkt []byte) { out = append(out, pkt) })
	buf := make([]byte, 100)
	if _, err := d.TryReadFrame(buf); !errors.Is(err, datapath.ErrAgain) {
		t.Errorf("an empty device gave %v", err)
	}
	for range deviceQueue {
		if !d.inject([]byte("packet")) {
			t.Fatal("refused with room left")
		}
	}
	if d.inject([]byte("packet")) {
		t.Error("taken without room")
	}
	for _, read := range []func([]byte) (int, error){d.ReadFrame, d.TryReadFrame} {
		if n, err := read(buf); err != nil || string(buf[datapath.VirtioLen:n]) != "packet" {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	head := make([]byte, datapath.VirtioLen)
	if err := d.WriteFrame([][]byte{head, []byte("one "), []byte("two")}); err != nil || len(out) != 1 || string(out[0]) != "one two" {
		t.Errorf("%q, %v", out, err)
	}
	d.Remove()
	d.Close()
	if err := d.WriteFrame([][]byte{head, []byte("x")}); !errors.Is(err, net.ErrClosed) || len(out) != 1 || d.inject([]byte("x")) {
		t.Errorf("a closed device took a packet: %v", err)
	}
	for range deviceQueue { // what waits may still be read, or the end seen
		if _, err := d.ReadFrame(buf); errors.Is(err, net.ErrClosed) {
			return
		}
	}
	if _, err := d.ReadFrame(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed device gave %v", err)
	}
}

func TestDatagramsAreWhatTheyAre(t *testing.T) {
	ike := isakmp.Header{Version: isakmp.Version2, Exchange: isakmp.IKESAInit, Length: isakmp.HeaderLen}.Append(nil)
	old := isakmp.Header{Version: isakmp.Version1, Length: isakmp.HeaderLen}.Append(nil)
	inner := ip.AppendNumbered(nil, insideA, insideB, 1, payloadLen)
	for name, c := range map[string]struct {
		port    uint16
		payload []byte
		kind    kind
	}{
		"IKE on 500":               {500, ike, sawIKE},
		"IKE on 4500":              {4500, append([]byte{0, 0, 0, 0}, ike...), sawIKE},
		"IKE without marker":       {4500, ike[:20], sawOther},
		"IKE cut off":              {500, ike[:27], sawOther},
		"IKEv1":                    {500, old, sawOther},
		"ESP":                      {4500, espOn(256, 1), sawESP},
		"ESP on 500":               {500, espOn(256, 1), sawOther},
		"an SPI that is reserved":  {4500, espOn(255, 1), sawOther},
		"too short for ESP":        {4500, espOn(256, 1)[:esp.MinLen-1], sawOther},
		"a keepalive":              {4500, []byte{0xff}, sawKeepalive},
		"a keepalive on 500":       {500, []byte{0xff}, sawOther},
		"nothing":                  {4500, nil, sawOther},
		"an inner packet on 500":   {500, inner, sawOther},
		"an inner packet, as ESP ": {4500, inner, sawESP}, // its first octets pass for an SPI: naked finds it
	} {
		s := classify(netip.AddrPortFrom(addrA, c.port), netip.AddrPortFrom(addrB, c.port), c.payload)
		if s.kind != c.kind {
			t.Errorf("%s is %d, want %d", name, s.kind, c.kind)
		}
	}
	w := witness{inside: []netip.Addr{insideA.Addr(), insideB.Addr()}}
	for i, payload := range [][]byte{inner, append(espOn(300, 1), inner...)} {
		w.enter(relay.Packet{At: time.Now(), Src: natPort(addrA), Dst: natPort(addrB), Payload: payload})
		if bare, datagrams, _ := w.exposed(); len(bare) != i+1 || datagrams != i+1 {
			t.Errorf("%q of %d", bare, datagrams)
		}
	}
	w.enter(relay.Packet{At: time.Now(), Src: natPort(addrA), Dst: natPort(addrB), Payload: espOn(300, 1)})
	if bare, _, _ := w.exposed(); len(bare) != 2 {
		t.Errorf("%q", bare)
	}
}
