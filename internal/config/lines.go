package config

import (
	"strings"
	"sync"

	"lockstep/internal/config/grammar"
)

// effect is what becomes of a line that the grammar knows.
type effect uint8

const (
	applied effect = iota
	ignored        // reported, and without effect
	refused        // an error: without it the configuration would be less safe, or would not do what it says
)

// line is one row of the configuration language.
type line struct {
	id      string // by which compile finds it; empty for ignored and refused lines
	pattern string
	help    string
	// no is the pattern behind `no`; empty: the same as pattern; "-": there is none.
	no    string
	enter string // the mode of the section that it opens
	// many: lines that differ anywhere stand beside each other. by: so do lines that differ in this variable. Otherwise
	// the last line counts.
	many   bool
	by     string
	on     bool // in effect by default, so that its `no` form is kept
	effect effect
	why    string            // of ignored and refused lines
	bad    map[string]string // keywords and `:variables` that are refused, with the reason
	secret string            // the variable that is printed to privilege 15 alone

	mode  string
	order int
}

// Modes of the configuration, named as IOS's prompts.
const (
	modeGlobal    = "config"
	modeProposal  = "config-ikev2-proposal"
	modePolicy    = "config-ikev2-policy"
	modeKeyring   = "config-ikev2-keyring"
	modePeer      = "config-ikev2-keyring-peer"
	modeIKE       = "config-ikev2-profile"
	modeTransform = "cfg-crypto-trans"
	modeProfile   = "ipsec-profile"
	modeTunnel    = "config-if-tunnel"
	modeInterface = "config-if"
)

func modes() []grammar.Mode {
	out := []grammar.Mode{{Name: modeGlobal, Negatable: true}, {Name: modePeer, Parent: modeKeyring, Negatable: true}}
	for _, m := range []string{modeProposal, modePolicy, modeKeyring, modeIKE, modeTransform, modeProfile, modeTunnel, modeInterface} {
		out = append(out, grammar.Mode{Name: m, Parent: modeGlobal, Negatable: true})
	}
	return out
}

// language is the whole table, compiled.
type language struct {
	table *grammar.Table
	lines map[*grammar.Command]*line
	live  map[string]bool // "mode word": some line in effect has it; others are never proposed
	all   []*line
}

// configuration is compiled once; it is immutable.
var configuration = sync.OnceValue(func() *language {
	l := &language{lines: map[*grammar.Command]*line{}, live: map[string]bool{}}
	var commands []grammar.Command
	add := func(mode string, lines []line) {
		for _, ln := range lines {
			ln.mode, ln.order = mode, len(l.all)
			l.all = append(l.all, &ln)
			c := grammar.Command{ID: ln.id, Mode: mode, Pattern: ln.pattern, No: ln.no, Help: ln.help, Enter: ln.enter}
			switch ln.no {
			case "":
				c.No = ln.pattern
			case "-":
				c.No = ""
			}
			commands = append(commands, c)
			if ln.effect == applied {
				l.propose(&ln)
			}
		}
	}
	add(modeGlobal, globalLines())
	add(modeGlobal, cryptoLines())
	add(modeGlobal, networkLines())
	add(modeProposal, proposalLines())
	add(modePolicy, policyLines())
	add(modeKeyring, keyringLines())
	add(modePeer, keyringPeerLines())
	add(modeIKE, ikeProfileLines())
	add(modeTransform, transformLines())
	add(modeProfile, ipsecProfileLines())
	add(modeTunnel, tunnelLines())
	add(modeInterface, interfaceLines())
	for _, m := range modes() {
		add(m.Name, []line{
			{id: "exit", pattern: "exit", no: "-", help: "Exit from this configuration mode"},
			{id: "end", pattern: "end", no: "-", help: "Exit from configure mode"},
		})
	}
	var err error
	if l.table, err = grammar.New(glossary(), modes(), commands); err != nil {
		panic("config: " + err.Error()) // a mistake in the tables of this package, which every test would meet
	}
	seen := map[string]int{}
	for _, ln := range l.all {
		l.lines[l.table.Commands(ln.mode)[seen[ln.mode]]] = ln
		seen[ln.mode]++
	}
	return l
})

// propose notes the words of a line that an error may name as expected.
func (l *language) propose(ln *line) {
	words := strings.FieldsFunc(ln.pattern, func(r rune) bool { return strings.ContainsRune("[]{}| ", r) })
	for _, w := range words {
		w = strings.TrimSuffix(w, "...")
		if i := strings.IndexByte(w, '<'); i > 0 {
			w = w[:i] // Tunnel<0-99>
		}
		text, name, _ := strings.Cut(w, ":")
		if strings.HasPrefix(w, "X:") {
			continue // IPv6 is refused wherever it is known
		}
		if ln.bad[text] == "" && (name == "" || ln.bad[":"+name] == "") {
			l.live[ln.mode+" "+text] = true
		}
	}
}

// Grammar is the compiled grammar of configuration mode, for a session that enters lines one by one.
func Grammar() *grammar.Table { return configuration().table }

// The reasons that many lines share.
const (
	whyIKEv1     = "IKEv1 is not supported yet; whatever needs it is an error"
	whyNotIPsec  = "does not touch IPsec and has no effect here"
	whyHost      = "the host keeps its own setting"
	whyMaps      = "crypto maps are not supported yet: an sVTI is (interface Tunnel, tunnel mode ipsec ipv4)"
	whyFlex      = "FlexVPN servers and clients are not supported yet"
	whyCerts     = "certificates are not supported yet: pre-share is"
	whyVRF       = "VRFs are not supported: without it, packets would take another routing table"
	whyFilter    = "packet filters are the host's: ignored, it would let through what it blocks (use nftables and remove the line)"
	whyWeak      = "too weak, not supported yet"
	whyLater     = "not supported yet"
	whyType7     = "type 7 is reversible by anyone who reads it, refused: give the key as type 0"
	whyNoMaster  = "a type 6 key needs the master key of the router that wrote it, which is not here: give the key as type 0"
	whyIPv6      = "IPv6 is not supported there yet: tunnel mode ipsec ipv4 has IPv4 addresses"
	whyGRE       = "GRE tunnels are not supported yet, and tunnel mode ipsec ipv4 has no such field"
	whyNHRP      = "DMVPN is not supported yet"
	whyNAT       = "address translation is not supported: ignored, packets would carry other addresses than meant"
	whyReference = "a definition alone does nothing; whatever uses it is an error"
)

func words(why string, keywords ...string) map[string]string {
	out := map[string]string{}
	for _, k := range keywords {
		out[k] = why
	}
	return out
}

func join(ms ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range ms {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// family makes one row for each: the keywords and anything behind them.
func family(e effect, why string, starts ...string) []line {
	var out []line
	for _, s := range starts {
		out = append(out, line{pattern: s + " [REST:rest]", effect: e, why: why})
	}
	return out
}
