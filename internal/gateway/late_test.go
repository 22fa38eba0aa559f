package gateway_test

import (
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
