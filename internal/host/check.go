package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lockstep/internal/host/netlink"
)

// Finding is one thing on the host that stands in the gateway's way: one sentence with the remedy.
type Finding struct {
	Fatal  bool   // the gateway, or that tunnel, cannot run; otherwise it runs and something will not work
	Tunnel string // the only one that it concerns; empty: the gateway
	Text   string
}

func (f Finding) String() string { return f.Text }

// Tunnel is what Check must know of one tunnel.
type Tunnel struct {
	Name        string
	SourceIF    string     // `tunnel source wan0`
	Source      netip.Addr // `tunnel source 192.0.2.1`; zero when SourceIF is given
	Destination netip.Addr
	Routes      []netip.Prefix // that lead into it
}

// Network is what Check asks of the kernel's network; *netlink.Handle is one.
type Network interface {
	Link(name string) (netlink.Link, error)
	Addresses(name string) ([]netlink.Address, error)
	Lookup(dst, src netip.Addr, mark uint32) (netlink.Path, error)
}

var _ Network = (*netlink.Handle)(nil)

// Check lists what is in the way of running these tunnels here, in the network namespace of the calling thread; nothing
// is changed. A gateway that runs already holds its own ports, and is listed as their holder.
func Check(tunnels []Tunnel) []Finding {
	c := checker{root: "/", holder: UDPHolder}
	h, err := netlink.Open()
	if err != nil {
		c.fatal("cannot read the host's network: %v", err)
	} else {
		defer h.Close()
		c.net = h
	}
	c.run(tunnels)
	return c.found
}

type checker struct {
	root   string // of /proc and /dev
	net    Network
	holder func(netip.AddrPort) string
	tunnel string // that is being looked at; empty: none
	found  []Finding
}

func (c *checker) fatal(format string, args ...any) {
	c.found = append(c.found, Finding{true, c.tunnel, fmt.Sprintf(format, args...)})
}

func (c *checker) warn(format string, args ...any) {
	c.found = append(c.found, Finding{false, c.tunnel, fmt.Sprintf(format, args...)})
}

func (c *checker) run(tunnels []Tunnel) {
	c.tun()
	c.capabilities()
	c.ports()
	c.forwarding(tunnels)
	if c.net == nil {
		return
	}
	for _, t := range tunnels {
		c.tunnel = t.Name
		if c.source(t) {
			c.underlay(t)
			c.reversePath(t)
		}
	}
}

func (c *checker) tun() {
	_, err := os.Stat(filepath.Join(c.root, "dev/net/tun"))
	if errors.Is(err, os.ErrNotExist) {
		c.fatal("there is no /dev/net/tun: load the module (`modprobe tun`), or give the container the device (`--device /dev/net/tun`)")
	} else if err != nil {
		c.fatal("/dev/net/tun cannot be used (%v): run as root, or correct its permissions", err)
	}
}

// capabilities reads the effective set (capabilities(7), proc_pid_status(5)).
func (c *checker) capabilities() {
	b, err := os.ReadFile(filepath.Join(c.root, "proc/thread-self/status"))
	if err != nil {
		c.warn("cannot read the process's capabilities (%v): mount /proc", err)
		return
	}
	_, rest, _ := strings.Cut(string(b), "CapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		c.warn("cannot read the process's capabilities (no CapEff in /proc): mount /proc")
		return
	}
	const bindService, admin, raw = 10, 12, 13
	has := func(capability int) bool { return set>>capability&1 == 1 }
	if !has(admin) {
		c.fatal("the process lacks CAP_NET_ADMIN, with which TUN interfaces, routes and packet marks are set: run as root, or grant it (AmbientCapabilities=CAP_NET_ADMIN)")
	}
	if !has(raw) {
		c.fatal("the process lacks CAP_NET_RAW, with which ESP without UDP (protocol 50) is sent: run as root, or grant it (AmbientCapabilities=CAP_NET_RAW)")
	}
	if start, ok := c.number("net/ipv4/ip_unprivileged_port_start"); !has(bindService) && (!ok || start > 500) {
		c.fatal("the process lacks CAP_NET_BIND_SERVICE, with which UDP port 500 is taken: run as root, or grant it (AmbientCapabilities=CAP_NET_BIND_SERVICE)")
	}
}

func (c *checker) ports() {
	for _, port := range []uint16{500, 4500} {
		if who := c.holder(netip.AddrPortFrom(netip.IPv4Unspecified(), port)); who != "" {
			c.fatal("UDP port %d is held by %s: stop it", port, who)
		}
	}
}

func (c *checker) forwarding(tunnels []Tunnel) {
	routed := false
	for _, t := range tunnels {
		routed = routed || len(t.Routes) > 0
	}
	if on, ok := c.number("net/ipv4/ip_forward"); routed && ok && on == 0 {
		c.warn("IPv4 forwarding is off, so only this host itself can use the tunnels: turn it on (`sysctl -w net.ipv4.ip_forward=1`)")
	}
}

// source checks `tunnel source`, and reports whether it can be used.
func (c *checker) source(t Tunnel) bool {
	as, err := c.net.Addresses(t.SourceIF)
	if errors.Is(err, netlink.ErrNoLink) {
		c.fatal("%s: tunnel source %s: there is no such interface: correct the name (`ip link` lists them)", t.Name, t.SourceIF)
		return false
	}
	if err != nil {
		c.fatal("%s: the addresses of %s cannot be read: %v", t.Name, t.SourceIF, err)
		return false
	}
	for _, a := range as {
		if t.SourceIF == "" && a.Prefix.Addr() == t.Source || t.SourceIF != "" && a.Prefix.Addr().Is4() {
			return c.sourceUp(t, a.Link)
		}
	}
	if t.SourceIF == "" {
		c.fatal("%s: tunnel source %s is not an address of this host: add it to an interface (`ip address add`), or correct the line", t.Name, t.Source)
	} else {
		c.fatal("%s: tunnel source %s: the interface has no IPv4 address: add one (`ip address add`)", t.Name, t.SourceIF)
	}
	return false
}

func (c *checker) sourceUp(t Tunnel, link string) bool {
	if l, err := c.net.Link(link); err == nil && !l.Up {
		c.fatal("%s: tunnel source: interface %s is down: bring it up (`ip link set %s up`)", t.Name, link, link)
		return false
	}
	return true
}

func (c *checker) underlay(t Tunnel) {
	p, err := c.net.Lookup(t.Destination, netip.Addr{}, OuterMark)
	switch {
	case errors.Is(err, netlink.ErrUnreachable):
		c.fatal("%s: there is no route to tunnel destination %s outside the tunnels: add one (`ip route add`)", t.Name, t.Destination)
	case err != nil:
		c.fatal("%s: the route to %s cannot be read: %v", t.Name, t.Destination, err)
	case p.Local:
		c.fatal("%s: tunnel destination %s is an address of this host: correct it", t.Name, t.Destination)
	case p.Device == t.Name:
		c.fatal("%s: the only route to tunnel destination %s leads into the tunnel: add one outside of it (`ip route add`)", t.Name, t.Destination)
	}
}

// reversePath finds the strict filter where it would discard the peer's packets: their source seems to belong behind the
// tunnel, as the filter does not know our sockets' mark.
func (c *checker) reversePath(t Tunnel) {
	covered := false
	for _, p := range t.Routes {
		covered = covered || p.Contains(t.Destination)
	}
	p, err := c.net.Lookup(t.Destination, netip.Addr{}, OuterMark)
	if !covered || err != nil {
		return
	}
	all, _ := c.number("net/ipv4/conf/all/rp_filter")
	one, _ := c.number("net/ipv4/conf/" + p.Device + "/rp_filter")
	if max(all, one) == 1 { // the kernel takes the greater; 2 is loose
		c.warn("%s: reverse path filtering on %s is strict and would discard the peer's packets, because a route through the tunnel covers %s: make it loose (`sysctl -w net.ipv4.conf.%s.rp_filter=2`)", t.Name, p.Device, t.Destination, p.Device)
	}
}

func (c *checker) number(sysctl string) (int, bool) {
	b, err := os.ReadFile(filepath.Join(c.root, "proc/sys", sysctl))
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}
