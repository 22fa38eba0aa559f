package advise

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// Entries lists a device's crypto entries in the order of the configuration, with the verdict of the tech note's table.
func (c *Config) Entries() []Entry { return c.entries }

func (c *Config) makeEntries() []Entry {
	var out []Entry
	for _, f := range c.ifaces {
		out = append(out, c.interfaceEntries(f)...)
	}
	out = append(out, c.mapEntries()...)
	out = append(out, c.ezvpnEntries()...)
	for i := range out {
		c.finish(&out[i])
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].quote.Line < out[j].quote.Line })
	return out
}

func (c *Config) interfaceEntries(f *iface) []Entry {
	if f.protection == "" {
		return nil
	}
	e := Entry{Name: f.name, quote: f.at.quote(c.File), Local: c.address(f.source)}
	if p := c.profiles[f.protection]; p != nil {
		c.fromProfile(&e, p)
	}
	switch {
	case f.virtual:
		e.Type, e.Recovery, e.Why = DVTI, "no", "the peer is known only once it has authenticated"
		return []Entry{e}
	case strings.HasPrefix(f.mode, "gre multipoint"):
		return c.multipoint(f, e)
	case f.dest.IsValid():
		e.Peer, e.Peers = f.dest.String(), []netip.Addr{f.dest}
		e.Type, e.Recovery, e.Why = P2PGRE, "yes", "tunnel destination names the peer"
		if strings.HasPrefix(f.mode, "ipsec") {
			e.Type = SVTI
		}
		return []Entry{e}
	case f.destWord == "dynamic":
		e.Type, e.Recovery, e.Why = FlexClient, "n/a", "the FlexVPN client chooses the peer and reconnects by itself"
		return []Entry{e}
	}
	e.Type, e.Recovery = P2PGRE, "no"
	if strings.HasPrefix(f.mode, "ipsec") {
		e.Type = SVTI
	}
	e.Why = "no tunnel destination address: the entry names no peer"
	if f.destWord != "" {
		e.Peer, e.Recovery = f.destWord, "yes"
		e.Why = "tunnel destination names the peer (by name: it is resolved when the line is read)"
	}
	return []Entry{e}
}

// multipoint makes an entry of each static mapping. Peers that NHRP learns are on no line, so an interface with static
// mappings says in words that these alone are meant.
func (c *Config) multipoint(f *iface, e Entry) []Entry {
	if len(f.static) == 0 {
		e.Type, e.Recovery, e.Why = MGREDynamic, "no", "peers are learned from NHRP registrations: none is named"
		return []Entry{e}
	}
	var out []Entry
	for i, nbma := range f.static {
		s := e
		s.Type, s.Recovery, s.Peer, s.Peers = MGREStatic, "yes", nbma.String(), []netip.Addr{nbma}
		s.Why = "ip nhrp map names the peer; peers learned by NHRP are not covered"
		s.quote = f.staticAt[i].quote(c.File)
		out = append(out, s)
	}
	return out
}

func (c *Config) mapEntries() []Entry {
	var out []Entry
	for name, entries := range c.maps {
		for _, m := range entries {
			e := Entry{Name: name + " " + m.seq, quote: m.at.quote(c.File), Local: c.mapAddress(name)}
			c.fromProfile(&e, &m.profile)
			e.rules = c.acls[m.acl]
			switch {
			case m.kind == "ipsec-manual":
				e.Type, e.Recovery, e.Why = ManualMap, "n/a", "manual keys: there is no IKE to recover with"
			case m.kind == "gdoi":
				e.Type, e.Recovery, e.Why = GDOIMap, "n/a", "the key server gives the SAs, no peer does"
			case m.dynamic != "":
				e.Type, e.Recovery = DynamicMap, "no"
				e.Why = "leads to dynamic map " + m.dynamic + ": the peer is known only once it has authenticated"
				if d := c.dynamic[m.dynamic]; len(d) > 0 {
					c.fromProfile(&e, &d[0].profile)
					e.rules = c.acls[d[0].acl]
				}
			case len(m.peers)+len(m.names) == 0:
				e.Type, e.Recovery, e.Why = StaticMap, "no", "no set peer: the entry is incomplete and names nobody"
			default:
				e.Type, e.Recovery, e.Why = StaticMap, "yes", "set peer names the peer"
				e.Peers = m.peers
				e.Peer = strings.Join(m.names, " ")
				if len(m.peers) > 0 {
					e.Peer = m.peers[0].String()
				}
				if len(m.peers) > 1 {
					e.Why = fmt.Sprintf("set peer names %d peers; recovery goes to the one that the packet came from", len(m.peers))
				}
			}
			out = append(out, e)
		}
	}
	return out
}

func (c *Config) ezvpnEntries() []Entry {
	var out []Entry
	for _, name := range sorted(c.ezvpn) {
		l := c.ezvpn[name]
		e := Entry{Name: name, Type: EzVPNClient, Recovery: "n/a", quote: l.quote(c.File),
			Why: "the client's own state machine owns the connection to its server"}
		for _, k := range l.kids {
			if !k.is("peer") {
				continue
			}
			if a, err := netip.ParseAddr(k.word(1)); err == nil {
				e.Peers = append(e.Peers, a)
			}
			if e.Peer == "" {
				e.Peer = k.word(1)
			}
		}
		for _, f := range c.ifaces {
			if f.ezvpn == name && len(f.addrs) > 0 {
				e.Local = f.addrs[0]
			}
		}
		e.Life = c.life
		out = append(out, e)
	}
	return out
}

func (c *Config) fromProfile(e *Entry, p *profile) {
	e.Life, e.PFS, e.Transforms = p.life, p.pfs, p.transforms
	if p.life.line != nil {
		e.lifeQuote = p.life.line.quote(c.File)
	}
	if p.ikev2 != "" {
		e.IKEv2 = true
		if prof := c.ikev2[p.ikev2]; prof != nil && prof.find("dpd") != nil {
			e.DPD = true
		}
	}
}

// finish adds what holds for every entry of the device.
func (c *Config) finish(e *Entry) {
	if e.IKEv2 {
		e.DPD = e.DPD || c.dpd != nil
	} else {
		e.DPD = c.keepalive != nil
	}
	if e.lifeQuote.File == "" {
		e.lifeQuote = evidence.Quote{Source: e.quote.Source, Text: fmt.Sprintf("%s (the default: %d seconds, %d kilobytes)", e.quote.Text, e.Life.seconds, e.Life.kb)}
	}
	switch {
	case c.ASA && e.Recovery == "yes":
		e.Recovery, e.Why = "n/a", e.Why+"; ASA has no invalid-SPI recovery command, it sends INVALID_SPI or a Delete over an IKE SA that it has"
	case e.Recovery == "yes" && c.recovery == nil && e.IKEv2:
		e.Why += "; the command, which is one of IKEv1, is off here, and what it does for IKEv2 is not documented"
	case e.Recovery == "yes" && c.recovery == nil:
		e.Why += "; the command is off here, so it does not work yet"
	case e.Recovery == "no" && c.recovery != nil:
		e.Why += "; the command is on, and does nothing for this entry"
	}
	if e.Recovery == "yes" && e.IKEv2 {
		e.Why += "; IKEv2: it is INITIAL_CONTACT of the new IKE SA that removes the old SAs (a Delete over a new one cannot)"
	}
}

// address resolves a tunnel source: an address, or the name of an interface that has one.
func (c *Config) address(source string) netip.Addr {
	if a, err := netip.ParseAddr(source); err == nil {
		return a
	}
	return c.named[strings.ToLower(source)]
}

func (c *Config) mapAddress(name string) netip.Addr {
	if from := c.mapLocal[name]; from != "" {
		return c.address(from)
	}
	for _, f := range c.ifaces {
		if f.cryptoMap == name && len(f.addrs) > 0 {
			return f.addrs[0]
		}
	}
	return netip.Addr{}
}

// Addrs are the device's own addresses.
func (c *Config) Addrs() []netip.Addr { return c.addrs }

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
