package config

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/config/grammar"
)

// apply puts a line into its section: it replaces what it contradicts, a `no` or `default` form takes it out.
func (p *parser) apply(section *Node, ln *line, m *grammar.Match) {
	n := &Node{Line: p.number, Col: m.Words[0].Col, match: m, rule: ln, in: section}
	if m.Negated || m.Default {
		if section.remove(n); m.Negated && ln.on {
			n.off = true
			section.put(n)
		}
		return
	}
	if p.near(n) {
		return
	}
	if m.Command.Enter != "" && ln.id != "ipsec.transform" {
		if i, ok := section.at[n.key()]; ok {
			p.in = section.kids[i]
			return
		}
	}
	section.put(n)
	if m.Command.Enter != "" {
		p.in = n
	}
}

// key is what n has in common with a line that it replaces.
func (n *Node) key() string {
	switch {
	case n.rule.many && !n.off:
		return n.rule.id + " " + n.match.Canonical(nil)
	case n.rule.by != "":
		return n.rule.id + " " + n.match.Text(n.rule.by)
	}
	return n.rule.id
}

// put appends n, in place of the line that it replaces.
func (n *Node) put(kid *Node) {
	if n.at == nil {
		n.at = map[string]int{}
	}
	if i, ok := n.at[kid.key()]; ok {
		n.kids[i] = kid
		return
	}
	n.at[kid.key()] = len(n.kids)
	n.kids = append(n.kids, kid)
}

// remove takes out what the `no` form kid negates: of lines that stand beside each other all that begin so.
func (n *Node) remove(kid *Node) {
	key := kid.key()
	gone := func(old *Node) bool {
		k := old.key()
		return k == key || kid.rule.many && strings.HasPrefix(k, key+" ")
	}
	if _, ok := n.at[key]; !ok && !kid.rule.many {
		return
	}
	n.kids = slices.DeleteFunc(n.kids, gone)
	clear(n.at)
	for i, k := range n.kids {
		n.at[k.key()] = i
	}
}

// index prepares all for a long section.
func (n *Node) index() {
	n.byID = map[string][]*Node{}
	for _, k := range n.kids {
		if !k.off {
			n.byID[k.rule.id] = append(n.byID[k.rule.id], k)
		}
	}
}

// near refuses an interface whose name is a typing mistake of Tunnel.
func (p *parser) near(n *Node) bool {
	if n.rule.id != "interface" {
		return false
	}
	w, _ := n.match.Var("name")
	letters := strings.TrimRight(w.Text, "0123456789")
	if grammar.Nearest(letters, []string{"tunnel"}) == "" {
		return false
	}
	p.report(Error, w.Col, fmt.Sprintf("%q is an interface of the host, which has no tunnel lines", w.Text), "did you mean Tunnel"+w.Text[len(letters):]+"?")
	p.skipSection("")
	return true
}

// fault is why a line is not understood in one mode.
type fault struct {
	mode string
	err  *grammar.Error
}

// unknown reports a line that no mode understands.
func (p *parser) unknown(faults []fault) {
	best := faults[0]
	if p.margin() {
		best = faults[len(faults)-1] // the outermost
	}
	for _, f := range faults {
		if f.err.Col > best.err.Col {
			best = f
		}
	}
	first := best.err.Col == p.firstWord() && best.err.Problem == grammar.Invalid
	suggestion := ""
	for _, f := range faults {
		if f.err.Col == best.err.Col && suggestion == "" {
			suggestion = p.suggest(f)
		}
	}
	global := p.in.in == nil || p.margin()
	if p.skip && !p.indented && first && suggestion == "" {
		if p.skipNote != "" {
			p.report(Ignored, best.err.Col, p.skipNote, "")
		}
		return
	}
	host := p.in.mode() == modeInterface
	if first && suggestion == "" && (global || host) {
		p.report(Ignored, best.err.Col, fmt.Sprintf("unknown line %q, without effect here", best.err.Token), "")
		if global {
			p.in = &p.tree.root
		}
		p.skipSection("part of a section without effect here")
		return
	}
	p.report(Error, best.err.Col, p.explain(best), suggestion)
	p.skipSection("")
}

// firstWord is the column of the first word that is not `no` or `default`.
func (p *parser) firstWord() int {
	words := strings.Fields(p.text)
	col := p.indent + 1
	if w := strings.ToLower(words[0]); len(words) > 1 && (w == "no" || w == "default") {
		rest := p.text[p.indent+len(words[0]):]
		col += len(words[0]) + len(rest) - len(strings.TrimLeft(rest, " \t"))
	}
	return col
}

// explain says what is wrong and what was expected, without the words that would be refused.
func (p *parser) explain(f fault) string {
	e := *f.err
	if e.Problem != grammar.Ambiguous {
		e.Expected = p.live(f)
	}
	switch e.Problem {
	case grammar.Ambiguous:
		return fmt.Sprintf("%q is an abbreviation of several words: %s", e.Token, e.Expectation())
	case grammar.Incomplete:
		return "the line ends too early: expected " + e.Expectation()
	}
	for _, c := range e.Expected {
		if c.Kind == grammar.Number && strings.Trim(e.Token, "0123456789") == "" {
			return fmt.Sprintf("%s is out of range: expected %s", e.Token, e.Expectation())
		}
	}
	return fmt.Sprintf("%q is not expected here: expected %s", e.Token, e.Expectation())
}

func (p *parser) suggest(f fault) string {
	if f.err.Problem != grammar.Invalid {
		return ""
	}
	e := *f.err
	e.Expected = p.live(f)
	if near := e.Suggest(); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// live is what was expected and would have an effect; everything, if that is nothing.
func (p *parser) live(f fault) []grammar.Choice {
	out := slices.DeleteFunc(slices.Clone(f.err.Expected), func(c grammar.Choice) bool {
		return c.Text != grammar.End && !p.lang.live[f.mode+" "+c.Text]
	})
	if len(out) == 0 {
		return f.err.Expected
	}
	return out
}
