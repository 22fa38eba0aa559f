package show

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// InvalidSPIFlow is what was seen of one flow of ESP without an SA.
type InvalidSPIFlow struct {
	Source       netip.AddrPort `json:"source"`
	Destination  netip.AddrPort `json:"destination"`
	SPI          SPI            `json:"spi"`
	Encap        string         `json:"encapsulation"`
	ClassCode    string         `json:"class_code"`
	Class        string         `json:"class"`
	ClassMeaning string         `json:"class_meaning"`
	Verdict      string         `json:"verdict"`
	Revised      bool           `json:"verdict_revised"`
	Tunnel       string         `json:"tunnel,omitempty"`
	OwnerBy      string         `json:"owner_found_by,omitempty"`
	Packets      uint64         `json:"packets"`
	Octets       uint64         `json:"octets"`
	Shortest     int            `json:"shortest_octets"`
	First        time.Time      `json:"first"`
	Last         time.Time      `json:"last"`
	Incident     uint64         `json:"incident,omitempty"`
	Previous     *PreviousOwner `json:"previous_owner,omitempty"`

	ago time.Duration
}

// PreviousOwner is whose the SPI was, and why it went.
type PreviousOwner struct {
	Tunnel  string    `json:"tunnel,omitempty"` // empty: it was offered and never installed
	Created time.Time `json:"created,omitzero"`
	Removed time.Time `json:"removed"`
	Why     string    `json:"why"`
	IKE     string    `json:"ike_spi,omitempty"`
}

// InvalidSPI is `show crypto invalid-spi`.
type InvalidSPI struct {
	Flows []InvalidSPIFlow `json:"flows"` // the most recent first
}

// NewInvalidSPI makes the view of s.Flows.
func NewInvalidSPI(s *Snapshot) *InvalidSPI {
	v := &InvalidSPI{Flows: []InvalidSPIFlow{}}
	for _, f := range s.Flows {
		v.Flows = append(v.Flows, newInvalidSPIFlow(s, f))
	}
	return v
}

func newInvalidSPIFlow(s *Snapshot, f recovery.Flow) InvalidSPIFlow {
	v := InvalidSPIFlow{Source: netip.AddrPortFrom(f.Src, f.SrcPort), Destination: netip.AddrPortFrom(f.Dst, f.DstPort), SPI: SPI(f.SPI),
		Encap: f.Encap.String(), ClassCode: f.Class.Code(), Class: f.Class.String(), ClassMeaning: classText(f.Class), Verdict: f.Verdict.String(),
		Revised: f.Revised, Tunnel: f.Peer, OwnerBy: f.OwnerBy, Packets: f.Count, Octets: f.Octets, Shortest: f.MinLen, First: f.First,
		Last: f.Last, Incident: f.Incident, ago: s.Now.Sub(f.Last)}
	if t := f.Tomb; t.Why != 0 {
		v.Previous = &PreviousOwner{Created: t.Created, Removed: t.Deleted, Why: t.Why.String()}
		if t.Tunnel >= 0 {
			v.Previous.Tunnel = tunnelName(t.Tunnel)
		}
		if t.IKE != 0 {
			v.Previous.IKE = fmt.Sprintf("%016X", t.IKE)
		}
	}
	return v
}

// Text writes one block a flow: a line that filters catch, and what explains it below, indented.
func (v *InvalidSPI) Text(w io.Writer) error {
	p := &page{w: w}
	packets, verdicts := uint64(0), map[string]int{}
	for _, f := range v.Flows {
		packets += f.Packets
		verdicts[f.Verdict]++
	}
	p.line("ESP without an SA: %s, %s; %d persistent, %d transient, %d of strangers", count(len(v.Flows), "flow"), count(packets, "packet"),
		verdicts[recovery.Persistent.String()], verdicts[recovery.Transient.String()], verdicts[recovery.Stranger.String()])
	if len(v.Flows) == 0 {
		return p.err
	}
	p.line("")
	invalidSPIHead(p)
	for i := range v.Flows {
		v.Flows[i].block(p)
	}
	return p.err
}

func invalidSPIHead(p *page) {
	p.line("%-16s %-16s %-22s %10s  %-10s  %s", "Source", "Destination", "SPI", "Packets", "Verdict", "Class")
}

func (v *InvalidSPIFlow) block(p *page) {
	p.line("%-16s %-16s %-22v %10d  %-10s  %s %s", address(v.Source.Addr()), address(v.Destination.Addr()), v.SPI, v.Packets, v.Verdict, v.ClassCode, v.Class)
	p.line("    first %s, last %s, %s ago", stamp(v.First), stamp(v.Last), age(v.ago))
	how := "protocol 50"
	if v.Encap == sa.EncapUDP.String() {
		how = fmt.Sprintf("UDP from port %d to %d", v.Source.Port(), v.Destination.Port())
	}
	owner := "nobody we know"
	if v.Tunnel != "" {
		owner = v.Tunnel + " (by " + v.OwnerBy + ")"
	}
	p.line("    %s, owner: %s", how, owner)
	p.line("    %s", v.ClassMeaning)
	if o := v.Previous; o != nil {
		o.line(p)
	}
	if v.Incident != 0 {
		p.line("    incident %d", v.Incident)
	}
}

func (o *PreviousOwner) line(p *page) {
	ike := ""
	if o.IKE != "" {
		ike = ", IKE SA " + o.IKE
	}
	if o.Tunnel == "" {
		p.line("    previous owner: offered %s, never installed; given up %s: %s%s", stamp(o.Created), stamp(o.Removed), o.Why, ike)
		return
	}
	p.line("    previous owner: %s since %s; removed %s: %s%s", o.Tunnel, stamp(o.Created), stamp(o.Removed), o.Why, ike)
}
