package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lockstep/internal/config/grammar"
)

// Bounds of what is read: a configuration of 10,000 tunnels has 2 MiB.
const (
	maxText        = 16 << 20
	maxLine        = 4096
	maxDiagnostics = 200
)

// Redacted stands for a secret in a configuration that was shown to someone who may not see it.
const Redacted = "<redacted>"

// parser walks over the lines. IOS's rule: a line is tried in the current section, then in those around it; indentation
// only tells what belongs to a section that we do not know.
type parser struct {
	tree *Tree
	lang *language
	ds   []Diagnostic

	in       *Node // section whose lines follow
	number   int   // of the current line
	text     string
	indent   int
	indented bool // the file indents its sections

	// skip: the lines of an unknown or refused section, those indented deeper than skipIndent.
	skip       bool
	skipIndent int
	skipNote   string // what is said of each line; empty: nothing, its header is an error already
	delimiter  string // end of a banner
}

// Parse reads text line by line. The Tree is complete only if no Diagnostic is an Error.
func Parse(name string, text []byte) (*Tree, []Diagnostic) {
	p := &parser{tree: &Tree{File: name}, lang: configuration()}
	p.in = &p.tree.root
	if len(text) > maxText {
		p.number, p.text = 1, ""
		p.report(Error, 1, fmt.Sprintf("the file has %d octets: at most %d are read", len(text), maxText), "")
		return p.tree, p.ds
	}
	lines := strings.Split(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))), "\n")
	p.indented = slices.ContainsFunc(lines, func(l string) bool {
		t := strings.TrimLeft(l, " \t")
		return t != l && t != "" && t[0] != '!' && t[0] != '\r'
	})
	for i, l := range lines {
		p.number, p.text = i+1, strings.TrimRight(l, "\r")
		p.next()
		if len(p.ds) >= maxDiagnostics {
			p.report(Error, 1, "too many findings, the rest of the file was not read", "")
			break
		}
	}
	p.tree.root.index()
	return p.tree, p.ds
}

func (p *parser) report(s Severity, col int, message, suggestion string) {
	p.ds = append(p.ds, Diagnostic{p.tree.File, p.number, col, s, message, suggestion})
}

func (p *parser) next() {
	if p.delimiter != "" {
		if strings.Contains(p.text, p.delimiter) {
			p.delimiter = ""
		}
		return
	}
	body := strings.Trim(p.text, " \t")
	if body == "" || body[0] == '!' {
		return
	}
	if !p.readable() {
		return
	}
	p.indent = len(p.text) - len(strings.TrimLeft(p.text, " \t"))
	if p.skip && p.indent > p.skipIndent {
		if p.skipNote != "" {
			p.report(Ignored, p.indent+1, p.skipNote, "")
		}
		return
	}
	p.understand()
}

// readable refuses what no text file has.
func (p *parser) readable() bool {
	if len(p.text) > maxLine {
		p.report(Error, 1, fmt.Sprintf("the line has %d octets: at most %d are read", len(p.text), maxLine), "")
		return false
	}
	col := 1
	for i, r := range p.text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(p.text[i:]); size == 1 {
				p.report(Error, col, "not UTF-8 text", "")
				return false
			}
		}
		if r != '\t' && unicode.IsControl(r) {
			p.report(Error, col, fmt.Sprintf("control character %#x", r), "")
			return false
		}
		col++
	}
	return true
}

// candidate is a section in whose mode the line is one.
type candidate struct {
	section *Node
	match   *grammar.Match
	effect  effect
}

// understand tries the line in the current section and in those around it.
func (p *parser) understand() {
	var faults []fault
	var found []candidate
	for section := p.in; section != nil; section = section.in {
		m, err := p.lang.table.Match(section.mode(), p.text, 15)
		if err != nil {
			faults = append(faults, fault{section.mode(), err})
			continue
		}
		found = append(found, candidate{section, m, p.lang.lines[m.Command].effect})
		if found[len(found)-1].effect == applied {
			break
		}
	}
	if c, ok := p.choose(found, faults); ok {
		p.accept(c.section, c.match)
		return
	}
	p.unknown(faults)
}

// margin: the line begins at the left margin of a file that indents its sections, so it is a global one.
func (p *parser) margin() bool { return p.indented && p.indent == 0 }

// choose picks what a line means where several sections know it. The innermost counts, but a line with effect goes before
// one that an inner section only knows as ignored: behind a host interface, `ip route` is still a route. Nor does an
// outer section's ignored family excuse what the inner section does not understand.
func (p *parser) choose(found []candidate, faults []fault) (candidate, bool) {
	if len(found) == 0 {
		return candidate{}, false
	}
	for _, c := range found {
		if c.effect == applied || c.effect == refused && !p.margin() {
			return c, true
		}
	}
	if p.margin() {
		return found[len(found)-1], true
	}
	inner := found[0].section == p.in
	foreign := !p.indented && len(faults) > 0 && faults[0].err.Col == p.firstWord()
	return found[0], inner || foreign
}

func (n *Node) mode() string {
	if n.match == nil {
		return modeGlobal
	}
	return n.match.Command.Enter
}

// accept applies a line to the section in whose mode it was understood.
func (p *parser) accept(section *Node, m *grammar.Match) {
	ln := p.lang.lines[m.Command]
	col := m.Words[0].Col
	if p.skip && !p.indented && ln.effect == ignored && p.skipNote != "" {
		p.report(Ignored, col, ln.why, "")
		return
	}
	p.in, p.skip = section, false
	switch {
	case ln.id == "exit":
		if p.in.in != nil {
			p.in = p.in.in
		}
	case ln.id == "end":
		p.in = &p.tree.root
	case ln.effect == ignored:
		p.ignore(ln, m)
	case ln.effect == refused && (m.Negated || m.Default):
		p.report(Ignored, col, "nothing to undo: this line is never in effect", "")
	case ln.effect == refused:
		p.refuse(m.Words[0], m.Canonical(withoutRest), ln.why)
		p.skipSection("")
	case p.sound(ln, m):
		p.apply(section, ln, m)
	case m.Command.Enter != "":
		p.skipSection("")
	}
}

// withoutRest names a line by its keywords.
func withoutRest(w grammar.Taken) string {
	if w.Kind == grammar.Rest || w.Kind == grammar.Line {
		return "…"
	}
	return w.Text
}

func (p *parser) refuse(at grammar.Taken, what, why string) {
	p.report(Error, at.Col, fmt.Sprintf("%s: %s", what, why), "")
}

func (p *parser) skipSection(note string) {
	p.skip, p.skipIndent, p.skipNote = true, p.indent, note
}

func (p *parser) ignore(ln *line, m *grammar.Match) {
	if rest, ok := m.Var("rest"); ok {
		first, _, _ := strings.Cut(rest.Text, " ")
		way := p.way(m, rest)
		if near := grammar.Nearest(first, p.lang.after(ln.mode, way)); near != "" && !strings.EqualFold(first, near) {
			p.report(Error, rest.Col, fmt.Sprintf("%q is not known behind %q", first, way), "did you mean "+near+"?")
			return
		}
	}
	p.report(Ignored, m.Words[0].Col, m.Canonical(withoutRest)+": "+ln.why, "")
	if m.Words[0].Text == "banner" && !m.Negated {
		p.banner(m.Text("rest"))
		return
	}
	p.skipSection("part of a section without effect here")
}

// banner skips a text between two delimiters: `banner motd ^C … ^C`.
func (p *parser) banner(rest string) {
	_, text, _ := strings.Cut(rest, " ")
	text = strings.TrimLeft(text, " ")
	if text == "" {
		return
	}
	_, n := utf8.DecodeRuneInString(text)
	if text[0] == '^' && len(text) > 1 {
		n = 2
	}
	if !strings.Contains(text[n:], text[:n]) {
		p.delimiter = text[:n]
	}
}

// way is the keywords before a token.
func (p *parser) way(m *grammar.Match, to grammar.Taken) string {
	var out []string
	for _, w := range m.Words {
		if w.Col < to.Col {
			out = append(out, w.Text)
		}
	}
	return strings.Join(out, " ")
}

// after lists the keywords that lines in effect have behind the keywords of way.
func (l *language) after(mode, way string) []string {
	var out []string
	for _, ln := range l.all {
		rest, ok := strings.CutPrefix(ln.pattern, way+" ")
		if ln.mode != mode || ln.effect != applied || !ok {
			continue
		}
		if word, _, _ := strings.Cut(rest, " "); !strings.ContainsAny(word, "{[<.") && strings.ToLower(word) == word {
			out = append(out, word)
		}
	}
	return out
}

// sound refuses keywords and variables that the grammar knows only to say why not, and secrets that were left out.
func (p *parser) sound(ln *line, m *grammar.Match) bool {
	if m.Negated || m.Default {
		return true
	}
	ok := true
	for _, w := range m.Words {
		name := w.Text
		if w.Kind != grammar.Keyword {
			name = ":" + w.Name
		}
		if why := ln.bad[name]; why != "" {
			p.refuse(w, strings.TrimSpace(p.way(m, w)+" "+w.Text), why)
			ok = false
		}
		if w.Name == ln.secret && w.Kind != grammar.Keyword && w.Text == Redacted {
			p.report(Error, w.Col, "this key was left out when the configuration was shown", "write the key, or show the configuration with privilege 15")
			ok = false
		}
	}
	return ok
}
