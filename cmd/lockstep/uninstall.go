package main

import (
	"fmt"

	"lockstep/internal/gateway"
)

// uninstall is `lockstep uninstall`: the host without what stopped gateways left on it.
func uninstall(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	dry := fs.Bool("n", false, "list only, remove nothing")
	others, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if len(others) > 0 {
		return c.misused(fs, std, "%q is one argument too many", others[0])
	}
	gone, err := gateway.Uninstall(*dry)
	for _, what := range gone {
		fmt.Fprintln(std.out, what)
	}
	if err != nil {
		return c.failed(std, err)
	}
	return exitOK
}
