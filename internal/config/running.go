package config

import (
	"slices"
	"strings"

	"lockstep/internal/config/grammar"
)

// Running writes a configuration that loads as the same one: `show running-config`. Lines without effect are left out.
// Secrets are written for reveal (privilege 15) alone; a text without them is refused by Parse, at the keys.
func Running(t *Tree, reveal bool) string {
	w := writer{reveal: reveal}
	w.section(&t.root, "")
	w.b.WriteString("!\nend\n")
	return w.b.String()
}

type writer struct {
	b      strings.Builder
	reveal bool
}

func (w *writer) section(n *Node, indent string) {
	kids := slices.Clone(n.kids)
	slices.SortStableFunc(kids, func(a, b *Node) int { return a.rule.order - b.rule.order })
	before := ""
	for _, k := range kids {
		first, _, _ := strings.Cut(k.rule.id, ".")
		if indent == "" && (k.match.Command.Enter != "" || first != before) {
			w.b.WriteString("!\n")
		}
		before = first
		w.b.WriteString(indent)
		if k.off {
			w.b.WriteString("no ")
		}
		w.b.WriteString(k.match.Canonical(func(at grammar.Taken) string { return w.text(k, at) }))
		w.b.WriteByte('\n')
		w.section(k, indent+" ")
	}
}

func (w *writer) text(n *Node, at grammar.Taken) string {
	if !w.reveal && at.Kind != grammar.Keyword && at.Name == n.rule.secret {
		return Redacted
	}
	return at.Text
}
