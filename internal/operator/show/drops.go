// Package show formats what producers publish in the layouts that Cisco engineers know. It computes nothing that a
// producer should, reads no key and keeps no state; the exec commands call it.
package show

import (
	"fmt"
	"io"
	"strings"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/reason"
)

// global adds up the counters that share a name.
func global(d *counters.Totals, name string) (packets, octets uint64) {
	for r := range reason.Count {
		if e, ok := reason.Of(reason.Drop(r)); ok && e.Global == name {
			packets += d.Packets[r]
			octets += d.Octets[r]
		}
	}
	return packets, octets
}

func row(d *counters.Totals, number int) (packets uint64) {
	for r := range reason.Count {
		if e, ok := reason.Of(reason.Drop(r)); ok && e.Row == number {
			packets += d.Packets[r]
		}
	}
	return packets
}

// StatisticsDrop writes `show platform hardware qfp active statistics drop` in IOS XE's columns: name, packets to column
// 49, octets to column 73. Rows of zero are left out; all shows them too.
func StatisticsDrop(w io.Writer, d *counters.Totals, all bool) error {
	rule := strings.Repeat("-", 73)
	if _, err := fmt.Fprintf(w, "%s\nGlobal Drop Stats                         Packets                  Octets  \n%s\n", rule, rule); err != nil {
		return err
	}
	for _, name := range reason.GlobalNames() {
		packets, octets := global(d, name)
		if packets == 0 && octets == 0 && !all {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-29s%20d%24d\n", name, packets, octets); err != nil {
			return err
		}
	}
	return nil
}

// DatapathDrops writes `show platform hardware qfp active feature ipsec datapath drops [all]`: number to column 9, name
// from column 11, packets to column 72. Without all the rows of zero are left out.
func DatapathDrops(w io.Writer, d *counters.Totals, all bool) error {
	rule := strings.Repeat("-", 72)
	if _, err := fmt.Fprintf(w, "%s\nDrop Type  Name                                     Packets\n%s\n", rule, rule); err != nil {
		return err
	}
	for _, r := range reason.Rows() {
		packets := row(d, r.Number)
		if packets == 0 && !all {
			continue
		}
		if _, err := fmt.Fprintf(w, "%9d  %-41s%20d\n", r.Number, r.Name, packets); err != nil {
			return err
		}
	}
	return nil
}
