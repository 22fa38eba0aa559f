// Package story runs stories: complete gateways in this process, real IKE and ESP over the loopback network of package
// relay, a fault, and claims about how it ended. `lockstep demo`, tests and benchmarks run them. A story is a txtar file
// in stories/: a script, then the configurations of its gateways.
//
// It is no test framework and judges nothing by itself: a claim is read from packets that the taps of the network saw,
// from the numbered packets that went through the tunnels, and from what both gateways tell an operator; never from the
// part that is being judged alone. Each story names its sabotage twins: the same story with something broken on purpose,
// and the claim that must fail then. A story that cannot fail is a defect.
//
// No root, no host interface, no socket but loopback UDP. What that leaves out is Unexercised.
//
// # Script
//
// One command a line; `#` begins a comment, and those at the top say what the story is about. Quotes are single.
//
//	relay DURATION                        one-way delay of the network; the first command
//	gateway NAME FILE                     a gateway with that configuration
//	sabotage TWIN NAME breaks CLAIM...    a twin: what is broken at NAME when it is back (from the start if it never
//	                                      crashes), and the claims that must not hold
//	start NAME [--frozen]                 frozen: it begins no IKE SA on its own accord
//	thaw NAME
//	await up NAME...                      every tunnel's line protocol is up; or
//	await agree NAME NAME                 both hold the same SAs; ten seconds, else the story cannot be told
//	traffic NAME NAME RATE [--one-way]    numbered packets each way, or from the first only, so many a second, until
//	traffic stop
//	wait DURATION
//	crash NAME [--lose-state]             its SAs are gone at once; with the flag its state directory, too
//	restart NAME [--frozen]
//	watch NAME DURATION                   until its traffic is back both ways, or so long; or
//	watch agree NAME NAME DURATION        until both hold the same SAs, or so long
//	lose N NAME NAME                      the network loses the next N ESP packets from the first to the second
//	ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME
//	                                      what becomes of the next N such messages from the first to the second, or of
//	                                      both; EXCHANGE: sa-init, auth, create-child, informational
//	weather SEED lose PERCENT reorder PERCENT
//	                                      what becomes of all datagrams, by a seeded chance, until
//	weather fair
//	do NAME 'COMMAND' [NAME 'COMMAND']... operators' commands, given at the same moment; until all have ended, or
//	                                      three seconds
//	nat NAME ADDRESS                      a NAT with that address before it
//	rebind NAME                           the NAT before it forgets its mappings
//	replay NAME NAME from ADDRESS         somebody there sends the last ESP packet of the first to the second once more
//	forget NAME                           its data plane loses its child SAs behind the back of its IKE
//	installs NAME take up to DURATION seed N
//	                                      its data plane is slow from now on, by a seeded chance
//	deviate NAME DEVIATION                a scripted peer, from its next start on: see dev_*.go
//	tune NAME INTERVAL DURATION           one of our own intervals is shorter from its next start on: see deviate.go
//	rehearse DURATION NAME NAME DURATION  hours in moments: a packet from the first to the second, once in the second
//	                                      duration, through their IKE, SA tables and recovery over simulated time
//	notify NAME NAME FORM                 the first says, protected, that it has no SA for what the second sends on:
//	                                      INVALID_SPI in one of its forms, see script_peer.go
//	hint NAME NAME N                      the same, not protected, N times: anybody may have sent it
//	show NAME 'COMMAND'                   an operator's command
//	stdout 'REGEXP'                       what it printed; counts as a claim
//	logged NAME 'TEXT' N                  lines on its console since it started last; counts as a claim
//	claim …                               see claims.go
package story

// Unexercised is what a story leaves to the tests on namespaces and real peers.
const Unexercised = "TUN interfaces and the host's routes (devices in memory stand in), protocol 50 (ESP went in UDP), " +
	"batches and offloads of the kernel, other vendors' peers"
