package main

import (
	"fmt"
	"os"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/report"
)

// exitPersistent is the status of `lockstep diagnose` that found a black hole.
const exitPersistent = 3

// several is a flag that may be given more than once.
type several []string

func (s *several) String() string     { return fmt.Sprint([]string(*s)) }
func (s *several) Set(v string) error { *s = append(*s, v); return nil }

// doDiagnose is `lockstep diagnose`: verdicts from the evidence of other devices.
func doDiagnose(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	var configs several
	fs.Var(&configs, "config", "a `FILE` is a configuration, whatever it looks like; may be repeated")
	asJSON := fs.Bool("json", false, "print one JSON object (docs/diagnose.md)")
	page := fs.String("html", "", "also write one self-contained page to `FILE`")
	files, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if len(files)+len(configs) == 0 {
		return c.misused(fs, std, "which FILE? - is standard input")
	}
	r := diagnose.Run(diagnose.Options{Files: files, Configs: configs, In: std.in, Now: time.Now()})
	if *page != "" {
		if err := writePage(*page, r); err != nil {
			return c.failed(std, err)
		}
	}
	print := report.Text
	if *asJSON {
		print = report.JSON
	}
	if err := print(std.out, r); err != nil {
		return c.failed(std, err)
	}
	for _, err := range r.Bad {
		c.failed(std, err)
	}
	switch {
	case r.Persistent():
		return exitPersistent
	case len(r.Bad) > 0:
		return exitFailed
	}
	return exitOK
}

func writePage(name string, r *diagnose.Result) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := report.HTML(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
