package steer

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/host/netlink"
	"lockstep/internal/policy"
	"lockstep/internal/suite"
)

var addrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func always(up bool) func(int) bool { return func(int) bool { return up } }

// texts renders routes for comparison.
func texts(rs []netlink.Route) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.String())
	}
	return out
}

func config(routes ...policy.Route) *policy.Config {
	return &policy.Config{
		Tunnels: []*policy.Tunnel{{Unit: 0, Address: prefix("172.16.0.1/30"), SourceIF: "wan0", Destination: addr("192.0.2.2")}},
		Routes:  routes,
	}
}

func TestEveryTunnelRouteHasATwinThatStaysWhenTheLineIsDown(t *testing.T) {
	cfg := config(
		policy.Route{Prefix: prefix("10.2.0.0/24"), Tunnel: 0, Distance: 1},
		policy.Route{Prefix: prefix("0.0.0.0/0"), Tunnel: 0, Distance: 1},
		policy.Route{Prefix: prefix("10.3.0.0/16"), Tunnel: -1, Via: addr("172.16.0.2"), Distance: 5}, // through the tunnel's subnet
		policy.Route{Prefix: prefix("10.2.0.0/24"), Tunnel: -1, Via: addr("10.1.0.9"), Distance: 250}, // floating, elsewhere
	)
	twins := []string{
		"blackhole 172.16.0.0/30 metric 4294967280",
		"blackhole 10.2.0.0/24 metric 4294967280",
		"blackhole 0.0.0.0/1 metric 4294967280",
		"blackhole 128.0.0.0/1 metric 4294967280",
		"blackhole 10.3.0.0/16 metric 4294967280",
	}
	elsewhere := "10.2.0.0/24 via 10.1.0.9 metric 250"
	for up, unicast := range map[bool][]string{
		true:  {"10.2.0.0/24 dev Tunnel0", "0.0.0.0/1 dev Tunnel0", "128.0.0.0/1 dev Tunnel0", "10.3.0.0/16 dev Tunnel0 metric 5", elsewhere},
		false: {elsewhere},
	} {
		got := planRoutes(cfg, always(up))
		if d := cmp.Diff(twins, texts(got.twins)); d != "" {
			t.Errorf("up %v: twins (-want +got)\n%s", up, d)
		}
		if d := cmp.Diff(unicast, texts(got.unicast)); d != "" {
			t.Errorf("up %v: routes (-want +got)\n%s", up, d)
		}
	}
}

func TestShutdownTunnelKeepsItsTwins(t *testing.T) {
	cfg := config(policy.Route{Prefix: prefix("10.2.0.0/24"), Tunnel: 0, Distance: 1})
	cfg.Tunnels[0].Shutdown = true
	got := planRoutes(cfg, always(true))
	if len(got.unicast) != 0 || len(got.twins) != 2 {
		t.Errorf("routes %v, twins %v; want none and two", texts(got.unicast), texts(got.twins))
	}
}

func TestFloatingDefaultRouteIsNotSplit(t *testing.T) {
	got := planRoutes(config(policy.Route{Prefix: prefix("0.0.0.0/0"), Tunnel: 0, Distance: 200}), always(true))
	if d := cmp.Diff([]string{"0.0.0.0/0 dev Tunnel0 metric 200"}, texts(got.unicast)); d != "" {
		t.Error(d)
	}
}

func TestUnderlayIsTheMainTableTowardsThePeersWithoutTunnels(t *testing.T) {
	main := []netlink.Route{
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("0.0.0.0/0"), Via: addr("198.51.100.1"), Device: "wan0"},
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("0.0.0.0/1"), Device: "Tunnel0", Proto: proto},
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("128.0.0.0/1"), Device: "Tunnel0", Proto: proto},
		{Table: 254, Kind: netlink.Blackhole, Prefix: prefix("128.0.0.0/1"), Metric: twinMetric, Proto: proto},
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("192.0.2.0/24"), Device: "Tunnel9", Proto: 11}, // a routing daemon's
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("192.0.2.0/25"), Via: addr("203.0.113.1"), Device: "wan1", Metric: 20, MTU: 1400},
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("192.0.2.0/25"), Via: addr("203.0.113.2"), Device: "wan1", Metric: 20}, // second hop
		{Table: 254, Kind: netlink.Unicast, Prefix: prefix("10.0.0.0/8"), Device: "lan0"},
		{Table: 254, Kind: netlink.Unreachable, Prefix: prefix("192.0.0.0/8")}, // the administrator's
	}
	got := planUnderlay(main, map[string]bool{"Tunnel0": true, "Tunnel9": true}, []netip.Addr{addr("192.0.2.2")})
	want := []netlink.Route{
		{Table: underlayTable, Kind: netlink.Unicast, Prefix: prefix("0.0.0.0/0"), Via: addr("198.51.100.1"), Device: "wan0", OnLink: true, Proto: proto},
		{Table: underlayTable, Kind: netlink.Unicast, Prefix: prefix("192.0.2.0/25"), Via: addr("203.0.113.1"), Device: "wan1", Metric: 20, MTU: 1400, OnLink: true, Proto: proto},
		{Table: underlayTable, Kind: netlink.Unreachable, Prefix: prefix("192.0.0.0/8"), Proto: proto},
	}
	if d := cmp.Diff(want, got, addrs, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("underlay (-want +got)\n%s", d)
	}
}

func TestInnerMTUFitsThePath(t *testing.T) {
	gcm, cbc := suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}, suite.Cipher{Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA256}
	for _, c := range []struct {
		e    Encapsulation
		path int
		want int
	}{
		// 1500 - 20 IP - 8 header - 8 IV - 16 ICV = 1448, of which 2 are the trailer's and all a multiple of 4.
		{Encapsulation{Cipher: gcm}, 1500, 1446},
		{Encapsulation{UDP: true, Cipher: gcm}, 1500, 1438},
		// 1500 - 20 - 8 - 8 - 16 - 16 = 1432, down to a multiple of 16: 1424.
		{Encapsulation{UDP: true, Cipher: cbc}, 1500, 1422},
		{worst, 1500, 1422},
		{worst, 60, 0},
	} {
		if got := c.e.InnerMTU(c.path, false); got != c.want {
			t.Errorf("%+v on %d: %d, want %d", c.e, c.path, got, c.want)
		}
	}
}

func TestIPv6RouteIsRefusedByName(t *testing.T) {
	err := unsupported(config(policy.Route{Prefix: prefix("2001:db8::/32"), Tunnel: 0}))
	if err == nil || !strings.Contains(err.Error(), "2001:db8::/32") {
		t.Errorf("got %v", err)
	}
}
