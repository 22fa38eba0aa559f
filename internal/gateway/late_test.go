package gateway_test

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/testing/lab"
)

func TestATunnelWhoseAddressComesLateComesUpThen(t *testing.T) {
	l := lab.New(t)
	nameA, textA := example(t, "svti-ikev2-a.conf")
	nameB, textB := example(t, "svti-ikev2-b.conf")
	l.A.IP("address delete 192.0.2.1/32 dev wan0")
	passive := func(o *gateway.Options) { o.Frozen = true }
	a := startIn(t, l.A, nameA, textA, t.TempDir(), nil)
	b := startIn(t, l.B, nameB, textB, t.TempDir(), passive)
	lab.Eventually(t, 5*time.Second, "the gateway says what it waits for", func() bool {
		for _, line := range a.Log().Lines() {
			if hasAll(line, "%SYS-3-HOST_FAILURE", "Tunnel0: tunnel source wan0", "no IPv4 address") {
				return true
			}
		}
		return false
	})
	if !hasAll(l.A.IP("route"), "blackhole 10.2.0.0/24") {
		t.Error("not guarded meanwhile")
	}
	time.Sleep(2500 * time.Millisecond) // its attempts pause longer and longer
	l.A.IP("address add 192.0.2.1/32 dev wan0")
	l.A.TryIP("route add default via 198.51.100.1 dev wan0 onlink")
	lab.Eventually(t, 2*time.Second, "the tunnel", func() bool { return len(a.Children()) == 1 && len(b.Children()) == 1 })
}

func TestATunnelRoutedIntoItselfIsHeldDownUntilItIsNot(t *testing.T) {
	l := lab.New(t)
	wan := l.R.Watch("a0", "")
	nameA, textA := example(t, "svti-ikev2-a.conf")
	nameB, textB := example(t, "svti-ikev2-b.conf")
	a := startIn(t, l.A, nameA, strings.Replace(textA, "ip route 10.2.0.0 255.255.255.0 Tunnel0", "ip route 0.0.0.0 0.0.0.0 Tunnel0", 1), t.TempDir(), nil)
	startIn(t, l.B, nameB, textB, t.TempDir(), nil)
	up := func() bool { return a.Interfaces()[0].LineUp }
	lab.Eventually(t, 10*time.Second, "the line up", up)
	if !l.HA.Ping(lab.AddrHB, 2*time.Second) {
		t.Error("no ping over the default route through the tunnel")
	}
	l.A.IP("route delete default via 198.51.100.1 dev wan0")
	lab.Eventually(t, 5*time.Second, "the line held down", func() bool { i := a.Interfaces()[0]; return i.Recursive && !i.LineUp })
	time.Sleep(300 * time.Millisecond) // its own routes go and come: it must not flap
	told := 0
	for _, s := range a.Log().Lines() {
		if strings.HasSuffix(s, "%TUN-5-RECURDOWN: Tunnel0 temporarily disabled due to recursive routing") {
			told++
		}
	}
	if i := a.Interfaces()[0]; told != 1 || i.Flaps != 2 {
		t.Errorf("told %d times, %d changes of the line, want 1 and 2 (up, down)", told, i.Flaps)
	}
	if l.HA.Ping(lab.AddrHB, 300*time.Millisecond) {
		t.Error("traffic although the tunnel is held down")
	}
	l.A.IP("route add default via 198.51.100.1 dev wan0 onlink")
	lab.Eventually(t, 5*time.Second, "the line up again", up)
	if !l.HA.Ping(lab.AddrHB, 2*time.Second) {
		t.Error("no ping afterwards")
	}
	wan.Stop()
}
