// Package lab builds network namespaces for tests with real kernels and real peers: two gateways with a router between
// them, hosts behind each, strongSwan in a namespace, numbered traffic, and watchers on the WAN. Test code only: it
// needs root, and skips with the reason where it is missing. Everything it makes has a name of its own and goes with
// the test; processes are ended by their id.
package lab
