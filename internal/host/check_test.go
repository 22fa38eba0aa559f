package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/host/netlink"
)

// fakeNet is a host with wan0 192.0.2.1 and a default route.
type fakeNet struct {
	down    bool
	noRoute bool
	local   bool
	device  string // the way to everything; "wan0" when empty
}

func (n fakeNet) Link(name string) (netlink.Link, error) {
	return netlink.Link{Name: name, Up: !n.down}, nil
}

func (n fakeNet) Addresses(name string) ([]netlink.Address, error) {
	switch name {
	case "", "wan0":
		return []netlink.Address{{Link: "wan0", Prefix: netip.MustParsePrefix("192.0.2.1/32")}}, nil
	case "bare0":
		return nil, nil
	}
	return nil, netlink.ErrNoLink
}

func (n fakeNet) Lookup(netip.Addr, netip.Addr, uint32) (netlink.Path, error) {
	if n.noRoute {
		return netlink.Path{}, netlink.ErrUnreachable
	}
	if n.device == "" {
		n.device = "wan0"
	}
	return netlink.Path{Device: n.device, Local: n.local}, nil
}

// fakeRoot is a /dev and /proc where nothing is wrong, with changes: a path with the content that it gets; "-" removes.
func fakeRoot(t *testing.T, changes map[string]string) string {
	root := t.TempDir()
	files := map[string]string{
		"dev/net/tun":                                  "",
		"proc/thread-self/status":                      "Name:\tlockstep\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n",
		"proc/sys/net/ipv4/ip_forward":                 "1\n",
		"proc/sys/net/ipv4/ip_unprivileged_port_start": "1024\n",
		"proc/sys/net/ipv4/conf/all/rp_filter":         "0\n",
		"proc/sys/net/ipv4/conf/wan0/rp_filter":        "2\n",
	}
	for name, text := range changes {
		files[name] = text
	}
	for name, text := range files {
		p := filepath.Join(root, name)
		if text == "-" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func tunnel() Tunnel {
	return Tunnel{Name: "Tunnel0", SourceIF: "wan0", Destination: netip.MustParseAddr("192.0.2.2"), Routes: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")}}
}

func TestEachObstacleIsOneSentenceWithItsRemedy(t *testing.T) {
	everything := tunnel()
	everything.Routes = append(everything.Routes, netip.MustParsePrefix("0.0.0.0/0"))
	noIF, bare, foreign := tunnel(), tunnel(), tunnel()
	noIF.SourceIF, bare.SourceIF = "wan7", "bare0"
	foreign.SourceIF, foreign.Source = "", netip.MustParseAddr("192.0.2.9")
	strict := map[string]string{"proc/sys/net/ipv4/conf/all/rp_filter": "1\n", "proc/sys/net/ipv4/conf/wan0/rp_filter": "0\n"}
	noCaps := map[string]string{"proc/thread-self/status": "CapEff:\t0000000000000000\n"}
	for name, c := range map[string]struct {
		changes map[string]string
		net     fakeNet
		tunnel  Tunnel
		holder  string
		want    []string // a part of each finding, in order
		fatal   bool
	}{
		"nothing":           {tunnel: tunnel()},
		"no device":         {changes: map[string]string{"dev/net/tun": "-"}, tunnel: tunnel(), want: []string{"modprobe tun"}, fatal: true},
		"no capabilities":   {changes: noCaps, tunnel: tunnel(), want: []string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"}, fatal: true},
		"no /proc":          {changes: map[string]string{"proc/thread-self/status": "-"}, tunnel: tunnel(), want: []string{"mount /proc"}},
		"ports taken":       {tunnel: tunnel(), holder: "charon (pid 42)", want: []string{"500 is held by charon (pid 42)", "4500 is held by charon"}, fatal: true},
		"no forwarding":     {changes: map[string]string{"proc/sys/net/ipv4/ip_forward": "0\n"}, tunnel: tunnel(), want: []string{"net.ipv4.ip_forward=1"}},
		"strict filter":     {changes: strict, tunnel: everything, want: []string{"net.ipv4.conf.wan0.rp_filter=2"}},
		"strict, not in it": {changes: strict, tunnel: tunnel()},
		"no interface":      {tunnel: noIF, want: []string{"wan7: there is no such interface"}, fatal: true},
		"no address":        {tunnel: bare, want: []string{"bare0: the interface has no IPv4 address"}, fatal: true},
		"foreign address":   {tunnel: foreign, want: []string{"192.0.2.9 is not an address of this host"}, fatal: true},
		"interface down":    {net: fakeNet{down: true}, tunnel: tunnel(), want: []string{"ip link set wan0 up"}, fatal: true},
		"no underlay":       {net: fakeNet{noRoute: true}, tunnel: tunnel(), want: []string{"no route to tunnel destination 192.0.2.2"}, fatal: true},
		"recursive":         {net: fakeNet{device: "Tunnel0"}, tunnel: tunnel(), want: []string{"leads into the tunnel"}, fatal: true},
		"to itself":         {net: fakeNet{local: true}, tunnel: tunnel(), want: []string{"is an address of this host"}, fatal: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := checker{root: fakeRoot(t, c.changes), net: c.net, holder: func(netip.AddrPort) string { return c.holder }}
			k.run([]Tunnel{c.tunnel})
			if len(k.found) != len(c.want) {
				t.Fatalf("found %q, want %d", k.found, len(c.want))
			}
			for i, f := range k.found {
				if !strings.Contains(f.Text, c.want[i]) || f.Fatal != c.fatal || strings.Contains(f.Text, "\n") {
					t.Errorf("%q (fatal %v), want a sentence with %q (fatal %v)", f.Text, f.Fatal, c.want[i], c.fatal)
				}
			}
		})
	}
}
