package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// cited is a reference to docs/protocol.md with all that it names: "protocol.md §1.2 K7", "protocol.md §1.0, §1.3".
	cited   = regexp.MustCompile(`protocol\.md((?:(?:,| and)? (?:§\d+(?:\.\d+)*|[DMKT]\d{1,2}\b|rule \d+|trap \d+))+)`)
	section = regexp.MustCompile(`§(\d+(?:\.\d+)*)`)
	code    = regexp.MustCompile(`\b[DMK]\d{1,2}\b`)
	rule    = regexp.MustCompile(`(rule|trap) (\d+)`)
	page    = regexp.MustCompile(`\b[A-Za-z][A-Za-z-]*\.md\b`)
)

// document is what of docs/protocol.md can be cited.
type document struct {
	sections map[string]bool // "2.6"
	codes    map[string]bool // "D05", "M1", "K7": first cells of table rows
	rules    map[string]bool // "rule 6" of §2.8, "trap 1" of §9
}

func protocol(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := document{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	heading := regexp.MustCompile(`^#{2,3} (\d+(?:\.\d+)*) `)
	row := regexp.MustCompile(`^\| \**([DMK]?\d{1,2})\b`)
	item := regexp.MustCompile(`^(\d+)\. `)
	at := ""
	for _, line := range strings.Split(string(text), "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			at = m[1]
			d.sections[at] = true
		}
		if m := row.FindStringSubmatch(line); m != nil {
			d.codes[m[1]] = true
			if at == "9" {
				d.rules["trap "+m[1]] = true
			}
		}
		if m := item.FindStringSubmatch(line); m != nil && at == "2.8" {
			d.rules["rule "+m[1]] = true
		}
	}
	return d
}

// lacks lists what a comment cites and the page does not have, and how much of it was cited.
func (d document) lacks(comment string) (missing []string, citations int) {
	for _, c := range cited.FindAllStringSubmatch(comment, -1) {
		citations++
		for _, s := range section.FindAllStringSubmatch(c[1], -1) {
			if !d.sections[s[1]] {
				missing = append(missing, "§"+s[1])
			}
		}
		for _, k := range code.FindAllString(c[1], -1) {
			if !d.codes[k] {
				missing = append(missing, k)
			}
		}
		for _, r := range rule.FindAllString(c[1], -1) {
			if !d.rules[r] {
				missing = append(missing, r)
			}
		}
	}
	return missing, citations
}

func TestWhatTheCodeCitesOfTheProtocolStandsThere(t *testing.T) {
	d := protocol(t)
	citations := 0
	for _, f := range append(sources(t, false), sources(t, true)...) {
		for _, c := range f.ast.Comments {
			missing, n := d.lacks(strings.Join(strings.Fields(c.Text()), " "))
			citations += n
			if len(missing) > 0 {
				t.Errorf("%s cites %s, which docs/protocol.md does not have", f.fset.Position(c.Pos()), strings.Join(missing, ", "))
			}
		}
	}
	if citations < 80 {
		t.Errorf("only %d citations were found: the test does not read them", citations)
	}
}

// A cause that an operator may be shown, or a comment may name, is explained on the page.
func TestEveryCauseIsExplained(t *testing.T) {
	d := protocol(t)
	cause := regexp.MustCompile(`\bD\d{2}\b`)
	seen := map[string]bool{}
	for _, f := range sources(t, false) {
		text, err := os.ReadFile(filepath.Join(root(t), f.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cause.FindAllString(string(text), -1) {
			seen[c] = true
			if !d.codes[c] {
				t.Errorf("%s names %s, which docs/protocol.md does not explain", f.path, c)
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d causes were found: the test does not read them", len(seen))
	}
}

// Whoever has the code has the pages that it cites.
func TestCitedPagesAreInTheTree(t *testing.T) {
	top := root(t)
	for _, f := range append(sources(t, false), sources(t, true)...) {
		if within(f.pkg, "internal/testing/archtest") {
			continue
		}
		for _, c := range f.ast.Comments {
			for _, name := range page.FindAllString(c.Text(), -1) {
				_, atTop := os.Stat(filepath.Join(top, name))
				_, inDocs := os.Stat(filepath.Join(top, "docs", name))
				if atTop != nil && inDocs != nil {
					t.Errorf("%s cites %s, which is neither at the top nor in docs/", f.fset.Position(c.Pos()), name)
				}
			}
		}
	}
}

func TestCitationsAreReadWholeAndMissingOnesFound(t *testing.T) {
	d := document{map[string]bool{"1.0": true, "2.8": true}, map[string]bool{"K7": true}, map[string]bool{"rule 6": true}}
	for comment, want := range map[string]string{
		"(protocol.md §1.0)":             "",
		"(protocol.md §1.0, §1.3)":       "§1.3",
		"protocol.md §2.8 rule 6 and §9": "§9",
		"protocol.md §2.8 rule 16":       "rule 16",
		"protocol.md D05":                "D05",
		"K7 and K8 of protocol.md §2.8":  "",
		"protocol.md §2.8 K7 and K8":     "K8",
		"RFC 7296 §2.25, protocol.md §5": "§5",
		"protocol.md §2.8, T7":           "",
	} {
		missing, n := d.lacks(comment)
		if got := strings.Join(missing, " "); got != want || n != 1 {
			t.Errorf("%q: misses %q in %d citations, want %q", comment, got, n, want)
		}
	}
}
