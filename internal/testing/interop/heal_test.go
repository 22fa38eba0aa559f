package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// The product: Lockstep is killed and forgets its SAs while the peer goes on sending (`unique = no`, DPD off: nothing at the
// peer would ever end it). The first packet that arrives after the restart is enough.

func TestKilledGatewayIsHealedByRecovery(t *testing.T) {
	t.Run("StateKept", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, lab.SVTI{}, anyTS)
		s.up()
		s.killAndRestart("-frozen").check("recovery", "K10", "D01")
	})
	// Without the state directory nobody can tell whether the SPI was ours: the class says so, and the cause is not guessed.
	t.Run("StateLost", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, lab.SVTI{}, anyTS)
		s.up()
		s.ours.NewState()
		s.killAndRestart("-frozen").check("recovery", "K12", "unknown")
	})
}

// Without -frozen the gateway's own start-up initiation is as fast, and is named as what healed.
func TestStartupInitiationIsCreditedToBoot(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{}, anyTS)
	s.up()
	s.killAndRestart().check("boot", "K10", "D01")
}

// healing is a kill and what came of it.
type healing struct {
	*site
	old, new spis
	report   lab.Report // of the peer's packets
	incident incident
}

// killAndRestart kills Lockstep while both sides send 1,000 packets a second, and lets it start again with flags.
func (s *site) killAndRestart(flags ...string) *healing {
	s.t.Helper()
	h := &healing{site: s, old: s.agree()}
	ab, ba := s.Both(s.t, load)
	lab.Eventually(s.t, 5*time.Second, "packets both ways", func() bool { return ab.Received() > 500 && ba.Received() > 500 })
	s.ours.Kill()
	got := ba.Received()
	s.ours.Start(flags...)
	lab.Eventually(s.t, 10*time.Second, "the peer's packets arrive again", func() bool { return ba.Received() > got+500 })
	gone := ab.Received()
	lab.Eventually(s.t, 10*time.Second, "ours reach the peer again", func() bool { return ab.Received() > gone+500 })
	h.new = s.agree()
	ab.Stop()
	h.report = ba.Stop()
	lab.Eventually(s.t, 20*time.Second, "the end of the one incident", func() bool {
		open, closed := incidentsOf(s.ours)
		if len(open) > 0 || len(closed) != 1 {
			return false
		}
		h.incident = closed[0]
		return true
	})
	return h
}

// check holds what Lockstep says of the healing to what was seen from outside.
func (h *healing) check(healer, class, cause string) {
	t, i := h.t, h.incident
	t.Helper()
	t.Logf("the peer's packets: %v", h.report)
	if h.new == h.old || h.new.In == h.old.In {
		t.Errorf("still on the lost pair %08x", h.old)
	}
	early := dropped(h.ours)["larval_overflow"] // came on the new SA while it was being installed, more than are kept
	if len(h.report.Gaps) == 0 || h.report.Lost > h.report.Gaps[0].Count+early {
		t.Errorf("lost more than the first gap and %d early packets: %+v", early, h.report.Gaps)
	}
	if i.Result != "healed" || i.Healer != healer || i.Class != class || i.Cause != cause || i.SPI.Number != h.old.In || i.HealMS == nil {
		t.Fatalf("incident %+v, want it healed by %s, class %s, cause %s, SPI %08x", i, healer, class, cause, h.old.In)
	}
	// The start-up may be through with IKE_SA_INIT when the first stray is read.
	if i.RoundTrips != 2 && !(healer == "boot" && i.RoundTrips == 1) {
		t.Errorf("%d round trips, want IKE_SA_INIT and IKE_AUTH", i.RoundTrips)
	}
	t.Logf("healed by %s in %d ms, %d packets lost; with the restart %v and %d", i.Healer, *i.HealMS, i.Lost, h.report.LongestDark.Round(time.Millisecond), h.report.Lost)
	// These links have no delay: what it takes is computing at both ends. Packets that waited in the socket are lost too.
	if dark := h.report.LongestDark.Milliseconds(); *i.HealMS > 500 || *i.HealMS > dark || i.Lost == 0 || i.Lost > h.report.Lost {
		t.Errorf("incident: %d ms, %d packets lost, while the peer's packets were dark for %d ms, with %d lost", *i.HealMS, i.Lost, dark, h.report.Lost)
	}
	h.logged()
	h.counted()
}

// logged compares the two lines of a healing with the data.
func (h *healing) logged() {
	h.t.Helper()
	stray := fmt.Sprintf("%%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, spi=0x%08X(%d), srcaddr=192.0.2.2", h.old.In, h.old.In)
	if l := logLines(h.ours, "RECVD_PKT_INV_SPI"); len(l) != 1 || !strings.HasSuffix(l[0], ": "+stray) {
		h.t.Errorf("logged %q, want one line that ends in %q", l, stray)
	}
	i := h.incident
	line := fmt.Sprintf("%%CRYPTO-5-RECOVERY_HEALED: Tunnel0: peer 192.0.2.2 healed by %s in %d ms, %d round trips, %d packets lost, cause %s", i.Healer, *i.HealMS, i.RoundTrips, i.Lost, i.Cause)
	if l := logLines(h.ours, "RECOVERY_HEALED"); len(l) != 1 || !strings.HasSuffix(l[0], ": "+line) {
		h.t.Errorf("logged %q, want one line that ends in %q", l, line)
	}
}

// counted compares the counters: one bad packet is one of row 4 and one IpsecInput, and all were sent by the peer.
func (h *healing) counted() {
	h.t.Helper()
	row4 := counter(h.ours, qfpIPsec, "IN_US_V4_PKT_SA_NOT_FOUND_SPI")
	global := counter(h.ours, qfpGlobal, "IpsecInput")
	early := dropped(h.ours)["larval_overflow"]
	if row4 == 0 || row4+early != global || row4 > h.report.Lost || row4 != h.incident.Lost {
		h.t.Errorf("row 4 has %d, IpsecInput %d with %d early packets, the incident %d, of %d lost packets", row4, global, early, h.incident.Lost, h.report.Lost)
	}
}

// The other end is the one that forgets: its strays are ours, which it says nothing of. Traffic that goes out while nothing
// comes in leads to a liveness check, and no answer to a new IKE SA.
func TestKilledPeerIsFoundByLiveness(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{DPD: "10 2 on-demand"}, anyTS)
	s.up()
	old := s.agree()
	ab := lab.StartFlow(t, lab.FlowSpec{From: s.HA, To: s.HB, FromAddr: lab.AddrHA, ToAddr: lab.AddrHB, PPS: 100})
	lab.Eventually(t, 5*time.Second, "packets", func() bool { return ab.Received() > 100 })
	s.swan.Kill()
	s.swan.Restart(s.Lab)
	got := ab.Received()
	// 10 s of silence, five tries that begin 2 s apart and grow by 1.3 (18 s), a handshake.
	lab.Eventually(t, 35*time.Second, "packets arrive again", func() bool { return ab.Received() > got+100 })
	if now := s.agree(); now == old {
		t.Error("the pair is the old one")
	}
	t.Log(ab.Stop())
}
