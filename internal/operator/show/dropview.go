package show

import (
	"io"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/reason"
)

// DropCount is one counter of discarded packets.
type DropCount struct {
	Name    string `json:"name"`
	Row     int    `json:"row,omitempty"`
	Packets uint64 `json:"packets"`
	Octets  uint64 `json:"octets,omitempty"`
}

// DropReason is what one of our own reasons counted, which is finer than IOS XE's rows.
type DropReason struct {
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
	Octets  uint64 `json:"octets"`
	Meaning string `json:"meaning"`
	Action  string `json:"action,omitempty"`
}

// Drops is either of the two QFP commands.
type Drops struct {
	Counters []DropCount  `json:"counters"`
	Reasons  []DropReason `json:"reasons"` // those that have counted anything

	write func(w io.Writer) error
}

// NewStatisticsDrop is the view of `show platform hardware qfp active statistics drop`.
func NewStatisticsDrop(d *counters.Totals, all bool) *Drops {
	v := newDrops(d, func(w io.Writer) error { return StatisticsDrop(w, d, all) })
	for _, name := range reason.GlobalNames() {
		if packets, octets := global(d, name); packets > 0 || octets > 0 || all {
			v.Counters = append(v.Counters, DropCount{Name: name, Packets: packets, Octets: octets})
		}
	}
	return v
}

// NewDatapathDrops is the view of `show platform hardware qfp active feature ipsec datapath drops [all]`.
func NewDatapathDrops(d *counters.Totals, all bool) *Drops {
	v := newDrops(d, func(w io.Writer) error { return DatapathDrops(w, d, all) })
	for _, r := range reason.Rows() {
		if packets := row(d, r.Number); packets > 0 || all {
			v.Counters = append(v.Counters, DropCount{Name: r.Name, Row: r.Number, Packets: packets})
		}
	}
	return v
}

func newDrops(d *counters.Totals, write func(io.Writer) error) *Drops {
	v := &Drops{Counters: []DropCount{}, Reasons: []DropReason{}, write: write}
	for r, n := range d.Packets {
		if e, ok := reason.Of(reason.Drop(r)); ok && n > 0 {
			v.Reasons = append(v.Reasons, DropReason{e.Mnemonic, n, d.Octets[r], e.Meaning, e.Action})
		}
	}
	return v
}

// Text writes IOS XE's table.
func (v *Drops) Text(w io.Writer) error { return v.write(w) }
