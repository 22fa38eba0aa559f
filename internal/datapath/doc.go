// Package datapath carries packets: from the tunnels' devices through the outbound halves of child SAs to the wires, and
// from the wires through the inbound halves to the devices. It classifies what it cannot decrypt (protocol.md §1.2), counts
// every packet that it drops under a name, and leaves notes of strays for recovery.
//
// It is not a socket or a TUN (udpio and tunio are), negotiates nothing, writes no SA and decides no healing. The gateway
// alone builds a Plane. RFC 4301 §5, RFC 4303 §3, RFC 3948.
//
// What it reads and writes are frames and runs, never single packets: a single packet is a frame or a run of one. One loop
// carries a packet from end to end; there is one for each wire, one for each device, and a small one for packets that came
// before their SA. In the steady state no loop locks, allocates or logs for a packet: an SA is held for a row of packets,
// numbers are taken by row.
//
// TTL: the kernel decrements it when it routes a packet into a tunnel's device, and again when it routes on what was written
// to the device. The data path leaves it alone and drops what comes with 0 (RFC 4301 §5.1.2.1).
//
// MTU: packets over the tunnel's MTU that must not be fragmented are answered with ICMP. Others are sealed whole, and the
// outer packet is fragmented.
// Deviation: protocol.md §6.3 wishes them fragmented before they are sealed; the kernel does so where the device has the MTU.
package datapath
