// Package ike holds what both IKE versions share: the contract between a pure IKE SA and whoever runs it, the message
// window, retransmission, proposal selection and selector narrowing. It opens no socket, reads no clock and logs nothing.
//
// # Duties of the caller
//
//  1. Effects of one peer run in the order in which they were returned, across Step calls.
//  2. Persist, Install and Compute are barriers: nothing behind them runs before their Done was stepped in. They run off
//     the loop, and each ends in exactly one Done with its ID, also when the store is `none` (then at once).
//  3. Inputs that arrive while a barrier is open are stepped at once; their effects queue behind those already waiting.
//     Effects returned by the Step of a Done come before effects that were queued behind the barrier.
//  4. A Send after a Persist never leaves before it (protocol.md §3.1, persist before send).
//  5. A failed Install, Persist or Compute is an input like any other: Done with Err.
//  6. An inbound SPI from Env.AllocSPI is larval until Install, Release or Remove ends that.
//  7. Bytes given to a Step belong to the machine; Bytes of a Send belong to the caller and stay unchanged by the machine
//     (a retransmission is the same octets, RFC 7296 §2.1).
//  8. Every Command with a Ref ends in exactly one Outcome.
//  9. After Closed the machine is never stepped again; claims it still holds are dropped.
//
// 10. A panic inside Step is caught by the caller at the SA boundary: that machine is closed and reported, the rest lives.
package ike
