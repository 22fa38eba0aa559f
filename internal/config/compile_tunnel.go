package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/config/grammar"
	"lockstep/internal/policy"
)

// tunnel reads `interface TunnelN`; what several tunnels have to do with one another is in tunnels.
func (c *compiler) tunnel(n *Node) {
	t := &policy.Tunnel{Unit: n.match.Int("unit"), Shutdown: n.one("shutdown") != nil}
	if l := n.one("description"); l != nil {
		t.Description = l.match.Text("text")
	}
	if l := n.one("ip.mtu"); l != nil {
		t.MTU = l.match.Int("octets")
	}
	if l := n.one("ip.mss"); l != nil {
		t.AdjustMSS = l.match.Int("octets")
	}
	if l := n.one("ip.address"); l != nil {
		t.Address = c.interfaceAddress(l)
	}
	c.units[t.Unit] = n
	whole := c.endpoints(n, t)
	if n.one("mode") == nil {
		c.lacks(n, t, "tunnel mode ipsec ipv4", "no tunnel mode: IOS's default, gre ip, is not supported yet")
		whole = false
	}
	if l := n.one("protection"); l == nil {
		c.lacks(n, t, "tunnel protection ipsec profile NAME", "no tunnel protection: its packets would leave in the clear")
		whole = false
	} else {
		at, _ := l.match.Var("name")
		if c.definition("ipsec.profile", at.Text) == nil {
			c.undefined(l, at, "crypto ipsec profile", "ipsec.profile")
		}
		t.Protection = c.ipsec[at.Text]
	}
	c.cfg.Tunnels = append(c.cfg.Tunnels, t)
	if whole && t.Protection != nil && t.Protection.IKE != nil {
		c.peer(n, t)
	}
}

func (c *compiler) lacks(n *Node, t *policy.Tunnel, line, what string) {
	at, _ := n.match.Keyword("Tunnel")
	c.fail(n, at, "add "+line, "interface %s has %s", t.Name(), what)
}

// endpoints reads tunnel source and destination; false: they cannot be used.
func (c *compiler) endpoints(n *Node, t *policy.Tunnel) bool {
	ok := true
	if l := n.one("source"); l == nil {
		c.lacks(n, t, "tunnel source", "no tunnel source")
		ok = false
	} else if at, named := l.match.Var("interface"); named {
		t.SourceIF = at.Text
		ok = c.hostInterface(l, at)
	} else {
		at, _ := l.match.Var("address")
		t.Source = at.Addr
		ok = c.unicast(l, at)
	}
	l := n.one("destination")
	if l == nil {
		c.lacks(n, t, "tunnel destination", "no tunnel destination")
		return false
	}
	at, _ := l.match.Var("address")
	t.Destination = at.Addr
	if !c.unicast(l, at) {
		return false
	}
	if t.Source == t.Destination {
		c.fail(l, at, "", "the tunnel's destination is its source")
		return false
	}
	return ok
}

func (c *compiler) unicast(n *Node, at grammar.Taken) bool {
	if a := at.Addr; a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		c.fail(n, at, "", "%s is not the address of one host", at.Text)
		return false
	}
	return true
}

// maxInterfaceName is the host's limit: IFNAMSIZ with its NUL.
const maxInterfaceName = 15

// hostInterface refuses what can be no interface of the host. Whether it exists is asked at run time.
func (c *compiler) hostInterface(n *Node, at grammar.Taken) bool {
	switch {
	case strings.Trim(at.Text, "0123456789.:") == "":
		c.fail(n, at, "", "%s is not an IPv4 address", at.Text)
	case len(at.Text) > maxInterfaceName || strings.ContainsAny(at.Text, "/:"):
		c.fail(n, at, "name the Linux interface, as `ip link` shows it", "%q is no interface of the host: a name has at most %d characters and no '/'", at.Text, maxInterfaceName)
	default:
		return true
	}
	return false
}

// interfaceAddress reads `ip address A M`, which keeps the host part.
func (c *compiler) interfaceAddress(n *Node) netip.Prefix {
	a, _ := n.match.Var("address")
	m, _ := n.match.Var("mask")
	bits, ok := maskBits(m.Addr)
	if !ok || bits == 0 {
		c.fail(n, m, "", "%s is no network mask: its ones must stand before its zeros", m.Text)
		return netip.Prefix{}
	}
	p := netip.PrefixFrom(a.Addr, bits)
	if !c.unicast(n, a) {
		return netip.Prefix{}
	}
	if bits < 31 && (p.Masked().Addr() == a.Addr || broadcast(p) == a.Addr) {
		c.fail(n, a, "", "bad mask %s for address %s: it is the network's own or broadcast address", m.Text, a.Text)
	}
	return p
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// peer resolves what IKE and recovery must know of the tunnel's other end.
func (c *compiler) peer(n *Node, t *policy.Tunnel) {
	destination := n.one("destination")
	at, _ := destination.match.Var("address")
	p := &policy.Peer{Tunnel: t, Remote: t.Destination, IKE: t.Protection.IKE, IPsec: t.Protection, Initiate: !t.Protection.ResponderOnly}
	var err error
	if p.Proposals, err = c.proposalsFor(t.Source); err != nil {
		l := n.one("source")
		w := l.match.Words[len(l.match.Words)-1]
		c.fail(l, w, "", "%v", err)
	}
	var known bool
	if p.Key, known = c.keyFor(p.IKE, t.Destination); !known {
		ring := "crypto ikev2 profile " + p.IKE.Name
		if p.IKE.Keyring != nil {
			ring = "crypto ikev2 keyring " + p.IKE.Keyring.Name
		}
		c.fail(destination, at, fmt.Sprintf("add a peer with address %s there", t.Destination), "%s has no key for %s", ring, t.Destination)
	}
	if !slices.ContainsFunc(p.IKE.MatchRemote, func(m policy.IdentityMatch) bool {
		return !m.Prefix.IsValid() || m.Prefix.Contains(t.Destination)
	}) && len(p.IKE.MatchRemote) > 0 {
		c.say(Note, destination.Line, at.Col, "", "no match identity remote of crypto ikev2 profile %s takes %s: the peer must call itself otherwise", p.IKE.Name, t.Destination)
	}
	c.cfg.Peers = append(c.cfg.Peers, p)
}

// tunnels orders them and refuses what contradicts between two.
func (c *compiler) tunnels() {
	byUnit := func(a, b *policy.Tunnel) int { return a.Unit - b.Unit }
	slices.SortFunc(c.cfg.Tunnels, byUnit)
	slices.SortFunc(c.cfg.Peers, func(a, b *policy.Peer) int { return byUnit(a.Tunnel, b.Tunnel) })
	for i, p := range c.cfg.Peers {
		p.ID = i
	}
	type ends struct {
		device      string
		source, far netip.Addr
	}
	seen := map[ends]*policy.Tunnel{}
	for _, t := range c.cfg.Tunnels {
		n := c.units[t.Unit]
		e := ends{t.SourceIF, t.Source, t.Destination}
		if first := seen[e]; first != nil && t.Destination.IsValid() && (t.SourceIF != "" || t.Source.IsValid()) {
			l := n.one("destination")
			at, _ := l.match.Var("address")
			c.fail(l, at, "", "%s has the same source and destination as %s (line %d)", t.Name(), first.Name(), c.units[first.Unit].Line)
		} else {
			seen[e] = t
		}
	}
	c.overlaps()
}

// overlaps refuses two tunnels in one subnet: a route could not tell them apart.
func (c *compiler) overlaps() {
	var with []*policy.Tunnel
	for _, t := range c.cfg.Tunnels {
		if t.Address.IsValid() {
			with = append(with, t)
		}
	}
	// In order of their networks, a wider one first, an overlap is one with the widest before it that is still open.
	slices.SortStableFunc(with, func(a, b *policy.Tunnel) int {
		if d := a.Address.Masked().Addr().Compare(b.Address.Masked().Addr()); d != 0 {
			return d
		}
		return a.Address.Bits() - b.Address.Bits()
	})
	var open *policy.Tunnel
	for _, t := range with {
		if open == nil || !open.Address.Overlaps(t.Address) {
			open = t
			continue
		}
		a, b := open, t
		if a.Unit > b.Unit {
			a, b = b, a
		}
		l := c.units[b.Unit].one("ip.address")
		at, _ := l.match.Var("address")
		c.fail(l, at, "", "%s overlaps with %s", b.Address.Masked(), a.Name())
	}
}

func (c *compiler) route(n *Node) {
	r := policy.Route{Tunnel: -1, Distance: 1}
	a, _ := n.match.Var("prefix")
	m, _ := n.match.Var("mask")
	bits, ok := maskBits(m.Addr)
	if !ok {
		c.fail(n, m, "", "%s is no network mask: its ones must stand before its zeros", m.Text)
		return
	}
	r.Prefix = netip.PrefixFrom(a.Addr, bits)
	if r.Prefix.Masked() != r.Prefix {
		c.fail(n, a, fmt.Sprintf("did you mean %s?", r.Prefix.Masked().Addr()), "inconsistent address and mask: %s %s", a.Text, m.Text)
		return
	}
	if w, ok := n.match.Var("via"); ok {
		r.Via = w.Addr
		if !c.unicast(n, w) {
			return
		}
	}
	if w, ok := n.match.Var("unit"); ok {
		r.Tunnel, r.Via = int(w.Number), netip.Addr{}
		if c.units[r.Tunnel] == nil {
			c.undefinedTunnel(n, r.Tunnel)
			return
		}
	}
	if w, ok := n.match.Var("distance"); ok {
		r.Distance = int(w.Number)
	}
	c.cfg.Routes = append(c.cfg.Routes, r)
}

func (c *compiler) undefinedTunnel(n *Node, unit int) {
	at, _ := n.match.Keyword("Tunnel")
	var names []string
	for _, n := range c.tree.root.all("interface.tunnel") {
		names = append(names, "Tunnel"+n.match.Text("unit"))
	}
	hint := "none is defined"
	if len(names) > 0 {
		hint = "there is " + (&grammar.Error{Expected: choices(names)}).Expectation()
	}
	c.fail(n, at, hint, "interface Tunnel%s is not defined", strconv.Itoa(unit))
}
