package interop

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// Whoever begins, and whatever was agreed on: packets cross both ways, under the SPIs that both ends name, and nothing in
// the clear.
func TestTunnelCarriesBothWaysWhoeverInitiates(t *testing.T) {
	cbc := lab.SVTI{IKE: []string{"encryption aes-cbc-256", "integrity sha256", "group 14"}, Transform: "esp-aes 256 esp-sha256-hmac"}
	cbcSwan := lab.SwanConfig{IKE: "aes256-sha256-modp2048", ESP: "aes256-sha256"}
	for _, c := range []struct {
		name   string
		ours   lab.SVTI
		swan   lab.SwanConfig
		cipher string // as strongSwan names it
		ts     [2]string
	}{
		{"AnyToAnyGCM", lab.SVTI{}, anyTS, "AES_GCM_16-256", [2]string{"0.0.0.0/0", "0.0.0.0/0"}},
		{"NarrowedGCM", lab.SVTI{}, lanTS, "AES_GCM_16-256", [2]string{"10.1.0.0/24", "10.2.0.0/24"}},
		{"AnyToAnyCBCWithSHA2", cbc, cbcSwan, "AES_CBC-256/HMAC_SHA2_256_128", [2]string{"0.0.0.0/0", "0.0.0.0/0"}},
	} {
		for _, first := range []string{"LockstepInitiates", "StrongSwanInitiates"} {
			t.Run(c.name+"/"+first, func(t *testing.T) {
				t.Parallel()
				ours := c.ours
				if first == "StrongSwanInitiates" {
					ours.Profile = append(slices.Clone(ours.Profile), responderOnly)
				}
				s := newSite(t, ours, c.swan)
				if first == "StrongSwanInitiates" {
					s.initiate()
				} else {
					s.up()
				}
				s.carries()
				s.negotiated(first == "LockstepInitiates", c.cipher, c.ts)
			})
		}
	}
}

// carries sends numbered packets both ways and finds them all again, as ESP in UDP under the agreed SPIs.
func (s *site) carries() {
	s.t.Helper()
	ab, ba := s.Both(s.t, 200)
	lab.Eventually(s.t, 5*time.Second, "packets both ways", func() bool { return ab.Received() > 200 && ba.Received() > 200 })
	s.lossless(ab, ba)
	pair, seen := s.agree(), s.wan.ESP()
	for _, f := range []lab.ESPFlow{{Src: lab.AddrA, Dst: lab.AddrB, SPI: pair.Out, UDP: true}, {Src: lab.AddrB, Dst: lab.AddrA, SPI: pair.In, UDP: true}} {
		if seen[f] < 200 {
			s.t.Errorf("%d ESP packets of %+v among %v", seen[f], f, seen)
		}
	}
}

// lossless stops flows that must not have lost or doubled anything.
func lossless(t testing.TB, flows ...*lab.Flow) {
	t.Helper()
	for i, f := range flows {
		if r := f.Stop(); r.Lost > 0 || r.Duplicates > 0 || r.Sent == 0 {
			t.Errorf("flow %d: %v", i, r)
		}
	}
}

// lossless is that of the two flows of a site. What the kernel of B discarded because charon did not read its socket for a
// while (it has room for 262 small packets, and a busy machine may let it wait longer) is neither end's fault, and told.
func (s *site) lossless(ab, ba *lab.Flow) {
	s.t.Helper()
	a, b := ab.Stop(), ba.Stop()
	overflow := rcvbufErrors(s.t, s.B)
	if a.Lost <= overflow && b.Lost == 0 && a.Duplicates+b.Duplicates == 0 && a.Sent > 0 && b.Sent > 0 {
		if overflow > 0 {
			s.t.Logf("the machine is busy: charon's socket had no room for %d packets", overflow)
		}
		return
	}
	s.t.Errorf("to strongSwan: %v; charon's socket had no room for %d", a, overflow)
	s.t.Errorf("from strongSwan: %v; our sockets had no room for %d", b, rcvbufErrors(s.t, s.A))
	s.t.Logf("Lockstep's drops: %v\n%s", dropped(s.ours), s.A.IP("-s link show Tunnel0"))
}

// rcvbufErrors counts the datagrams for which UDP sockets in a namespace had no room.
func rcvbufErrors(t testing.TB, ns *lab.NS) uint64 {
	t.Helper()
	lines := strings.Split(ns.Run("grep", "^Udp:", "/proc/net/snmp"), "\n")
	i := slices.Index(strings.Fields(lines[0]), "RcvbufErrors")
	n, err := strconv.ParseUint(strings.Fields(lines[1])[i], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// negotiated compares what both ends say of their SA. ts are our and the peer's selectors.
func (s *site) negotiated(weInitiate bool, cipher string, ts [2]string) {
	s.t.Helper()
	theirs, ours := s.swan.SAs(), ikeOf(s.ours).SAs
	if len(theirs) != 1 || len(ours) != 1 || len(theirs[0].Children) != 1 || len(ours[0].Children) != 1 {
		s.t.Fatalf("theirs %+v, ours %+v", theirs, ours)
	}
	if theirs[0].Initiator == weInitiate || ours[0].Initiator != weInitiate {
		s.t.Errorf("initiator: they say %v, we %v, want %v", theirs[0].Initiator, ours[0].Initiator, weInitiate)
	}
	c, o := theirs[0].Children[0], ours[0].Children[0]
	if c.Cipher != cipher || !c.Encap || c.BytesIn == 0 || c.BytesOut == 0 {
		s.t.Errorf("strongSwan's child %+v", c)
	}
	got := [2]string{o.LocalSelector[0], o.RemoteSelector[0]}
	if got != ts || c.Local[0] != ts[1] || c.Remote[0] != ts[0] {
		s.t.Errorf("selectors: ours %v, theirs %v and %v, want %v", got, c.Remote, c.Local, ts)
	}
}

// A peer that narrows is served (RFC 7296 §2.9): what the pair carries crosses; what it does not is dropped by name, and
// asked for, and the tunnel lives.
func TestPacketOutsideNarrowedSelectorsIsANamedDropAndAsksOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{}, lanTS)
	s.up()
	before := s.agree()
	for range 3 {
		s.A.Ping(lab.AddrHB, 100*time.Millisecond) // from 172.16.0.1, which the pair does not carry
	}
	lab.Eventually(t, 5*time.Second, "three drops for the selectors", func() bool { return dropped(s.ours)["no_selector_match"] == 3 })
	if n := counter(s.ours, qfpIPsec, "OUT_V4_PKT_HIT_DENY_DROP_SP"); n != 3 {
		t.Errorf("row 35 has %d", n)
	}
	s.carries()
	if n := strings.Count(s.swan.Journal(), "parsed CREATE_CHILD_SA request"); n != 1 {
		t.Errorf("asked %d times for a child that the peer narrows to what it has", n)
	}
	if after := s.agree(); after != before {
		t.Errorf("the pair changed from %08x to %08x", before, after)
	}
}

// What we export is enough for Wireshark to read the capture, both ways, before and after a rekey.
func TestWiresharkDecryptsWithExportedKeys(t *testing.T) {
	for name, c := range map[string]struct {
		ours lab.SVTI
		swan lab.SwanConfig
	}{
		"GCM":         {lab.SVTI{}, anyTS},
		"CBCWithSHA2": {lab.SVTI{Transform: "esp-aes 256 esp-sha256-hmac"}, lab.SwanConfig{ESP: "aes256-sha256"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.ours, c.swan)
			s.up()
			first := s.agree()
			s.carries()
			s.swan.RekeyChild()
			lab.Eventually(t, 10*time.Second, "a rekey", func() bool { ours := s.ourSPIs(); return len(ours) == 1 && ours[0] != first })
			second := s.agree()
			s.carries()
			s.wan.Stop()
			read := map[uint32]int{}
			for _, d := range lab.TsharkDecryptESP(t, s.pcap, s.ours.Keys()) {
				if !d.Inner[0].IsValid() {
					t.Fatalf("not decrypted: %+v", d)
				}
				if d.Canary {
					read[d.SPI]++
				}
			}
			for _, spi := range []uint32{first.In, first.Out, second.In, second.Out} {
				if read[spi] < 200 {
					t.Errorf("%d packets of SPI %08x read, of %v", read[spi], spi, read)
				}
			}
		})
	}
}
