// Package ike2 is the codec of IKEv2 messages: octets to payload values and back (RFC 7296 §3, RFC 7383 for
// encrypted fragments). One payload stands in one file.
//
// It checks what can be seen in the octets alone: lengths and their sums, nesting, sizes, the critical bit. It
// does not decrypt (an SK payload stays octets), does not know exchanges or policy, and never decides what to
// answer; a *SyntaxError and a *CriticalError carry what the exchange driver needs for that. Payloads may come
// in any order (RFC 7296 §2.5). The exchange driver, the engine and tests call it. It is pure.
//
// Whatever octets come in, the answer is a value or an error, never a panic, and memory stays in proportion to
// the input. Parsed values share no memory with the octets that they came from.
package ike2
