package grammar

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a word of the line.
type token struct {
	text string
	off  int // octets from the line's beginning
}

func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' }

// split cuts a line at spaces, tabs and carriage returns.
func split(line string) []token {
	var out []token
	for i := 0; i < len(line); {
		if blank(line[i]) {
			i++
			continue
		}
		end := i
		for end < len(line) && !blank(line[end]) {
			end++
		}
		out = append(out, token{text: line[i:end], off: i})
		i = end
	}
	return out
}

func column(line string, off int) int { return utf8.RuneCountInString(line[:off]) + 1 }

// state is one command that the tokens so far fit, and how.
type state struct {
	rule  *rule
	prog  *program
	at    int // position reached; -1: the beginning
	taken []Taken
}

func (s state) next() []int {
	if s.at < 0 {
		return s.prog.first
	}
	return s.prog.follow[s.at]
}

func (s state) ends() bool { return s.at >= 0 && s.prog.last[s.at] }

// matching is a line on its way through the grammar.
type matching struct {
	line   string
	todo   []token
	states []state
	negate string // "no", "default" or empty
	// fresh: nothing but no or default was read, both of which are keywords themselves.
	fresh, negatable bool
}

func (t *Table) begin(mode, line string, privilege int) *matching {
	m := &matching{line: line, todo: split(line), fresh: true, negatable: t.modes[mode].Negatable}
	if len(m.todo) > 0 && m.negatable {
		if w := strings.ToLower(m.todo[0].text); w == "no" || w == "default" {
			m.negate, m.todo = w, m.todo[1:]
		}
	}
	m.states = make([]state, 0, len(t.rules[mode]))
	for _, r := range t.rules[mode] {
		prog := r.yes
		if m.negate != "" {
			prog = r.no
		}
		if prog != nil && r.command.Privilege <= privilege {
			m.states = append(m.states, state{rule: r, prog: prog, at: -1})
		}
	}
	return m
}

// option is one position that the next token might take.
type option struct {
	from state
	at   int
	rest token // what is left of the token behind a glued keyword; text empty: nothing
	rank rank
	word Taken
}

// rank orders the ways in which a token can be taken; the best one decides.
type rank uint8

const (
	refused rank = iota
	asRest
	asLine
	asWord
	asPrefix // an abbreviated keyword
	asValue  // a number or address
	asKeyword
)

func (m *matching) options() []option {
	var out []option
	for _, s := range m.states {
		for _, i := range s.next() {
			out = append(out, option{from: s, at: i})
		}
	}
	return out
}

func (o option) position() *position { return &o.from.prog.positions[o.at] }

// take advances all states over the next token.
func (m *matching) take() *Error {
	tok := m.todo[0]
	var options []option // those that take the token
	best, free := refused, false
	var o option
	for _, s := range m.states {
		for _, i := range s.next() {
			o.from, o.at, o.rank, o.rest = s, i, refused, token{}
			o.try(tok, m.line)
			if o.rank == refused {
				continue
			}
			best = max(best, o.rank)
			free = free || o.rank == asWord || o.rank == asLine
			options = append(options, o)
		}
	}
	if best == asPrefix && free && !glued(options) {
		best = refused
		for _, o := range options {
			if o.rank != asPrefix {
				best = max(best, o.rank)
			}
		}
	}
	if best == refused {
		return m.fail(Invalid, tok, m.options())
	}
	options = slices.DeleteFunc(options, func(o option) bool { return o.rank != best })
	if best == asPrefix && slices.ContainsFunc(options, func(o option) bool { return o.word.Text != options[0].word.Text }) {
		return m.fail(Ambiguous, tok, options)
	}
	m.advance(options)
	return nil
}

// glued: an interface name as IOS abbreviates it (`Tu0`) is one although a WORD is possible there too. In lower case
// it is a name of the host (`tun0`).
func glued(options []option) bool {
	return slices.ContainsFunc(options, func(o option) bool {
		return o.rank == asPrefix && o.rest.text != "" && o.word.Text[0] == o.rest.text[0]
	})
}

func (m *matching) advance(options []option) {
	rest := token{}
	m.states = m.states[:0:0]
	for _, o := range options {
		if o.rest.text != "" {
			rest = token{o.rest.text[1:], o.rest.off}
		}
		taken := append(slices.Clip(o.from.taken), o.word)
		m.states = append(m.states, state{o.from.rule, o.from.prog, o.at, taken})
	}
	m.todo, m.fresh = m.todo[1:], false
	switch {
	case options[0].rank == asLine || options[0].rank == asRest:
		m.todo = nil
	case rest.text != "":
		m.todo = append([]token{rest}, m.todo...)
	}
}

// try says how the position takes the token.
func (o *option) try(tok token, line string) {
	p := o.position()
	if p.kind == Keyword && (len(tok.text) == 0 || lower(tok.text[0]) != lower(p.text[0])) {
		return // most of a mode's commands
	}
	o.word = Taken{Text: tok.text, Name: p.name, Kind: p.kind, Col: column(line, tok.off)}
	var err error
	switch p.kind {
	case Keyword:
		o.keyword(tok)
		return
	case Number:
		o.word.Number, err = strconv.ParseUint(tok.text, 10, 64)
		if err == nil && (o.word.Number < p.lo || o.word.Number > p.hi) {
			return
		}
		o.word.Text = strconv.FormatUint(o.word.Number, 10)
		o.word.attached = o.from.at >= 0 && o.from.prog.positions[o.from.at].glued
		o.rank = asValue
	case IPv4, IPv6:
		o.word.Addr, err = netip.ParseAddr(tok.text)
		if err == nil && (o.word.Addr.Is4() != (p.kind == IPv4) || o.word.Addr.Zone() != "") {
			return
		}
		o.rank = asValue
	case Prefix:
		o.word.Prefix, err = netip.ParsePrefix(tok.text)
		if err == nil && !o.word.Prefix.Addr().Is4() {
			return
		}
		o.rank = asValue
	case Word:
		o.rank = asWord
	case Line, Rest:
		o.word.Text = strings.TrimRight(line[tok.off:], " \t\r")
		o.rank = asLine
		if p.kind == Rest {
			o.rank = asRest
		}
	}
	if err != nil {
		o.rank = refused
	}
}

func (o *option) keyword(tok token) {
	p := o.position()
	o.word.Text = p.text
	switch {
	case strings.EqualFold(tok.text, p.text):
		o.rank = asKeyword
	case hasPrefixFold(p.text, tok.text):
		o.rank = asPrefix
	case p.glued:
		n := strings.IndexAny(tok.text, "0123456789")
		if n <= 0 || !hasPrefixFold(p.text, tok.text[:n]) {
			return
		}
		o.rank = asPrefix
		if n == len(p.text) {
			o.rank = asKeyword
		}
		// The letter before the rest tells advance and glued in which case the name was written.
		o.rest = token{tok.text[:1] + tok.text[n:], tok.off + n}
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(prefix) <= len(s) && strings.EqualFold(s[:len(prefix)], prefix)
}

// fail makes the error of a token, or of a line that ends too early (tok.text empty).
func (m *matching) fail(p Problem, tok token, options []option) *Error {
	e := &Error{Problem: p, Token: tok.text, Col: column(m.line, tok.off)}
	e.Mark = e.Col + accepted(tok.text, options)
	for _, o := range options {
		e.Expected = addChoice(e.Expected, o.position())
	}
	if p == Invalid && slices.ContainsFunc(m.states, state.ends) {
		e.Expected = append(e.Expected, Choice{Text: End})
	}
	return e
}

// accepted counts the leading characters of tok that some keyword begins with.
func accepted(tok string, options []option) int {
	best := 0
	for _, o := range options {
		p := o.position()
		if p.kind != Keyword {
			continue
		}
		n := 0
		for n < len(tok) && n < len(p.text) && lower(tok[n]) == lower(p.text[n]) {
			n++
		}
		if n < len(tok) {
			best = max(best, n)
		}
	}
	return best
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// Match understands one line in one mode. Parents are the caller's to try (Table.Parent). The error is an *Error.
func (t *Table) Match(mode, line string, privilege int) (*Match, *Error) {
	m := t.begin(mode, line, privilege)
	for len(m.todo) > 0 {
		if err := m.take(); err != nil {
			return nil, err
		}
	}
	var best *state
	for i := range m.states {
		if s := &m.states[i]; s.ends() && (best == nil || s.rule.position < best.rule.position) {
			best = s
		}
	}
	if best == nil {
		return nil, m.fail(Incomplete, token{off: len(strings.TrimRight(line, " \t\r"))}, m.options())
	}
	return &Match{best.rule.command, m.negate == "no", m.negate == "default", best.taken}, nil
}
