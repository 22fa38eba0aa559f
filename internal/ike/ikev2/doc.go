// Package ikev2 is the IKEv2 exchange driver (RFC 7296): one Machine is the lineage of one IKE SA, from IKE_SA_INIT
// through its rekeys to its end, with the child SAs that hang on it. It is stepped with inputs and returns effects
// (package ike has the contract); it opens no socket, starts no goroutine and reads no clock.
//
// It decides nothing across IKE SAs: which of several SAs with one peer lives, and whether INITIAL_CONTACT is true, is
// ike/peer's business. It finds no lost SAs: recovery does, and asks for what is to be done by ike.Command.
//
// # How it is put together
//
// An exchange of ours is a task (task.go), one file each: init, auth, create (new child, child rekey, lost SPI),
// rekeyike, delete, liveness, notifyspi. A task starts, gets its answer, and ends in Outcomes; one at a time runs on an
// IKE SA (window 1), the others queue. What the peer asks for is answered in the respond* files. What an IKE SA is
// (keys, windows, message protection) stands in ikesa.go and message.go, what a child is in child.go. Where an effect is
// a barrier, the code goes on in a continuation that Done calls (effects.go).
//
// Env.KE is called from within Compute.Run for slow groups: it must be safe for any goroutine.
package ikev2
