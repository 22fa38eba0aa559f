package interop

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// The watcher of each site fails its test when one inner packet is seen; these are the moments at which one could be.

func TestNothingLeavesInTheClearFromBeforeTheFirstSAToAfterTheEnd(t *testing.T) {
	t.Parallel()
	s := newQuietSite(t, lab.SVTI{}, anyTS)
	s.swan.Kill() // nobody answers
	s.ours.Start()
	flow := lab.StartFlow(t, lab.FlowSpec{From: s.HA, To: s.HB, FromAddr: lab.AddrHA, ToAddr: lab.AddrHB, PPS: 500})
	pause := func() { time.Sleep(500 * time.Millisecond) }
	phase := func(name string, what func()) { t.Logf("%d packets sent: %s", flow.Sent(), name); what(); pause() }
	phase("no SA yet", func() {})
	phase("a tunnel", func() { s.swan.Restart(s.Lab); s.up() })
	if flow.Received() == 0 {
		t.Error("nothing crossed the tunnel")
	}
	phase("killed", s.ours.Kill)
	phase("restarted: the tunnel interface is adopted", func() { s.ours.Start(); s.up() })
	phase("told to stop", func() { s.ours.Signal(syscall.SIGTERM); s.ours.Wait(10 * time.Second) })
	if left := s.theirs(); len(left) > 0 {
		t.Errorf("SIGTERM sent no Delete: strongSwan keeps %08x", left)
	}
	phase("killed in the middle of a start", func() { s.ours.Launch(); time.Sleep(20 * time.Millisecond); s.ours.Kill() })
	phase("the tunnel interface deleted by somebody", func() { s.A.IP("link delete Tunnel0") })
	phase("restarted", func() { s.ours.Start(); s.up() })
	got := flow.Received()
	lab.Eventually(t, 5*time.Second, "traffic after all that", func() bool { return flow.Received() > got+100 })
	if r := flow.Stop(); r.Duplicates > 0 {
		t.Error(r)
	}
}

// A default route into the tunnel takes all inner traffic and no outer packet: those are marked, and find their way beside it.
func TestDefaultRouteThroughTheTunnelCarriesNoOuterPacket(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{Routes: []string{"0.0.0.0 0.0.0.0"}}, anyTS)
	s.up()
	s.carries()
	s.A.Run("nft", "add table ip probe; add chain ip probe out { type filter hook output priority 0; }; add counter ip probe outer; "+
		"add rule ip probe out oifname Tunnel0 ip saddr 192.0.2.1 counter name outer; add counter ip probe every; add rule ip probe out oifname wan0 counter name every")
	s.swan.RekeyChild()
	s.swan.RekeyIKE()
	s.carries()
	if out := s.A.Run("nft", "list", "counter", "ip", "probe", "outer"); !strings.Contains(out, "packets 0 ") {
		t.Errorf("outer packets entered the tunnel:\n%s", out)
	}
	if out := s.A.Run("nft", "list", "counter", "ip", "probe", "every"); strings.Contains(out, "packets 0 ") {
		t.Errorf("the probe counts nothing:\n%s", out)
	}
	if l := logLines(s.ours, "RECURDOWN"); len(l) > 0 {
		t.Errorf("recursive routing was found: %q", l)
	}
}
