package mgmt

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestThePageHasTheCommandsOfTheShell(t *testing.T) {
	page, err := os.ReadFile("../../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## The shell\n")
	if !found {
		t.Fatal("docs/commands.md has no section The shell")
	}
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		told[m[1]] = true
	}
	named := regexp.MustCompile(`:[a-z-]+`) // what the code calls a variable
	for _, c := range Commands() {
		pattern := named.ReplaceAllString(c.Pattern, "")
		if !told[pattern] {
			t.Errorf("docs/commands.md lacks %q", pattern)
		}
		delete(told, pattern)
	}
	for pattern := range told {
		t.Errorf("docs/commands.md has %q, which is no command", pattern)
	}
}
