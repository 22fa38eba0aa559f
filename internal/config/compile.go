package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/config/grammar"
	"lockstep/internal/policy"
)

// Defaults of IOS (docs/configuration.md), and our own where IOS has none.
const (
	defaultHostname     = "lockstep"
	defaultSALifetime   = 3600 * time.Second
	defaultKilobytes    = 4608000
	defaultReplay       = 64
	defaultIKELifetime  = 86400 * time.Second
	defaultNATKeepalive = 20 * time.Second // IOS sends none unless told: a NAT forgets UDP flows after 30 s or more (RFC 3948 §4)
	defaultSeverity     = 7
	defaultTrap         = 6
)

// compiler turns a Tree into a Config. Everything is built before anything is handed out.
type compiler struct {
	tree *Tree
	ds   []Diagnostic
	cfg  *policy.Config

	proposals  map[string]policy.IKEProposal
	policies   []ikePolicy
	keyrings   map[string]*policy.Keyring
	inline     map[string]policy.KeyringPeer // keys in an IKEv2 profile itself
	profiles   map[string]*policy.IKEv2Profile
	transforms map[string]policy.TransformSet
	ipsec      map[string]*policy.IPsecProfile
	used       map[*Node]bool // definitions that something refers to
	named      map[string]map[string]*Node
	units      map[int]*Node // interfaces TunnelN
}

// Compile resolves names, fills in defaults and checks what no single line can tell. With any Error the Config is nil.
func Compile(t *Tree) (*policy.Config, []Diagnostic) {
	c := &compiler{tree: t, cfg: &policy.Config{}, proposals: map[string]policy.IKEProposal{}, keyrings: map[string]*policy.Keyring{},
		inline: map[string]policy.KeyringPeer{}, profiles: map[string]*policy.IKEv2Profile{}, transforms: map[string]policy.TransformSet{},
		ipsec: map[string]*policy.IPsecProfile{}, used: map[*Node]bool{},
		named: map[string]map[string]*Node{}, units: map[int]*Node{}}
	c.globals()
	for _, step := range []struct {
		id  string
		one func(*Node)
	}{
		{"ikev2.proposal", c.proposal}, {"ikev2.policy", c.policy}, {"ikev2.keyring", c.keyring}, {"ikev2.profile", c.ikeProfile},
		{"ipsec.transform", c.transform}, {"ipsec.profile", c.ipsecProfile}, {"interface.tunnel", c.tunnel}, {"ip.route", c.route},
	} {
		for _, n := range t.root.all(step.id) {
			step.one(n)
		}
	}
	c.tunnels()
	if HasErrors(c.ds) {
		return nil, sorted(c.ds)
	}
	c.notes()
	return c.cfg, sorted(c.ds)
}

// sorted puts findings in the order of the file. A line that is read for two purposes may give the same one twice.
func sorted(ds []Diagnostic) []Diagnostic {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int { return cmp.Or(a.Line-b.Line, a.Col-b.Col) })
	return slices.Compact(ds)
}

func (c *compiler) say(s Severity, line, col int, suggestion, format string, args ...any) {
	c.ds = append(c.ds, Diagnostic{c.tree.File, line, col, s, fmt.Sprintf(format, args...), suggestion})
}

// fail reports an error at a word of n; the zero word stands for the line's beginning.
func (c *compiler) fail(n *Node, at grammar.Taken, suggestion, format string, args ...any) {
	col := at.Col
	if col == 0 {
		col = n.Col
	}
	c.say(Error, n.Line, col, suggestion, format, args...)
}

// all lists the lines of that id that are in effect.
func (n *Node) all(id string) []*Node {
	if n.byID != nil {
		return n.byID[id]
	}
	var out []*Node
	for _, k := range n.kids {
		if k.rule.id == id && !k.off {
			out = append(out, k)
		}
	}
	return out
}

// one is the line of that id; nil if there is none.
func (n *Node) one(id string) *Node {
	if all := n.all(id); len(all) > 0 {
		return all[0]
	}
	return nil
}

// switchedOff is the `no` form of the line; nil if there is none.
func (n *Node) switchedOff(id string) *Node {
	for _, k := range n.kids {
		if k.rule.id == id && k.off {
			return k
		}
	}
	return nil
}

func (n *Node) name() string { return n.match.Text("name") }

func (c *compiler) globals() {
	root, cfg := &c.tree.root, c.cfg
	cfg.Hostname = defaultHostname
	if n := root.one("hostname"); n != nil {
		cfg.Hostname = n.name()
		c.hostname(n)
	}
	c.logging()
	if n := root.one("ikev2.dpd"); n != nil {
		cfg.DPDDefault = dpdOf(n)
	}
	if n := root.one("ikev2.cookie"); n != nil {
		cfg.CookieChallenge = n.match.Int("half-open")
	}
	cfg.Recovery = policy.Recovery{InvalidSPI: root.one("invalid-spi") != nil, Extended: root.switchedOff("recovery.extended") == nil}
	if n := root.one("recovery.gap"); n != nil {
		cfg.Recovery.PerOwnerGap = time.Duration(n.match.Int("milliseconds")) * time.Millisecond
	}
	if n := root.one("recovery.deletes"); n != nil {
		cfg.Recovery.DeletesPerMin = n.match.Int("count")
	}
	if n := root.one("recovery.initiations"); n != nil {
		cfg.Recovery.ReauthPerSec, cfg.Recovery.ReauthBurst = n.match.Int("count"), n.match.Int("burst")
	}
	if n := root.one("recovery.hints"); n != nil {
		cfg.Recovery.HintsPerSecond = n.match.Int("count")
	}
	if n := root.one("nat-t"); n != nil && n.match.Has("force") {
		cfg.Encap = policy.EncapForce
	}
	if n := root.switchedOff("nat-t"); n != nil && !n.match.Has("force") {
		cfg.Encap = policy.EncapNever
	}
}

// hostname: RFC 1123 §2.1, and 63 octets, as IOS has it.
func (c *compiler) hostname(n *Node) {
	w, _ := n.match.Var("name")
	for i, r := range w.Text {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !(i > 0 && (r == '-' || r == '_' || r == '.')) || i >= 63 {
			c.fail(n, w, "", "%q is no host name: letters, digits, '-' and '.', at most 63", w.Text)
			return
		}
	}
}

var severityNames = [...]string{"emergencies", "alerts", "critical", "errors", "warnings", "notifications", "informational", "debugging"}

func (c *compiler) logging() {
	root, l := &c.tree.root, &c.cfg.Logging
	severity := func(id string, byDefault int) int {
		if root.switchedOff(id) != nil {
			return policy.Off
		}
		n := root.one(id)
		if n == nil {
			return byDefault
		}
		if w, ok := n.match.Var("severity"); ok {
			return int(w.Number)
		}
		for i, name := range severityNames {
			if n.match.Has(name) {
				return i
			}
		}
		return byDefault
	}
	l.Severity, l.Console = severity("logging.buffered", defaultSeverity), severity("logging.console", defaultSeverity)
	l.Monitor, l.Trap = severity("logging.monitor", defaultSeverity), severity("logging.trap", defaultTrap)
	if n := root.one("logging.buffered"); n != nil {
		l.Buffered = n.match.Int("size")
	}
	for _, n := range root.all("logging.host") {
		host := n.match.Text("address")
		if port := n.match.Text("port"); port != "" {
			host += ":" + port
		}
		l.Hosts = append(l.Hosts, host)
	}
	l.Session = root.one("logging.session") != nil
}

func dpdOf(n *Node) *policy.DPD {
	return &policy.DPD{Interval: seconds(n.match.Int("interval")), Retry: seconds(n.match.Int("retry")), Periodic: n.match.Has("periodic")}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// undefined reports a name that nothing defines, with the nearest that something does.
func (c *compiler) undefined(n *Node, at grammar.Taken, what, id string) {
	var names []string
	for _, d := range c.tree.root.all(id) {
		names = append(names, d.name())
	}
	hint := ""
	switch near := grammar.Nearest(at.Text, names); {
	case near != "":
		hint = "did you mean " + near + "?"
	case len(names) > 0:
		hint = "there is " + (&grammar.Error{Expected: choices(names)}).Expectation()
	default:
		hint = "none is defined"
	}
	c.fail(n, at, hint, "%s %q is not defined", what, at.Text)
}

func choices(names []string) []grammar.Choice {
	var out []grammar.Choice
	for _, n := range names {
		out = append(out, grammar.Choice{Text: n})
	}
	return out
}

// definition finds the section of that name and remembers that it is used.
func (c *compiler) definition(id, name string) *Node {
	if c.named[id] == nil {
		c.named[id] = map[string]*Node{}
		for _, n := range c.tree.root.all(id) {
			c.named[id][n.name()] = n
		}
	}
	n := c.named[id][name]
	if n != nil {
		c.used[n] = true
	}
	return n
}

// notes tells of definitions that nothing uses.
func (c *compiler) notes() {
	for _, kind := range []struct{ id, what string }{
		{"ikev2.proposal", "crypto ikev2 proposal"}, {"ikev2.policy", "crypto ikev2 policy"}, {"ikev2.keyring", "crypto ikev2 keyring"},
		{"ikev2.profile", "crypto ikev2 profile"}, {"ipsec.transform", "transform set"}, {"ipsec.profile", "crypto ipsec profile"},
	} {
		for _, n := range c.tree.root.all(kind.id) {
			if !c.used[n] {
				w, _ := n.match.Var("name")
				c.say(Note, n.Line, w.Col, "", "%s %q is used by nothing", kind.what, w.Text)
			}
		}
	}
}
