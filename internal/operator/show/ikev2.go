package show

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

// IKEv2SA is one IKE SA as `show crypto ikev2 sa detailed` tells it.
type IKEv2SA struct {
	// TunnelID is the SA ID and session ID of debug lines; 0: the peer is not identified yet.
	TunnelID      int            `json:"tunnel_id"`
	Tunnel        string         `json:"tunnel,omitempty"`
	Local         netip.AddrPort `json:"local"`
	Remote        netip.AddrPort `json:"remote"`
	Status        string         `json:"status"`               // READY, IN-NEG, DELETE
	Encryption    string         `json:"encryption,omitempty"` // none of these four: not negotiated yet
	KeyBits       uint16         `json:"key_bits,omitempty"`
	PRF           string         `json:"prf,omitempty"`
	Hash          string         `json:"hash,omitempty"`
	Group         uint16         `json:"dh_group"`
	Lifetime      int64          `json:"lifetime_seconds"`
	Active        int64          `json:"active_seconds"`
	Established   time.Time      `json:"established,omitzero"`
	LocalSPI      string         `json:"local_spi"`
	RemoteSPI     string         `json:"remote_spi"`
	LocalID       string         `json:"local_id"`
	RemoteID      string         `json:"remote_id"`
	SendMID       uint32         `json:"local_message_id"`
	RecvMID       uint32         `json:"remote_message_id"`
	DPD           *DPD           `json:"dpd"`
	NATLocal      bool           `json:"nat_local"`
	NATRemote     bool           `json:"nat_remote"`
	Initiator     bool           `json:"initiator"`
	PeerLockstep  bool           `json:"peer_lockstep"`
	RoundTripTime float64        `json:"round_trip_ms"` // 0: not measured yet
	LastDown      string         `json:"last_down,omitempty"`
	Children      []IKEv2Child   `json:"children"`
}

// DPD is liveness checking as configured.
type DPD struct {
	Interval int64  `json:"interval_seconds"`
	Retry    int64  `json:"retry_seconds"`
	Mode     string `json:"mode"`
}

// IKEv2Child is a child SA as IKE knows it.
type IKEv2Child struct {
	In             SPI       `json:"inbound_spi"`
	Out            SPI       `json:"outbound_spi"`
	State          string    `json:"state"`
	Created        time.Time `json:"created,omitzero"`
	Expires        time.Time `json:"expires,omitzero"`
	LocalSelector  []string  `json:"local_selectors"`
	RemoteSelector []string  `json:"remote_selectors"`

	status ike.ChildStatus
}

// IKEv2SAs is `show crypto ikev2 sa [detailed]`.
type IKEv2SAs struct {
	SAs      []IKEv2SA `json:"sas"`
	detailed bool
}

// NewIKEv2SAs makes the view of s.IKE.
func NewIKEv2SAs(s *Snapshot, detailed bool) *IKEv2SAs {
	v := &IKEv2SAs{SAs: []IKEv2SA{}, detailed: detailed}
	for _, st := range s.IKE {
		v.SAs = append(v.SAs, newIKEv2SA(st, s.Now))
	}
	return v
}

func newIKEv2SA(st ike.Status, now time.Time) IKEv2SA {
	v := IKEv2SA{TunnelID: sessionID(st.Owner), Tunnel: st.Peer, Local: st.Local, Remote: st.Remote, Status: st.State, Group: st.Group,
		Lifetime: seconds(st.Lifetime), Established: st.Established, LocalSPI: fmt.Sprintf("%016X", uint64(st.LocalSPI)),
		RemoteSPI: fmt.Sprintf("%016X", uint64(st.RemoteSPI)), LocalID: Clean(st.LocalID), RemoteID: Clean(st.RemoteID),
		SendMID: st.SendMID, RecvMID: st.RecvMID, NATLocal: st.NATLocal, NATRemote: st.NATRemote, Initiator: st.Initiator,
		PeerLockstep: st.PeerLockstep, RoundTripTime: float64(st.SRTT.Microseconds()) / 1000, LastDown: Clean(st.LastDown), Children: []IKEv2Child{}}
	if st.Cipher.KeyBits != 0 { // else nothing is negotiated yet
		v.Encryption, v.KeyBits, v.PRF, v.Hash = st.Cipher.EncrName(), st.Cipher.KeyBits, prfName(st.PRF), st.Cipher.HashName()
	}
	if !st.Established.IsZero() {
		v.Active = seconds(now.Sub(st.Established))
	}
	if d := st.DPD; d != nil {
		v.DPD = &DPD{seconds(d.Interval), seconds(d.Retry), yesNo(d.Periodic, "periodic", "on-demand")}
	}
	for _, c := range st.Children {
		v.Children = append(v.Children, IKEv2Child{In: SPI(c.In), Out: SPI(c.Out), State: c.State, Created: c.Created, Expires: c.Hard,
			LocalSelector: selectorList(c.TSLocal), RemoteSelector: selectorList(c.TSRemote), status: c})
	}
	return v
}

// sessionID is the number by which debug lines call the peer.
func sessionID(o sa.Owner) int { return int(o) + 1 }

func prfName(id uint16) string {
	switch id {
	case suite.PRFHMACSHA1:
		return "SHA1"
	case suite.PRFHMACSHA256:
		return "SHA256"
	case suite.PRFHMACSHA384:
		return "SHA384"
	case suite.PRFHMACSHA512:
		return "SHA512"
	}
	return fmt.Sprintf("PRF-%d", id)
}

// Text writes the two tables of IOS, one for an address family.
func (v *IKEv2SAs) Text(w io.Writer) error {
	p := &page{w: w}
	for _, family := range []string{"IPv4", "IPv6"} {
		p.line(" %s Crypto IKEv2  SA \n", family)
		for _, s := range v.SAs {
			if s.family() != family {
				continue
			}
			s.row(p)
			if v.detailed {
				s.detail(p)
			}
			p.line("")
		}
	}
	return p.err
}

func (s *IKEv2SA) family() string { return yesNo(s.Remote.Addr().Unmap().Is6(), "IPv6", "IPv4") }

// row is what IOS prints of an SA without `detailed`.
func (s *IKEv2SA) row(p *page) {
	p.line("%-9s %-21s %-21s %-20s %s", "Tunnel-id", "Local", "Remote", "fvrf/ivrf", "Status ")
	p.line("%-9d %-21s %-21s %-20s %-7s", s.TunnelID, slashed(s.Local), slashed(s.Remote), "none/none", s.Status)
	if s.KeyBits == 0 {
		p.line("      Encr: Unknown - 0, PRF: Unknown - 0, Hash: None, DH Grp:0, Auth sign: Unknown - 0, Auth verify: Unknown - 0")
	} else {
		p.line("      Encr: %s, keysize: %d, PRF: %s, Hash: %s, DH Grp:%d, Auth sign: PSK, Auth verify: PSK", s.Encryption, s.KeyBits, s.PRF, s.Hash, s.Group)
	}
	p.line("      Life/Active Time: %d/%d sec", s.Lifetime, s.Active)
}

// slashed is address and port as IKEv2 commands print them.
func slashed(a netip.AddrPort) string { return fmt.Sprintf("%s/%d", address(a.Addr()), a.Port()) }

func (s *IKEv2SA) detail(p *page) {
	p.line("      CE id: 0, Session-id: %d", s.TunnelID)
	p.line("      Local spi: %s       Remote spi: %s", s.LocalSPI, s.RemoteSPI)
	p.line("      Status Description: %s", s.description())
	p.line("      Local id: %s", orNone(s.LocalID))
	p.line("      Remote id: %s", orNone(s.RemoteID))
	pair := func(what string, local, remote uint32) {
		p.line("      %-18s %-14d %-19s %-10d", "Local "+what, local, "Remote "+what, remote)
	}
	pair("req msg id:", s.SendMID, s.RecvMID)
	pair("next msg id:", s.SendMID, s.RecvMID)
	pair("req queued:", s.SendMID, s.RecvMID)
	pair("window:", 1, 1)
	dpd := DPD{}
	if s.DPD != nil {
		dpd = *s.DPD
	}
	p.line("      DPD configured for %d seconds, retry %d", dpd.Interval, dpd.Retry)
	p.line("      Fragmentation not  configured.")
	p.line("      Dynamic Route Update: disabled")
	p.line("      Extended Authentication not configured.")
	p.line("      NAT-T is %s  ", s.nat())
	p.line("      Cisco Trust Security SGT is disabled")
	p.line("      Initiator of SA : %s", yesNo(s.Initiator, "Yes", "No"))
	p.line("      PEER TYPE: %s", yesNo(s.PeerLockstep, "Lockstep", "Other"))
}

func (s *IKEv2SA) description() string {
	switch s.Status {
	case "READY":
		return "Negotiation done"
	case "DELETE":
		return "Deleting IKE SA"
	}
	return yesNo(s.Initiator, "Initiator waiting for response", "Responder waiting for request")
}

// nat uses IOS's words: outside is before the peer, inside before us.
func (s *IKEv2SA) nat() string {
	switch {
	case s.NATLocal && s.NATRemote:
		return "detected inside and outside"
	case s.NATRemote:
		return "detected outside"
	case s.NATLocal:
		return "detected inside"
	}
	return "not detected"
}
