package show

import (
	"net/netip"
	"strings"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// Snapshot is what a command read of the gateway; commands fill what their view needs. Nothing in it is changed.
type Snapshot struct {
	Now        time.Time
	Config     *policy.Config
	IKE        []ike.Status
	Quirks     map[sa.Owner]ike.Quirks // of peers that have some
	Children   []sa.Pair
	Interfaces []Interface
	Flows      []recovery.Flow
}

// peers lists the configured tunnels that IKE protects.
func (s *Snapshot) peers() []*policy.Peer {
	if s.Config == nil {
		return nil
	}
	return s.Config.Peers
}

// peer finds the tunnel of an owner by its interface name; nil if it is no longer configured.
func (s *Snapshot) peer(name string) *policy.Peer {
	for _, p := range s.peers() {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// device is what the gateway tells of a tunnel interface; zero if it tells nothing.
func (s *Snapshot) device(name string) Interface {
	for _, i := range s.Interfaces {
		if i.Name == name {
			return i
		}
	}
	return Interface{Name: name}
}

// saOf lists the IKE SAs of a peer.
func (s *Snapshot) saOf(p *policy.Peer) []ike.Status {
	var out []ike.Status
	for _, st := range s.IKE {
		if st.Owner == sa.Owner(p.ID) {
			out = append(out, st)
		}
	}
	return out
}

// childrenOf lists the child SAs of a peer.
func (s *Snapshot) childrenOf(p *policy.Peer) []sa.Pair {
	var out []sa.Pair
	for _, c := range s.Children {
		if c.Child.Owner == sa.Owner(p.ID) {
			out = append(out, c)
		}
	}
	return out
}

// negotiated is IKE's own record of a child, for what the SA database does not keep.
func (s *Snapshot) negotiated(in sa.SPI) (ike.ChildStatus, bool) {
	for _, st := range s.IKE {
		for _, c := range st.Children {
			if c.In == in {
				return c, true
			}
		}
	}
	return ike.ChildStatus{}, false
}

// endpoints are our and the peer's outer address: those in use, else those of the configuration.
func (s *Snapshot) endpoints(p *policy.Peer) (local, remote netip.AddrPort) {
	for _, c := range s.childrenOf(p) {
		local, remote = c.Child.Local, c.Child.Remote
		if c.Child.Encap == sa.EncapNone {
			local, remote = netip.AddrPortFrom(local.Addr(), 500), netip.AddrPortFrom(remote.Addr(), 500)
		}
	}
	if remote.IsValid() {
		return local, remote
	}
	for _, st := range s.saOf(p) {
		local, remote = st.Local, st.Remote
	}
	if remote.IsValid() {
		return local, remote
	}
	source := s.device(p.Name()).Source
	if !source.IsValid() {
		source = p.Tunnel.Source
	}
	return netip.AddrPortFrom(source, 500), netip.AddrPortFrom(p.Remote, 500)
}

// address is an address as IOS prints one that may be missing.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.Unmap().String()
}

// selectorList is traffic selectors for JSON: "10.1.0.0/24", "10.1.0.5-10.1.0.9[udp/53]".
func selectorList(ts []ike2.Selector) []string {
	out := make([]string, 0, len(ts))
	for _, s := range ts {
		text := s.String()
		if p, ok := s.Prefix(); ok {
			text = strings.Replace(text, s.Start.String()+"-"+s.End.String(), p.String(), 1)
		}
		out = append(out, text)
	}
	return out
}

// wideOpen stands for any packet, where no selectors were negotiated yet.
func wideOpen() []ike2.Selector {
	return []ike2.Selector{ike2.SelectorFromPrefix(netip.PrefixFrom(netip.IPv4Unspecified(), 0))}
}
