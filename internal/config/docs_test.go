package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/config/grammar"
)

// parts cuts a pattern into its leading keywords and all tokens that are not refused.
func parts(l *language, ln *line) (lead string, tokens []string) {
	pattern := strings.ReplaceAll(ln.pattern, severities, "SEVERITY")
	leading := true
	for _, w := range strings.FieldsFunc(regexp.MustCompile(`[\[\]{}|]|\.\.\.`).ReplaceAllString(pattern, " $0 "), func(r rune) bool { return r == ' ' }) {
		if strings.ContainsAny(w[:1], "[]{}|") || w == "..." {
			leading = false
			continue
		}
		text, name, _ := strings.Cut(w, ":")
		keyword := text == strings.ToLower(text) && !strings.Contains(text, "<")
		if leading = leading && keyword; leading {
			lead += " " + text
		}
		word := text
		if i := strings.IndexByte(text, '<'); i > 0 {
			word = text[:i]
		}
		if text == "SEVERITY" || l.live[ln.mode+" "+word] && !strings.HasPrefix(w, "X:") && ln.bad[":"+name] == "" && name != "rest" && name != "track" {
			tokens = append(tokens, text)
		}
	}
	return strings.TrimSpace(lead), tokens
}

func TestEveryLineIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	rows := strings.Split(strings.ReplaceAll(doc, `\|`, "|"), "\n")
	l := configuration()
	for _, ln := range l.all {
		lead, tokens := parts(l, ln)
		if ln.id == "exit" || ln.id == "end" || ln.effect == ignored {
			continue
		}
		if ln.effect == refused {
			if first := strings.Fields(lead); !strings.Contains(doc, "`"+lead) && !strings.Contains(doc, "`"+first[0]+"`") {
				t.Errorf("%s: the error %q is not mentioned", ln.mode, lead)
			}
			continue
		}
		has := func(row string) bool {
			if !strings.HasPrefix(row, "| `"+lead) {
				return false
			}
			return !slices.ContainsFunc(tokens, func(tok string) bool { return !strings.Contains(row, tok) })
		}
		if !slices.ContainsFunc(rows, has) {
			t.Errorf("%s: no row for %q with %q", ln.mode, lead, tokens)
		}
		for word := range ln.bad {
			if !strings.HasPrefix(word, ":") && !strings.Contains(doc, word) {
				t.Errorf("%s: %q refuses %q, which is not mentioned", ln.mode, lead, word)
			}
		}
	}
	for _, s := range severityNames {
		if !strings.Contains(doc, "`"+s+"`") {
			t.Errorf("severity %s is not mentioned", s)
		}
	}
}

func TestEveryFirstWordHasAHelpText(t *testing.T) {
	l := configuration()
	for _, ln := range l.all {
		if ln.effect != applied {
			continue
		}
		lead, _ := parts(l, ln)
		first, _, _ := strings.Cut(lead, " ")
		choices, err := l.table.Help(ln.mode, first, 15)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(choices, func(c grammar.Choice) bool { return c.Text == first && c.Help != "" }) {
			t.Errorf("%s: no help for %q", ln.mode, first)
		}
	}
}
