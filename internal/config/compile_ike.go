package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"lockstep/internal/policy"
	"lockstep/internal/suite"
)

// ikePolicy is `crypto ikev2 policy`: which proposals at which local address.
type ikePolicy struct {
	node      *Node
	local     []netip.Addr // empty: any
	proposals []policy.IKEProposal
}

// SmartDefault is offered where no proposal is configured, as IOS does: strong algorithms, most preferred first.
func SmartDefault() policy.IKEProposal {
	return policy.IKEProposal{Name: "default",
		Encr:   []policy.Cipher{ikeCipher("aes-gcm-256"), ikeCipher("aes-gcm-128"), ikeCipher("aes-cbc-256"), ikeCipher("aes-cbc-192"), ikeCipher("aes-cbc-128")},
		Integ:  []uint16{suite.IntegHMACSHA512, suite.IntegHMACSHA384, suite.IntegHMACSHA256},
		PRF:    []uint16{suite.PRFHMACSHA512, suite.PRFHMACSHA384, suite.PRFHMACSHA256},
		Groups: []uint16{suite.GroupECP256, suite.GroupMODP2048, suite.GroupECP384, suite.GroupCurve25519}}
}

// ikeCipher reads "aes-gcm-256".
func ikeCipher(name string) policy.Cipher {
	mode, bits, _ := strings.Cut(strings.TrimPrefix(name, "aes-"), "-")
	n, _ := strconv.ParseUint(bits, 10, 16)
	c := policy.Cipher{Encr: suite.EncrAESCBC, KeyBits: uint16(n)}
	if mode == "gcm" {
		c.Encr = suite.EncrAESGCM16
	}
	return c
}

// ids maps the keywords of a line behind its first one, in their order, each once.
func ids(n *Node, of map[string]uint16) []uint16 {
	if n == nil {
		return nil
	}
	var out []uint16
	seen := map[string]bool{}
	for _, w := range n.match.Words[1:] {
		if !seen[w.Text] {
			out = append(out, of[w.Text])
		}
		seen[w.Text] = true
	}
	return out
}

func integrities() map[string]uint16 {
	return map[string]uint16{"sha256": suite.IntegHMACSHA256, "sha384": suite.IntegHMACSHA384, "sha512": suite.IntegHMACSHA512}
}

func prfs() map[string]uint16 {
	return map[string]uint16{"sha256": suite.PRFHMACSHA256, "sha384": suite.PRFHMACSHA384, "sha512": suite.PRFHMACSHA512}
}

func groups() map[string]uint16 {
	return map[string]uint16{"14": suite.GroupMODP2048, "19": suite.GroupECP256, "20": suite.GroupECP384, "31": suite.GroupCurve25519}
}

func (c *compiler) proposal(n *Node) {
	p := policy.IKEProposal{Name: n.name(), Integ: ids(n.one("integrity"), integrities()), PRF: ids(n.one("prf"), prfs()), Groups: ids(n.one("group"), groups())}
	aead, cbc := false, false
	if e := n.one("encryption"); e != nil {
		seen := map[policy.Cipher]bool{}
		for _, w := range e.match.Words[1:] {
			k := ikeCipher(w.Text)
			if !seen[k] {
				p.Encr = append(p.Encr, k)
			}
			seen[k] = true
			aead, cbc = aead || k.Encr == suite.EncrAESGCM16, cbc || k.Encr != suite.EncrAESGCM16
		}
	}
	at, _ := n.match.Var("name")
	switch {
	case len(p.Encr) == 0:
		c.fail(n, at, "add a line encryption", "crypto ikev2 proposal %q has no encryption", p.Name)
	case cbc && len(p.Integ) == 0:
		c.fail(n, at, "add a line integrity", "crypto ikev2 proposal %q has no integrity, which aes-cbc needs", p.Name)
	case aead && len(p.PRF) == 0 && len(p.Integ) == 0:
		c.fail(n, at, "add a line prf", "crypto ikev2 proposal %q has no prf, which aes-gcm needs", p.Name)
	case len(p.Groups) == 0:
		c.fail(n, at, "add a line group", "crypto ikev2 proposal %q has no group", p.Name)
	}
	if e := n.one("integrity"); e != nil && aead && !cbc {
		c.say(Note, e.Line, e.Col, "", "aes-gcm needs no integrity algorithm")
	}
	c.proposals[p.Name] = p
}

func (c *compiler) policy(n *Node) {
	out := ikePolicy{node: n}
	for _, l := range n.all("proposal") {
		at, _ := l.match.Var("name")
		if c.definition("ikev2.proposal", at.Text) == nil {
			c.undefined(l, at, "crypto ikev2 proposal", "ikev2.proposal")
			continue
		}
		out.proposals = append(out.proposals, c.proposals[at.Text])
	}
	for _, l := range n.all("match.local") {
		at, _ := l.match.Var("address")
		out.local = append(out.local, at.Addr)
	}
	if len(n.all("proposal")) == 0 {
		at, _ := n.match.Var("name")
		c.fail(n, at, "add a line proposal", "crypto ikev2 policy %q has no proposal", at.Text)
	}
	c.policies = append(c.policies, out)
}

func (c *compiler) keyring(n *Node) {
	k := &policy.Keyring{Name: n.name()}
	for _, l := range n.all("peer") {
		k.Peers = append(k.Peers, c.keyringPeer(l))
	}
	c.keyrings[k.Name] = k
}

func (c *compiler) keyringPeer(n *Node) policy.KeyringPeer {
	p := policy.KeyringPeer{Name: n.name()}
	if l := n.one("address"); l != nil {
		p.Address = c.network(l, "address", 32)
	}
	if l := n.one("identity"); l != nil {
		m := identityMatch(l)
		p.Identity = m.Exact
		if m.Domain != "" {
			at, _ := l.match.Keyword("domain")
			c.fail(l, at, "", "identities of a whole domain are %s in a keyring", whyLater)
		}
		if at, ok := l.match.Var("address"); ok {
			p.Identity = policy.AddressIdentity(at.Addr)
		}
	}
	at, _ := n.match.Var("name")
	if n.one("address") == nil && n.one("identity") == nil {
		c.fail(n, at, "add a line address", "peer %q has neither address nor identity", p.Name)
	}
	p.Local = c.secret(n.one("key.local"), n.one("key"))
	p.Remote = c.secret(n.one("key.remote"), n.one("key"))
	if p.Local.IsZero() || p.Remote.IsZero() {
		c.fail(n, at, "add a line pre-shared-key, or both pre-shared-key local and remote", "peer %q has no key for both directions", p.Name)
	}
	return p
}

// secret reads the key of the first of the lines that there is.
func (c *compiler) secret(lines ...*Node) policy.Secret {
	for _, n := range lines {
		if n == nil {
			continue
		}
		at, ok := n.match.Var("key")
		if !ok {
			continue
		}
		if !n.match.Has("hex") {
			return policy.NewSecret([]byte(at.Text))
		}
		b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimPrefix(at.Text, "0x"), "0X"))
		if err != nil || len(b) == 0 {
			c.fail(n, at, "", "not a hexadecimal key: an even number of digits 0-9 and a-f")
			return policy.NewSecret([]byte{0}) // so that the peer is not reported as well; nothing is handed out
		}
		return policy.NewSecret(b)
	}
	return policy.Secret{}
}

// network reads an address and the mask behind it; without a mask it has bits leading ones.
func (c *compiler) network(n *Node, name string, bits int) netip.Prefix {
	a, _ := n.match.Var(name)
	if m, ok := n.match.Var("mask"); ok {
		var fits bool
		if bits, fits = maskBits(m.Addr); !fits {
			c.fail(n, m, "", "%s is no network mask: its ones must stand before its zeros", m.Text)
			return netip.Prefix{}
		}
	}
	p := netip.PrefixFrom(a.Addr, bits)
	if p.Masked() != p {
		if at, ok := n.match.Var("mask"); ok {
			c.say(Note, n.Line, a.Col, "", "%s has bits that the mask %s leaves out: taken as %s", a.Text, at.Text, p.Masked())
		}
	}
	return p.Masked()
}

// maskBits counts the ones of a network mask; false if they do not lead.
func maskBits(m netip.Addr) (int, bool) {
	b := m.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := 0
	for v&0x80000000 != 0 {
		n++
		v <<= 1
	}
	return n, v == 0
}

// identityMatch reads `fqdn [domain] F`, `email [domain] E`, `key-id K` and `any`; the address form is the caller's.
func identityMatch(n *Node) policy.IdentityMatch {
	domain := n.match.Has("domain")
	for _, kind := range []struct {
		name string
		id   policy.IDKind
	}{{"fqdn", policy.IDFQDN}, {"email", policy.IDRFC822}, {"key-id", policy.IDKeyID}} {
		w, ok := n.match.Var(kind.name)
		switch {
		case ok && domain:
			return policy.IdentityMatch{Domain: w.Text, Kind: kind.id}
		case ok:
			return policy.IdentityMatch{Exact: policy.Identity{Kind: kind.id, Value: w.Text}}
		}
	}
	return policy.IdentityMatch{Any: n.match.Has("any")}
}

func (c *compiler) ikeProfile(n *Node) {
	p := &policy.IKEv2Profile{Name: n.name(), Lifetime: defaultIKELifetime, NATKeepalive: defaultNATKeepalive,
		InitialContactForce: n.one("initial-contact") != nil, ForceEncap: n.one("nat.force") != nil}
	for _, l := range n.all("match.identity") {
		m := identityMatch(l)
		if _, ok := l.match.Var("address"); ok {
			m = policy.IdentityMatch{Prefix: c.network(l, "address", 32)}
		}
		p.MatchRemote = append(p.MatchRemote, m)
	}
	if l := n.one("identity"); l != nil {
		p.Local = identityMatch(l).Exact
		if at, ok := l.match.Var("address"); ok {
			p.Local = policy.AddressIdentity(at.Addr)
		}
	}
	if l := n.one("lifetime"); l != nil {
		p.Lifetime = seconds(l.match.Int("seconds"))
	}
	if l := n.one("dpd"); l != nil {
		p.DPD = dpdOf(l)
	}
	for _, l := range []*Node{c.tree.root.one("ikev2.nat"), n.one("nat.keepalive")} {
		if l != nil {
			p.NATKeepalive = seconds(l.match.Int("seconds"))
		}
	}
	c.authentication(n, p)
	c.profiles[p.Name] = p
}

// authentication checks that both directions have a method and a key.
func (c *compiler) authentication(n *Node, p *policy.IKEv2Profile) {
	at, _ := n.match.Var("name")
	local, remote := n.one("authentication.local"), n.one("authentication.remote")
	switch {
	case len(p.MatchRemote) == 0:
		c.fail(n, at, "add a line match identity remote", "crypto ikev2 profile %q has no match: it would fit no peer", p.Name)
	case local == nil:
		c.fail(n, at, "add a line authentication local pre-share", "crypto ikev2 profile %q does not say how we prove ourselves", p.Name)
	case remote == nil:
		c.fail(n, at, "add a line authentication remote pre-share", "crypto ikev2 profile %q does not say how the peer proves itself", p.Name)
	}
	in := policy.KeyringPeer{Name: p.Name, Local: c.secret(local), Remote: c.secret(remote)}
	if !in.Local.IsZero() || !in.Remote.IsZero() {
		c.inline[p.Name] = in
	}
	if l := n.one("keyring"); l != nil {
		w, _ := l.match.Var("name")
		if p.Keyring = c.keyrings[w.Text]; p.Keyring == nil {
			c.undefined(l, w, "crypto ikev2 keyring", "ikev2.keyring")
			return
		}
		c.definition("ikev2.keyring", w.Text)
		return
	}
	if in.Local.IsZero() || in.Remote.IsZero() {
		c.fail(n, at, "add a line keyring local", "crypto ikev2 profile %q has no keyring", p.Name)
	}
}

// proposalsFor are what we offer at a local address: those of the first policy that names it, or else of the first
// policy that names none, or else the default. An empty address is one that only the host knows.
func (c *compiler) proposalsFor(local netip.Addr) ([]policy.IKEProposal, error) {
	var general *ikePolicy
	for i, p := range c.policies {
		if len(p.local) == 0 && general == nil {
			general = &c.policies[i]
		}
		for _, a := range p.local {
			if !local.IsValid() {
				return nil, fmt.Errorf("crypto ikev2 policy %q depends on the local address, but the tunnel source is an interface", p.node.name())
			}
			if a == local {
				c.used[p.node] = true
				return p.proposals, nil
			}
		}
	}
	if general != nil {
		c.used[general.node] = true
		return general.proposals, nil
	}
	for _, id := range []string{"ikev2.proposal.default", "ikev2.policy.default"} {
		if n := c.tree.root.switchedOff(id); n != nil {
			return nil, fmt.Errorf("no crypto ikev2 policy fits, and line %d switches the default off", n.Line)
		}
	}
	return []policy.IKEProposal{SmartDefault()}, nil
}

// keyFor finds the key of the peer at remote: the keyring's most specific address, or else the identity that the
// profile asks for.
func (c *compiler) keyFor(p *policy.IKEv2Profile, remote netip.Addr) (policy.KeyringPeer, bool) {
	var best *policy.KeyringPeer
	if p.Keyring != nil {
		for i, k := range p.Keyring.Peers {
			if k.Address.IsValid() && k.Address.Contains(remote) && (best == nil || k.Address.Bits() > best.Address.Bits()) {
				best = &p.Keyring.Peers[i]
			}
		}
		for i, k := range p.Keyring.Peers {
			if best == nil && !k.Identity.IsZero() && k.Address == (netip.Prefix{}) && matchesAny(p.MatchRemote, k.Identity) {
				best = &p.Keyring.Peers[i]
			}
		}
	}
	in, inline := c.inline[p.Name]
	if best == nil {
		return in, inline && !in.Local.IsZero() && !in.Remote.IsZero()
	}
	out := *best
	if inline && !in.Local.IsZero() {
		out.Local = in.Local
	}
	if inline && !in.Remote.IsZero() {
		out.Remote = in.Remote
	}
	return out, true
}

func matchesAny(ms []policy.IdentityMatch, id policy.Identity) bool {
	for _, m := range ms {
		if m.Matches(id) {
			return true
		}
	}
	return false
}
