// Package steer decides which packets go into the tunnels, and keeps everything else out of them and them out of the
// clear: addresses, MTU and routes of the TUN interfaces, the rule for outer packets, and the leak guard. It reads the
// configuration (policy) and changes the host through host/netlink; the composition root calls it, and nobody else.
//
// What it puts there, all of it marked as ours (route and rule protocol 76, interface alias "lockstep") so that a later
// process recognises it:
//
//   - Tunnel routes in the main table, for the time that the tunnel's line protocol is up; `ip route 0.0.0.0 0.0.0.0`
//     becomes two halves, which beat the host's own default route without touching it.
//   - Behind each a twin: a blackhole with the same prefix and the highest metric. It takes the packets when the line
//     protocol is down, and when the interface is down or deleted. Routes of the same prefix with a better metric
//     (a floating static, a routing protocol) win over it, as they would on a router: that is the operator's decision.
//     Less specific ones, such as the host's default route, do not.
//   - Three rules for packets that carry our sockets' mark: the underlay table; the main table if the way does not lead
//     into a tunnel; unreachable. So an outer packet never enters a tunnel, whatever the routes say.
//   - The underlay table: the main table's routes towards the peers, without those through our tunnels.
//
// When the process dies all of it stays: the TUN persists without a carrier, so the kernel drops what is routed into it,
// and the twins stand behind. Before the first start on a fresh boot nothing is there; a service manager must start
// the gateway before the hosts' traffic is forwarded.
package steer
