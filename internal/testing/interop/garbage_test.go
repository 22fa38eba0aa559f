package interop

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
	"lockstep/internal/wire/isakmp"
)

// ikeHeader is one of a first message, changed by edit. body octets of nonsense follow.
func ikeHeader(body int, edit func(h []byte)) []byte {
	b := make([]byte, 28+body)
	binary.BigEndian.PutUint64(b, 0x0102030405060708)
	b[16], b[17], b[18], b[19] = 33, 0x20, byte(isakmp.IKESAInit), 0x08
	for i := range body {
		b[28+i] = byte(i * 7)
	}
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	edit(b)
	return b
}

func marked(b []byte) []byte { return append(make([]byte, 4), b...) }

// espPacket has a sequence number that no window has seen, and nothing inside.
func espPacket(spi uint32, size int) []byte {
	b := make([]byte, max(size, 8))
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], 1<<20)
	return b[:size]
}

// Every datagram from the peer's own address that is not what it should be is a drop with a name, and nothing else: no
// state, no answer that could be used, no packet of the tunnel lost.
func TestGarbageIsDroppedByNameAndTheTunnelLives(t *testing.T) {
	s := newSite(t, lab.SVTI{}, lanTS) // B's own packets do not go through the tunnel
	s.up()
	before := s.agree()
	keep := func([]byte) {}
	none := uint64(0)
	for _, c := range []struct {
		what    string
		port    uint16 // 0: protocol 50
		payload []byte
		drop    string // as `show platform hardware qfp … | json` names it
	}{
		{"one octet to port 500", 500, []byte{1}, "ike_malformed"},
		{"a header that lies about its length", 500, ikeHeader(40, func(h []byte) { h[27]++ }), "ike_malformed"},
		{"a first message of nonsense", 500, ikeHeader(200, keep), "ike_malformed"},
		{"a message for an IKE SA that never was", 4500, marked(ikeHeader(60, func(h []byte) { h[15], h[16], h[18] = 1, 46, byte(isakmp.Informational) })), "ike_unknown_spi"},
		{"an INFORMATIONAL in the clear", 500, ikeHeader(60, func(h []byte) { h[15], h[18] = 1, byte(isakmp.Informational) }), "ike_unauthenticated"},
		{"IKE version 1", 500, ikeHeader(60, func(h []byte) { h[17] = 0x10 }), "ikev1_unsupported"},
		{"IKE version 3", 500, ikeHeader(60, func(h []byte) { h[17] = 0x30 }), "ike_bad_version"},
		{"SPI 77 in UDP", 4500, espPacket(77, 100), "spi_reserved"},
		{"an SPI that was never ours in UDP", 4500, espPacket(before.In^0x5a5a5a5a, 100), "invalid_spi"},
		{"three octets to port 4500", 4500, []byte{1, 2, 3}, "short_udp"},
		{"ESP of sixteen octets in UDP", 4500, espPacket(0xabcdef01, 16), "esp_truncated"},
		{"our SPI with a bad check", 4500, espPacket(before.In, 100), "bad_icv"},
		{"SPI 0 in protocol 50", 0, espPacket(0, 100), "spi_zero"},
		{"an SPI that was never ours in protocol 50", 0, espPacket(before.In^0x5a5a5a5b, 100), "invalid_spi"},
		{"protocol 50 without a header", 0, []byte{1, 2}, "esp_truncated"},
	} {
		counted := dropped(s.ours)[c.drop]
		s.shoot(c.port, c.payload)
		lab.Eventually(t, 3*time.Second, c.what+": "+c.drop, func() bool { return dropped(s.ours)[c.drop] > counted })
	}
	ab, ba := s.Both(t, 200)
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(1400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		s.shoot([]uint16{0, 500, 4500}[r.IntN(3)], b)
	}
	s.lossless(ab, ba)
	if after := s.agree(); after != before {
		t.Errorf("the pair changed from %08x to %08x", before, after)
	}
	var total uint64
	for _, n := range dropped(s.ours) {
		total += n
	}
	if total < 2000 {
		t.Errorf("%d drops counted of at least 2000", total)
	}
	if n := dropped(s.ours)["ike_internal"] + dropped(s.ours)["path_internal"]; n != none {
		t.Errorf("%d failures inside", n)
	}
	if got := ikeOf(s.ours).SAs; len(got) != 1 {
		t.Errorf("IKE SAs %+v", got)
	}
}

// shoot sends one datagram from the peer's address to ours.
func (s *site) shoot(port uint16, payload []byte) {
	s.t.Helper()
	err := s.B.Do(func() error {
		if port == 0 {
			c, err := net.DialIP("ip4:50", &net.IPAddr{IP: lab.AddrB.AsSlice()}, &net.IPAddr{IP: lab.AddrA.AsSlice()})
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write(payload)
			return err
		}
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(lab.AddrA, port)))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(payload)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
