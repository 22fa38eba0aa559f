package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/config/grammar"
)

const sample = `interface Tunnel0
 ip address 172.16.0.1 255.255.255.252
  deeper still
 tunnel source wan0
interface wan0
 description to the world

ip route 0.0.0.0 0.0.0.0 192.0.2.254
`

// lab makes a session with a few commands; each writes its own name, or sample for running-config.
func lab(t testing.TB, privilege int) *Session {
	t.Helper()
	say := func(text string) func(context.Context, *Call) error {
		return func(_ context.Context, c *Call) error {
			if c.JSON {
				return c.WriteJSON(map[string]string{"said": text})
			}
			_, err := io.WriteString(c.Out, text)
			return err
		}
	}
	echo := func(_ context.Context, c *Call) error {
		_, err := fmt.Fprintln(c.Out, c.Match.Canonical(nil))
		return err
	}
	table, err := New(grammar.Glossary{"show": "Show running system information", "crypto": "Encryption module", "peer": "Of one peer", ":address": "IP address", "ikev2": "IKEv2"}, []Command{
		{Pattern: "show version", Help: "System hardware and software status", Run: say("Lockstep\n")},
		{Pattern: "show running-config", Help: "Current operating configuration", Privilege: 15, Run: say(sample)},
		{Pattern: "show crypto ikev2 sa [detailed]", Help: "Shows ikev2 SAs", Run: echo},
		{Pattern: "show crypto ipsec sa [peer A.B.C.D|detail]", Help: "IPSEC SA table", Run: echo},
		{Pattern: "show interfaces Tunnel<0-99>:unit", Help: "Tunnel interface", Run: echo},
		{Pattern: "clear crypto sa [peer A.B.C.D]", Help: "Clear all crypto SAs", Privilege: 15, Run: echo},
		{Pattern: "debug crypto {ikev2|ipsec|recovery} [peer A.B.C.D]", Help: "Encryption module", Privilege: 15, Run: echo},
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(table, privilege)
}

func run(s *Session, line string) (string, error) {
	var b bytes.Buffer
	err := s.Execute(context.Background(), line, &b)
	return b.String(), err
}

func TestAbbreviatedCommandsRun(t *testing.T) {
	s := lab(t, 15)
	for line, want := range map[string]string{
		"sh ver":                              "Lockstep\n",
		"  SHOW   Version ":                   "Lockstep\n",
		"sh cr ipse sa pe 192.0.2.2":          "show crypto ipsec sa peer 192.0.2.2\n",
		"show crypto ikev2 sa det":            "show crypto ikev2 sa detailed\n",
		"sh int tu7":                          "show interfaces Tunnel7\n",
		"sh int Tunnel 7":                     "show interfaces Tunnel7\n",
		"deb cr re":                           "debug crypto recovery\n",
		"show crypto ikev2 sa | include IKEV": "",
		"":                                    "",
		"! show version":                      "",
	} {
		if got, err := run(s, line); err != nil || got != want {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

func TestErrorsAreThoseOfIOS(t *testing.T) {
	const invalid = "^\n% Invalid input detected at '^' marker."
	for line, want := range map[string]string{
		"foo":                             invalid,
		"show foo":                        "     " + invalid,
		"show verzion":                    "        " + invalid, // the first letter that no word has
		"show version now":                "             " + invalid,
		"show crypto ipsec sa peer 1.2.3": strings.Repeat(" ", 26) + invalid,
		"show interfaces tunnel 100":      strings.Repeat(" ", 23) + invalid,
		"show interfaces tunnel100":       strings.Repeat(" ", 22) + invalid,
		"show":                            "% Incomplete command.",
		"show crypto ipsec sa peer":       "% Incomplete command.",
		"sh cr i sa":                      `% Ambiguous command:  "sh cr i sa"`,
		"d":                               `% Ambiguous command:  "d"`,
		"show version | ":                 "% Incomplete command.",
		"show version | include":          "% Incomplete command.",
		"show version | foo bar":          strings.Repeat(" ", 15) + invalid,
		"show version | (":                strings.Repeat(" ", 15) + invalid,
		"show version | include (":        "% Invalid regular expression: error parsing regexp: missing closing ): `(`",
		"show version | redirect /tmp/x":  "% Files cannot be written from here: redirect the output of `lockstep exec` instead",
		"show version\x07":                "% Invalid input: control characters",
		"show version | include " + big(): "% The pattern has 600 octets: at most 512 are read",
	} {
		out, err := run(lab(t, 15), line)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != want || out != "" {
			t.Errorf("%q:\n%v\nwant:\n%s", line, err, want)
		}
	}
}

func big() string { return strings.Repeat("x", 600) }

func TestCaretStandsBehindThePromptOfATerminal(t *testing.T) {
	s := lab(t, 15)
	s.Echo, s.Hostname = true, func() string { return "gw" }
	if _, err := run(s, "show foo"); err == nil || !strings.HasPrefix(err.Error(), "        ^\n") { // gw#show foo
		t.Errorf("%v", err)
	}
}

func TestFiltersPassWhatTheyPromise(t *testing.T) {
	for filter, want := range map[string]string{
		"include tunnel|wan": " tunnel source wan0\ninterface wan0\n",
		"exclude ip":         "interface Tunnel0\n  deeper still\n tunnel source wan0\ninterface wan0\n\n",
		"begin ^interface w": "interface wan0\n description to the world\n\nip route 0.0.0.0 0.0.0.0 192.0.2.254\n",
		"section Tunnel":     "interface Tunnel0\n ip address 172.16.0.1 255.255.255.252\n  deeper still\n tunnel source wan0\n",
		"section ip address": " ip address 172.16.0.1 255.255.255.252\n  deeper still\n",
		"count interface":    "Number of lines which match regexp = 2\n",
		"count nothing":      "Number of lines which match regexp = 0\n",
		"inc ip route":       "ip route 0.0.0.0 0.0.0.0 192.0.2.254\n",
		"json":               "{\n  \"said\": " + fmt.Sprintf("%q", sample) + "\n}\n",
	} {
		if got, err := run(lab(t, 15), "show running-config | "+filter); err != nil || got != want {
			t.Errorf("%s: %v\n%s", filter, err, cmp.Diff(want, got))
		}
	}
}

func TestFilterJudgesALineThatCameInPieces(t *testing.T) {
	var b bytes.Buffer
	f, err := pattern("include", "needle", &b)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"a need", "le\nhay", "\n", "needle without end"} {
		if n, err := io.WriteString(f.out, piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := f.close(); err != nil || b.String() != "a needle\nneedle without end\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

type file struct {
	bytes.Buffer
	closed bool
}

func (f *file) Close() error { f.closed = true; return nil }

func TestRedirectAndAppendOpenAFileForPrivilegedSessionsOnly(t *testing.T) {
	s := lab(t, 15)
	var f file
	var opened string
	s.Create = func(name string, appended bool) (io.WriteCloser, error) {
		opened = fmt.Sprint(name, appended)
		return &f, nil
	}
	if out, err := run(s, "show version | append notes.txt"); err != nil || out != "" || opened != "notes.txttrue" || f.String() != "Lockstep\n" || !f.closed {
		t.Errorf("%q %v %q %q", out, err, opened, f.String())
	}
	if _, err := run(s, "disable"); err != nil {
		t.Fatal(err)
	}
	opened = ""
	if _, err := run(s, "show version | redirect x"); err == nil || opened != "" {
		t.Errorf("an unprivileged session opened %q", opened)
	}
	s = lab(t, 15)
	s.Create = func(string, bool) (io.WriteCloser, error) { return nil, errors.New("disk full") }
	if _, err := run(s, "show version | redirect x"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v", err)
	}
}

func TestPrivilegeHidesCommands(t *testing.T) {
	s := lab(t, UserExec)
	if _, err := run(s, "show running-config"); err == nil {
		t.Error("an unprivileged session saw the configuration")
	}
	if strings.Contains(s.Help("show "), "running-config") || strings.Contains(s.Help(""), "debug") {
		t.Error("? shows commands of privilege 15")
	}
	if _, err := run(s, "enable"); err == nil || s.Privilege() != UserExec || s.Prompt() != "lockstep>" {
		t.Errorf("enable beyond what the session may: %v", err)
	}
	s = lab(t, PrivilegedExec)
	if s.Prompt() != "lockstep#" {
		t.Errorf("prompt %q", s.Prompt())
	}
	run(s, "disable")
	if _, err := run(s, "clear crypto sa"); err == nil || s.Prompt() != "lockstep>" {
		t.Errorf("disable kept the privilege: %v", err)
	}
	run(s, "enable")
	if out, err := run(s, "clear crypto sa"); err != nil || out != "clear crypto sa\n" {
		t.Errorf("enable did not bring it back: %q, %v", out, err)
	}
	if _, err := run(s, "exit"); !errors.Is(err, ErrLeave) {
		t.Errorf("exit: %v", err)
	}
}

func TestQuestionMarkShowsWhatMayFollow(t *testing.T) {
	s := lab(t, 15)
	for line, want := range map[string]string{
		"show ": "  crypto          Encryption module\n" +
			"  interfaces\n" +
			"  running-config  Current operating configuration\n" +
			"  version         System hardware and software status\n",
		"sh":   "show\n",
		"d":    "debug  disable\n",
		"sh v": "version\n",
		"show crypto ipsec sa ": "  detail\n" +
			"  peer    Of one peer\n" +
			"  |       Output modifiers\n" +
			"  <cr>\n",
		"show crypto ipsec sa peer ": "  A.B.C.D  IP address\n",
		"show crypto i":              "ikev2  ipsec\n",
		"show foo ":                  "% Unrecognized command\n",
		"show foo":                   "% Unrecognized command\n",
		"show crypto i sa ":          "% Ambiguous command:  \"show crypto i sa\"\n",
		"show version | in":          "  include  Include lines that match\n",
	} {
		if d := cmp.Diff(want, s.Help(line)); d != "" {
			t.Errorf("%q?\n%s", line, d)
		}
	}
}

func TestTabFinishesWhatIsCertain(t *testing.T) {
	s := lab(t, 15)
	for line, want := range map[string]string{
		"sh": "show ", "show cr": "show crypto ", "show crypto i": "show crypto i", "show crypto ip": "show crypto ipsec ",
		"d": "d", "foo": "foo", "show crypto ipsec sa peer 1": "show crypto ipsec sa peer 1", "show version | inc": "show version | include ",
	} {
		if got, _ := s.Complete(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
	if _, words := s.Complete("show crypto i"); !cmp.Equal(words, []string{"ikev2", "ipsec"}) {
		t.Errorf("choices %v", words)
	}
}

func TestTablesWithMistakesAreRefused(t *testing.T) {
	nop := func(context.Context, *Call) error { return nil }
	for _, c := range []Command{{Pattern: "show [", Run: nop}, {Pattern: "show", Help: "a\nb\nc", Run: nop}, {Pattern: "show <9-1>", Run: nop}, {Pattern: "show"}, {Pattern: "[show]", Run: nop}} {
		if _, err := New(nil, []Command{c}); err == nil {
			t.Errorf("%q was taken", c.Pattern)
		}
	}
}
