package config

import (
	"strconv"
	"strings"
	"time"

	"lockstep/internal/config/grammar"
	"lockstep/internal/policy"
	"lockstep/internal/suite"
)

// transform reads `crypto ipsec transform-set TS esp-aes 256 esp-sha256-hmac esn`.
func (c *compiler) transform(n *Node) {
	t := policy.TransformSet{Name: n.name()}
	hashes := map[string]uint16{"esp-sha256-hmac": suite.IntegHMACSHA256, "esp-sha384-hmac": suite.IntegHMACSHA384, "esp-sha512-hmac": suite.IntegHMACSHA512}
	var cipher, hash *grammar.Taken
	for i, w := range n.match.Words {
		double := func(before *grammar.Taken) *grammar.Taken {
			if before != nil {
				c.fail(n, w, "", "transform set %q has %s already", t.Name, before.Text)
			}
			return &n.match.Words[i]
		}
		switch {
		case w.Kind != grammar.Keyword:
		case w.Text == "esn":
			t.ESN = true
		case hashes[w.Text] != 0:
			hash = double(hash)
			t.Cipher.Integ = hashes[w.Text]
		case strings.HasPrefix(w.Text, "esp-"):
			cipher = double(cipher)
			t.Cipher.Encr, t.Cipher.KeyBits = espCipher(w.Text)
		case cipher != nil && strings.Trim(w.Text, "0123456789") == "":
			bits, _ := strconv.ParseUint(w.Text, 10, 16)
			t.Cipher.KeyBits = uint16(bits)
		}
	}
	name, _ := n.match.Var("name")
	switch {
	case cipher == nil:
		c.fail(n, name, "esp-gcm 256, or esp-aes 256 esp-sha256-hmac", "transform set %q encrypts nothing", t.Name)
	case t.Cipher.Encr == suite.EncrAESGCM16 && hash != nil:
		c.fail(n, *hash, "remove it", "%s authenticates by itself", cipher.Text)
	case t.Cipher.Encr == suite.EncrAESCBC && hash == nil:
		c.fail(n, *cipher, "add esp-sha256-hmac", "%s alone does not authenticate (RFC 8221 §4)", cipher.Text)
	}
	c.transforms[t.Name] = t
}

// espCipher gives the transform and the key length without a number behind the keyword.
func espCipher(keyword string) (encr, bits uint16) {
	switch keyword {
	case "esp-gcm":
		return suite.EncrAESGCM16, 128
	case "esp-192-aes":
		return suite.EncrAESCBC, 192
	case "esp-256-aes":
		return suite.EncrAESCBC, 256
	}
	return suite.EncrAESCBC, 128
}

// or is the first line that there is: of the profile, or else the global one.
func or(lines ...*Node) *Node {
	for _, n := range lines {
		if n != nil {
			return n
		}
	}
	return nil
}

func (c *compiler) ipsecProfile(n *Node) {
	root := &c.tree.root
	p := &policy.IPsecProfile{Name: n.name(), Lifetime: defaultSALifetime, LifetimeKB: defaultKilobytes, ReplayWindow: defaultReplay,
		ResponderOnly: n.one("responder-only") != nil, NotifyInvalidSPI: n.one("notify-invalid-spi") != nil}
	if l := or(n.one("seconds"), root.one("sa.seconds")); l != nil {
		p.Lifetime = seconds(l.match.Int("seconds")) + time.Duration(l.match.Int("days"))*24*time.Hour
	}
	if l := or(n.one("kilobytes"), root.one("sa.kilobytes")); l != nil {
		p.LifetimeKB = uint64(l.match.Int("kilobytes")) // 0: disable
	}
	if l := or(n.one("idle"), root.one("sa.idle")); l != nil {
		p.IdleTime = seconds(l.match.Int("seconds"))
		c.say(Ignored, l.Line, l.Col, "", "idle-time is not enforced yet: an SA lives until its lifetime")
	}
	if l := or(n.one("replay"), root.one("sa.replay")); l != nil {
		last := l.match.Words[len(l.match.Words)-1].Text
		p.ReplayWindow, _ = strconv.Atoi(last) // 0: disable
	}
	if l := n.one("pfs"); l != nil {
		p.PFS = suite.GroupMODP2048 // as IOS XE 17 without a group
		if last := l.match.Words[len(l.match.Words)-1].Text; last != "pfs" {
			p.PFS = groups()[strings.TrimPrefix(last, "group")]
		}
	}
	c.profileNames(n, p)
	c.ipsec[p.Name] = p
}

// profileNames resolves what the profile refers to.
func (c *compiler) profileNames(n *Node, p *policy.IPsecProfile) {
	name, _ := n.match.Var("name")
	if l := n.one("transform-set"); l != nil {
		for _, at := range l.match.All("name") {
			if c.definition("ipsec.transform", at.Text) == nil {
				c.undefined(l, at, "transform set", "ipsec.transform")
				continue
			}
			p.TransformSets = append(p.TransformSets, c.transforms[at.Text])
		}
	} else {
		c.fail(n, name, "add a line set transform-set", "crypto ipsec profile %q has no transform set (IOS's default one is esp-aes esp-sha-hmac: too weak, not supported yet)", p.Name)
	}
	l := n.one("ikev2-profile")
	if l == nil {
		c.fail(n, name, "add a line set ikev2-profile", "crypto ipsec profile %q has no IKEv2 profile, and IKEv1 is not supported yet", p.Name)
		return
	}
	at, _ := l.match.Var("name")
	if c.definition("ikev2.profile", at.Text) == nil {
		c.undefined(l, at, "crypto ikev2 profile", "ikev2.profile")
		return
	}
	p.IKE = c.profiles[at.Text]
}
