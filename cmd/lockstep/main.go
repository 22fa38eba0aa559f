// Command lockstep is the gateway and the tools around it. This package turns arguments into a subcommand and has no
// logic of its own: each subcommand reads its flags and calls the package that does the work.
package main

import (
	"io"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// stdio is what a subcommand reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// Exit statuses, as every subcommand uses them.
const (
	exitOK     = 0
	exitFailed = 1 // the work could not be done, or its answer is no
	exitUsage  = 2 // the command line is wrong
)

// subcommand is a row of the table. usage is what stands behind the name; do gets the arguments behind it.
type subcommand struct {
	name, usage, summary string
	do                   func(c subcommand, args []string, std stdio) int
}

func subcommands() []subcommand {
	return []subcommand{
		{"run", "-c FILE [-state DIR] [-socket PATH]", "run the gateway in the foreground", runGateway},
		{"exec", "[-socket PATH] 'COMMAND'", "carry out one exec command on the running gateway", doExec},
		{"shell", "[-socket PATH]", "interactive command line of the running gateway", doShell},
		{"demo", "[-json] [-list] [-sabotage NAME] [STORY]", "tell a built-in story: a fault, its healing, and claims about it", demo},
		{"check", "[-host] FILE...", "parse and compile configurations; errors with line and column", doCheck},
		{"diagnose", "[-json] [-html FILE] [-config FILE]... {FILE... | -listen udp:ADDR|tcp:ADDR}", "verdicts from other devices' logs, captures and configurations", doDiagnose},
		{"uninstall", "[-n]", "remove what a stopped gateway left on the host: interfaces, blackhole routes, rules", uninstall},
		{"version", "", "version, commit, Go and algorithms", doVersion},
	}
}
