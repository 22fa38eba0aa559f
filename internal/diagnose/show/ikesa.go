package show

import (
	"net/netip"
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// ikeSA is where we are in `show crypto isakmp sa [detail]`, `ikev2 sa` and `session`.
type ikeSA struct {
	isakmp, ikev2 bool
	status        string // of the session above
	peer          netip.Addr
	last          evidence.IKESA
}

func (c *Capture) ikeLine(text string) {
	s := &c.ike
	switch {
	case strings.Contains(text, "Crypto ISAKMP SA"):
		*s = ikeSA{isakmp: true}
	case strings.Contains(text, "Crypto IKEv2  SA"), strings.Contains(text, "Crypto IKEv2 SA"), strings.HasPrefix(text, "Tunnel-id "):
		*s = ikeSA{ikev2: true}
	case strings.HasPrefix(text, "Session status: "):
		*s = ikeSA{status: strings.TrimSpace(text[len("Session status: "):])}
	case strings.HasPrefix(text, "Peer: ") && s.status != "":
		s.peer = addrBehind(text, "Peer:")
	case strings.HasPrefix(text, "IKEv1 SA: local ") || strings.HasPrefix(text, "IKEv2 SA: local ") || strings.HasPrefix(text, "IKE SA: local "):
		c.sessionSA(text)
	case strings.HasPrefix(text, "Capabilities:") && s.last.Remote.IsValid():
		letters, _, _ := strings.Cut(text[len("Capabilities:"):], " ")
		s.last.DPD = "off"
		if strings.Contains(letters, "D") {
			s.last.DPD = "on"
		}
		c.sink.IKESA(s.last)
		s.last = evidence.IKESA{}
	case strings.HasPrefix(text, "DPD configured for ") && s.last.Remote.IsValid():
		s.last.DPD = "on"
		c.sink.IKESA(s.last)
	case s.isakmp:
		c.isakmpRow(text)
	case s.ikev2:
		c.ikev2Row(text)
	}
}

func (c *Capture) ikeFound(sa evidence.IKESA) {
	sa.Quote, sa.Device = c.quote(), c.name()
	c.ike.last = sa
	c.sink.IKESA(sa)
	c.Found++
}

// sessionSA is `IKEv1 SA: local A/500 remote B/500 Active`.
func (c *Capture) sessionSA(text string) {
	sa := evidence.IKESA{Local: addrBehind(text, "local "), Remote: addrBehind(text, "remote "), Version: 1, State: c.ike.status,
		Up: strings.HasSuffix(strings.TrimSpace(text), " Active")}
	if strings.HasPrefix(text, "IKEv2") {
		sa.Version = 2
	}
	if sa.Remote.IsValid() {
		c.ikeFound(sa)
	}
}

// isakmpRow is `dst src state conn-id status`. dst is the responder at both ends, so which one is ours is not told.
func (c *Capture) isakmpRow(text string) {
	f := strings.Fields(text)
	if len(f) < 5 {
		return
	}
	dst, err := netip.ParseAddr(f[0])
	src, err2 := netip.ParseAddr(f[1])
	if err != nil || err2 != nil {
		return
	}
	c.ikeFound(evidence.IKESA{Local: dst, Remote: src, Version: 1, State: f[2], Up: f[2] == "QM_IDLE" && !strings.Contains(text, "deleted")})
}

// ikev2Row is `Tunnel-id Local Remote fvrf/ivrf Status`.
func (c *Capture) ikev2Row(text string) {
	f := strings.Fields(text)
	if len(f) < 5 || !number(f[0]) {
		return
	}
	local, remote := endpoint(f[1]), endpoint(f[2])
	if local.IsValid() && remote.IsValid() {
		c.ikeFound(evidence.IKESA{Local: local, Remote: remote, Version: 2, State: f[4], Up: f[4] == "READY"})
	}
}

func endpoint(s string) netip.Addr {
	word, _, _ := strings.Cut(s, "/")
	a, _ := netip.ParseAddr(word)
	return a.Unmap()
}
