// Package engine runs IKE: it owns the event loops in which every peer and machine of packages peer and ikev2 lives, and
// fulfils the duties of the caller that package ike numbers. It decides no protocol question and speaks to no socket
// and no kernel: messages come by Deliver and go by Options.Send, child SAs go into an Installer. Package gateway makes
// it, wires it and stops it.
//
// # Who owns what
//
// A shard is one goroutine, sole owner of its peers, their machines, timers and claims of IKE SPIs. All peers of one
// remote address live on one shard; the low eight bits of our IKE SPIs name it. Others reach a shard by its mailbox, which
// is bounded and never waited for, or, from within the engine, by its urgent queue, whose length is bounded by what is
// outstanding: ends of barriers, and requests of callers that wait. Barriers run on pools, off the loops.
package engine
