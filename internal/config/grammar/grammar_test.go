package grammar

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func table(t testing.TB) *Table {
	t.Helper()
	out, err := New(Glossary{"crypto": "Encryption module", "crypto isakmp": "ISAKMP", ":seconds": "Seconds"}, []Mode{
		{Name: "config", Negatable: true}, {Name: "sub", Parent: "config", Negatable: true}, {Name: "exec"},
	}, []Command{
		{Mode: "config", ID: "policy", Pattern: "crypto isakmp policy <1-10000>", No: "crypto isakmp policy [<1-10000>]", Help: "Set policy", Enter: "sub"},
		{Mode: "config", ID: "key", Pattern: "crypto isakmp key [0|6] WORD:key address A.B.C.D:peer [A.B.C.D:mask]", No: "crypto isakmp key LINE:rest"},
		{Mode: "config", ID: "map", Pattern: "crypto map WORD:name"},
		{Mode: "config", ID: "interface", Pattern: "interface Tunnel<0-99>:unit"},
		{Mode: "config", ID: "host", Pattern: "interface WORD:name"},
		{Mode: "config", ID: "ip", Pattern: "ip route A.B.C.D/M {Tunnel<0-99>:unit|A.B.C.D:via|X:X:X:X::X:via6} [<1-255>:distance]"},
		{Mode: "config", ID: "rest", Pattern: "ip [REST:rest]"},
		{Mode: "sub", ID: "lifetime", Pattern: "lifetime <60-86400>:seconds", No: "lifetime [<60-86400>:seconds]"},
		{Mode: "sub", ID: "encryption", Pattern: "encryption {aes [128|256]|des}..."},
		{Mode: "sub", ID: "dpd", Pattern: "dpd <10-3600> {on-demand|periodic}", Help: "Liveness\nSeconds\nWith traffic\nAlways"},
		{Mode: "sub", ID: "description", Pattern: "description LINE"},
		{Mode: "exec", ID: "show", Pattern: "show {version|clock [detail]}"},
		{Mode: "exec", ID: "reload", Pattern: "reload", Privilege: 15},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLinesAreUnderstood(t *testing.T) {
	for _, c := range []struct{ mode, line, id, canonical string }{
		{"config", "crypto isakmp policy 10", "policy", "crypto isakmp policy 10"},
		{"config", "cr i p 0010", "policy", "crypto isakmp policy 10"},
		{"config", "no crypto isakmp policy", "policy", "crypto isakmp policy"},
		{"config", "NO CRYPTO ISAKMP KEY anything at all", "key", "crypto isakmp key anything at all"},
		{"config", "default crypto isakmp policy 5", "policy", "crypto isakmp policy 5"},
		{"config", "crypto isakmp key 0 0 address 192.0.2.1", "key", "crypto isakmp key 0 0 address 192.0.2.1"},
		{"config", "crypto isakmp key addr address 192.0.2.1 255.255.255.255", "key", "crypto isakmp key addr address 192.0.2.1 255.255.255.255"},
		{"config", "interface Tunnel7", "interface", "interface Tunnel7"},
		{"config", "interface tunnel 7", "interface", "interface Tunnel7"},
		{"config", "int Tu7", "interface", "interface Tunnel7"},
		{"config", "int tu7", "host", "interface tu7"},
		{"config", "int tun", "host", "interface tun"},
		{"config", "ip route 10.0.0.0/8 Tu7 5", "ip", "ip route 10.0.0.0/8 Tunnel7 5"},
		{"config", "ip route 10.0.0.0/8 2001:db8::1", "ip", "ip route 10.0.0.0/8 2001:db8::1"},
		{"config", "ip r 10.0.0.0/8 192.0.2.1", "ip", "ip route 10.0.0.0/8 192.0.2.1"},
		{"config", "ip nonsense  here ", "rest", "ip nonsense  here"},
		{"config", "ip", "rest", "ip"},
		{"sub", "encryption aes aes 256 des aes 128", "encryption", "encryption aes aes 256 des aes 128"},
		{"sub", "description  some   text\t", "description", "description some   text"},
		{"sub", "dpd 10 p", "dpd", "dpd 10 periodic"},
		{"exec", "sh cl d", "show", "show clock detail"},
	} {
		m, err := table(t).Match(c.mode, c.line, 1)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if m.Command.ID != c.id || m.Canonical(nil) != c.canonical {
			t.Errorf("%q is %s %q, want %s %q", c.line, m.Command.ID, m.Canonical(nil), c.id, c.canonical)
		}
	}
}

func TestVariablesCarryValueAndColumn(t *testing.T) {
	m, err := table(t).Match("config", "  crypto isakmp  key 6 größe address 192.0.2.1 255.255.255.0", 1)
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := m.Var("peer")
	mask, _ := m.Var("mask")
	if m.Text("key") != "größe" || !m.Has("6") || m.Has("0") || peer.Addr.String() != "192.0.2.1" || peer.Col != 38 || mask.Col != 48 || m.Negated {
		t.Errorf("%+v", m)
	}
	m, err = table(t).Match("config", "no ip", 1)
	if err == nil {
		t.Errorf("a line without a no form: %+v", m)
	}
	m, _ = table(t).Match("config", "ip route 10.0.0.0/8 Tunnel7 9", 1)
	if m.Int("unit") != 7 || m.Int("distance") != 9 || len(m.All("unit")) != 1 || m.Words[4].Col != 27 {
		t.Errorf("%+v", m.Words)
	}
}

func TestErrorsHaveTheColumnOfTheMistake(t *testing.T) {
	for _, c := range []struct {
		mode, line string
		problem    Problem
		col, mark  int
		expected   string
	}{
		{"config", "crypto isakmp policy 10001", Invalid, 22, 22, "<1-10000>"},
		{"config", "crypto isakmp policy 10 20", Invalid, 25, 25, "the end of the line"},
		{"config", "crypto isakmpp policy 10", Invalid, 8, 14, "isakmp or map"},
		{"config", "crypto isakmp policy", Incomplete, 21, 21, "<1-10000>"},
		{"config", "crypto isakmp policy  ", Incomplete, 21, 21, "<1-10000>"},
		{"config", "crypto isakmp key k address 192.0.2", Invalid, 29, 29, "A.B.C.D"},
		{"config", "i", Ambiguous, 1, 2, "interface or ip"},
		{"config", "ip route 10.0.0.0", Invalid, 10, 10, "A.B.C.D/M"},
		{"config", "interface", Incomplete, 10, 10, "Tunnel or WORD"},
		{"config", "interface Tunnel100", Invalid, 17, 17, "<0-99>"},
		{"config", "no map", Invalid, 4, 4, "crypto"},
		{"sub", "dpd 10 x", Invalid, 8, 8, "on-demand or periodic"},
		{"sub", "encryption aes 129", Invalid, 16, 18, "128, 256, aes, des or the end of the line"},
		{"exec", "reload", Invalid, 1, 1, "show"},
		{"exec", "", Incomplete, 1, 1, "show"},
		{"nowhere", "show", Invalid, 1, 1, ""},
	} {
		m, err := table(t).Match(c.mode, c.line, 1)
		if err == nil {
			t.Errorf("%q is %+v", c.line, m)
			continue
		}
		if err.Problem != c.problem || err.Col != c.col || err.Problem == Invalid && err.Mark != c.mark || err.Expectation() != c.expected {
			t.Errorf("%q: problem %d at %d, mark %d, expected %s", c.line, err.Problem, err.Col, err.Mark, err.Expectation())
		}
	}
}

func TestHelpAndCompletionComeFromThePattern(t *testing.T) {
	tb := table(t)
	choices, err := tb.Help("sub", "dpd 10 ", 1)
	if err != nil || !cmp.Equal(choices, []Choice{{"on-demand", "With traffic", Keyword}, {"periodic", "Always", Keyword}}) {
		t.Errorf("%v %v", choices, err)
	}
	choices, _ = tb.Help("config", "crypto isakmp ", 1)
	if !cmp.Equal(choices, []Choice{{Text: "key"}, {Text: "policy", Help: "Set policy"}}) {
		t.Errorf("%v", choices)
	}
	choices, _ = tb.Help("sub", "lifetime ", 1)
	if !cmp.Equal(choices, []Choice{{"<60-86400>", "Seconds", Number}}) {
		t.Errorf("%v", choices)
	}
	choices, _ = tb.Help("sub", "", 1)
	if len(choices) != 6 || !slices.ContainsFunc(choices, func(c Choice) bool { return c.Text == "no" }) {
		t.Errorf("%v", choices)
	}
	if line, words := tb.Complete("config", "no crypto isakmp p", 1); line != "no crypto isakmp policy " || len(words) != 1 {
		t.Errorf("%q %v", line, words)
	}
	if line, words := tb.Complete("exec", "re", 1); line != "re" || words != nil {
		t.Errorf("a hidden command: %q %v", line, words)
	}
	if tb.Parent("sub") != "config" || tb.Parent("config") != "" {
		t.Error("parents")
	}
}

func TestTypingMistakesHaveASuggestion(t *testing.T) {
	words := []string{"aes-gcm-256", "aes-gcm-128", "crypto", "ip", "interface"}
	for word, want := range map[string]string{
		"aes-gcm-265": "aes-gcm-256", "aes-gcm-125": "aes-gcm-128", "cypto": "crypto", "crytpo": "crypto", "intreface": "interface",
		"CRIPTO": "crypto", "pi": "ip", "x": "", "completely": "", "": "", strings.Repeat("x", 100): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestMistakesInPatternsAreReported(t *testing.T) {
	for _, p := range []string{"", "[a]", "a [", "a ]", "a {b", "a {}", "a | ", "a <5-1>", "a <x-y>", "a <1>"} {
		if _, err := New(nil, []Mode{{Name: "m"}}, []Command{{Mode: "m", Pattern: p}}); err == nil {
			t.Errorf("%q was taken", p)
		}
	}
	for _, c := range []Command{{Mode: "x", Pattern: "a"}, {Mode: "m", Pattern: "a", Enter: "x"}, {Mode: "m", Pattern: "a", No: "["}, {Mode: "m", Pattern: "a", Help: "x\ny"}} {
		if _, err := New(nil, []Mode{{Name: "m"}}, []Command{c}); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if _, err := New(nil, []Mode{{Name: "m", Parent: "x"}}, nil); err == nil {
		t.Error("an unknown parent was taken")
	}
}

// FuzzMatch: nothing panics, columns lie in the line, and what is understood is understood again as it is written.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"crypto isakmp policy 10", "no ip", "int Tu7", "ip route 10.0.0.0/8 Tunnel 7", "encryption aes 128", "description \xff x", "default", "no no"} {
		f.Add(s)
	}
	tb := table(f)
	f.Fuzz(func(t *testing.T, line string) {
		for _, mode := range []string{"config", "sub", "exec"} {
			tb.Help(mode, line, 1)
			tb.Complete(mode, line, 1)
			m, err := tb.Match(mode, line, 1)
			if err != nil {
				if n := len([]rune(line)); err.Col < 1 || err.Col > n+1 || err.Mark < err.Col || err.Mark > n+1 || err.Error() == "" {
					t.Fatalf("%q: %+v", line, err)
				}
				continue
			}
			text := m.Canonical(nil)
			if m.Negated {
				text = "no " + text
			}
			if m.Default {
				text = "default " + text
			}
			again, err := tb.Match(mode, text, 1)
			if err != nil || again.Command != m.Command || again.Canonical(nil) != m.Canonical(nil) {
				t.Fatalf("%q becomes %q, which is %v, %v", line, text, again, err)
			}
		}
	})
}
