package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: nothing panics, every finding has a place in the text, an error means no Config, and what loads is written
// back as the same.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("../../examples/broken/*.conf")
	files = append(files, "../../examples/svti-ikev2-a.conf", "testdata/router.conf")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(everything))
	f.Add([]byte("no"))
	f.Add([]byte("no \nbanner motd\nbanner motd ^\ninterface Tunnel\nip route 1.2.3.4"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, ds := Load("f", text)
		lines := strings.Split(strings.TrimPrefix(string(text), "\xef\xbb\xbf"), "\n")
		for _, d := range ds {
			if d.Line < 1 || d.Line > len(lines) || d.Col < 1 || d.Col > utf8.RuneCountInString(lines[d.Line-1])+1 || d.Message == "" {
				t.Fatalf("%+v of %d lines", d, len(lines))
			}
		}
		if HasErrors(ds) != (cfg == nil) {
			t.Fatalf("config %v with %v", cfg != nil, ds)
		}
		tree, _ := Parse("f", text)
		Running(tree, false)
		if cfg == nil {
			return
		}
		written := Running(tree, true)
		again, more := Load("again", []byte(written))
		if again == nil {
			t.Fatalf("written back, it is refused: %v\n%s", more, written)
		}
		if d := Diff(cfg, again); len(d.Added)+len(d.Removed)+len(d.Changed)+len(d.Global) > 0 {
			t.Fatalf("written back, it is another one: %+v\n%s", d, written)
		}
	})
}
