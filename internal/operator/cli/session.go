package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"lockstep/internal/config/grammar"
)

// Session is one operator's state. It belongs to one goroutine.
type Session struct {
	table *Table
	// Hostname gives the name in the prompt; nil: "lockstep".
	Hostname func() string
	// Create opens the file of `| redirect` (truncated) and `| append`; nil: both are refused.
	Create func(name string, appended bool) (io.WriteCloser, error)
	// Echo: a terminal shows what the operator typed behind the prompt, so that a caret must stand behind it too.
	Echo bool

	privilege, most int
}

// NewSession begins at that privilege level, which `enable` cannot exceed.
func NewSession(t *Table, privilege int) *Session {
	return &Session{table: t, privilege: privilege, most: privilege}
}

// Privilege is the level now.
func (s *Session) Privilege() int { return s.privilege }

func (s *Session) setPrivilege(n int) error {
	if n > s.most {
		return errors.New("% Access denied")
	}
	s.privilege = n
	return nil
}

// Prompt is "name#" for privileged sessions, "name>" for others.
func (s *Session) Prompt() string {
	name := "lockstep"
	if s.Hostname != nil {
		name = s.Hostname()
	}
	if s.privilege >= PrivilegedExec {
		return name + "#"
	}
	return name + ">"
}

// SyntaxError is a line that is no command. Its text is what IOS prints, caret included, without a last newline.
type SyntaxError struct {
	Cause *grammar.Error // nil for a mistake in a filter
	text  string
}

func (e *SyntaxError) Error() string { return e.text }

// Execute carries out one line. A *SyntaxError says that nothing was run; ErrLeave that the session is over; any other
// error is the command's own. An empty line and a comment do nothing.
func (s *Session) Execute(ctx context.Context, line string, out io.Writer) error {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '!' {
		return nil
	}
	for _, r := range line {
		if r < ' ' && r != '\t' {
			return &SyntaxError{text: "% Invalid input: control characters"}
		}
	}
	command, filter, at := cut(line)
	m, err := s.table.grammar.Match(mode, command, s.privilege)
	if err != nil {
		return &SyntaxError{err, s.explain(command, err)}
	}
	call := &Call{Match: m, Session: s, Out: out}
	finish := func() error { return nil }
	if at >= 0 {
		f, err := s.filter(line, filter, at, out)
		if err != nil {
			return err
		}
		call.JSON = f.json
		if f.out != nil {
			call.Out, finish = f.out, f.close
		}
	}
	return errors.Join(s.table.run[m.Command].Run(ctx, call), finish())
}

// explain writes an error as IOS prints it.
func (s *Session) explain(line string, e *grammar.Error) string {
	switch e.Problem {
	case grammar.Ambiguous:
		return ambiguous(line)
	case grammar.Incomplete:
		return "% Incomplete command."
	}
	return s.caret(e.Mark)
}

func ambiguous(line string) string { return `% Ambiguous command:  "` + strings.TrimSpace(line) + `"` }

// caret points at a column, under the line as the operator sees it.
func (s *Session) caret(col int) string {
	indent := col - 1
	if s.Echo {
		indent += len([]rune(s.Prompt()))
	}
	return strings.Repeat(" ", indent) + "^\n% Invalid input detected at '^' marker."
}

// Help is the text that `?` prints behind line, newline included.
func (s *Session) Help(line string) string {
	if _, filter, at := cut(line); at >= 0 {
		return helpText(filterChoices(strings.TrimLeft(filter, " ")), false)
	}
	choices, err := s.table.grammar.Help(mode, line, s.privilege)
	if err != nil {
		if err.Problem == grammar.Ambiguous {
			return s.explain(line, err) + "\n"
		}
		return "% Unrecognized command\n"
	}
	within := line != "" && !strings.HasSuffix(line, " ")
	for _, c := range choices {
		if c.Text == grammar.End {
			choices = append(choices, grammar.Choice{Text: "|", Help: "Output modifiers"})
			break
		}
	}
	return helpText(order(choices), within)
}

// order puts `|` and `<cr>` last, as IOS does.
func order(choices []grammar.Choice) []grammar.Choice {
	var words, last []grammar.Choice
	for _, c := range choices {
		switch c.Text {
		case "|":
			last = append([]grammar.Choice{c}, last...)
		case grammar.End:
			last = append(last, c)
		default:
			words = append(words, c)
		}
	}
	return append(words, last...)
}

// helpText sets choices in two columns; the words that begin with what was typed go on one line without help.
func helpText(choices []grammar.Choice, within bool) string {
	var b strings.Builder
	if within {
		for _, c := range choices {
			b.WriteString(c.Text + "  ")
		}
		return strings.TrimRight(b.String(), " ") + "\n"
	}
	width := 0
	for _, c := range choices {
		width = max(width, len(c.Text))
	}
	for _, c := range choices {
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, c.Text, c.Help), " ") + "\n")
	}
	return b.String()
}

// Complete is Tab: the line with its last word finished as far as it is certain, and what the word could be.
func (s *Session) Complete(line string) (string, []string) {
	if command, filter, at := cut(line); at >= 0 {
		word := strings.TrimLeft(filter, " ")
		var fit []string
		for _, c := range filterChoices(word) {
			fit = append(fit, c.Text)
		}
		if len(fit) == 1 && word != "" && !strings.Contains(word, " ") {
			return command + " | " + fit[0] + " ", fit
		}
		return line, fit
	}
	return s.table.grammar.Complete(mode, line, s.privilege)
}
