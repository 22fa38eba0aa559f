package archtest

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is the target of a Markdown link or image, without its title.
var link = regexp.MustCompile(`\]\(<?([^()\s<>]+)`)

// targets lists the files that a page links to, relative to it; other sites and the page's own headings are left out.
func targets(text string) (out []string) {
	fenced := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				out = append(out, m[1])
			} else if u.Scheme == "" && u.Host == "" && u.Path != "" {
				out = append(out, u.Path)
			}
		}
	}
	return out
}

// dead lists the links of a page in dir that name no file under top. A link to outside of the tree works on one machine.
func dead(top, dir, text string) (out []string) {
	for _, to := range targets(text) {
		at, err := filepath.Rel(top, filepath.Join(dir, filepath.FromSlash(to)))
		if err != nil || !filepath.IsLocal(at) || filepath.IsAbs(to) {
			out = append(out, to)
			continue
		}
		if _, err := os.Stat(filepath.Join(top, at)); err != nil {
			out = append(out, to)
		}
	}
	return out
}

func TestEveryRelativeLinkOfThePagesNamesAFile(t *testing.T) {
	top := root(t)
	links := 0
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		pages, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil || len(pages) < 3 {
			t.Fatalf("%d pages %s, %v", len(pages), pattern, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			links += len(targets(string(text)))
			for _, to := range dead(top, filepath.Dir(page), string(text)) {
				at, _ := filepath.Rel(top, page)
				t.Errorf("%s links to %s, which is not there", at, to)
			}
		}
	}
	if links < 25 {
		t.Errorf("only %d links found: are they read?", links)
	}
}

func TestDeadLinksAreFound(t *testing.T) {
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "docs", "there.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	text := "[a](there.md) [b](there.md#heading) ![c](../docs/there.md \"title\") [d](#here) [e](https://example.net/x.md) [f](mailto:a@example.net)\n" +
		"[g](gone.md) and [h](images/gone.png#x) [i](../../outside.md) [j](/etc/hosts) [k](<spare.md>)\n" +
		"```\n[l](not-a-link.md)\n```\n[m](last.md)\n"
	want := []string{"gone.md", "images/gone.png", "../../outside.md", "/etc/hosts", "spare.md", "last.md"}
	if got := dead(top, filepath.Join(top, "docs"), text); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
