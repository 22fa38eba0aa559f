package lab

import (
	"bytes"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/suite"
)

// An inner UDP datagram with the canary, from HA to HB; its checksums are absent, which tshark does not mind.
func innerDatagram() []byte {
	body := append(bytes.Clone(canary), 0, 0, 0, 0, 0, 0, 0, 1)
	p := make([]byte, 28, 28+len(body))
	p[0], p[3], p[8], p[9] = 0x45, byte(28+len(body)), 64, 17
	src, dst := AddrHA.As4(), AddrHB.As4()
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	p[21], p[23], p[25] = 7, 7, byte(8+len(body))
	return append(p, body...)
}

func TestTsharkDecryptsWhatWeSealed(t *testing.T) {
	l := New(t)
	pcap := filepath.Join(t.TempDir(), "wan.pcap")
	w := l.R.Watch("a0", pcap)
	gcm := suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}
	cbc := suite.Cipher{Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA256}
	keys := map[suite.Cipher][]byte{gcm: bytes.Repeat([]byte{7}, 36), cbc: bytes.Repeat([]byte{9}, 64)}
	spis := map[suite.Cipher]uint32{gcm: 0xabcdef01, cbc: 0x00001234}
	err := l.A.Do(func() error {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(AddrA, 4500)))
		if err != nil {
			return err
		}
		defer c.Close()
		for _, suiteOf := range []suite.Cipher{gcm, cbc} {
			s, err := suite.NewSealer(suiteOf, keys[suiteOf], spis[suiteOf], false)
			if err != nil {
				return err
			}
			b := make([]byte, 512)
			n, err := s.Seal(b, 3, innerDatagram(), 4)
			if err != nil {
				return err
			}
			if _, err := c.WriteToUDPAddrPort(b[:n], netip.AddrPortFrom(AddrB, 4500)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, 5*time.Second, "both packets on the WAN", func() bool { return len(w.ESP()) == 2 })
	w.Stop()
	known := []ESPKey{KeyOf(AddrA, AddrB, spis[gcm], gcm, keys[gcm]), KeyOf(AddrA, AddrB, spis[cbc], cbc, keys[cbc])}
	got := TsharkDecryptESP(t, pcap, known)
	if len(got) != 2 {
		t.Fatalf("%d ESP packets: %+v", len(got), got)
	}
	for i, c := range []suite.Cipher{gcm, cbc} {
		want := Decrypted{Outer: [2]netip.Addr{AddrA, AddrB}, Inner: [2]netip.Addr{AddrHA, AddrHB}, SPI: spis[c], Sequence: 3, Canary: true}
		if got[i] != want {
			t.Errorf("%v: %+v, want %+v", c, got[i], want)
		}
	}
	for _, d := range TsharkDecryptESP(t, pcap, []ESPKey{KeyOf(AddrA, AddrB, spis[gcm], gcm, make([]byte, 36))}) {
		if d.Canary || d.Inner[0].IsValid() {
			t.Errorf("decrypted with a wrong key: %+v", d)
		}
	}
}
