package archtest

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is one row of a table of docs/conformance.md.
type row struct {
	part  string // the heading above it
	line  int
	cells []string
}

func (r row) first() string { return r.cells[0] }
func (r row) last() string  { return r.cells[len(r.cells)-1] }

// rows reads all tables of a page, without their heads.
func rows(text string) (out []row) {
	part, body := "", false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			part, body = strings.TrimPrefix(line, "## "), false
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|--"):
			body = true
		case body:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			out = append(out, row{part, i + 1, cells})
		}
	}
	return out
}

// evidence is what rows may name.
type evidence struct {
	tests   map[string]bool
	stories map[string]bool
	exists  func(name string) bool // a file or folder of the tree
}

var (
	quoted     = regexp.MustCompile("`([^`]+)`")
	testName   = regexp.MustCompile(`^(Test|Fuzz)[A-Z0-9]\w*$`)
	storyName  = regexp.MustCompile(`\bstory ([a-z0-9-]+)`)
	notDone    = regexp.MustCompile(`\*\*not (built|shown)\*\*[^|]{0,40}[:(] ?\w`)
	deviations = "Deviations"
)

// faults tells what is wrong with a row.
func (e evidence) faults(r row) (out []string) {
	if slices.Contains(r.cells, "") {
		out = append(out, "has an empty cell")
	}
	folder := ""
	for _, cell := range r.cells {
		for _, q := range quoted.FindAllStringSubmatch(cell, -1) {
			name := q[1]
			if testName.MatchString(name) {
				if !e.tests[name] {
					out = append(out, "names "+name+", which is no test")
				}
				continue
			}
			if !strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "internal/") {
				continue
			}
			if !strings.Contains(name, "/") { // beside the file before it
				name = path.Join(folder, name)
			}
			folder = path.Dir(name)
			if !e.exists(name) {
				out = append(out, "names "+name+", which is not in the tree")
			}
		}
	}
	if r.part == deviations {
		return out
	}
	shows := notDone.MatchString(r.last())
	for _, s := range storyName.FindAllStringSubmatch(r.last(), -1) {
		shows = true
		if !e.stories[s[1]] {
			out = append(out, "names story "+s[1]+", which is not there")
		}
	}
	for _, q := range quoted.FindAllStringSubmatch(r.last(), -1) {
		shows = shows || testName.MatchString(q[1])
	}
	if !shows {
		out = append(out, "names no test, no story, and no reason why there is none")
	}
	return out
}

func gather(t *testing.T) evidence {
	t.Helper()
	top := root(t)
	e := evidence{map[string]bool{}, map[string]bool{}, func(name string) bool {
		_, err := os.Stat(filepath.Join(top, filepath.FromSlash(name)))
		return err == nil
	}}
	for _, f := range sources(t, true) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && testName.MatchString(fn.Name.Name) {
				e.tests[fn.Name.Name] = true
			}
		}
	}
	stories, err := filepath.Glob(filepath.Join(top, "internal", "story", "stories", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stories {
		e.stories[strings.TrimSuffix(filepath.Base(s), ".txtar")] = true
	}
	return e
}

func conformance(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	return rows(string(text))
}

func TestEveryRowOfConformanceNamesWhatThereIs(t *testing.T) {
	e, all := gather(t), conformance(t)
	for _, r := range all {
		for _, fault := range e.faults(r) {
			t.Errorf("docs/conformance.md:%d: %s, %s: %s", r.line, r.part, r.first(), fault)
		}
	}
	if len(all) < 150 || len(e.tests) < 500 || len(e.stories) < 3 {
		t.Errorf("%d rows, %d tests, %d stories: the test does not read them", len(all), len(e.tests), len(e.stories))
	}
}

// sections of RFC 7296, with the number of their subsections. 1.6 and 1.7 are words and history.
var ikev2Sections = map[string]int{
	"1.1": 4, "1.2": 0, "1.3": 3, "1.4": 1, "1.5": 0,
	"2.1": 0, "2.2": 0, "2.3": 0, "2.4": 0, "2.5": 0, "2.6": 1, "2.7": 0, "2.8": 3, "2.9": 2, "2.10": 0, "2.11": 0, "2.12": 0, "2.13": 0,
	"2.14": 0, "2.15": 0, "2.16": 0, "2.17": 0, "2.18": 0, "2.19": 0, "2.20": 0, "2.21": 4, "2.22": 0, "2.23": 1, "2.24": 0, "2.25": 2,
	"3.1": 0, "3.2": 0, "3.3": 6, "3.4": 0, "3.5": 0, "3.6": 0, "3.7": 0, "3.8": 0, "3.9": 0, "3.10": 1, "3.11": 0, "3.12": 0, "3.13": 1,
	"3.14": 0, "3.15": 4, "3.16": 0,
}

// unlisted compares the first cells of a part with what must be there, once each.
func unlisted(all []row, part string, want []string) (out []string) {
	got := map[string]int{}
	for _, r := range all {
		if strings.HasPrefix(r.part, part) {
			got[r.first()]++
		}
	}
	for _, w := range want {
		if got[w] != 1 {
			out = append(out, fmt.Sprintf("%d rows for %s", got[w], w))
		}
		delete(got, w)
	}
	for name := range got {
		out = append(out, "a row for "+name+", which is nothing")
	}
	slices.Sort(out)
	return out
}

func TestConformanceListsEveryCauseTrapAndSectionOnce(t *testing.T) {
	d, all := protocol(t), conformance(t)
	var causes, traps, sections []string
	for c := range d.codes {
		if strings.HasPrefix(c, "D") {
			causes = append(causes, c)
		}
	}
	for r := range d.rules {
		if n, ok := strings.CutPrefix(r, "trap "); ok {
			traps = append(traps, n)
		}
	}
	for s, subs := range ikev2Sections {
		sections = append(sections, s)
		for i := range subs {
			sections = append(sections, fmt.Sprintf("%s.%d", s, i+1))
		}
	}
	if len(causes) != 35 || len(traps) != 30 {
		t.Errorf("docs/protocol.md has %d causes and %d traps, want 35 and 30", len(causes), len(traps))
	}
	for part, want := range map[string][]string{"Causes": causes, "Traps": traps, "RFC 7296": sections} {
		for _, what := range unlisted(all, part, want) {
			t.Errorf("docs/conformance.md, %s: %s", part, what)
		}
	}
}

// The checks above must themselves be able to fail.
func TestARowThatShowsNothingIsFound(t *testing.T) {
	e := evidence{map[string]bool{"TestIt": true}, map[string]bool{"reboot": true}, func(name string) bool { return name == "internal/a/x.go" || name == "internal/a/y.go" }}
	for text, want := range map[string]string{
		"| 1 | what | `internal/a/x.go`, `y.go` | `TestIt` |":          "",
		"| 1 | what | `internal/a/x.go` | story reboot |":              "",
		"| 1 | what | `internal/a/x.go` | **not shown**: no clock |":   "",
		"| 1 | what | **not built**: fleets | **not built**: fleets |": "",
		"| 1 | what |  | `TestIt` |":                                   "has an empty cell",
		"| 1 | what | `internal/a/z.go` | `TestIt` |":                  "names internal/a/z.go, which is not in the tree",
		"| 1 | what | `internal/a/x.go`, `z.go` | `TestIt` |":          "names internal/a/z.go, which is not in the tree",
		"| 1 | what | `internal/a/x.go` | `TestOther` |":               "names TestOther, which is no test",
		"| 1 | what | `internal/a/x.go` | story nobody |":              "names story nobody, which is not there",
		"| 1 | what | `internal/a/x.go` | by inspection |":             "names no test, no story, and no reason why there is none",
		"| 1 | what | `internal/a/x.go` | **not shown** |":             "names no test, no story, and no reason why there is none",
	} {
		all := rows("## Part\n| a | b | c | d |\n|---|---|---|---|\n" + text + "\n")
		if len(all) != 1 {
			t.Fatalf("%d rows of %q", len(all), text)
		}
		if got := strings.Join(e.faults(all[0]), "; "); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", text, got, want)
		}
	}
	all := []row{{"RFC 7296, IKEv2", 1, []string{"1.1"}}, {"RFC 7296, IKEv2", 2, []string{"1.1"}}, {"RFC 7296, IKEv2", 3, []string{"9.9"}}}
	if got := strings.Join(unlisted(all, "RFC 7296", []string{"1.1", "1.2"}), ", "); got != "0 rows for 1.2, 2 rows for 1.1, a row for 9.9, which is nothing" {
		t.Errorf("got %q", got)
	}
}
