package show

import (
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// IPsec is `show crypto ipsec sa`.
type IPsec struct {
	Interfaces []IPsecInterface `json:"interfaces"`
	detail     bool
}

// IPsecInterface is the child SAs of one tunnel.
type IPsecInterface struct {
	Name  string     `json:"interface"`
	Local netip.Addr `json:"local_address,omitzero"`
	// UnknownSPI counts packets of the peer whose SPI no SA has, as far as their flows are remembered: no SA can count them.
	UnknownSPI uint64  `json:"unknown_spi_packets"`
	Flows      []Ident `json:"flows"`
}

// Ident is what one pair of selectors carries. Counts are those of the SAs that are installed now.
type Ident struct {
	LocalSelector   []string       `json:"local_selectors"`
	RemoteSelector  []string       `json:"remote_selectors"`
	Local           netip.AddrPort `json:"local"`
	Remote          netip.AddrPort `json:"remote"`
	MTU             int            `json:"plaintext_mtu"`
	PathMTU         int            `json:"path_mtu"`
	Group           uint16         `json:"pfs_group"` // 0: none
	Encaps          uint64         `json:"packets_out"`
	Decaps          uint64         `json:"packets_in"`
	Verified        uint64         `json:"packets_verified"`
	OctetsOut       uint64         `json:"octets_out"`
	OctetsIn        uint64         `json:"octets_in"`
	Errors          IPsecErrors    `json:"errors"`
	CurrentOutbound SPI            `json:"current_outbound_spi"`
	SilentSince     time.Time      `json:"silent_since,omitzero"` // packets go out on the newest child since then, and none comes
	In              []ESPSA        `json:"inbound"`
	Out             []ESPSA        `json:"outbound"`

	tsLocal, tsRemote []ike2.Selector
	sourceIF          string
}

// IPsecErrors is what was discarded on the SAs of an Ident, by the words of IOS.
type IPsecErrors struct {
	Send            uint64 `json:"send"`
	Recv            uint64 `json:"receive"`
	NoSASend        uint64 `json:"no_sa_send"`
	InvalidSARecv   uint64 `json:"invalid_sa_receive"`
	EncapsFailed    uint64 `json:"encaps_failed_send"`
	DecapsFailed    uint64 `json:"decaps_failed_receive"`
	InvalidProt     uint64 `json:"invalid_protocol_receive"`
	VerifyFailed    uint64 `json:"verify_failed_receive"`
	InvalidIdentity uint64 `json:"invalid_identity_receive"`
	InvalidLen      uint64 `json:"invalid_length_receive"`
	ReplayRollover  uint64 `json:"replay_rollover_send"`
	ReplayFailed    uint64 `json:"replay_failed_receive"`
	InternalErrRecv uint64 `json:"internal_error_receive"`
	verifiedAndLost uint64
}

// ESPSA is one direction of a child SA.
type ESPSA struct {
	SPI       SPI       `json:"spi"`
	Transform string    `json:"transform"`
	Encap     string    `json:"encapsulation"`
	ESN       bool      `json:"esn"`
	KBLeft    int64     `json:"kilobytes_left"` // -1: no limit by volume
	SecsLeft  int64     `json:"seconds_left"`
	IVSize    int       `json:"iv_size"`
	Window    int       `json:"replay_window"`
	Packets   uint64    `json:"packets"`
	Octets    uint64    `json:"octets"`
	Dropped   uint64    `json:"dropped"`
	Last      time.Time `json:"last,omitzero"`
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Sequence  uint64    `json:"sequence"` // highest received, or last sent
}

// NewIPsec makes the view: every protected tunnel that keep wants (nil: all), also one without SAs.
func NewIPsec(s *Snapshot, detail bool, keep func(*policy.Peer) bool) *IPsec {
	v := &IPsec{Interfaces: []IPsecInterface{}, detail: detail}
	for _, p := range s.peers() {
		if keep == nil || keep(p) {
			v.Interfaces = append(v.Interfaces, newIPsecInterface(s, p))
		}
	}
	return v
}

func newIPsecInterface(s *Snapshot, p *policy.Peer) IPsecInterface {
	local, _ := s.endpoints(p)
	v := IPsecInterface{Name: p.Name(), Local: local.Addr()}
	for _, f := range s.Flows {
		if f.Owner == sa.Owner(p.ID) && f.Peer == p.Name() {
			v.UnknownSPI += f.Count
		}
	}
	for _, c := range byNewest(s.childrenOf(p)) {
		i := slices.IndexFunc(v.Flows, func(id Ident) bool {
			return slices.Equal(id.tsLocal, c.Child.TSLocal) && slices.Equal(id.tsRemote, c.Child.TSRemote)
		})
		if i < 0 {
			v.Flows = append(v.Flows, newIdent(s, p, c.Child.TSLocal, c.Child.TSRemote))
			i = len(v.Flows) - 1
		}
		v.Flows[i].add(s, c)
	}
	if len(v.Flows) == 0 {
		v.Flows = []Ident{newIdent(s, p, wideOpen(), wideOpen())}
	}
	return v
}

// byNewest orders children as the outbound choice prefers them, where they carry the same selectors.
func byNewest(pairs []sa.Pair) []sa.Pair {
	out := slices.Clone(pairs)
	slices.SortStableFunc(out, func(a, b sa.Pair) int { return b.Child.Created.Compare(a.Child.Created) })
	return out
}

func newIdent(s *Snapshot, p *policy.Peer, tsLocal, tsRemote []ike2.Selector) Ident {
	local, remote := s.endpoints(p)
	d := s.device(p.Name())
	v := Ident{LocalSelector: selectorList(tsLocal), RemoteSelector: selectorList(tsRemote), Local: local, Remote: remote,
		MTU: d.MTU, PathMTU: d.PathMTU, In: []ESPSA{}, Out: []ESPSA{}, tsLocal: tsLocal, tsRemote: tsRemote, sourceIF: Clean(d.SourceIF)}
	if p.IPsec != nil {
		v.Group = p.IPsec.PFS
	}
	return v
}

// add counts one child, the newest first.
func (v *Ident) add(s *Snapshot, c sa.Pair) {
	if len(v.In) == 0 {
		if n, ok := s.negotiated(c.Child.In); ok {
			v.Group, v.SilentSince = n.PFSGroup, n.SilentSince
		}
	}
	v.Errors.in(&c.In)
	v.Errors.out(&c.Out)
	v.Decaps += c.In.Packets
	v.OctetsIn += c.In.Octets
	v.Encaps += c.Out.Packets
	v.OctetsOut += c.Out.Octets
	v.Verified = v.Decaps + v.Errors.verifiedAndLost
	in := newESPSA(&c.Child, SPI(c.Child.In), &c.In, s.Now)
	in.Sequence = c.ReplayTop
	v.In = append(v.In, in)
	if !c.Both {
		return
	}
	out := newESPSA(&c.Child, SPI(c.Child.Out), &c.Out, s.Now)
	if c.Next > 0 {
		out.Sequence = c.Next - 1
	}
	v.Out = append(v.Out, out)
	if v.CurrentOutbound == 0 {
		v.CurrentOutbound = SPI(c.Child.Out)
	}
}

func newESPSA(c *sa.Child, spi SPI, n *sa.Counts, now time.Time) ESPSA {
	v := ESPSA{SPI: spi, Transform: c.Cipher.TransformName(), Encap: c.Encap.String(), ESN: c.ESN, KBLeft: -1, IVSize: c.Cipher.IVLen(), Window: c.ReplayWindow,
		Packets: n.Packets, Octets: n.Octets, Last: n.Last, Created: c.Created, Expires: c.Hard}
	if c.HardBytes > 0 {
		v.KBLeft = 0
		if n.Octets < c.HardBytes {
			v.KBLeft = int64((c.HardBytes - n.Octets) / 1024)
		}
	}
	if !c.Hard.IsZero() {
		v.SecsLeft = seconds(c.Hard.Sub(now))
	}
	for why, count := range n.Drops {
		if reason.Drop(why) != reason.DummyPacket {
			v.Dropped += count
		}
	}
	return v
}

// in sorts what was discarded on an inbound SA under the words of IOS.
func (e *IPsecErrors) in(n *sa.Counts) {
	for why, count := range n.Drops {
		switch reason.Drop(why) {
		case reason.None:
			continue
		case reason.DummyPacket:
			e.verifiedAndLost += count // a good packet that carries nothing
			continue
		case reason.HardExpired:
			e.InvalidSARecv += count
		case reason.ESPTruncated:
			e.InvalidLen += count
		case reason.ReplayOld, reason.ReplayDuplicate:
			e.ReplayFailed += count
		case reason.BadICV:
			e.VerifyFailed += count
		case reason.BadPadding, reason.InnerMalformed:
			e.DecapsFailed += count
			e.verifiedAndLost += count
		case reason.SelectorMismatch:
			e.InvalidIdentity += count
			e.verifiedAndLost += count
		case reason.WrongNextHeader:
			e.InvalidProt += count
			e.verifiedAndLost += count
		default:
			e.InternalErrRecv += count
		}
		e.Recv += count
	}
}

// out does the same for an outbound SA.
func (e *IPsecErrors) out(n *sa.Counts) {
	for why, count := range n.Drops {
		switch reason.Drop(why) {
		case reason.None:
			continue
		case reason.HardExpired:
			e.NoSASend += count
		case reason.SeqExhausted:
			e.ReplayRollover += count
		default:
			e.EncapsFailed += count
		}
		e.Send += count
	}
}
