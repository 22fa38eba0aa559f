package show

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
)

// Recovery is `show crypto recovery [detail]`.
type Recovery struct {
	Extended   bool             `json:"extended"`
	InvalidSPI bool             `json:"invalid_spi_recovery"`
	Identity   Identity         `json:"spi_identity"`
	Tunnels    []RecoveryTunnel `json:"tunnels"`
	Open       []*Incident      `json:"open"`
	Closed     []*Incident      `json:"closed"` // the most recent first
	Late       uint64           `json:"strays_late"`
	Unsent     uint64           `json:"orders_not_taken"`
	Overflow   uint64           `json:"inputs_lost"`

	detail bool
	now    time.Time
}

// Identity is where the SPIs of this gateway come from.
type Identity struct {
	Generation uint64    `json:"generation"`
	Created    time.Time `json:"created,omitzero"`
	Fresh      bool      `json:"fresh"` // this start made it: older SPIs cannot be told from strangers' (K12)
}

// RecoveryTunnel is where recovery stands with one tunnel.
type RecoveryTunnel struct {
	Tunnel   string     `json:"tunnel"`
	Peer     netip.Addr `json:"peer,omitzero"`
	LineUp   bool       `json:"line_up"`
	State    string     `json:"state"`
	Meaning  string     `json:"state_meaning"`
	Since    time.Time  `json:"since,omitzero"`
	Until    time.Time  `json:"until,omitzero"`
	Why      string     `json:"why,omitempty"`
	Rung     int        `json:"rung"`
	Open     int        `json:"open"`
	Kept     int        `json:"keys_quarantined"`
	Healed24 int        `json:"healed_24h"`
	Trend    string     `json:"causes_24h,omitempty"`
	LastHeal int64      `json:"last_heal_ms"` // of Healed24; 0 if that is 0
	// One-way by nature: since when nothing comes back, and when it is looked at again.
	OneWaySince time.Time `json:"one_way_since,omitzero"`
	OneWayUntil time.Time `json:"one_way_until,omitzero"`
	Defects     []Defect  `json:"peer_defects"` // with detail

	idle bool
}

// Defect is a published fault that the peer has shown.
type Defect struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Doing string    `json:"doing"` // what we do about it
}

// defectsOf lists what is known of a peer's faults.
func defectsOf(q ike.Quirks) []Defect {
	out := []Defect{}
	for _, d := range []Defect{
		{"CSCvp16730", q.AvoidFF, "it is offered no SPI that begins with 0xFF"},
		{"CSCvn31824", q.HoldSwitch, "we send on a new SA when it does, or after " + q.Hold.String()},
		{"CSC..40554", q.NoM2, "it is sent no INVALID_SPI"},
	} {
		if !d.Since.IsZero() {
			out = append(out, d)
		}
	}
	return out
}

// RecoverySource is what the view needs beside a Snapshot.
type RecoverySource struct {
	Identity  Identity
	Standings []recovery.Standing
	Incidents []recovery.Incident
	Stats     runner.Stats
}

// NewRecovery makes the view.
func NewRecovery(s *Snapshot, r *RecoverySource, detail bool) *Recovery {
	v := &Recovery{Identity: r.Identity, Tunnels: []RecoveryTunnel{}, Open: []*Incident{}, Closed: []*Incident{},
		Late: r.Stats.Late, Unsent: r.Stats.Unsent, Overflow: r.Stats.Lost, detail: detail, now: s.Now}
	if s.Config != nil {
		v.Extended, v.InvalidSPI = s.Config.Recovery.Extended, s.Config.Recovery.InvalidSPI
	}
	for _, st := range r.Standings {
		v.Tunnels = append(v.Tunnels, newRecoveryTunnel(s, st))
	}
	for _, i := range r.Incidents {
		if one := NewIncident(i); one.open {
			v.Open = append(v.Open, one)
		} else {
			v.Closed = append(v.Closed, one)
		}
	}
	slices.SortStableFunc(v.Closed, func(a, b *Incident) int { return b.Closed.Compare(a.Closed) })
	return v
}

func newRecoveryTunnel(s *Snapshot, st recovery.Standing) RecoveryTunnel {
	v := RecoveryTunnel{Tunnel: st.Peer, LineUp: s.device(st.Peer).LineUp, State: st.State.String(), Meaning: stateText(st.State), Since: st.Since,
		Until: st.Until, Why: Clean(st.Why), Rung: st.Rung, Open: st.Open, Kept: st.Kept, Healed24: st.Healed24, Trend: st.Trend,
		LastHeal: st.LastHeal.Milliseconds(), OneWaySince: st.OneWaySince, OneWayUntil: st.OneWayUntil, Defects: []Defect{},
		idle: st.State == recovery.Idle}
	if p := s.peer(st.Peer); p != nil {
		v.Peer, v.Defects = p.Remote, defectsOf(s.Quirks[sa.Owner(p.ID)])
	}
	return v
}

// tunnelName is the interface of a unit.
func tunnelName(unit int) string { return (&policy.Tunnel{Unit: unit}).Name() }

// Text writes what an operator needs at night, first things first: what is broken now, what was done, what it was.
func (v *Recovery) Text(w io.Writer) error {
	p := &page{w: w}
	v.head(p)
	v.tunnels(p)
	v.open(p)
	v.healings(p)
	return p.err
}

func (v *Recovery) head(p *page) {
	p.line("Crypto recovery: %s, invalid-spi-recovery %s", yesNo(v.Extended, "extended", "parity mode"), yesNo(v.InvalidSPI, "on", "off"))
	p.line("SPI identity: generation %d, made %s%s", v.Identity.Generation, fullStamp(v.Identity.Created),
		yesNo(v.Identity.Fresh, " by this start: SPIs of before cannot be told from strangers'", ""))
	if v.Late+v.Unsent+v.Overflow > 0 {
		p.line("Not the usual way: %d strays came late, %d orders were not taken, %d inputs lost", v.Late, v.Unsent, v.Overflow)
	}
	healed := 0
	for _, t := range v.Tunnels {
		healed += t.Healed24
	}
	p.line("%s, %s open, %s in 24 hours", count(len(v.Tunnels), "tunnel"), count(len(v.Open), "incident"), count(healed, "healing"))
}

func count[N int | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (v *Recovery) tunnels(p *page) {
	if len(v.Tunnels) == 0 {
		return
	}
	p.line("\n%-12s %-16s %-5s %-12s %-10s %5s %11s %10s", "Tunnel", "Peer", "Line", "Recovery", "For", "Open", "Healed/24h", "Last heal")
	for _, t := range v.Tunnels {
		last, held := "-", "-"
		if t.Healed24 > 0 {
			last = fmt.Sprintf("%d ms", t.LastHeal)
		}
		if !t.Since.IsZero() { // else as it has been since the start
			held = since(t.Since, v.now)
		}
		p.line("%-12s %-16s %-5s %-12s %-10s %5d %11d %10s", t.Tunnel, address(t.Peer), yesNo(t.LineUp, "up", "down"), t.State,
			held, t.Open, t.Healed24, last)
		t.more(p, v.detail)
	}
}

// more is what a tunnel that is not idle, or is looked at closely, has to tell.
func (t *RecoveryTunnel) more(p *page, detail bool) {
	if !t.idle || detail {
		p.line("    %s%s", t.Meaning, yesNo(t.Why != "", ": "+t.Why, ""))
		if !t.Until.IsZero() {
			p.line("    until %s", stamp(t.Until))
		}
	}
	if t.Kept > 0 {
		p.line("    %s quarantined: the peer answers and sends on; others are healed, a person is needed for %s",
			yesNo(t.Kept == 1, "1 SPI is", count(t.Kept, "SPI")+" are"), yesNo(t.Kept == 1, "it", "them"))
	}
	if !t.OneWaySince.IsZero() {
		p.line("    one-way by nature: nothing comes back since %s; looked at again at %s", stamp(t.OneWaySince), stamp(t.OneWayUntil))
	}
	for _, d := range t.Defects {
		p.line("    the peer has %s, met %s: %s", d.Name, stamp(d.Since), d.Doing)
	}
	if t.Trend != "" && (detail || t.Healed24 > 1) {
		p.line("    causes in 24 hours: %s", t.Trend)
	}
}

func (v *Recovery) open(p *page) {
	if len(v.Open) == 0 {
		return
	}
	p.line("\nOpen incidents")
	if v.detail {
		v.blocks(p, v.Open)
		return
	}
	p.line("%6s  %-12s %-19s  %-22s  %8s  %-10s  %s", "ID", "Tunnel", "First packet", "SPI", "Lost", "Verdict", "Class")
	for _, i := range v.Open {
		p.line("%6d  %-12s %s  %-22v  %8d  %-10s  %s %s", i.ID, i.Tunnel, stamp(i.First), i.SPI, i.Lost, i.Verdict, i.ClassCode, i.Class)
		p.line("        cause %s: %s", i.Cause, i.CauseMeaning)
		p.line("        now: %s", i.doing())
		if !i.Quarantined.IsZero() {
			p.line("        quarantined until %s", stamp(i.Quarantined))
		}
		p.line("        unaided: %s", i.unaided)
	}
}

// shown is how many healings the short form lists.
const shown = 10

func (v *Recovery) healings(p *page) {
	if v.detail {
		if len(v.Closed) > 0 {
			p.line("\nClosed incidents")
			v.blocks(p, v.Closed)
		}
		return
	}
	listed, others := 0, 0
	for _, i := range v.Closed {
		if !i.healed || listed == shown {
			others++
			continue
		}
		if listed++; listed == 1 {
			p.line("\nLast healings")
			p.line("%6s  %-12s %-19s  %-9s %8s %6s %8s  %s", "ID", "Tunnel", "Traffic back", "Healer", "Heal ms", "Trips", "Lost", "Cause")
		}
		p.line("%6d  %-12s %s  %-9s %8s %6d %8d  %s", i.ID, i.Tunnel, stamp(i.TrafficBack), i.Healer, i.heal(), i.RoundTrips, i.Lost, i.Cause)
		p.line("        %s", i.CauseMeaning)
		p.line("        unaided: %s", i.unaided)
	}
	if others > 0 {
		p.line("\n%s more closed: show crypto recovery detail", count(others, "incident"))
	}
}

func (v *Recovery) blocks(p *page, list []*Incident) {
	for _, i := range list {
		p.line("")
		i.facts(p)
		if i.open {
			p.line("  %-14s %s", "Now", i.doing())
		}
	}
}
