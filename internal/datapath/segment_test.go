package datapath

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// gcmPlain encrypts any plaintext as an ESP packet with the header of pkt.
func gcmPlain(t testing.TB, keymat, pkt, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(keymat[:32])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := append(append([]byte(nil), keymat[32:36]...), pkt[8:16]...)
	return aead.Seal(append([]byte(nil), pkt[:16]...), nonce, plain, pkt[:8])
}

// bigTCP makes the headers of a TCP packet by hand, payload counted up, as a kernel hands it over for segmentation: the
// checksum field has the pseudo-header's sum.
func bigTCP(src, dst string, seq uint32, flags byte, options []byte, payload int) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	tcp := make([]byte, 20+len(options)+payload)
	binary.BigEndian.PutUint16(tcp, 40000)
	binary.BigEndian.PutUint16(tcp[2:], 443)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], 0x01020304)
	tcp[12], tcp[13] = byte((20+len(options))/4)<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 5000)
	copy(tcp[20:], options)
	for i := range payload {
		tcp[20+len(options)+i] = byte(i * 7)
	}
	binary.BigEndian.PutUint16(tcp[16:], ip.PseudoSum(s, d, 6, len(tcp)))
	h := ip.Header{Src: s, Dst: d, Protocol: 6, TTL: 63, DF: true, ID: 0xfffe}
	b := make([]byte, h.Len(), h.Len()+len(tcp))
	h.Put(b, len(tcp))
	return append(b, tcp...)
}

func bigUDP(src, dst string, payload int) []byte {
	b := udp(src, dst, payload)
	for i := range payload {
		b[len(b)-payload+i] = byte(i * 5)
	}
	return b
}

func gso(kind uint8, size int, pkt []byte) []byte {
	f := make([]byte, VirtioLen, VirtioLen+len(pkt))
	virtio{flags: needsCsum, gso: kind, gsoSize: uint16(size)}.put(f)
	return append(f, pkt...)
}

// tcpFrame is a frame of TCP data.
func tcpFrame(payload, size int) []byte {
	return gso(gsoTCPv4, size, bigTCP("10.1.0.1", "10.2.0.1", 1000, 0x10, nil, payload))
}

// naive splits a packet in the plainest way: every field by hand, checksums summed 16 bits at a time.
func naive(pkt []byte, size int) (out [][]byte) {
	l3, proto := 20, pkt[9]
	if pkt[0]>>4 == 6 {
		l3, proto = 40, pkt[6]
	}
	l4 := 8
	if proto == 6 {
		l4 = int(pkt[l3+12]>>4) * 4
	}
	payload := pkt[l3+l4:]
	for at := 0; at < len(payload); at += size {
		piece := payload[at:min(at+size, len(payload))]
		first, last := at == 0, at+size >= len(payload)
		q := append(append([]byte(nil), pkt[:l3+l4]...), piece...)
		n := len(q)
		if l3 == 20 {
			q[2], q[3] = byte(n>>8), byte(n)
			id := uint16(pkt[4])<<8 + uint16(pkt[5]) + uint16(at/size)
			q[4], q[5] = byte(id>>8), byte(id)
			q[10], q[11] = 0, 0
			c := ^sum16(q[:20])
			q[10], q[11] = byte(c>>8), byte(c)
		} else {
			q[4], q[5] = byte((n-40)>>8), byte(n-40)
		}
		t := q[l3:]
		pos := 6
		if proto == 6 {
			pos = 16
			seq := uint32(t[4])<<24 | uint32(t[5])<<16 | uint32(t[6])<<8 | uint32(t[7])
			seq += uint32(at)
			t[4], t[5], t[6], t[7] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
			if !last {
				t[13] &= 0xf6 // no FIN, no PSH
			}
			if !first {
				t[13] &= 0x7f // no CWR
			}
		} else {
			t[4], t[5] = byte(len(t)>>8), byte(len(t))
		}
		t[pos], t[pos+1] = 0, 0
		addresses := q[12:20]
		if l3 == 40 {
			addresses = q[8:40]
		}
		pseudo := append(append([]byte(nil), addresses...), 0, proto, byte(len(t)>>8), byte(len(t)))
		c := ^sum16(append(pseudo, t...))
		if c == 0 && proto == 17 {
			c = 0xffff
		}
		t[pos], t[pos+1] = byte(c>>8), byte(c)
		out = append(out, q)
	}
	return out
}

func sum16(b []byte) uint16 {
	var s uint32
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

var timestamps = []byte{1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7}

func TestSegmentsAreThoseOfThePlainestSplitter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]struct {
		gso  uint8
		make func(n int) []byte
	}{
		"TCP":      {gsoTCPv4, func(n int) []byte { return bigTCP("10.1.0.1", "10.2.0.1", 0xfffffff0, 0x99, nil, n) }}, // CWR ACK PSH FIN
		"TCP opts": {gsoTCPv4 | gsoECN, func(n int) []byte { return bigTCP("10.1.0.1", "10.2.0.1", 7, 0x90, timestamps, n) }},
		"TCPv6":    {gsoTCPv6, func(n int) []byte { return bigTCP("2001:db8:1::1", "2001:db8:2::1", 7, 0x18, timestamps, n) }},
		"UDP":      {gsoUDP, func(n int) []byte { return bigUDP("10.1.0.1:7", "10.2.0.1:9", n) }},
		"UDPv6":    {gsoUDP, func(n int) []byte { return bigUDP("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", n) }},
	}
	for name, kind := range kinds {
		for range 60 {
			n, size := 1+r.IntN(60000), 1+r.IntN(1400)
			if n/size > 3000 {
				n = size * 3000
			}
			pkt := kind.make(n)
			want := naive(pkt, size)
			var f frame
			if !f.parse(gso(kind.gso, size, pkt)) {
				t.Fatalf("%s %d/%d: refused", name, n, size)
			}
			if f.count() != len(want) {
				t.Fatalf("%s %d/%d: %d packets, want %d", name, n, size, f.count(), len(want))
			}
			for k := range want {
				got := make([]byte, f.length(k))
				f.put(got, k)
				if !bytes.Equal(got, want[k]) {
					t.Fatalf("%s %d/%d, packet %d:\n% x\nwant\n% x", name, n, size, k, got[:60], want[k][:min(60, len(want[k]))])
				}
			}
		}
	}
}

func TestAPartialChecksumIsFinished(t *testing.T) {
	pkt := bigTCP("10.1.0.1", "10.2.0.1", 7, 0x18, timestamps, 77)
	f := gso(gsoNone, 0, pkt)
	virtio{flags: needsCsum, csumStart: 20, csumOff: 16}.put(f)
	var got frame
	if !got.parse(f) || !bytes.Equal(got.pkt, naive(pkt, 1000)[0]) {
		t.Errorf("% x", got.pkt)
	}
}

func TestAFrameCrossesAsOneRunAndArrivesAsOneFrame(t *testing.T) {
	for name, c := range map[string]struct {
		frame  []byte
		size   int
		runs   int
		merged bool
	}{
		"TCP":    {tcpFrame(20*1368+5, 1368), 1368, 1, true},
		"TCPv6":  {gso(gsoTCPv6, 1300, bigTCP("2001:db8:1::1", "2001:db8:2::1", 7, 0x18, timestamps, 20*1300)), 1300, 1, true},
		"64 KiB": {gso(gsoTCPv4, 1368, bigTCP("10.1.0.1", "10.2.0.1", 1, 0x10, nil, 65535-40)), 1368, 2, true},
		"UDP":    {gso(gsoUDP, 1000, bigUDP("10.1.0.1:7", "10.2.0.1:9", 7500)), 1000, 1, false},
		"tiny":   {tcpFrame(700, 10), 10, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
			want := naive(c.frame[VirtioLen:], c.size)
			a.leave(c.frame)
			if n := len(a.wire.runs()); n != c.runs {
				t.Errorf("%d runs", n)
			}
			for _, r := range a.wire.runs() {
				if n := len(packets([]Run{r})); n > MaxRunSegments || len(r.Buf) > MaxRunOctets {
					t.Errorf("a run of %d datagrams, %d octets", n, len(r.Buf))
				}
			}
			b.receive()
			var got [][]byte
			for _, f := range b.dev.frames() {
				got = append(got, split(t, f)...)
			}
			if len(got) != len(want) {
				t.Fatalf("%d packets, want %d", len(got), len(want))
			}
			for k := range want {
				if !bytes.Equal(got[k], want[k]) {
					t.Fatalf("packet %d:\n% x\nwant\n% x", k, got[k], want[k])
				}
			}
			if merged := len(b.dev.frames()) < len(want)/4; merged != c.merged {
				t.Errorf("%d frames for %d packets", len(b.dev.frames()), len(want))
			}
			b.dropped(t, reason.None, 0)
		})
	}
}

// split takes a written frame apart as a kernel would.
func split(t testing.TB, f []byte) [][]byte {
	t.Helper()
	v := readVirtio(f)
	if v.gso == gsoNone {
		if v.flags != 0 {
			t.Errorf("flags %d on a plain packet", v.flags)
		}
		return [][]byte{f[VirtioLen:]}
	}
	p, flaw := ip.Parse(f[VirtioLen:])
	if flaw != ip.NoFlaw || int(v.csumStart) != p.HeaderLen || v.csumOff != 16 || v.flags != needsCsum || int(v.hdrLen) >= p.TotalLen {
		t.Fatalf("header %+v, packet %v", v, flaw)
	}
	if got, want := binary.BigEndian.Uint16(f[VirtioLen+p.HeaderLen+16:]), ip.PseudoSum(p.Src, p.Dst, 6, p.UpperLen()); got != want {
		t.Errorf("checksum field %#x, want the pseudo-header's sum %#x", got, want)
	}
	if !ip.HeaderChecksumOK(f[VirtioLen:]) {
		t.Error("header checksum")
	}
	return naive(f[VirtioLen:], int(v.gsoSize))
}

// arriveTCP sends packets as they are and returns the frames that are written.
func arriveTCP(t *testing.T, pkts ...[]byte) [][]byte {
	t.Helper()
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	for i, pkt := range pkts {
		r := Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealed(t, a, uint64(i+1), nextOf(pkt), pkt)}
		b.wire.in <- r
	}
	b.receive()
	return b.dev.frames()
}

func nextOf(pkt []byte) uint8 {
	if pkt[0]>>4 == 6 {
		return 41
	}
	return 4
}

func TestOnlyWhatContinuesTheFlowIsMerged(t *testing.T) {
	base := func() [][]byte { return naive(bigTCP("10.1.0.1", "10.2.0.1", 1000, 0x10, timestamps, 2000), 1000) }
	fix := func(pkt []byte, change func([]byte)) []byte {
		change(pkt)
		ip.SetHeaderChecksum(pkt)
		p, _ := ip.Parse(pkt)
		p.SetTransportChecksum(pkt)
		return pkt
	}
	if n := len(arriveTCP(t, base()...)); n != 1 {
		t.Fatalf("two segments in a row: %d frames", n)
	}
	for name, change := range map[string]func([]byte){
		"sequence gap":     func(p []byte) { p[27]++ },
		"other port":       func(p []byte) { p[21]++ },
		"other ACK":        func(p []byte) { p[31]++ },
		"other window":     func(p []byte) { p[35]++ },
		"other timestamps": func(p []byte) { p[47]++ },
		"SYN":              func(p []byte) { p[33] |= 2 },
		"RST":              func(p []byte) { p[33] |= 4 },
		"FIN":              func(p []byte) { p[33] |= 1 },
		"URG":              func(p []byte) { p[33] |= 0x20 },
		"ECE":              func(p []byte) { p[33] |= 0x40 },
		"other TTL":        func(p []byte) { p[8]-- },
		"other DSCP":       func(p []byte) { p[1] = 0x20 },
		"no DF":            func(p []byte) { p[6] = 0 },
		"other source":     func(p []byte) { p[15]++ },
	} {
		two := base()
		if n := len(arriveTCP(t, two[0], fix(two[1], change))); n != 2 {
			t.Errorf("%s: %d frames", name, n)
		}
	}
	bad := base()
	bad[1][60] ^= 1 // payload changed, checksum not: the receiver must see that
	got := arriveTCP(t, bad...)
	if len(got) != 2 || !bytes.Equal(got[1][VirtioLen:], bad[1]) {
		t.Error("a bad checksum was covered up")
	}
	push := naive(bigTCP("10.1.0.1", "10.2.0.1", 1000, 0x10, nil, 3000), 1000)
	fix(push[1], func(p []byte) { p[33] |= tcpPSH })
	if n := len(arriveTCP(t, push...)); n != 2 {
		t.Errorf("data behind a PSH: %d frames", n)
	}
	longer := [][]byte{naive(bigTCP("10.1.0.1", "10.2.0.1", 1000, 0x10, nil, 500), 1000)[0], naive(bigTCP("10.1.0.1", "10.2.0.1", 1500, 0x10, nil, 1000), 1000)[0]}
	if n := len(arriveTCP(t, longer...)); n != 2 {
		t.Errorf("a longer one behind a shorter one: %d frames", n)
	}
}

func TestTheMSSOfASYNIsClamped(t *testing.T) {
	syn := func(flags byte, options ...byte) []byte {
		return naive1(bigTCP("10.1.0.1", "10.2.0.1", 7, flags, options, 0))
	}
	for name, c := range map[string]struct {
		pkt  []byte
		want uint16 // 0: unchanged
		at   int
	}{
		"first":         {syn(2, 2, 4, 5, 180), 1360, 42},
		"behind NOPs":   {syn(2, 1, 1, 1, 2, 4, 5, 180, 0), 1360, 45},
		"behind others": {syn(2, 3, 3, 7, 1, 2, 4, 5, 180), 1360, 46},
		"SYN ACK":       {syn(0x12, 2, 4, 5, 180), 1360, 42},
		"small enough":  {syn(2, 2, 4, 5, 0), 0, 42},
		"not a SYN":     {syn(0x10, 2, 4, 5, 180), 0, 42},
		"none":          {syn(2, 1, 1, 1, 0), 0, 42},
		"cut off":       {syn(2, 1, 1, 2, 4), 0, 42},
		"length 0":      {syn(2, 5, 0, 2, 4), 0, 42},
	} {
		a, b := pair(t, settings{tunnel: TunnelOptions{AdjustMSS: 1360}}, settings{}, childOf(spiA, spiB))
		a.leave(plain(c.pkt))
		b.receive()
		want := append([]byte(nil), c.pkt...)
		if c.want != 0 {
			binary.BigEndian.PutUint16(want[c.at:], c.want)
			p, _ := ip.Parse(want)
			p.SetTransportChecksum(want)
		}
		if got := b.dev.frames(); len(got) != 1 || !bytes.Equal(got[0][VirtioLen:], want) {
			t.Errorf("%s: % x, want % x", name, got, want)
		}
	}
}

func TestTheOptionsOfATunnelChangeUnderIt(t *testing.T) {
	syn := naive1(bigTCP("10.1.0.1", "10.2.0.1", 7, 2, []byte{2, 4, 5, 180}, 0))
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	for i, want := range []uint16{1460, 1300} {
		if i > 0 {
			a.SetTunnelOptions(0, TunnelOptions{AdjustMSS: int(want)})
		}
		a.leave(plain(syn))
		b.receive()
		got := b.dev.frames()
		if mss := binary.BigEndian.Uint16(got[len(got)-1][VirtioLen+42:]); mss != want {
			t.Errorf("MSS %d, want %d", mss, want)
		}
	}
}

// naive1 completes the checksum of a packet without payload.
func naive1(pkt []byte) []byte {
	p, _ := ip.Parse(pkt)
	p.SetTransportChecksum(pkt)
	return pkt
}

// FuzzFrame: whatever a device gives, packets come out whole or not at all.
func FuzzFrame(f *testing.F) {
	f.Add(tcpFrame(5000, 1368))
	f.Add(gso(gsoUDP, 100, bigUDP("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", 300)))
	f.Add(plain(udp("10.1.0.1:7", "10.2.0.1:9", 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x frame
		if len(b) > frameCap || !x.parse(append([]byte(nil), b...)) {
			return
		}
		for k := range min(x.count(), 200) {
			n := x.length(k)
			if n <= 0 || n > len(b) {
				t.Fatalf("packet %d has %d octets of %d", k, n, len(b))
			}
			pkt := make([]byte, n)
			x.put(pkt, k)
			if p, flaw := ip.Parse(pkt); flaw != ip.NoFlaw || p.TotalLen != n {
				t.Fatalf("packet %d: %v, %d octets of %d", k, flaw, p.TotalLen, n)
			}
		}
	})
}

// FuzzArrive: no datagram makes the receiver fail, and each is counted, parked, noted or handed to IKE.
func FuzzArrive(f *testing.F) {
	f.Add(make([]byte, 60), uint16(20), true)
	f.Add([]byte{0xff}, uint16(0), true)
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3}, uint16(0), true)
	f.Add([]byte{0xB0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, uint16(7), false)
	f.Fuzz(func(t *testing.T, b []byte, seg uint16, inUDP bool) {
		s := newSite(t, newWire(siteB), settings{})
		s.install(t, mirror(childOf(spiA, spiB)))
		r := Run{Local: siteB, Remote: siteA, Buf: append([]byte(nil), b...), Seg: int(seg)}
		if inUDP {
			r.Encap = sa.EncapUDP
		}
		want := 1
		if seg > 0 && len(b) > 0 {
			want = (len(b) + int(seg) - 1) / int(seg)
		}
		s.arrive(r)
		got := len(s.ike)
		for _, n := range s.Drops().Packets {
			got += int(n)
		}
		if got != want || s.Panics() != 0 || len(s.dev.frames()) != 0 {
			t.Errorf("%d datagrams, %d accounted for, %d panics, %d frames", want, got, s.Panics(), len(s.dev.frames()))
		}
	})
}
