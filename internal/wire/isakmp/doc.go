// Package isakmp is the header that IKEv1 and IKEv2 messages share, and the marker that tells them from ESP on
// UDP port 4500: octets to values and back (RFC 7296 §3.1, RFC 2408 §3.1, RFC 3948 §2.2).
//
// It knows neither payloads nor the rules of exchanges. Those who receive datagrams use it to find out whose a
// message is before anything else is parsed; the message codecs embed Header. It is pure: no state, no clock,
// no input or output.
package isakmp
