// Package ip reads, changes and writes IPv4 and IPv6 headers as an ESP gateway needs them: what a packet is and
// between whom (RFC 791, RFC 8200), traffic class, hop limit, checksums (RFC 1071, RFC 1624), outer headers, and
// the two ICMP errors of path MTU discovery (RFC 1191, RFC 8201).
//
// It is not an IP stack: it keeps no state, reassembles nothing, and knows no routes. The datapath's workers call
// it for every packet, so everything but the Append functions works in place and without allocation. Parse comes
// first: the functions that take a packet's octets rely on its having found no flaw in them.
package ip
