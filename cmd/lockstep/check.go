package main

import (
	"fmt"
	"io"
	"os"

	"lockstep/internal/config"
	"lockstep/internal/gateway"
	"lockstep/internal/host"
	"lockstep/internal/policy"
)

// doCheck is `lockstep check`: every finding of every file, and what is in the way of it on this host.
func doCheck(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	onHost := fs.Bool("host", false, "also list what on this host stands in the way of the tunnels")
	files, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if len(files) == 0 {
		return c.misused(fs, std, "which FILE? - is standard input")
	}
	for _, name := range files {
		cfg, err := load(name, std)
		if err != nil {
			exit = c.failed(std, err)
		}
		if cfg == nil {
			exit = exitFailed
			continue
		}
		if *onHost && !fits(cfg, std) {
			exit = exitFailed
		}
	}
	return exit
}

// load prints the findings of one file. There is no Config if the file is refused; the error is that it cannot be read.
func load(name string, std stdio) (*policy.Config, error) {
	text, err := read(name, std)
	if err != nil {
		return nil, err
	}
	cfg, found := config.Load(name, text)
	for _, d := range found {
		fmt.Fprintln(std.out, d)
	}
	if cfg != nil {
		fmt.Fprintf(std.out, "%s: loads: hostname %s, %s, %s\n", name, cfg.Hostname, count(len(cfg.Tunnels), "tunnel"), count(len(cfg.Routes), "route"))
	}
	return cfg, nil
}

func read(name string, std stdio) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(std.in)
	}
	return os.ReadFile(name)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// fits prints what is in the configuration's way on this host, and reports whether it can run.
func fits(cfg *policy.Config, std stdio) bool {
	can := true
	for _, f := range host.Check(gateway.HostTunnels(cfg)) {
		kind := "warning"
		if f.Fatal {
			kind, can = "error", false
		}
		fmt.Fprintf(std.out, "host: %s: %s\n", kind, f)
	}
	return can
}
