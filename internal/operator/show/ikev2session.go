package show

import (
	"io"
	"net/netip"

	"lockstep/internal/wire/ike2"
)

// IKEv2Session is the IKE SAs of one peer with their child SAs.
type IKEv2Session struct {
	ID     int       `json:"session_id"`
	Tunnel string    `json:"tunnel,omitempty"`
	Status string    `json:"status"`
	SAs    []IKEv2SA `json:"ike_sas"`
}

// IKEv2Sessions is `show crypto ikev2 session`.
type IKEv2Sessions struct {
	Sessions []IKEv2Session `json:"sessions"`
}

// NewIKEv2Sessions makes the view of s.IKE, which lists the SAs by peer.
func NewIKEv2Sessions(s *Snapshot) *IKEv2Sessions {
	v := &IKEv2Sessions{Sessions: []IKEv2Session{}}
	for _, st := range s.IKE {
		one := newIKEv2SA(st, s.Now)
		last := len(v.Sessions) - 1
		if last < 0 || v.Sessions[last].ID != one.TunnelID || one.TunnelID == 0 {
			v.Sessions = append(v.Sessions, IKEv2Session{ID: one.TunnelID, Tunnel: one.Tunnel})
			last++
		}
		v.Sessions[last].SAs = append(v.Sessions[last].SAs, one)
	}
	for i := range v.Sessions {
		v.Sessions[i].Status = v.Sessions[i].status()
	}
	return v
}

func (s *IKEv2Session) status() string {
	ready := false
	for _, one := range s.SAs {
		ready = ready || one.Status == "READY"
	}
	switch {
	case ready && s.children() > 0:
		return upActive
	case ready:
		return upIdle
	}
	return downNegotiating
}

func (s *IKEv2Session) children() (n int) {
	for _, one := range s.SAs {
		n += len(one.Children)
	}
	return n
}

// Text writes the sessions as IOS XE does, one table for an address family.
func (v *IKEv2Sessions) Text(w io.Writer) error {
	p := &page{w: w}
	for _, family := range []string{"IPv4", "IPv6"} {
		p.line(" %s Crypto IKEv2 Session \n", family)
		for i := range v.Sessions {
			if s := &v.Sessions[i]; s.SAs[0].family() == family {
				s.block(p)
			}
		}
	}
	return p.err
}

func (s *IKEv2Session) block(p *page) {
	p.line("Session-id:%d, Status:%s, IKE count:%d, CHILD count:%d\n", s.ID, s.Status, len(s.SAs), s.children())
	for i := range s.SAs {
		s.SAs[i].row(p)
		for _, c := range s.SAs[i].Children {
			c.block(p)
		}
		p.line("")
	}
}

func (c *IKEv2Child) block(p *page) {
	p.line("\nChild sa:\n          local selector       ->      remote selector")
	for _, l := range c.status.TSLocal {
		for _, r := range c.status.TSRemote {
			p.line("          %s    ->    %s", ports(l), ports(r))
		}
	}
	p.line("          ESP spi in/out: %s/%s  ", c.In.hex(), c.Out.hex())
}

// ports is a selector as IOS prints one: both ends of the range with their port.
func ports(s ike2.Selector) string {
	return slashed(netip.AddrPortFrom(s.Start, s.StartPort)) + " - " + slashed(netip.AddrPortFrom(s.End, s.EndPort))
}
