// Package gateway is the composition root: it builds the parts of one gateway, joins them, starts, reloads and stops
// them. It is the only package that imports them all, and decides nothing about protocols. Several gateways live in one
// process; stories run two.
//
// # Who runs what
//
//	packet loops (datapath) ──strays──► feed ──► recovery runner ──orders──► IKE engine
//	     ▲  ▲                                        ▲                          │
//	     │  └──────── SA table ◄───install, remove───┼──────────────────────────┤
//	     │                                           └── notices, outcomes ◄────┤
//	   wires, devices (World)                   lines: routes, MTU, carrier ◄───┘
//
// The packet loops and the IKE engine never wait for the host: what a child SA means for routes, MTU and carrier is done
// by one goroutine of its own (lines.go), woken by notices.
package gateway
