package interop

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// load is the traffic under which nothing may be lost: packets a second, each way.
const load = 1000

// Not parallel: what counts single packets at this rate wants the cores for itself.

func TestTenChildRekeysFromEachSideLoseNothing(t *testing.T) {
	s := newSite(t, lab.SVTI{}, anyTS)
	s.up()
	ab, ba := s.Both(t, load)
	last := s.agree()
	seen := map[spis]bool{last: true}
	for range 10 {
		for _, rekey := range []func(){func() { s.ours.Exec("crypto ipsec rekey") }, s.swan.RekeyChild} {
			rekey()
			lab.Eventually(t, 10*time.Second, "a new pair after a rekey", func() bool {
				now := s.ourSPIs()
				if len(now) != 1 || now[0] == last {
					return false
				}
				last = now[0]
				return true
			})
			if seen[last] {
				t.Errorf("%08x came again", last)
			}
			seen[last] = true
		}
	}
	s.lossless(ab, ba)
	if s.agree() != last {
		t.Error("the last pair is not the one that stays")
	}
	s.exchanged(10)
	s.quiet()
}

// exchanged says how many CREATE_CHILD_SA exchanges strongSwan saw, from each side.
func (s *site) exchanged(n int) {
	s.t.Helper()
	for _, what := range []string{"parsed CREATE_CHILD_SA request", "generating CREATE_CHILD_SA request"} {
		if got := strings.Count(s.swan.Journal(), what); got != n {
			s.t.Errorf("strongSwan's journal has %d times %q, want %d", got, what, n)
		}
	}
}

func TestTwoIKERekeysFromEachSideLoseNothing(t *testing.T) {
	s := newSite(t, lab.SVTI{}, anyTS)
	s.up()
	child := s.agree()
	ab, ba := s.Both(t, load)
	last := s.ourIKE()[0]
	for range 2 {
		for _, rekey := range []func(){func() { s.ours.Exec("crypto ikev2 rekey") }, s.swan.RekeyIKE} {
			rekey()
			lab.Eventually(t, 10*time.Second, "a new IKE SA after a rekey", func() bool {
				now := s.ourIKE()
				if len(now) != 1 || now[0] == last {
					return false
				}
				last = now[0]
				return true
			})
		}
	}
	// The children moved to the last IKE SA: a rekey of one is possible there, from both ends.
	if s.agree() != child {
		t.Error("the child changed with the IKE SA")
	}
	s.swan.RekeyChild()
	lab.Eventually(t, 10*time.Second, "a child rekey under the new IKE SA", func() bool { now := s.ourSPIs(); return len(now) == 1 && now[0] != child })
	s.lossless(ab, ba)
	s.agree()
	s.quiet()
}

// By volume: at 2,560 kB a child carries some seconds of this traffic, and the data plane asks for the next. Not at full load:
// charon's socket has room for 92 packets of this size.
func TestRekeysByVolumeLoseNothing(t *testing.T) {
	s := newSite(t, lab.SVTI{Profile: []string{"set security-association lifetime kilobytes 2560"}}, anyTS)
	s.up()
	flow := func(from, to *lab.NS, a, b netip.Addr) *lab.Flow {
		return lab.StartFlow(t, lab.FlowSpec{From: from, To: to, FromAddr: a, ToAddr: b, PPS: load / 2, Size: 1200})
	}
	ab, ba := flow(s.HA, s.HB, lab.AddrHA, lab.AddrHB), flow(s.HB, s.HA, lab.AddrHB, lab.AddrHA)
	pairs := map[spis]bool{}
	lab.Eventually(t, 20*time.Second, "three rekeys", func() bool {
		for _, p := range s.ourSPIs() {
			pairs[p] = true
		}
		return len(pairs) > 3
	})
	s.lossless(ab, ba)
	s.agree()
	s.quiet()
}

// quiet says that nothing went wrong underneath: no stray, no incident, no replay, no failed check.
func (s *site) quiet() {
	s.t.Helper()
	if l := logLines(s.ours, "RECVD_PKT_INV_SPI"); len(l) > 0 {
		s.t.Errorf("strays: %q", l)
	}
	for _, name := range []string{"IN_US_V4_PKT_SA_NOT_FOUND_SPI", "IN_CD_SW_IPSEC_ANTI_REPLAY_FAIL", "IN_TBASED_ANTI_REPLAY_FAIL", "IN_CD_SW_IPSEC_MAC_EXCEPTION"} {
		if n := counter(s.ours, qfpIPsec, name); n > 0 {
			s.t.Errorf("%s is %d", name, n)
		}
	}
}
