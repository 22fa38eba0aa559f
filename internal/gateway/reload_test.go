package gateway_test

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/gateway"
	"lockstep/internal/sa"
	"lockstep/internal/testing/lab"
)

// apply reloads a running gateway in its namespace.
func apply(t *testing.T, ns *lab.NS, g *gateway.Gateway, text string) config.Difference {
	t.Helper()
	tree, ds := config.Parse("reloaded", []byte(text))
	cfg, more := config.Compile(tree)
	if ds = append(ds, more...); config.HasErrors(ds) {
		t.Fatal(ds)
	}
	var diff config.Difference
	err := ns.Do(func() (err error) { diff, err = g.Apply(cfg, tree, "test", "nobody"); return err })
	if err != nil {
		t.Fatal("reload:", err)
	}
	return diff
}

func pairUp(t *testing.T) (l *lab.Lab, a, b *gateway.Gateway, textA string) {
	t.Helper()
	l = lab.New(t)
	nameA, textA := example(t, "svti-ikev2-a.conf")
	nameB, textB := example(t, "svti-ikev2-b.conf")
	a = startIn(t, l.A, nameA, textA, t.TempDir(), nil)
	b = startIn(t, l.B, nameB, textB, t.TempDir(), nil)
	lab.Eventually(t, 10*time.Second, "both lines up", func() bool {
		return len(a.Children()) > 0 && a.Interfaces()[0].LineUp && b.Interfaces()[0].LineUp
	})
	return l, a, b, textA
}

func inboundSPI(g *gateway.Gateway) sa.SPI {
	if c := g.Children(); len(c) > 0 {
		return c[0].Child.In
	}
	return 0
}

func TestReloadLeavesTheSAsOfAnUntouchedTunnelAlone(t *testing.T) {
	l, a, b, text := pairUp(t)
	ab, ba := l.Both(t, 500)
	lab.Eventually(t, 5*time.Second, "traffic both ways", func() bool { return ab.Received() > 50 && ba.Received() > 50 })
	before := inboundSPI(a)

	more := strings.Replace(text, "interface Tunnel0\n", `interface Tunnel7
 ip address 172.16.7.1 255.255.255.252
 tunnel source wan0
 tunnel mode ipsec ipv4
 tunnel destination 192.0.2.77
 tunnel protection ipsec profile VTI
interface Tunnel0
 ip mtu 1300
`, 1)
	more = strings.Replace(more, "  address 192.0.2.2\n", "  address 192.0.2.2\n  pre-shared-key correct-horse\n peer other\n  address 192.0.2.77\n", 1)
	more = strings.Replace(more, "end\n", "ip route 10.3.0.0 255.255.255.0 Tunnel0\nend\n", 1)
	diff := apply(t, l.A, a, more)
	if len(diff.Added) != 1 || len(diff.Changed) != 1 || diff.Changed[0].SAs {
		t.Errorf("difference %+v", diff)
	}
	lab.Eventually(t, 5*time.Second, "the new route and MTU", func() bool {
		return strings.Contains(l.A.IP("route"), "10.3.0.0/24 dev Tunnel0") && a.Interfaces()[0].MTU == 1300
	})
	if !strings.Contains(l.A.IP("route"), "blackhole 10.3.0.0/24") || !strings.Contains(l.A.IP("link"), "Tunnel7") {
		t.Errorf("no twin, or no second tunnel:\n%s", l.A.IP("route"))
	}
	if now := inboundSPI(a); now != before || len(a.Children()) != 1 {
		t.Errorf("inbound SPI %v, was %v", now, before)
	}

	diff = apply(t, l.A, a, text)
	if len(diff.Removed) != 1 || strings.Contains(l.A.IP("link"), "Tunnel7") || strings.Contains(l.A.IP("route"), "10.3.0.0/24") {
		t.Errorf("difference %+v, routes:\n%s", diff, l.A.IP("route"))
	}
	for _, f := range []*lab.Flow{ab, ba} {
		if r := f.Stop(); r.Lost > 0 {
			t.Errorf("a reload lost packets: %v", r)
		}
	}
	if now := inboundSPI(a); now != before {
		t.Errorf("inbound SPI %v after the way back, was %v", now, before)
	}
	if len(b.Incidents()) != 0 {
		t.Errorf("the peer had incidents: %+v", b.Incidents())
	}
}

func TestReloadWithOtherTermsMakesTheTunnelAnew(t *testing.T) {
	l, a, b, text := pairUp(t)
	before := inboundSPI(a)
	_, other := example(t, "svti-ikev2-b.conf")
	key := strings.NewReplacer("correct-horse", "battery-staple")
	apply(t, l.B, b, key.Replace(other))
	apply(t, l.A, a, key.Replace(text))
	lab.Eventually(t, 10*time.Second, "a child under the new key", func() bool {
		spi := inboundSPI(a)
		return spi != 0 && spi != before && len(a.Children()) == 1 && len(b.Children()) == 1
	})
	lab.Eventually(t, 5*time.Second, "the line up again", func() bool { return a.Interfaces()[0].LineUp })
	if !l.HA.Ping(lab.AddrHB, 2*time.Second) {
		t.Error("no ping through the new child")
	}
}

func TestShutdownTakesTheTunnelDownAndNoShutdownBringsItBack(t *testing.T) {
	l, a, b, text := pairUp(t)
	apply(t, l.A, a, strings.Replace(text, "interface Tunnel0\n", "interface Tunnel0\n shutdown\n", 1))
	lab.Eventually(t, 5*time.Second, "no child on either end", func() bool { return len(a.Children()) == 0 && len(b.Children()) == 0 })
	lab.Eventually(t, 5*time.Second, "the interface down", func() bool { i := a.Interfaces()[0]; return !i.AdminUp && !i.LineUp })
	if l.HA.Ping(lab.AddrHB, 300*time.Millisecond) {
		t.Error("traffic although the tunnel is shut down")
	}
	apply(t, l.A, a, text)
	lab.Eventually(t, 10*time.Second, "a child again", func() bool { return len(a.Children()) == 1 && a.Interfaces()[0].LineUp })
}
