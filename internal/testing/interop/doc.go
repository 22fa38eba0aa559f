// Package interop proves Lockstep against a real peer: the binary in one network namespace, strongSwan with kernel-libipsec
// in another, a router between them, and a watcher on the router's side of our access line that fails the test when one
// inner packet passes in the clear. It holds tests and benchmarks only. They need root and strongSwan, and skip with the
// reason where those are missing; `make interop` runs them by name.
//
// What is claimed is read from packets and from the peer's state, and then compared with what Lockstep says of itself.
package interop
