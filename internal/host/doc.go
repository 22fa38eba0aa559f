// Package host reads and describes the machine that the gateway runs on, and says in one sentence each what stands in
// its way (Check). Changing links, addresses, routes and rules is host/netlink's. It imports nothing of the house:
// its callers translate the configuration.
package host

// OuterMark is the SO_MARK of every socket towards a peer. A rule sends marked packets to the underlay's routes, so that
// an outer packet never enters a tunnel, whatever the routes say.
const OuterMark = 0x4c53
