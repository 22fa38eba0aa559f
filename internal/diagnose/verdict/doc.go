// Package verdict says what evidence amounts to: for every flow whether it was a transient of a rekey, a black hole or a
// stranger, when it began and ended, and why, as far as that was seen. It takes events one by one in any order of files,
// in bounded memory, and judges whenever it is asked. It reads no file and prints nothing; package diagnose and package
// live call it.
//
// The rule is the tech note's, made precise (docs/protocol.md §1.3): one flow and SPI seen again at least T later is out
// of step; seen once, it is a transient. T is one second, the largest that §1.3 allows, because a log does not tell the
// round-trip time; and the gap must be at least T whatever the grain of the stamps hides. Sightings by clocks that
// cannot be compared prove nothing.
//
// A cause is one of the D-codes of §1.1. It is claimed only where an event that can be quoted points to it; two that
// point to different causes with equal force give `unknown`, and both are named.
package verdict
