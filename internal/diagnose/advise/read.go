package advise

import (
	"net/netip"
	"strconv"
	"strings"
)

// Read understands a configuration as far as it can.
func Read(file, text string) *Config {
	c := &Config{File: file, life: life{seconds: defaultSeconds, kb: defaultKB}, transforms: map[string]*line{}, profiles: map[string]*profile{}, ikev2: map[string]*line{},
		maps: map[string][]*entry{}, dynamic: map[string][]*entry{}, ezvpn: map[string]*line{}, flex: map[string]*line{}, acls: map[string][]rule{},
		mapLocal: map[string]string{}, mapIfaces: map[string]bool{}}
	top := parse(text)
	for _, l := range top {
		c.ASA = c.ASA || l.is("ASA") || l.is("tunnel-group") || l.is("crypto", "ikev1") || l.is("nameif") || l.find("nameif") != nil
		c.global(l)
	}
	for _, l := range top {
		c.section(l)
	}
	c.settle()
	return c
}

// settle draws from the lines what is asked for again and again: a hub has thousands of tunnels.
func (c *Config) settle() {
	c.has, c.named = map[netip.Addr]bool{}, map[string]netip.Addr{}
	own := func(a netip.Addr) {
		if a.IsValid() && !c.has[a] {
			c.has[a] = true
			c.addrs = append(c.addrs, a)
		}
	}
	for _, f := range c.ifaces {
		for _, a := range f.addrs {
			own(a)
		}
		if a, err := netip.ParseAddr(f.source); err == nil {
			own(a)
		}
		if name := strings.ToLower(f.name); len(f.addrs) > 0 && !c.named[name].IsValid() {
			c.named[name] = f.addrs[0]
		}
	}
	c.entries = c.makeEntries()
}

// global reads the lines that others take their defaults from.
func (c *Config) global(l *line) {
	switch {
	case l.is("hostname"):
		c.Hostname = strings.Trim(l.word(1), `"`)
	case l.is("crypto", "isakmp", "invalid-spi-recovery"):
		c.recovery = l
	case l.is("crypto", "isakmp", "keepalive"):
		c.keepalive = l
	case l.is("crypto", "ikev2", "dpd"):
		c.dpd = l
	case l.is("crypto", "ipsec", "security-association", "lifetime"):
		c.life.read(l, 4)
	case l.is("crypto", "ipsec", "transform-set"), l.is("crypto", "ipsec", "ikev1", "transform-set"):
		i := 3
		if l.is("crypto", "ipsec", "ikev1") {
			i = 4
		}
		c.transforms[l.word(i)] = &line{no: l.no, text: l.text, words: l.words[min(i+1, len(l.words)):], kids: l.kids}
	}
}

// read takes `seconds N`, `kilobytes N`, `kilobytes disable` or `days N` from the words behind i.
func (f *life) read(l *line, i int) {
	n, err := strconv.ParseUint(l.word(i+1), 10, 40)
	switch {
	case l.word(i) == "kilobytes" && (l.word(i+1) == "disable" || l.word(i+1) == "unlimited"):
		f.kb = 0
	case err != nil:
		return
	case l.word(i) == "seconds":
		f.seconds = n
	case l.word(i) == "days":
		f.seconds = n * 86400
	case l.word(i) == "kilobytes":
		f.kb = n
	}
	f.line = l
}

func (c *Config) section(l *line) {
	switch {
	case l.is("crypto", "ipsec", "profile"):
		p := &profile{name: l.word(3), at: l, life: c.life}
		for _, k := range l.kids {
			p.set(k)
		}
		c.profiles[p.name] = p
	case l.is("crypto", "ikev2", "profile"):
		c.ikev2[l.word(3)] = l
	case l.is("crypto", "ipsec", "client", "ezvpn") && len(l.kids) > 0:
		c.ezvpn[l.word(4)] = l
	case l.is("crypto", "ikev2", "client", "flexvpn"):
		c.flex[l.word(4)] = l
	case l.is("crypto", "map"), l.is("crypto", "dynamic-map"):
		c.cryptoMap(l)
	case l.is("interface"):
		c.iface(l)
	case l.is("ip", "access-list", "extended"):
		for _, k := range l.kids {
			c.access(l.word(3), k, k.words)
		}
	case l.is("access-list"):
		words := l.words[min(2, len(l.words)):]
		if l.word(2) == "extended" {
			words = l.words[3:]
		}
		c.access(l.word(1), l, words)
	}
}

// set reads a `set …` line of a profile or map entry.
func (p *profile) set(l *line) {
	if !l.is("set") {
		return
	}
	switch l.word(1) {
	case "transform-set":
		p.transforms = append(p.transforms, l.words[2:]...)
	case "ikev1":
		p.transforms = append(p.transforms, l.words[min(3, len(l.words)):]...)
	case "pfs":
		if p.pfs = l.word(2); p.pfs == "" {
			p.pfs = "group1"
		}
	case "security-association":
		if l.word(2) == "lifetime" {
			p.life.read(l, 3)
		}
	case "ikev2-profile":
		p.ikev2 = l.word(2)
	}
}

// cryptoMap reads `crypto map NAME SEQ ipsec-isakmp [dynamic D]` with its section, and ASA's one-line forms.
func (c *Config) cryptoMap(l *line) {
	name := l.word(2)
	if _, err := strconv.Atoi(l.word(3)); err != nil {
		if l.word(3) == "local-address" {
			c.mapLocal[name] = l.word(4)
		}
		if l.word(3) == "interface" {
			c.mapIfaces[name] = true
		}
		return
	}
	table := c.maps
	if l.is("crypto", "dynamic-map") {
		table = c.dynamic
	}
	e := find(table[name], l.word(3))
	if e == nil {
		e = &entry{profile: profile{name: name, at: l, life: c.life}, seq: l.word(3), kind: "ipsec-isakmp"}
		table[name] = append(table[name], e)
	}
	rest := &line{no: l.no, text: l.text, words: l.words[min(4, len(l.words)):]}
	switch rest.word(0) {
	case "set", "match":
		e.take(rest)
	case "ipsec-isakmp", "ipsec-manual", "gdoi":
		e.kind = rest.word(0)
		if rest.word(1) == "dynamic" {
			e.dynamic = rest.word(2)
		}
	}
	for _, k := range l.kids {
		e.take(k)
	}
}

func find(entries []*entry, seq string) *entry {
	for _, e := range entries {
		if e.seq == seq {
			return e
		}
	}
	return nil
}

// take reads a line of a map entry.
func (e *entry) take(l *line) {
	switch {
	case l.is("set", "peer"):
		for _, w := range l.words[2:] {
			if a, err := netip.ParseAddr(w); err == nil {
				e.peers = append(e.peers, a)
			} else if w != "default" && w != "dynamic" {
				e.names = append(e.names, w)
			}
		}
	case l.is("match", "address"):
		e.acl = l.word(2)
	default:
		e.set(l)
	}
}

func (c *Config) iface(l *line) {
	f := &iface{name: l.word(1), at: l, mode: "gre ip", virtual: l.is("interface") && strings.HasPrefix(l.word(1), "Virtual-Template")}
	if f.name == "Tunnel" && l.word(2) != "" {
		f.name += l.word(2)
	}
	for _, k := range l.kids {
		switch {
		case k.is("ip", "address"), k.is("ipv6", "address"):
			word, _, _ := strings.Cut(k.word(2), "/")
			if a, err := netip.ParseAddr(word); err == nil {
				f.addrs = append(f.addrs, a)
			}
		case k.is("shutdown"):
			f.shutdown = true
		case k.is("tunnel", "source"):
			f.source = strings.Join(k.words[2:], "")
		case k.is("tunnel", "destination"):
			f.destWord = k.word(2)
			f.dest, _ = netip.ParseAddr(k.word(2))
		case k.is("tunnel", "mode"):
			f.mode = strings.Join(k.words[2:], " ")
		case k.is("tunnel", "protection", "ipsec", "profile"):
			f.protection, f.protectAt = k.word(4), k
		case k.is("crypto", "map"):
			f.cryptoMap = k.word(2)
			c.mapIfaces[f.cryptoMap] = true
		case k.is("crypto", "ipsec", "client", "ezvpn"):
			if k.word(5) != "inside" {
				f.ezvpn = k.word(4)
			}
		case k.is("ip", "nhrp", "map"):
			f.mapping(k, k.word(4))
		case k.is("ip", "nhrp", "nhs"):
			for i, w := range k.words {
				if w == "nbma" {
					f.mapping(k, k.word(i+1))
				}
			}
		}
	}
	c.ifaces = append(c.ifaces, f)
}

// mapping is `ip nhrp map PROTOCOL NBMA`, or the nbma part of `ip nhrp nhs`; `ip nhrp map multicast` names no peer.
func (f *iface) mapping(l *line, nbma string) {
	a, err := netip.ParseAddr(nbma)
	if err != nil || l.word(3) == "multicast" {
		return
	}
	for _, known := range f.static {
		if known == a {
			return
		}
	}
	f.static, f.staticAt = append(f.static, a), append(f.staticAt, l)
}

// access reads `[N] permit PROTO SRC WILDCARD DST WILDCARD`; ASA writes masks.
func (c *Config) access(name string, at *line, words []string) {
	if len(words) > 0 {
		if _, err := strconv.Atoi(words[0]); err == nil {
			words = words[1:]
		}
	}
	if len(words) < 2 || words[0] != "permit" {
		return
	}
	r := rule{at: at, proto: words[1]}
	rest := words[2:]
	var ok, ok2 bool
	r.src, rest, ok = prefix(rest)
	r.dst, rest, ok2 = prefix(rest)
	r.plain = ok && ok2 && len(rest) == 0
	c.acls[name] = append(c.acls[name], r)
}

// prefix reads `any`, `host A`, or an address with its wildcard or mask.
func prefix(words []string) (netip.Prefix, []string, bool) {
	switch {
	case len(words) == 0:
		return netip.Prefix{}, nil, false
	case words[0] == "any" || words[0] == "any4":
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), words[1:], true
	case words[0] == "host" && len(words) > 1:
		a, err := netip.ParseAddr(words[1])
		if err != nil {
			return netip.Prefix{}, words, false
		}
		return netip.PrefixFrom(a, a.BitLen()), words[2:], true
	case len(words) < 2:
		return netip.Prefix{}, words, false
	}
	a, err := netip.ParseAddr(words[0])
	w, err2 := netip.ParseAddr(words[1])
	if err != nil || err2 != nil || !a.Is4() || !w.Is4() {
		return netip.Prefix{}, words, false
	}
	bits, ok := maskBits(w.As4())
	if !ok {
		return netip.Prefix{}, words, false
	}
	return netip.PrefixFrom(a, bits).Masked(), words[2:], true
}

// maskBits is the length of a mask or of a wildcard. 0.0.0.0 is a wildcard here: as a mask it is written `any`.
func maskBits(m [4]byte) (int, bool) {
	v := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	if v>>31 == 0 {
		v = ^v
	}
	n := 0
	for n < 32 && v<<n>>31 == 1 {
		n++
	}
	return n, n == 32 || v<<n == 0
}
