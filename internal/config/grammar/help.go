package grammar

import (
	"slices"
	"strings"
)

func addChoice(out []Choice, p *position) []Choice {
	i := slices.IndexFunc(out, func(c Choice) bool { return c.Text == p.text })
	if i < 0 {
		return append(out, Choice{p.text, p.help, p.kind})
	}
	if out[i].Help == "" {
		out[i].Help = p.help
	}
	return out
}

// Help is what `?` shows behind line: the words that begin with the last one if the line ends within it, otherwise
// everything that may follow, `<cr>` included. The error is an *Error for a line that is wrong already.
func (t *Table) Help(mode, line string, privilege int) ([]Choice, *Error) {
	choices, _, err := t.after(mode, line, privilege)
	slices.SortStableFunc(choices, func(a, b Choice) int {
		if (a.Text == End) != (b.Text == End) {
			if a.Text == End {
				return 1
			}
			return -1
		}
		return strings.Compare(strings.ToLower(a.Text), strings.ToLower(b.Text))
	})
	return choices, err
}

// after lists what may stand behind line, and the begun word that it must fit.
func (t *Table) after(mode, line string, privilege int) ([]Choice, string, *Error) {
	within := ""
	if n := len(line); n > 0 && !blank(line[n-1]) {
		within = line[strings.LastIndexAny(line, " \t\r")+1:]
	}
	done := strings.TrimSuffix(line, within)
	m := t.begin(mode, done, privilege)
	for len(m.todo) > 0 {
		if err := m.take(); err != nil {
			return nil, within, err
		}
	}
	var out []Choice
	if m.fresh && m.negatable && m.negate == "" {
		out = append(out, Choice{Text: "no", Help: "Negate a command or set its defaults"}, Choice{Text: "default", Help: "Set a command to its defaults"})
	}
	options := m.options()
	for _, o := range options {
		out = addChoice(out, o.position())
	}
	if within == "" {
		if slices.ContainsFunc(m.states, state.ends) {
			out = append(out, Choice{Text: End})
		}
		return out, "", nil
	}
	out = slices.DeleteFunc(out, func(c Choice) bool { return !fits(c, within, options) })
	if len(out) == 0 {
		off := len(done)
		return nil, within, m.fail(Invalid, token{text: within, off: off}, options)
	}
	return out, within, nil
}

// fits: a keyword that begins so, or a variable that takes it.
func fits(c Choice, within string, options []option) bool {
	if c.Kind == Keyword {
		if hasPrefixFold(c.Text, within) {
			return true
		}
	}
	for _, o := range options {
		if o.position().text == c.Text {
			o.try(token{text: within}, within)
			if o.rank != refused {
				return true
			}
		}
	}
	return false
}

// Complete is Tab: the line with its last word finished as far as it is certain, and the keywords that it could be.
func (t *Table) Complete(mode, line string, privilege int) (string, []string) {
	choices, within, err := t.after(mode, line, privilege)
	if err != nil {
		return line, nil
	}
	var words []string
	for _, c := range choices {
		if c.Kind == Keyword && c.Text != End {
			words = append(words, c.Text)
		}
	}
	slices.Sort(words)
	if within == "" || len(words) == 0 {
		return line, words
	}
	common := words[0]
	for _, w := range words[1:] {
		for !hasPrefixFold(w, common) {
			common = common[:len(common)-1]
		}
	}
	if len(common) < len(within) {
		return line, words
	}
	line = strings.TrimSuffix(line, within) + common
	if len(words) == 1 {
		line += " "
	}
	return line, words
}
