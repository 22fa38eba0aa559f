// Package udpio owns the gateway's sockets towards its peers: UDP 500 and 4500 (RFC 7296 §2, RFC 3948) and raw
// protocol 50 (RFC 4303). It moves runs of equal datagrams (UDP_SEGMENT out, UDP_GRO in, sendmmsg for raw) and tells
// addresses; it reads neither IKE nor ESP: the demultiplexing of port 4500 is the data plane's. UDP_ENCAP is never
// set, because the kernel would then swallow the ESP.
//
// The composition root listens; datapath workers and the IKE engine's send path call the wires. Every socket carries
// the mark by which the host's rules keep outer packets out of the tunnels.
//
// Limits: raw protocol 50 is IPv4 only, and sees ESP that is addressed to this host; ESP in transit is forwarded by
// the kernel and never seen here (QFP row 7 can therefore not be counted from this socket). The UDP checksum is sent,
// not zero. Deviation: RFC 3948 §2.1 says SHOULD be zero; the kernel refuses UDP_SEGMENT without it, and a receiver
// must not depend on it.
package udpio
