// Package config reads a configuration in IOS's language, says for every line that it does not follow where and why,
// and compiles the rest to a policy. It also writes a configuration back (`show running-config`) and names what differs
// between two. It opens no file, applies nothing and keeps no state; cmd/lockstep, gateway and operator call it. The
// lines themselves are data (lines_*.go) for the engine in config/grammar.
package config

import (
	"fmt"

	"lockstep/internal/config/grammar"
	"lockstep/internal/policy"
)

// Severity is what a Diagnostic means for the configuration.
type Severity uint8

const (
	Error   Severity = iota // the configuration is refused as a whole
	Ignored                 // the line has no effect here, and needs none for security
	Note                    // loads, but is probably not what was meant
)

func (s Severity) String() string { return [...]string{"error", "ignored", "note"}[s] }

// Diagnostic is a finding about one place. Line and Col count from 1; Col counts characters.
type Diagnostic struct {
	File       string
	Line, Col  int
	Severity   Severity
	Message    string
	Suggestion string // what to write instead; may be empty
}

// String is `FILE:LINE:COL: message (suggestion)`; what is not an error says so in front of the message.
func (d Diagnostic) String() string {
	kind := ""
	if d.Severity != Error {
		kind = d.Severity.String() + ": "
	}
	hint := ""
	if d.Suggestion != "" {
		hint = " (" + d.Suggestion + ")"
	}
	return fmt.Sprintf("%s:%d:%d: %s%s%s", d.File, d.Line, d.Col, kind, d.Message, hint)
}

// HasErrors reports that a configuration with these findings is refused.
func HasErrors(ds []Diagnostic) bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Tree is a configuration understood line by line, with later lines and `no` forms applied to earlier ones.
type Tree struct {
	File string
	root Node
}

// Node is one line in effect, with the lines of the section that it opens.
type Node struct {
	Line  int
	Col   int // of its first word
	match *grammar.Match
	rule  *line
	off   bool // a `no` form that is kept, because the line is in effect by default
	in    *Node
	kids  []*Node

	at   map[string]int     // place in kids by key, while lines are read
	byID map[string][]*Node // lines in effect, of the root only: it is long
}

// Load reads and compiles a configuration. With any Error there is no Config: nothing is half applied.
func Load(name string, text []byte) (*policy.Config, []Diagnostic) {
	tree, ds := Parse(name, text)
	if HasErrors(ds) {
		return nil, ds
	}
	cfg, more := Compile(tree)
	return cfg, sorted(append(ds, more...))
}
