package exec

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"lockstep/internal/operator/cli"
)

// samples are values for the variables of patterns, as `?` spells them.
var samples = map[string]string{"A.B.C.D": "192.0.2.2", "WORD": "0xB761863E", "<0-99999999>": "0", "<1-4294967295>": "13"}

// choice is a line of `?`.
var choice = regexp.MustCompile(`^  (\S+) *(.*)$`)

// lines walks through `?` to every line that could be typed, as an operator who knows nothing would.
func lines(t *testing.T, s *cli.Session, typed string) []string {
	t.Helper()
	var out []string
	for _, row := range strings.Split(strings.TrimSuffix(s.Help(typed), "\n"), "\n") {
		m := choice.FindStringSubmatch(row)
		if m == nil {
			t.Fatalf("%q? gives %q", typed, row)
		}
		switch word, help := m[1], m[2]; {
		case word == "<cr>":
			out = append(out, strings.TrimSpace(typed))
		case word == "|":
		default:
			if help == "" {
				t.Errorf("%q? has no help for %s", typed, word)
			}
			if value, variable := samples[word]; variable {
				word = value
			} else if strings.ToUpper(word) == word {
				t.Fatalf("%q? has the variable %s: give it a sample", typed, word)
			}
			out = append(out, lines(t, s, typed+word+" ")...)
		}
	}
	return out
}

func TestEveryTokenHasHelpAndEveryLineRuns(t *testing.T) {
	l := newLab(t)
	all := lines(t, l.session(cli.PrivilegedExec), "")
	if len(all) < 50 {
		t.Fatalf("only %d lines were found: %q", len(all), all)
	}
	for _, line := range all {
		out, err := l.run(line)
		switch first, _, _ := strings.Cut(line, " "); {
		case first == "exit" || first == "logout" || first == "quit":
		case err != nil:
			t.Errorf("%s: %v", line, err)
		case first == "clear" && out != "":
			t.Errorf("%s says %q: IOS is silent about success", line, out)
		}
	}
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// keys checks the names of all members, and counts them.
func keys(t *testing.T, line string, v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if !snake.MatchString(key) {
				t.Errorf("%s: key %q", line, key)
			}
			n += 1 + keys(t, line, member)
		}
	case []any:
		for _, member := range v {
			n += keys(t, line, member)
		}
	case string:
		if strings.HasPrefix(v, "0001-01-01") {
			t.Errorf("%s: a time that never was", line)
		}
	}
	return n
}

func TestEveryShowCommandSpeaksJSON(t *testing.T) {
	l := newLab(t)
	for _, line := range lines(t, l.session(cli.PrivilegedExec), "show ") {
		var v any
		if err := json.Unmarshal([]byte(l.must(line+" | json")), &v); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if keys(t, line, v) == 0 {
			t.Errorf("%s | json has no facts", line)
		}
	}
}

func TestNoOutputHoldsAKey(t *testing.T) {
	l := newLab(t)
	for _, privilege := range []int{cli.UserExec, cli.PrivilegedExec} {
		for _, line := range lines(t, l.session(privilege), "") {
			for _, tail := range []string{"", " | json"} {
				if privilege == cli.PrivilegedExec && line+tail == "show running-config" {
					continue
				}
				var out strings.Builder
				err := l.session(privilege).Execute(t.Context(), line+tail, &out)
				if err != nil {
					out.WriteString(err.Error())
				}
				for _, leak := range []string{psk, hexPSK, strings.ToUpper(hexPSK), string(secret), "S0VZTUFU", "4b45594d4154"} {
					if strings.Contains(out.String(), leak) {
						t.Errorf("privilege %d, %s%s: %q is in the output", privilege, line, tail, leak)
					}
				}
			}
		}
	}
	if got := l.must("show running-config"); !strings.Contains(got, psk) || !strings.Contains(got, hexPSK) {
		t.Errorf("privilege 15 does not see the keys:\n%s", got)
	}
	var out strings.Builder
	if err := l.session(cli.UserExec).Execute(t.Context(), "show running-config", &out); err != nil || !strings.Contains(out.String(), "<redacted>") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
