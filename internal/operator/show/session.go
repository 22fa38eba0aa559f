package show

import (
	"io"
	"net/netip"
	"strconv"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// Session states of IOS.
const (
	upActive        = "UP-ACTIVE"
	upIdle          = "UP-IDLE"   // an IKE SA without child SAs
	upNoIKE         = "UP-NO-IKE" // child SAs that no IKE SA could delete
	downNegotiating = "DOWN-NEGOTIATING"
	down            = "DOWN"
)

// Session is what IKE and IPsec have with one peer.
type Session struct {
	Interface string         `json:"interface"`
	Profile   string         `json:"profile,omitempty"`
	Desc      string         `json:"description,omitempty"`
	Status    string         `json:"status"`
	UpSince   time.Time      `json:"up_since,omitzero"`
	Uptime    int64          `json:"uptime_seconds"`
	ID        int            `json:"session_id"`
	Peer      netip.AddrPort `json:"peer"`
	PeerID    string         `json:"peer_id,omitempty"`
	IKE       []SessionIKE   `json:"ike_sas"`
	Flows     []SessionFlow  `json:"flows"`
}

// SessionIKE is one IKE SA of a session.
type SessionIKE struct {
	Local        netip.AddrPort `json:"local"`
	Remote       netip.AddrPort `json:"remote"`
	Active       bool           `json:"active"`
	Capabilities string         `json:"capabilities"` // letters of IOS; empty: none
	Remaining    int64          `json:"remaining_seconds"`
}

// SessionFlow is one pair of selectors of a session.
type SessionFlow struct {
	Local       []string `json:"local_selectors"`
	Remote      []string `json:"remote_selectors"`
	Active      int      `json:"active_sas"` // each direction counts
	Decrypted   uint64   `json:"packets_in"`
	Encrypted   uint64   `json:"packets_out"`
	DroppedIn   uint64   `json:"dropped_in"`
	DroppedOut  uint64   `json:"dropped_out"`
	KBLeftIn    int64    `json:"kilobytes_left_in"` // -1: no limit by volume
	KBLeftOut   int64    `json:"kilobytes_left_out"`
	SecondsLeft int64    `json:"seconds_left"`

	ident *Ident
}

// Sessions is `show crypto session [detail]`.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	detail   bool
}

// NewSessions makes the view: one session for each protected tunnel.
func NewSessions(s *Snapshot, detail bool) *Sessions {
	v := &Sessions{Sessions: []Session{}, detail: detail}
	for _, p := range s.peers() {
		v.Sessions = append(v.Sessions, newSession(s, p))
	}
	return v
}

func newSession(s *Snapshot, p *policy.Peer) Session {
	_, remote := s.endpoints(p)
	d := s.device(p.Name())
	v := Session{Interface: p.Name(), Desc: Clean(p.Tunnel.Description), ID: sessionID(sa.Owner(p.ID)), Peer: remote, IKE: []SessionIKE{}, Flows: []SessionFlow{}}
	if p.IKE != nil {
		v.Profile = Clean(p.IKE.Name)
	}
	ikes, children := s.saOf(p), s.childrenOf(p)
	v.Status = sessionStatus(ikes, children)
	for _, st := range ikes {
		v.IKE = append(v.IKE, newSessionIKE(st, s.Now))
		if st.RemoteID != "" {
			v.PeerID = Clean(st.RemoteID)
		}
	}
	if v.Status == upActive || v.Status == upNoIKE {
		v.UpSince = d.Since
		if !d.LineUp || d.Since.IsZero() {
			v.UpSince = oldest(children)
		}
		v.Uptime = seconds(s.Now.Sub(v.UpSince))
	}
	idents := newIPsecInterface(s, p).Flows
	for i := range idents {
		v.Flows = append(v.Flows, newSessionFlow(&idents[i]))
	}
	return v
}

func sessionStatus(ikes []ike.Status, children []sa.Pair) string {
	ready, begun := false, false
	for _, st := range ikes {
		ready = ready || st.State == "READY"
		begun = begun || st.State == "IN-NEG"
	}
	switch {
	case ready && len(children) > 0:
		return upActive
	case ready:
		return upIdle
	case len(children) > 0:
		return upNoIKE
	case begun:
		return downNegotiating
	}
	return down
}

func oldest(pairs []sa.Pair) (t time.Time) {
	for _, c := range pairs {
		if t.IsZero() || c.Child.Created.Before(t) {
			t = c.Child.Created
		}
	}
	return t
}

func newSessionIKE(st ike.Status, now time.Time) SessionIKE {
	v := SessionIKE{Local: st.Local, Remote: st.Remote, Active: st.State == "READY"}
	if st.DPD != nil {
		v.Capabilities += "D"
	}
	if st.NATDetected {
		v.Capabilities += "N"
	}
	if v.Active && !st.Established.IsZero() {
		v.Remaining = seconds(st.Lifetime - now.Sub(st.Established))
	}
	return v
}

func newSessionFlow(id *Ident) SessionFlow {
	v := SessionFlow{Local: id.LocalSelector, Remote: id.RemoteSelector, Active: len(id.In) + len(id.Out), Decrypted: id.Verified, Encrypted: id.Encaps,
		DroppedIn: id.Errors.Recv, DroppedOut: id.Errors.Send, ident: id}
	if len(id.In) > 0 {
		v.KBLeftIn, v.SecondsLeft = id.In[0].KBLeft, id.In[0].SecsLeft
	}
	if len(id.Out) > 0 {
		v.KBLeftOut = id.Out[0].KBLeft
	}
	return v
}

// Text writes the blocks of IOS.
func (v *Sessions) Text(w io.Writer) error {
	p := &page{w: w}
	p.line("Crypto session current status\n")
	if v.detail {
		p.line("Code: C - IKE Configuration mode, D - Dead Peer Detection     ")
		p.line("K - Keepalives, N - NAT-traversal, T - cTCP encapsulation     ")
		p.line("X - IKE Extended Authentication, F - IKE Fragmentation")
		p.line("R - IKE Auto Reconnect, U - IKE Dynamic Route Update")
		p.line("S - SIP VPN\n")
	}
	for i := range v.Sessions {
		v.Sessions[i].block(p, v.detail)
	}
	return p.err
}

func (v *Session) block(p *page, detail bool) {
	p.line("Interface: %s", v.Interface)
	if detail && v.Profile != "" {
		p.line("Profile: %s", v.Profile)
	}
	if detail && !v.UpSince.IsZero() {
		p.line("Uptime: %s", age(time.Duration(v.Uptime)*time.Second))
	}
	p.line("Session status: %-14s", v.Status)
	if !detail {
		p.line("Peer: %s port %d ", address(v.Peer.Addr()), v.Peer.Port())
	} else {
		p.line("Peer: %s port %d fvrf: (none) ivrf: (none)", address(v.Peer.Addr()), v.Peer.Port())
		p.line("      Phase1_id: %s", orNone(v.PeerID))
		p.line("      Desc: %s", orNone(v.Desc))
	}
	for _, i := range v.IKE {
		p.line("  Session ID: %d  ", v.ID)
		p.line("  IKEv2 SA: local %s remote %s %s ", slashed(i.Local), slashed(i.Remote), yesNo(i.Active, "Active", "Inactive"))
		if detail {
			p.line("          Capabilities:%s connid:%d lifetime:%s", orNone(i.Capabilities), v.ID, clock(time.Duration(i.Remaining)*time.Second))
		}
	}
	for i := range v.Flows {
		v.Flows[i].block(p, detail)
	}
	p.line("")
}

func (v *SessionFlow) block(p *page, detail bool) {
	for _, l := range v.ident.tsLocal {
		for _, r := range v.ident.tsRemote {
			p.line("  IPSEC FLOW: permit %s %s %s ", protocol(l.Protocol), network(l), network(r))
		}
	}
	p.line("        Active SAs: %d, origin: crypto map", v.Active)
	if !detail {
		return
	}
	in, out := ESPSA{KBLeft: v.KBLeftIn}, ESPSA{KBLeft: v.KBLeftOut}
	p.line("        Inbound:  #pkts dec'ed %d drop %d life (KB/Sec) %s/%d", v.Decrypted, v.DroppedIn, in.volume(), v.SecondsLeft)
	p.line("        Outbound: #pkts enc'ed %d drop %d life (KB/Sec) %s/%d", v.Encrypted, v.DroppedOut, out.volume(), v.SecondsLeft)
}

// network is a selector's addresses as IOS prints a flow.
func network(s ike2.Selector) string {
	p, ok := s.Prefix()
	switch {
	case !ok:
		return s.Start.String() + "-" + s.End.String()
	case p.IsSingleIP():
		return "host " + p.Addr().String()
	case p.Addr().Is4():
		return p.Addr().String() + "/" + dotted(p.Bits())
	}
	return p.String()
}

// protocol is an inner protocol as IOS prints a flow: "ip" for any, otherwise its number.
func protocol(n uint8) string {
	if n == 0 {
		return "ip"
	}
	return strconv.Itoa(int(n))
}
