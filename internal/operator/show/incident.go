package show

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

// Incident is the story of one SPI without an SA: `show crypto recovery incident N`.
type Incident struct {
	ID           uint64     `json:"id"`
	Result       string     `json:"result"`
	Tunnel       string     `json:"tunnel"`
	Peer         netip.Addr `json:"peer"`
	Source       netip.Addr `json:"source"`
	Destination  netip.Addr `json:"destination"`
	SPI          SPI        `json:"spi"`
	Encap        string     `json:"encapsulation"`
	ClassCode    string     `json:"class_code"`
	Class        string     `json:"class"`
	ClassMeaning string     `json:"class_meaning"`
	Verdict      string     `json:"verdict"`
	Revised      bool       `json:"verdict_revised"`
	Cause        string     `json:"cause"`
	CauseMeaning string     `json:"cause_meaning"`
	Why          []string   `json:"why"`
	First        time.Time  `json:"first"`
	Last         time.Time  `json:"last"`
	TrafficBack  time.Time  `json:"traffic_back,omitzero"`
	Closed       time.Time  `json:"closed,omitzero"`
	Quarantined  time.Time  `json:"quarantined_until,omitzero"`
	Healer       string     `json:"healer,omitempty"`
	HealMS       *int64     `json:"heal_ms,omitempty"`
	RoundTrips   int        `json:"round_trips"`
	Lost         uint64     `json:"packets_lost"`
	ByLifetime   time.Time  `json:"unaided_by_lifetime,omitzero"`
	ByDPD        time.Time  `json:"unaided_by_dpd,omitzero"`
	Timeline     []Moment   `json:"timeline"`
	Omitted      int        `json:"timeline_omitted"`

	unaided string
	open    bool
	healed  bool
	silent  bool // it is about a child SA that is there
}

// Moment is one entry of a timeline.
type Moment struct {
	At    time.Time `json:"at"`
	After float64   `json:"after_ms"` // the first packet
	What  string    `json:"what"`
	Why   string    `json:"why,omitempty"`
}

// NewIncident makes the view.
func NewIncident(i recovery.Incident) *Incident {
	v := &Incident{ID: i.ID, Result: i.Result.String(), Tunnel: i.Peer, Peer: i.Remote, Source: i.Key.Src, Destination: i.Key.Dst,
		SPI: SPI(i.Key.SPI), Encap: i.Encap.String(), ClassCode: i.Class.Code(), Class: i.Class.String(), ClassMeaning: classText(i.Class),
		Verdict: i.Verdict.String(), Revised: i.Revised, Cause: i.Cause, CauseMeaning: causeText(i.Cause), Why: []string{},
		First: i.First, Last: i.Last, TrafficBack: i.Delivered, Closed: i.Closed, Quarantined: i.Quarantined, Healer: string(i.Healer), RoundTrips: i.RoundTrips,
		Lost: i.Lost, ByLifetime: i.ByLifetime, ByDPD: i.ByDPD, Timeline: []Moment{}, Omitted: i.Omitted,
		unaided: i.Unaided(), open: i.Closed.IsZero(), healed: i.Result == recovery.WasHealed,
		silent: i.Class == recovery.OneWay || i.Class == recovery.ReplayStuck}
	if !i.Delivered.IsZero() {
		ms := i.HealTime().Milliseconds()
		v.HealMS = &ms
	}
	for _, e := range i.Evidence {
		v.Why = append(v.Why, Clean(e))
	}
	for _, e := range i.Timeline {
		after := float64(e.At.Sub(i.First).Microseconds()) / 1000
		v.Timeline = append(v.Timeline, Moment{e.At, after, Clean(e.What), Clean(e.Why)})
	}
	return v
}

// heal is the healing time in milliseconds as a column.
func (v *Incident) heal() string {
	if v.HealMS == nil {
		return "-"
	}
	return fmt.Sprint(*v.HealMS)
}

// doing is the newest line of the timeline.
func (v *Incident) doing() string {
	if len(v.Timeline) == 0 {
		return "nothing yet"
	}
	m := v.Timeline[len(v.Timeline)-1]
	if m.Why == "" {
		return m.What
	}
	return m.What + ": " + m.Why
}

// Text writes the facts, then the timeline.
func (v *Incident) Text(w io.Writer) error {
	p := &page{w: w}
	v.facts(p)
	p.line("\n  Timeline\n  %12s  %-19s  %s", "after", "at", "what")
	for _, m := range v.Timeline {
		p.line("  %9.3f ms  %s  %s", m.After, stamp(m.At), m.What)
		if m.Why != "" {
			p.line("%35s  %s", "", m.Why)
		}
	}
	if v.Omitted > 0 {
		p.line("  %s of the middle left out", count(v.Omitted, "moment"))
	}
	return p.err
}

// facts is an incident without its timeline.
func (v *Incident) facts(p *page) {
	p.line("Incident %d: %s", v.ID, v.Result)
	row := func(name, format string, args ...any) { p.line("  %-14s "+format, append([]any{name}, args...)...) }
	row("Tunnel", "%s, peer %s", v.Tunnel, address(v.Peer))
	if v.silent {
		row("Child SA", "inbound SPI %v", v.SPI)
		row("Silent since", "%s", fullStamp(v.First))
		row("Last told", "%s", fullStamp(v.Last))
	} else {
		row("Packets", "%s from %s to %s, SPI %v", yesNo(v.Encap == sa.EncapUDP.String(), "ESP in UDP", "ESP"), address(v.Source), address(v.Destination), v.SPI)
		row("First packet", "%s", fullStamp(v.First))
		row("Last packet", "%s", fullStamp(v.Last))
	}
	if v.HealMS != nil {
		row("Traffic back", "%s, after %d ms", fullStamp(v.TrafficBack), *v.HealMS)
		row("Healed by", "%s, with %s", v.Healer, count(v.RoundTrips, "IKE round trip"))
	} else {
		row("Traffic back", "not yet seen")
	}
	if !v.open {
		row("Closed", "%s", fullStamp(v.Closed))
	}
	if !v.Quarantined.IsZero() {
		row("Quarantined", "until %s", fullStamp(v.Quarantined))
	}
	row("Packets lost", "%d", v.Lost)
	row("Class", "%s %s: %s", v.ClassCode, v.Class, v.ClassMeaning)
	row("Verdict", "%s%s", v.Verdict, yesNo(v.Revised, " (revised)", ""))
	row("Cause", "%s: %s", v.Cause, v.CauseMeaning)
	for n, why := range v.Why {
		row(yesNo(n == 0, "Why", ""), "%s", why)
	}
	row("Unaided", "%s", v.unaided)
}
