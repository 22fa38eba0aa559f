package grammar

import (
	"fmt"
	"strings"
)

// Glossary gives help texts that many commands share: of a keyword by its way from the left ("crypto ikev2") or by
// itself ("ikev2"), of a variable by its name behind a colon (":seconds").
type Glossary map[string]string

// Table is a compiled grammar: immutable, for any number of goroutines.
type Table struct {
	modes map[string]Mode
	rules map[string][]*rule // by mode, in the order given
}

type rule struct {
	command  *Command
	yes, no  *program // no: nil if there is no such form
	position int
}

// New compiles the commands. Errors are mistakes of whoever wrote the table.
func New(g Glossary, modes []Mode, commands []Command) (*Table, error) {
	t := &Table{modes: map[string]Mode{}, rules: map[string][]*rule{}}
	for _, m := range modes {
		t.modes[m.Name] = m
	}
	for _, m := range modes {
		if _, ok := t.modes[m.Parent]; m.Parent != "" && !ok {
			return nil, fmt.Errorf("mode %q has the unknown parent %q", m.Name, m.Parent)
		}
	}
	for i := range commands {
		c := commands[i]
		if _, ok := t.modes[c.Mode]; !ok {
			return nil, fmt.Errorf("%q is in the unknown mode %q", c.Pattern, c.Mode)
		}
		if _, ok := t.modes[c.Enter]; c.Enter != "" && !ok {
			return nil, fmt.Errorf("%q opens the unknown mode %q", c.Pattern, c.Enter)
		}
		yes, err := compile(c.Pattern)
		if err != nil {
			return nil, err
		}
		if err := yes.describe(g, &c); err != nil {
			return nil, err
		}
		r := &rule{command: &c, yes: yes, position: i}
		if c.No != "" {
			if r.no, err = compile(c.No); err != nil {
				return nil, err
			}
			if err := r.no.describe(g, &Command{Pattern: c.No, Help: lastLine(c.Help)}); err != nil {
				return nil, err
			}
		}
		t.rules[c.Mode] = append(t.rules[c.Mode], r)
	}
	return t, nil
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// Parent is the mode that is tried after this one; empty: none.
func (t *Table) Parent(mode string) string { return t.modes[mode].Parent }

// Commands lists a mode's commands in their order.
func (t *Table) Commands(mode string) []*Command {
	var out []*Command
	for _, r := range t.rules[mode] {
		out = append(out, r.command)
	}
	return out
}

// describe gives every position its help text.
func (p *program) describe(g Glossary, c *Command) error {
	if lines := strings.Split(c.Help, "\n"); len(lines) > 1 {
		if len(lines) != len(p.positions) {
			return fmt.Errorf("%q has %d tokens and %d lines of help", c.Pattern, len(p.positions), len(lines))
		}
		for i := range lines {
			p.positions[i].help = lines[i]
		}
		return nil
	}
	way := ""
	for i := range p.positions {
		at := &p.positions[i]
		if at.kind != Keyword {
			at.help = g[":"+at.name]
			continue
		}
		way = strings.TrimSpace(way + " " + at.text)
		switch {
		case i == p.keywords-1 && c.Help != "":
			at.help = c.Help
		case g[way] != "":
			at.help = g[way]
		default:
			at.help = g[at.text]
		}
	}
	return nil
}
