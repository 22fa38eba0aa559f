package report_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/report"
)

var update = flag.Bool("update", false, "write the worked example into docs/diagnose.md")

// TestTheWorkedExampleIsWhatIsPrinted compares docs/diagnose.md with the report on testdata/diagnose/example.
func TestTheWorkedExampleIsWhatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../../docs/diagnose.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../../testdata/diagnose/example")
	r := diagnose.Run(diagnose.Options{Files: []string{"hub-1.log", "hub-1.cfg"}, Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
	var b bytes.Buffer
	if err := report.Text(&b, r); err != nil {
		t.Fatal(err)
	}
	head, example, _ := strings.Cut(string(page), "$ lockstep diagnose hub-1.log hub-1.cfg\n")
	example, tail, _ := strings.Cut(example, "```")
	if example != b.String() && *update {
		text := head + "$ lockstep diagnose hub-1.log hub-1.cfg\n" + b.String() + "```" + tail
		if err := os.WriteFile("../../../docs/diagnose.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if example != b.String() {
		t.Errorf("the page has\n%s\nthe report is\n%s", example, b.String())
	}
}

// TestEveryKeyOfTheJSONIsDocumented: what the page does not name, nobody can rely on.
func TestEveryKeyOfTheJSONIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/diagnose.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results(t) {
		var b bytes.Buffer
		if err := report.JSON(&b, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if key, _, ok := strings.Cut(strings.TrimSpace(line), `": `); ok && strings.HasPrefix(key, `"`) && !strings.Contains(string(page), "`"+key[1:]+"`") {
				t.Fatalf("%s is not in docs/diagnose.md", key[1:])
			}
		}
	}
}
