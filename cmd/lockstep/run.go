package main

import (
	"lockstep/internal/gateway"
	"lockstep/internal/operator/mgmt"
)

// defaultState is where the SPI identity is kept.
const defaultState = "/var/lib/lockstep"

// runGateway is `lockstep run`: the gateway in the foreground.
func runGateway(c subcommand, args []string, std stdio) int {
	s := gateway.Service{Log: std.err, Version: thisBuild().version}
	fs := c.flags()
	fs.StringVar(&s.File, "c", "", "configuration `FILE`")
	fs.StringVar(&s.StateDir, "state", defaultState, "`DIR`ectory of the SPI identity")
	fs.StringVar(&s.Socket, "socket", mgmt.DefaultPath, "`PATH` of the unix socket for exec and shell")
	fs.StringVar(&s.KeyFile, "keylog", "", "append the keys of child SAs to `FILE`, for Wireshark: whoever reads it reads the traffic")
	fs.BoolVar(&s.Frozen, "frozen", false, "begin no IKE SA at start-up or for traffic: only recovery and peers do")
	others, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if s.File == "" || len(others) > 0 {
		return c.misused(fs, std, "name one configuration: lockstep run -c FILE")
	}
	if err := s.Run(); err != nil {
		return c.failed(std, err)
	}
	return exitOK
}
