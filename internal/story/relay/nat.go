package relay

import (
	"fmt"
	"net/netip"
)

// nat is a translator before one address, as home routers have them: a mapping for each inside port, the same towards
// everybody (RFC 4787 §4.1), and whoever knows it is let in. Its methods are called with the Network's mu held.
type nat struct {
	outside netip.Addr
	last    uint16            // port handed out last
	out     map[uint16]uint16 // inside port: outside port
	in      map[uint16]uint16
	first   map[uint16]uint16 // the first mapping of each inside port
	pretend bool
}

// firstNATPort: no port is preserved, so that a NAT is always seen for what it is.
const firstNATPort = 40000

// Translate puts a NAT before an address: what it sends comes from outside, on a port of the NAT's own.
func (n *Network) Translate(inside, outside netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nats[inside] != nil {
		return fmt.Errorf("relay: %v is behind a NAT already", inside)
	}
	if _, taken := n.behind(outside); taken {
		return fmt.Errorf("relay: %v is the address of another NAT", outside)
	}
	n.nats[inside] = &nat{outside: outside, last: firstNATPort - 1, out: map[uint16]uint16{}, in: map[uint16]uint16{}, first: map[uint16]uint16{}}
	return nil
}

// Rebind has the NAT before an address forget its mappings, as one that was restarted: the next datagram gets a new port,
// and what is sent to an old one gets lost. False: there is no NAT.
func (n *Network) Rebind(inside netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.nats[inside]
	if t == nil {
		return false
	}
	clear(t.out)
	clear(t.in)
	return true
}

// Pretend has what the NAT before an address sends seem to come from the first mapping, which may be gone: receivers cannot
// learn of another.
func (n *Network) Pretend(inside netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.nats[inside]; t != nil {
		t.pretend = true
	}
}

// behind is the address behind a NAT's outside address. Callers hold mu.
func (n *Network) behind(outside netip.Addr) (netip.Addr, bool) {
	for inside, t := range n.nats {
		if t.outside == outside {
			return inside, true
		}
	}
	return netip.Addr{}, false
}

// leaves is the source of a datagram behind the NAT, if there is one.
func (n *Network) leaves(src netip.AddrPort) netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.nats[src.Addr()]
	if t == nil {
		return src
	}
	port, mapped := t.out[src.Port()]
	if !mapped {
		t.last++
		port = t.last
		t.out[src.Port()], t.in[port] = port, src.Port()
		if _, again := t.first[src.Port()]; !again {
			t.first[src.Port()] = port
		}
	}
	if t.pretend {
		port = t.first[src.Port()]
	}
	return netip.AddrPortFrom(t.outside, port)
}

// enters is where a datagram goes that comes to a NAT; false: nowhere, there is no such mapping. Callers hold mu.
func (n *Network) enters(dst netip.AddrPort) (netip.AddrPort, bool) {
	inside, natted := n.behind(dst.Addr())
	if !natted {
		return dst, n.nats[dst.Addr()] == nil // an inside address cannot be reached from outside
	}
	port, mapped := n.nats[inside].in[dst.Port()]
	return netip.AddrPortFrom(inside, port), mapped
}
