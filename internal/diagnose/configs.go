package diagnose

import (
	"fmt"
	"io"
	"os"

	"lockstep/internal/diagnose/advise"
	"lockstep/internal/diagnose/verdict"
)

// Configs reads configurations alone, for verdicts on messages that are still to come.
func Configs(names []string) (verdict.Known, []Configuration, error) {
	var known verdict.Known
	var out []Configuration
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return known, nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxShown))
		f.Close()
		if err != nil {
			return known, nil, fmt.Errorf("%s: %w", name, err)
		}
		c := advise.Read(name, string(text))
		known.Ends = append(known.Ends, c.End())
		out = append(out, configuration(name, c))
	}
	return known, out, nil
}

func configuration(name string, c *advise.Config) Configuration {
	return Configuration{File: name, Hostname: c.Hostname, Recovery: c.Recovery(), Entries: c.Entries(), Findings: c.Findings()}
}
