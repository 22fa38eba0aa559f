// Package grammar is the command grammar of configuration and exec mode alike, as data: a command is one pattern string
// with help texts, a mode has a name and a parent. Matching, abbreviation, `?`, completion and the column of every error
// come from the pattern alone. It runs nothing, reads no file and knows no command; internal/config and operator/cli
// bring theirs.
//
// A pattern is a row of tokens:
//
//	crypto isakmp policy           keywords: letters in any case, abbreviated as far as they stay unique
//	<1-10000>  A.B.C.D  WORD  LINE variables; LINE is the rest of the line. `<60-86400>:seconds` names a variable
//	X:X:X:X::X A.B.C.D/M           an IPv6 address, an IPv4 prefix
//	REST                           as LINE, but only where nothing else fits, abbreviations included
//	[ … ]  { … | … }  …            optional, one of several, and `...` behind a token or bracket: once or more
//	Tunnel<0-99>                   `Tunnel0` or `Tunnel 0`
//
// Where a keyword and WORD or LINE are both possible, only the whole keyword is one: a name is never taken for an
// abbreviation.
package grammar

import (
	"fmt"
	"net/netip"
	"strings"
)

// Mode is a place where a set of commands is valid.
type Mode struct {
	Name   string
	Parent string // whose commands are tried after this mode's own; empty: none
	// Negatable: `no` and `default` may stand before the commands that have such a form.
	Negatable bool
}

// Command is one line of the grammar.
type Command struct {
	ID      string // how the owner of the table knows it; need not be unique
	Mode    string
	Pattern string
	No      string // the pattern behind `no` or `default`; empty: there is no such form
	// Help is for the last of the leading keywords, or one line for each token of the pattern.
	Help      string
	Privilege int    // least privilege that sees it
	Enter     string // the mode that it opens; empty: none
}

// Kind is what a token of a pattern takes.
type Kind uint8

const (
	Keyword Kind = iota
	Number       // <a-b>
	IPv4         // A.B.C.D
	IPv6         // X:X:X:X::X
	Prefix       // A.B.C.D/M
	Word         // WORD
	Line         // LINE
	Rest         // REST
)

// Match is a line understood.
type Match struct {
	Command *Command
	Negated bool // `no …`
	Default bool // `default …`
	Words   []Taken
}

// Taken is one token of a matched line.
type Taken struct {
	Text   string // the whole keyword, or what was written
	Name   string // the variable's name; empty for a keyword
	Kind   Kind
	Col    int // from 1, in characters
	Number uint64
	Addr   netip.Addr   // of IPv4 and IPv6
	Prefix netip.Prefix // of Prefix

	attached bool // to the keyword before it, as the 0 of Tunnel0
}

// Has reports that the keyword stands in the line.
func (m *Match) Has(keyword string) bool { _, ok := m.Keyword(keyword); return ok }

// Keyword finds a keyword of the line.
func (m *Match) Keyword(keyword string) (Taken, bool) {
	for _, w := range m.Words {
		if w.Kind == Keyword && w.Text == keyword {
			return w, true
		}
	}
	return Taken{}, false
}

// Var finds the first variable of that name.
func (m *Match) Var(name string) (Taken, bool) {
	for _, w := range m.Words {
		if w.Name == name && w.Kind != Keyword {
			return w, true
		}
	}
	return Taken{}, false
}

// Text is the variable as written, empty if it is not there.
func (m *Match) Text(name string) string { w, _ := m.Var(name); return w.Text }

// Int is the number of a variable, 0 if it is not there.
func (m *Match) Int(name string) int { w, _ := m.Var(name); return int(w.Number) }

// All lists the variables of that name.
func (m *Match) All(name string) []Taken {
	var out []Taken
	for _, w := range m.Words {
		if w.Name == name && w.Kind != Keyword {
			out = append(out, w)
		}
	}
	return out
}

// Canonical writes the line with whole keywords and single spaces, without `no`. replace, if not nil, gives the text of
// a token.
func (m *Match) Canonical(replace func(Taken) string) string {
	var b strings.Builder
	for i, w := range m.Words {
		if i > 0 && !w.attached {
			b.WriteByte(' ')
		}
		text := w.Text
		if replace != nil {
			text = replace(w)
		}
		b.WriteString(text)
	}
	return b.String()
}

// Choice is one thing that could stand at a place: a line of `?`.
type Choice struct {
	Text string // a keyword, or the variable as the pattern spells it, or `<cr>`
	Help string
	Kind Kind
}

// End is the Choice text for the end of the line.
const End = "<cr>"

// Problem says in which way a line is not understood.
type Problem uint8

const (
	Invalid    Problem = iota + 1 // a token that nothing takes
	Ambiguous                     // an abbreviation of several keywords
	Incomplete                    // more must follow
)

// Error is a line that is not understood. Columns count characters from 1.
type Error struct {
	Problem  Problem
	Col      int    // where the token at fault begins; behind the line's end if it is incomplete
	Mark     int    // its first character that nothing takes: where IOS puts its caret
	Token    string // at fault; empty if the line is incomplete
	Expected []Choice
}

func (e *Error) Error() string {
	switch e.Problem {
	case Ambiguous:
		return fmt.Sprintf("%q at column %d is an abbreviation of several: %s", e.Token, e.Col, e.Expectation())
	case Incomplete:
		return fmt.Sprintf("incomplete at column %d, expected %s", e.Col, e.Expectation())
	}
	return fmt.Sprintf("%q at column %d is not expected there, but %s", e.Token, e.Col, e.Expectation())
}

// maxExpected bounds the list in an error text; `?` shows all.
const maxExpected = 12

// Expectation lists what could stand there: "a, b or c".
func (e *Error) Expectation() string {
	var names []string
	for i, c := range e.Expected {
		if i == maxExpected {
			names = append(names, "…")
			break
		}
		if c.Text == End {
			c.Text = "the end of the line"
		}
		names = append(names, c.Text)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
