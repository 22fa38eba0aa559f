package exec

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	listed = regexp.MustCompile("(?m)^(?:### |- )`([^`]+)`")
	named  = regexp.MustCompile(`:[a-z-]+`) // what the code calls a variable
	fenced = regexp.MustCompile("(?s)```\nsite-a#([^\n]+)\n(.*?)```")
)

func TestThePageListsTheCommandsThatExist(t *testing.T) {
	table, err := New(newLab(t))
	if err != nil {
		t.Fatal(err)
	}
	var there, told []string
	for _, p := range table.Patterns() {
		there = append(there, named.ReplaceAllString(p, ""))
	}
	for _, m := range listed.FindAllStringSubmatch(page(t), -1) {
		told = append(told, m[1])
	}
	slices.Sort(there)
	slices.Sort(told)
	if d := cmp.Diff(there, told); d != "" {
		t.Errorf("-commands +docs/commands.md\n%s", d)
	}
}

// The examples of the page are what the commands print; one that ends in dots shows the beginning.
func TestTheExamplesOfThePageAreReal(t *testing.T) {
	l := newLab(t)
	examples := fenced.FindAllStringSubmatch(page(t), -1)
	if len(examples) < 10 {
		t.Fatalf("%d examples were found", len(examples))
	}
	for _, m := range examples {
		got, want := trimmed(l.must(m[1])), trimmed(m[2])
		if beginning, cut := strings.CutSuffix(want, "...\n"); cut {
			if len(got) > len(beginning) {
				got = got[:len(beginning)]
			}
			want = beginning
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s\n-command +page\n%s", m[1], d)
		}
	}
}

var (
	trailing = regexp.MustCompile(`(?m) +$`)
	compiler = regexp.MustCompile(`Compiled with \S+ for \S+`) // of whoever runs the test
)

func trimmed(s string) string {
	s = compiler.ReplaceAllString(s, "Compiled")
	return strings.TrimRight(trailing.ReplaceAllString(s, ""), "\n") + "\n"
}
