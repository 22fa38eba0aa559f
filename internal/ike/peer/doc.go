// Package peer owns every IKE SA of one peer of the configuration: which message, command or note goes to which of them,
// what is true of INITIAL_CONTACT and whom it concerns (RFC 7296 §2.4), who gives way when both ends call at once
// (protocol.md D10), how one IKE SA takes over from another (RFC 7296 §2.8.3), and when one is begun without being asked. A Peer is stepped like the machines that it owns, and obeys the same contract
// (package ike); it is pure.
//
// It speaks no IKE: machines do, and a Maker makes them. Package engine is its only caller.
//
// # The life of one IKE SA here
//
//	begun ──IKEUp──► up ──IKEDown──► dead ──Closed──► (gone)
//	  └──────────────refused, lost, gave way────────────┘
//
// A dead one still answers retransmissions for a while; it counts for nothing else.
package peer
