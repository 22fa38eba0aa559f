package main

import (
	"context"
	"errors"
	"os/signal"
	"syscall"

	"lockstep/internal/operator/mgmt"
)

// doShell is `lockstep shell`.
func doShell(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	socket := fs.String("socket", mgmt.DefaultPath, "the gateway's `PATH`")
	others, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if len(others) > 0 {
		return c.misused(fs, std, "%q is one argument too many: `lockstep exec` takes a command", others[0])
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	exit, err := mgmt.Shell(ctx, *socket, std.in, std.out, std.err)
	if err != nil && !errors.Is(err, context.Canceled) {
		return c.failed(std, err)
	}
	return exit
}
