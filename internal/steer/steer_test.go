package steer_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath/tunio"
	"lockstep/internal/host"
	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
	"lockstep/internal/steer"
	"lockstep/internal/suite"
	"lockstep/internal/testing/lab"
)

// site is gateway A of the lab, with a tunnel device and a Steer.
type site struct {
	*lab.Lab
	t   *testing.T
	s   *steer.Steer
	tun *tunio.Device
	wan *lab.Watch
}

func newSite(t *testing.T) *site {
	l := lab.New(t)
	g := &site{Lab: l, t: t, s: newSteer(t, l.A), wan: l.R.Watch("a0", "")}
	g.openTUN()
	return g
}

func newSteer(t *testing.T, ns *lab.NS) *steer.Steer {
	t.Helper()
	var s *steer.Steer
	err := ns.Do(func() error {
		h, err := netlink.Open()
		if err == nil {
			s = steer.New(h, steer.Options{Mark: host.OuterMark})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (g *site) openTUN() {
	g.t.Helper()
	err := g.A.Do(func() (err error) {
		adopt, err := g.s.MayAdopt("Tunnel0")
		if err == nil {
			g.tun, err = tunio.Open(tunio.Options{Name: "Tunnel0", Persist: true, Adopt: adopt})
		}
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { g.tun.Close() })
}

func tunnel0() *policy.Tunnel {
	return &policy.Tunnel{Unit: 0, Address: netip.MustParsePrefix("172.16.0.1/30"), SourceIF: "wan0", Destination: lab.AddrB}
}

func through(prefixes ...string) *policy.Config {
	cfg := &policy.Config{Tunnels: []*policy.Tunnel{tunnel0()}}
	for _, p := range prefixes {
		cfg.Routes = append(cfg.Routes, policy.Route{Prefix: netip.MustParsePrefix(p), Tunnel: 0, Distance: 1})
	}
	return cfg
}

func (g *site) apply(cfg *policy.Config, up bool) {
	g.t.Helper()
	if err := g.s.Apply(cfg); err != nil {
		g.t.Fatal(err)
	}
	if err := g.s.SetLine(0, up); err != nil {
		g.t.Fatal(err)
	}
}

// drain counts the frames in the tunnel that carry inner traffic to HB.
func (g *site) drain() (toHB int) {
	b := make([]byte, tunio.FrameLen)
	for {
		n, err := g.tun.TryReadFrame(b)
		if err != nil {
			return toHB
		}
		if p := b[tunio.HeaderLen:n]; len(p) >= 20 && p[0]>>4 == 4 && netip.AddrFrom4([4]byte(p[16:20])) == lab.AddrHB {
			toHB++
		}
	}
}

// inner sends a few packets from HA to HB, as a host behind the gateway would.
func (g *site) inner() lab.Report {
	g.t.Helper()
	f := lab.StartFlow(g.t, lab.FlowSpec{From: g.HA, To: g.HB, FromAddr: lab.AddrHA, ToAddr: lab.AddrHB, PPS: 500})
	lab.Eventually(g.t, 5*time.Second, "50 packets sent", func() bool { return f.Sent() >= 50 })
	return f.Stop()
}

func TestTunnelRouteLeadsIntoTheTunnelWhileTheLineIsUp(t *testing.T) {
	g := newSite(t)
	g.apply(through("10.2.0.0/24"), true)
	r := g.inner()
	if n := g.drain(); uint64(n) != r.Sent-r.Refused || n == 0 {
		t.Errorf("%d of %v in the tunnel", n, r)
	}
}

// Each way to lose the tunnel, and the watcher on the WAN fails the test if one packet leaves in the clear: the lab's
// gateways have a default route towards it.
func TestNothingLeaksWhen(t *testing.T) {
	for name, lose := range map[string]func(g *site){
		"the line protocol is down": func(g *site) {
			if err := g.s.SetLine(0, false); err != nil {
				g.t.Error(err)
			}
		},
		"the process has died":           func(g *site) { g.tun.Close() },
		"the interface is down":          func(g *site) { g.A.IP("link set Tunnel0 down") },
		"the interface was deleted":      func(g *site) { g.A.IP("link delete Tunnel0") },
		"the tunnel is shut down":        func(g *site) { c := through("10.2.0.0/24"); c.Tunnels[0].Shutdown = true; g.apply(c, false) },
		"the interface was never opened": func(g *site) { g.A.IP("link delete Tunnel0"); g.apply(through("10.2.0.0/24"), true) },
		"the gateway is uninstalled but for the twins": func(g *site) {
			if _, err := g.s.Uninstall(true); err != nil {
				g.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newSite(t)
			g.apply(through("10.2.0.0/24"), true)
			lose(g)
			if r := g.inner(); r.Received != 0 || r.Sent == 0 {
				t.Error(r)
			}
			if name == "the line protocol is down" && g.drain() != 0 {
				t.Error("packets entered a tunnel without a line protocol")
			}
		})
	}
}

func TestDefaultRouteThroughTheTunnelCarriesAllButOuterPackets(t *testing.T) {
	g := newSite(t)
	g.apply(through("0.0.0.0/0"), true)
	if r := g.inner(); uint64(g.drain()) != r.Sent-r.Refused {
		t.Error("inner packets missed the tunnel:", r)
	}
	u := g.s.Underlay(tunnel0())
	if u.Err != nil || u.Device != "wan0" || u.Via != lab.AddrR || u.Source != lab.AddrA || u.Recursive {
		t.Errorf("underlay %+v", u)
	}
	before := g.wan.Packets()
	sendMarked(t, g.A)
	lab.Eventually(t, 5*time.Second, "an outer packet on the WAN", func() bool { return g.wan.Packets() > before })
	if err := g.s.SetLine(0, false); err != nil {
		t.Fatal(err)
	}
	if r := g.inner(); r.Received != 0 || g.drain() != 0 {
		t.Error("line down:", r)
	}
	if u := g.s.Underlay(tunnel0()); u.Err != nil {
		t.Error("no underlay while the line is down:", u.Err)
	}
}

// sendMarked sends one datagram to gateway B as our sockets would.
func sendMarked(t *testing.T, ns *lab.NS) {
	t.Helper()
	err := ns.Do(func() error {
		d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, host.OuterMark)
			})
		}}
		c, err := d.Dial("udp4", netip.AddrPortFrom(lab.AddrB, 4500).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("outer"))
		return err
	})
	if err != nil {
		t.Error("send an outer packet:", err)
	}
}

func TestOuterPacketIsRefusedWhereTheOnlyWayIsTheTunnel(t *testing.T) {
	g := newSite(t)
	g.apply(through("0.0.0.0/0"), true)
	g.A.IP("route del default")
	if err := g.s.Refresh(); err != nil {
		t.Fatal(err)
	}
	u := g.s.Underlay(tunnel0())
	if !u.Recursive || u.Err == nil || !strings.Contains(u.Err.Error(), "leads into Tunnel0") {
		t.Errorf("underlay %+v, want recursive", u)
	}
	g.drain()
	err := g.A.Do(func() error {
		h, err := netlink.Open()
		if err != nil {
			return err
		}
		defer h.Close()
		if p, err := h.Lookup(lab.AddrB, netip.Addr{}, host.OuterMark); err == nil {
			t.Errorf("a marked packet would take %+v", p)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// The way comes back: no restart is needed.
	g.A.IP("route add default via 198.51.100.1 dev wan0 onlink")
	if err := g.s.Refresh(); err != nil {
		t.Fatal(err)
	}
	if u := g.s.Underlay(tunnel0()); u.Err != nil || u.Recursive {
		t.Errorf("underlay %+v after the route came back", u)
	}
}

func TestMissingUnderlayIsNotCalledRecursive(t *testing.T) {
	g := newSite(t)
	g.apply(through("10.2.0.0/24"), true)
	g.A.IP("route del default")
	if err := g.s.Refresh(); err != nil {
		t.Fatal(err)
	}
	if u := g.s.Underlay(tunnel0()); u.Recursive || u.Err == nil || !strings.Contains(u.Err.Error(), "no route to tunnel destination 192.0.2.2") {
		t.Errorf("underlay %+v", u)
	}
}

func TestWatchWakesWhenTheHostsRoutesChange(t *testing.T) {
	g := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wake <-chan struct{}
	if err := g.A.Do(func() (err error) {
		h, err := netlink.Open()
		if err == nil {
			t.Cleanup(h.Close)
			wake, err = h.Watch(ctx)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	g.A.IP("route add 203.0.113.0/24 via 198.51.100.1 dev wan0 onlink")
	select {
	case <-wake:
	case <-time.After(5 * time.Second):
		t.Error("a new route went unnoticed")
	}
}

func TestMTUFollowsPathAndEncapsulation(t *testing.T) {
	g := newSite(t)
	g.apply(through("10.2.0.0/24"), true)
	check := func(want int) {
		t.Helper()
		if got := g.s.MTU(tunnel0()); got != want {
			t.Errorf("MTU %d, want %d", got, want)
		}
	}
	check(1422)
	if err := g.s.SetEncapsulation(0, steer.Encapsulation{Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}}); err != nil {
		t.Fatal(err)
	}
	check(1446)
	g.A.IP("link set wan0 mtu 1400")
	if err := g.s.Refresh(); err != nil {
		t.Fatal(err)
	}
	check(1346)
	cfg := through("10.2.0.0/24")
	cfg.Tunnels[0].MTU = 1300
	g.apply(cfg, true)
	check(1300)
}

func TestRestartAdoptsWhatTheFormerProcessLeft(t *testing.T) {
	g := newSite(t)
	g.apply(through("10.2.0.0/24"), true)
	before := state(g.A)
	g.tun.Close() // as a crash does
	g.s = newSteer(t, g.A)
	g.openTUN()
	if !g.tun.Adopted() {
		t.Error("the device was made anew")
	}
	g.apply(through("10.2.0.0/24"), true)
	if after := state(g.A); after != before {
		t.Errorf("before the crash\n%s\nafter the restart\n%s", before, after)
	}
}

// state is what the kernel shows of routes, rules and the interface. Its operational state is left out: a TUN's is
// UNKNOWN until it lost its carrier once.
func state(ns *lab.NS) string {
	link := ns.IP("address show dev Tunnel0")
	return ns.IP("route show table all type unicast") + ns.IP("route show table all type blackhole") + ns.IP("rule show") +
		strings.Replace(link, "state UP", "state UNKNOWN", 1)
}

func TestReloadRemovesWhatIsNoLongerWanted(t *testing.T) {
	g := newSite(t)
	g.apply(through("10.2.0.0/24", "10.9.0.0/16"), true)
	g.apply(through("10.2.0.0/24"), true)
	routes := g.A.IP("route show")
	if strings.Contains(routes, "10.9.0.0/16") || strings.Count(routes, "10.2.0.0/24") != 2 {
		t.Errorf("routes after the reload\n%s", routes)
	}
}

func TestUninstallLeavesTheHostAsItWas(t *testing.T) {
	l := lab.New(t)
	show := func() string { return l.A.IP("route show table all") + l.A.IP("rule show") + l.A.IP("-o link show") }
	before := show()
	g := &site{Lab: l, t: t, s: newSteer(t, l.A), wan: l.R.Watch("a0", "")}
	g.openTUN()
	g.apply(through("10.2.0.0/24", "0.0.0.0/0"), true)
	listed, err := g.s.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := g.s.Uninstall(false)
	if err != nil {
		t.Fatal(err)
	}
	if len(gone) == 0 || len(listed) != len(gone) || listed[0] != gone[0] {
		t.Errorf("listed %q, removed %q", listed, gone)
	}
	if after := show(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if left, err := g.s.Inventory(); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestForeignRouteInTheWayIsNamed(t *testing.T) {
	g := newSite(t)
	g.A.IP("route add 10.2.0.0/24 via 198.51.100.1 dev wan0 onlink")
	if err := g.s.Apply(through("10.2.0.0/24")); err != nil {
		t.Fatal(err)
	}
	err := g.s.SetLine(0, true)
	if err == nil || !strings.Contains(err.Error(), "in the clear") || !strings.Contains(err.Error(), "10.2.0.0/24") {
		t.Errorf("a route that bypasses the tunnel: %v", err)
	}
}

func TestForeignInterfaceIsNotTaken(t *testing.T) {
	ns := lab.NewNS(t, "foreign")
	s := newSteer(t, ns)
	ns.IP("tuntap add Tunnel0 mode tun")
	if _, err := s.MayAdopt("Tunnel0"); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("another program's TUN: %v", err)
	}
}

func TestSourceErrorsSayWhatToCorrect(t *testing.T) {
	ns := lab.NewNS(t, "source")
	s := newSteer(t, ns)
	for want, tun := range map[string]*policy.Tunnel{
		"no such interface":   {SourceIF: "wan9"},
		"not on this host":    {Source: lab.AddrA},
		"has no IPv4 address": {SourceIF: "bare"},
	} {
		if tun.SourceIF == "bare" {
			ns.IP("link add bare type veth peer name other")
		}
		if _, err := s.Source(tun); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", tun, err, want)
		}
	}
}
