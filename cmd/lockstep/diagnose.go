package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/live"
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
	var configs, listen several
	fs.Var(&configs, "config", "a `FILE` is a configuration, whatever it looks like; may be repeated")
	asJSON := fs.Bool("json", false, "print one JSON object (docs/diagnose.md)")
	page := fs.String("html", "", "also write one self-contained page to `FILE`")
	fs.Var(&listen, "listen", "keep verdicts on syslog from `udp:ADDR` or tcp:ADDR instead of files; may be repeated")
	at := fs.String("page", "127.0.0.1:9514", "with -listen: page, /json and /metrics on this loopback `ADDR`; empty: none")
	command := fs.String("alert-command", "", "with -listen: shell `COMMAND` run for each alert, which is JSON on its standard input")
	webhook := fs.String("alert-webhook", "", "with -listen: `URL` that gets each alert as a JSON POST")
	files, exit, ok := c.parse(fs, args, std)
	switch {
	case !ok:
		return exit
	case len(listen) > 0 && len(files) > 0:
		return c.misused(fs, std, "-listen takes no FILE")
	case len(listen) > 0:
		return c.listen(live.Options{Listen: listen, Page: *at, Command: *command, Webhook: *webhook, Out: std.out, Errors: std.err}, configs, std)
	case len(files)+len(configs) == 0:
		return c.misused(fs, std, "which FILE? - is standard input")
	}
	r := diagnose.Run(diagnose.Options{Files: files, Configs: configs, In: std.in, Now: time.Now()})
	if *page != "" {
		if err := writePage(*page, r); err != nil {
			return c.failed(std, err)
		}
	}
	write := report.Text
	if *asJSON {
		write = report.JSON
	}
	if err := write(std.out, r); err != nil {
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

// listen collects syslog until it is interrupted.
func (c subcommand) listen(o live.Options, configs []string, std stdio) int {
	var err error
	if o.Known, o.Configs, err = diagnose.Configs(configs); err != nil {
		return c.failed(std, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := live.Start(o)
	if err != nil {
		return c.failed(std, err)
	}
	for _, a := range s.Addrs {
		fmt.Fprintf(std.err, "listening on %s %s\n", a.Network(), a)
	}
	if err := s.Run(ctx); err != nil {
		return c.failed(std, err)
	}
	return exitOK
}
