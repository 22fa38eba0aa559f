package main

import (
	"context"
	"errors"
	"os/signal"
	"strings"
	"syscall"

	"lockstep/internal/operator/mgmt"
)

// doExec is `lockstep exec`.
func doExec(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	socket := fs.String("socket", mgmt.DefaultPath, "the gateway's `PATH`")
	words, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	command := strings.Join(words, " ")
	if strings.TrimSpace(command) == "" {
		return c.misused(fs, std, "which command? For example: lockstep exec 'show version'")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	exit, err := mgmt.Exec(ctx, *socket, command, std.out, std.err)
	if err != nil && !errors.Is(err, context.Canceled) {
		return c.failed(std, err)
	}
	return exit
}
