package verdict

import (
	"fmt"
	"net/netip"

	"lockstep/internal/diagnose/evidence"
)

// End is what a configuration says of one device, as far as verdicts need it.
type End struct {
	File    string
	Device  string               // its hostname
	Addrs   map[netip.Addr]bool  // its own
	Peers   map[netip.Addr]Entry // whom it names, and where
	Dynamic Entry                // it also answers peers that it does not name
	DPD     bool
	// Lifetime quotes by peer: what this end says of the IPsec lifetime; zero values where it says nothing.
	Life map[netip.Addr]Life
}

// Entry is a crypto entry of a configuration, and what invalid-SPI recovery can do for it.
type Entry struct {
	Name, Type    string
	Recovery, Why string
}

// Life is the lifetime of one entry, in seconds and kilobytes; 0 kB: not limited by volume.
type Life struct {
	Seconds, KB uint64
	Quote       evidence.Quote
}

// Known is what is known beside the events.
type Known struct {
	Ends []End
	SAs  []evidence.SA
	IKE  []evidence.IKESA

	between map[[2]netip.Addr][]*evidence.SA // by the direction of their packets
	dirty   int                              // SAs that between was made of
}

// index makes SAs quick to find.
func (k *Known) index() {
	if k.dirty == len(k.SAs) {
		return
	}
	k.between, k.dirty = map[[2]netip.Addr][]*evidence.SA{}, len(k.SAs)
	for i := range k.SAs {
		sa := &k.SAs[i]
		way := [2]netip.Addr{sa.Local, sa.Remote}
		if sa.Inbound {
			way = [2]netip.Addr{sa.Remote, sa.Local}
		}
		k.between[way] = append(k.between[way], sa)
	}
}

// Class is who sends.
type Class string

const (
	ConfiguredPeer Class = "configured peer"
	DynamicPeer    Class = "dynamic peer"
	IKEPeer        Class = "peer seen in IKE"
	NotAPeer       Class = "stranger"
	NotKnown       Class = "not known" // no configuration tells
)

// end finds the configuration of a device that has an address; a hostname counts if no address speaks against it.
func (k Known) end(addr netip.Addr, device string) *End {
	for i := range k.Ends {
		if k.Ends[i].Addrs[addr] {
			return &k.Ends[i]
		}
	}
	for i := range k.Ends {
		if device != "" && k.Ends[i].Device == device {
			return &k.Ends[i]
		}
	}
	return nil
}

// classify says who the sender is to the receiver, and by which entry.
func (k Known) classify(s scene) (Class, Entry, []string) {
	src, dst := s.f.flow.Src, s.f.flow.Dst
	end, ike := k.end(dst, s.f.device), k.ikeWith(s)
	if end == nil {
		if ike != "" {
			return IKEPeer, Entry{}, []string{ike}
		}
		return NotKnown, Entry{}, nil
	}
	if e, ok := end.Peers[src]; ok {
		return ConfiguredPeer, e, []string{fmt.Sprintf("%s in %s names %v as a peer", e.Name, end.File, src)}
	}
	if ike != "" {
		return IKEPeer, end.Dynamic, []string{ike}
	}
	if end.Dynamic.Name != "" {
		return DynamicPeer, end.Dynamic, []string{fmt.Sprintf("no entry in %s names %v; %s (%s) answers peers that it does not name", end.File, src, end.Dynamic.Name, end.Dynamic.Type)}
	}
	return NotAPeer, Entry{}, []string{fmt.Sprintf("%s is the configuration of %v or of %s, and has no entry for %v", end.File, dst, s.f.device, src)}
}

// ikeWith says where an authenticated SA with the sender was seen; empty: nowhere.
func (k Known) ikeWith(s scene) string {
	src, dst := s.f.flow.Src, s.f.flow.Dst
	for _, e := range s.atReceiver() {
		switch e.Kind {
		case evidence.ChildUp, evidence.IKEUp, evidence.InitialContact, evidence.Rekey:
			if e.Peer == src {
				return fmt.Sprintf("the log shows IKE with %v (%v)", src, e.Source)
			}
		}
	}
	for _, sa := range k.IKE {
		// isakmp sa prints the responder first at both ends.
		if sa.Up && (sa.Local == dst && sa.Remote == src || sa.Local == src && sa.Remote == dst) {
			return fmt.Sprintf("a capture shows an IKE SA with %v (%v)", src, sa.Source)
		}
	}
	return ""
}
