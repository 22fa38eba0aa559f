package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"lockstep/internal/config/grammar"
)

// run is the whole program but for the process: it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	std := stdio{stdin, stdout, stderr}
	if len(args) == 0 {
		overview(std.err)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(rest, std)
	case "-version", "--version":
		name = "version"
	}
	for _, c := range subcommands() {
		if c.name == name {
			return c.do(c, rest, std)
		}
	}
	return unknown(name, std)
}

func help(args []string, std stdio) int {
	if len(args) == 0 {
		overview(std.out)
		return exitOK
	}
	for _, c := range subcommands() {
		if c.name == args[0] {
			return c.do(c, []string{"-h"}, std)
		}
	}
	return unknown(args[0], std)
}

func unknown(name string, std stdio) int {
	names := []string{"help"}
	for _, c := range subcommands() {
		names = append(names, c.name)
	}
	hint := "`lockstep help` lists them"
	if near := grammar.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean `lockstep %s`?", near)
	}
	fmt.Fprintf(std.err, "lockstep: there is no subcommand %q: %s\n", name, hint)
	return exitUsage
}

func overview(w io.Writer) {
	fmt.Fprint(w, "Lockstep is an IPsec gateway whose security associations stay in step with the peer's.\n\nUsage: lockstep SUBCOMMAND ...\n\n")
	for _, c := range subcommands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n`lockstep help SUBCOMMAND` has the flags of each.\n")
}

// flags begins the flag set of a subcommand.
func (c subcommand) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse prints
	return fs
}

// parse reads flags, which may stand before, behind and between the other arguments; behind `--` nothing is a flag. It
// returns the others. If ok is false the subcommand ends with that exit status: help was asked for, or a flag is wrong.
func (c subcommand) parse(fs *flag.FlagSet, args []string, std stdio) (others []string, exit int, ok bool) {
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			c.describe(fs, std.out)
			return nil, exitOK, false
		} else if err != nil {
			return nil, c.misused(fs, std, "%v", err), false
		}
		read := len(args) - fs.NArg()
		if fs.NArg() == 0 || read > 0 && args[read-1] == "--" {
			return append(others, fs.Args()...), exitOK, true
		}
		others, args = append(others, fs.Arg(0)), fs.Args()[1:]
	}
}

// misused tells what is wrong with the command line.
func (c subcommand) misused(fs *flag.FlagSet, std stdio, format string, args ...any) int {
	fmt.Fprintf(std.err, "lockstep %s: "+format+"\n", append([]any{c.name}, args...)...)
	c.describe(fs, std.err)
	return exitUsage
}

func (c subcommand) describe(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "Usage: %s\n%s.\n", strings.TrimSpace("lockstep "+c.name+" "+c.usage), strings.ToUpper(c.summary[:1])+c.summary[1:])
	fs.SetOutput(w)
	defer fs.SetOutput(io.Discard)
	fs.PrintDefaults()
}

// failed tells why the work could not be done.
func (c subcommand) failed(std stdio, err error) int {
	fmt.Fprintf(std.err, "lockstep %s: %v\n", c.name, err)
	return exitFailed
}
