package datapath

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// Rules that docs/conformance.md lists and that no other test of this package is about.

// RFC 4301 §4.1, RFC 4303 §3.4.2: the SPI alone finds an SA. A peer that changes between protocol 50 and UDP is heard
// (protocol.md D17).
func TestAnSAIsFoundBySPIWhateverItsPacketTravelsIn(t *testing.T) {
	for _, agreed := range []sa.Encap{sa.EncapUDP, sa.EncapNone} {
		c := childOf(spiA, spiB)
		c.Encap = agreed
		a, b := pair(t, settings{}, settings{}, c)
		pkt := udp("10.1.0.1:7", "10.2.0.1:9", 30)
		b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: sealed(t, a, 1, 4, pkt)})
		b.arrive(Run{Local: netip.AddrPortFrom(siteB.Addr(), 0), Remote: netip.AddrPortFrom(siteA.Addr(), 0), Buf: sealed(t, a, 2, 4, pkt)})
		got := 0
		for _, f := range b.dev.frames() {
			if bytes.Equal(f, plain(pkt)) {
				got++
			}
		}
		if got != 2 {
			t.Errorf("agreed on %v: %d of 2 packets arrived", agreed, got)
		}
		b.dropped(t, reason.None, 0)
	}
}

// RFC 4301 §7.1: an SA for any port carries all fragments of a packet.
func TestFragmentsCrossAsTheyAre(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	for _, field := range []uint16{0x2000, 0x2010, 0x0020} { // first, middle, last
		pkt := udp("10.1.0.1:7", "10.2.0.1:9", 128)
		binary.BigEndian.PutUint16(pkt[6:], field)
		ip.SetHeaderChecksum(pkt)
		a.leave(plain(pkt))
		b.receive()
		if got := b.dev.frames(); len(got) == 0 || !bytes.Equal(got[len(got)-1], plain(pkt)) {
			t.Errorf("fragment %#04x did not arrive", field)
		}
	}
	if n := len(b.dev.frames()); n != 3 {
		t.Errorf("%d frames", n)
	}
}
