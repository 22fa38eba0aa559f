package story

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"lockstep/internal/config/grammar"
)

//go:embed stories/*.txtar
var files embed.FS

// Names lists the stories, in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir("stories")
	if err != nil {
		panic(err) // embedded
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".txtar"))
	}
	slices.Sort(out)
	return out
}

// Load reads the story of that name.
func Load(name string) (*Story, error) {
	if !slices.Contains(Names(), name) {
		if near := grammar.Nearest(name, Names()); near != "" {
			return nil, fmt.Errorf("there is no story %s: did you mean %s?", name, near)
		}
		return nil, fmt.Errorf("there is no story %s: there are %s", name, strings.Join(Names(), ", "))
	}
	file := path.Join("stories", name+".txtar")
	text, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, text)
}
