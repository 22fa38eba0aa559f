package interop

import (
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// Two Locksteps with a router between them: strongSwan's kernel-libipsec can only ESP in UDP, so raw protocol 50 is proven
// here, with tshark as the judge of what is on the wire.
func TestTwoLockstepsCarryRawESPOrUDPAsConfigured(t *testing.T) {
	for _, c := range []struct {
		name string
		line []string
		udp  bool
	}{
		{"RawProtocol50", []string{"no crypto ipsec nat-transparency udp-encapsulation"}, false},
		{"ForcedUDP", []string{"crypto ipsec nat-transparency udp-encapsulation force"}, true},
		{"UDPByVendorID", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lab.NeedRoot(t)
			l := lab.New(t)
			pcap := filepath.Join(t.TempDir(), "wan.pcap")
			wan := l.R.Watch("a0", pcap)
			l.R.Watch("b0", "") // B is ours too: it must not leak either
			a := l.Lockstep(t, "A", lab.SVTI{Global: c.line})
			b := l.Lockstep(t, "B", lab.SVTI{Global: c.line})
			lab.Eventually(t, 10*time.Second, "one pair at both ends", func() bool {
				pa, pb := childrenOf(a), childrenOf(b)
				return len(pa) == 1 && len(pb) == 1 && pa[0] == spis{pb[0].Out, pb[0].In}
			})
			lab.Eventually(t, 5*time.Second, "a ping", func() bool { return l.HA.Ping(lab.AddrHB, 200*time.Millisecond) })
			ab, ba := l.Both(t, 500)
			lab.Eventually(t, 5*time.Second, "packets both ways", func() bool { return ab.Received() > 500 && ba.Received() > 500 })
			lossless(t, ab, ba)
			pair := childrenOf(a)[0]
			wan.Stop()
			for f, n := range wan.ESP() {
				if f.UDP != c.udp {
					t.Errorf("%d packets of %+v", n, f)
				}
			}
			read := map[uint32]int{}
			for _, d := range lab.TsharkDecryptESP(t, pcap, a.Keys()) {
				if !d.Inner[0].IsValid() {
					t.Fatalf("not decrypted: %+v", d)
				}
				read[d.SPI]++
			}
			if read[pair.In] < 500 || read[pair.Out] < 500 {
				t.Errorf("tshark read %v of the pair %08x", read, pair)
			}
		})
	}
}
