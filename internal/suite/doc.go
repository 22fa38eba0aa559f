// Package suite is the cryptography that IKE and ESP negotiate: pseudorandom functions with prf+ (RFC 7296 §2.13),
// key-exchange groups in constant time, the protection of IKE messages (SK payload, RFC 7296 §3.14, RFC 5282) and of
// ESP packets (RFC 4303 with RFC 4106, or RFC 3602 with RFC 4868).
//
// It is not a registry of what may be offered (policy decides that) and not a codec: it never parses an IKE payload,
// an IP header or a selector. The IKE machines call PRF, Group and SK; the datapath calls Sealer and Opener.
//
// The package is pure. Randomness is an argument; numbers that must be unique (IVs, sequence numbers) come from the
// caller, who leases them. All identifiers are those of the IANA registry "IKEv2 Parameters".
package suite
