package cli

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"lockstep/internal/config/grammar"
)

// cut splits a line at the first ` | `, as IOS does: everything behind it is one filter, whose pattern may hold more
// bars. at is where the bar stands, -1 if there is none.
func cut(line string) (command, filter string, at int) {
	at = strings.Index(line, " |")
	if at < 0 {
		return line, "", -1
	}
	return line[:at], line[at+2:], at + 1
}

func filterChoices(begin string) []grammar.Choice {
	all := []grammar.Choice{
		{Text: "append", Help: "Append redirected output to a file"},
		{Text: "begin", Help: "Begin with the line that matches"},
		{Text: "count", Help: "Count number of lines which match regexp"},
		{Text: "exclude", Help: "Exclude lines that match"},
		{Text: "include", Help: "Include lines that match"},
		{Text: "json", Help: "The same facts as data"},
		{Text: "redirect", Help: "Redirect output to a file"},
		{Text: "section", Help: "Filter a section of output"},
	}
	word, _, more := strings.Cut(begin, " ")
	var out []grammar.Choice
	for _, c := range all {
		if strings.HasPrefix(c.Text, strings.ToLower(word)) && (!more || word == c.Text) {
			out = append(out, c)
		}
	}
	return out
}

// modifier is a filter in force.
type modifier struct {
	json bool
	out  io.Writer // nil: the session's own
	// close writes what is left.
	close func() error
}

// filter reads what stands behind the bar at octet at of line.
func (s *Session) filter(line, text string, at int, out io.Writer) (*modifier, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	fit := filterChoices(word)
	col := func(what string) int {
		return utf8.RuneCountInString(line[:at+1+strings.Index(line[at+1:], what)]) + 1
	}
	switch {
	case word == "":
		return nil, &SyntaxError{text: "% Incomplete command."}
	case len(fit) == 0:
		return nil, &SyntaxError{text: s.caret(col(word))}
	case len(fit) > 1:
		return nil, &SyntaxError{text: ambiguous(line)}
	}
	switch name := fit[0].Text; {
	case name == "json" && rest != "":
		return nil, &SyntaxError{text: s.caret(col(word) + len(word) + 1)}
	case name == "json":
		return &modifier{json: true}, nil
	case rest == "":
		return nil, &SyntaxError{text: "% Incomplete command."}
	case name == "redirect" || name == "append":
		return s.file(rest, name == "append")
	default:
		return pattern(name, rest, out)
	}
}

// file sends the output to a file of the gateway, which only a privileged session may write.
func (s *Session) file(name string, appended bool) (*modifier, error) {
	if s.Create == nil || s.privilege < PrivilegedExec {
		return nil, &SyntaxError{text: "% Files cannot be written from here: redirect the output of `lockstep exec` instead"}
	}
	f, err := s.Create(name, appended)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return &modifier{out: f, close: f.Close}, nil
}

// maxPattern bounds a regular expression: RE2 takes time in proportion to it.
const maxPattern = 512

func pattern(name, text string, out io.Writer) (*modifier, error) {
	if len(text) > maxPattern {
		return nil, &SyntaxError{text: fmt.Sprintf("%% The pattern has %d octets: at most %d are read", len(text), maxPattern)}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, &SyntaxError{text: fmt.Sprintf("%% Invalid regular expression: %v", err)}
	}
	l := &lines{out: out}
	count := 0
	switch name {
	case "include":
		l.keep = re.Match
	case "exclude":
		l.keep = func(b []byte) bool { return !re.Match(b) }
	case "begin":
		begun := false
		l.keep = func(b []byte) bool { begun = begun || re.Match(b); return begun }
	case "section":
		l.keep = section(re)
	case "count":
		l.keep = func(b []byte) bool {
			if re.Match(b) {
				count++
			}
			return false
		}
	}
	finish := func() error {
		var err error
		if len(l.rest) > 0 {
			err = l.flush()
		}
		if name == "count" && err == nil {
			_, err = fmt.Fprintf(out, "Number of lines which match regexp = %d\n", count)
		}
		return err
	}
	return &modifier{out: l, close: finish}, nil
}

// section keeps a line that matches and those below it that are indented deeper.
func section(re *regexp.Regexp) func([]byte) bool {
	depth := -1
	return func(b []byte) bool {
		indent := len(b) - len(bytes.TrimLeft(b, " \t"))
		if depth >= 0 && indent > depth {
			return true
		}
		depth = -1
		if !re.Match(b) {
			return false
		}
		depth = indent
		return true
	}
}

// maxLine bounds what is held back for the end of a line.
const maxLine = 1 << 20

// lines passes on the lines that keep wants. The last one needs no newline.
type lines struct {
	out  io.Writer
	keep func(line []byte) bool
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.rest = append(l.rest, b...)
			if len(l.rest) > maxLine {
				return n, l.flush()
			}
			return n, nil
		}
		l.rest = append(l.rest, b[:i]...)
		b = b[i+1:]
		if err := l.flush(); err != nil {
			return 0, err
		}
		l.rest = l.rest[:0]
	}
}

// flush judges what is held back as one line.
func (l *lines) flush() error {
	defer func() { l.rest = l.rest[:0] }()
	if !l.keep(l.rest) {
		return nil
	}
	_, err := l.out.Write(append(l.rest, '\n'))
	return err
}
