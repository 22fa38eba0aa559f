package diagnose

import (
	"fmt"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/show"
)

// maxCounters are kept.
const maxCounters = 20_000

// tally pairs the counters of captures in the order in which they were given.
type tally struct {
	order []place
	seen  map[place][]evidence.Counter
	n     int
}

type place struct {
	device, table, name string
	row                 int
}

func (t *tally) add(c evidence.Counter) {
	if t.seen == nil {
		t.seen = map[place][]evidence.Counter{}
	}
	if t.n >= maxCounters {
		return
	}
	t.n++
	p := place{c.Device, c.Table, c.Name, c.Row}
	if t.seen[p] == nil {
		t.order = append(t.order, p)
	}
	t.seen[p] = append(t.seen[p], c)
}

// rows has one row a counter: its first value, and how much it rose up to the last capture. Counters at zero that stay
// there are left out, but for those that the tech note asks to look at.
func (t *tally) rows() []Counter {
	var out []Counter
	for _, p := range t.order {
		all := t.seen[p]
		first, last := all[0], all[len(all)-1]
		c := Counter{Counter: last, Two: len(all) > 1, Meaning: show.Meanings[p.name]}
		if last.Packets >= first.Packets {
			c.Delta = last.Packets - first.Packets
		}
		if last.Packets == 0 && c.Meaning == "" {
			continue
		}
		out = append(out, c)
	}
	return out
}

// counterFindings says what counters show: that packets without SA came, and whether they still come.
func (r *run) counterFindings() {
	for _, p := range r.tally.order {
		all := r.tally.seen[p]
		first, last := all[0], all[len(all)-1]
		if len(all) > 1 && last.Packets < first.Packets {
			r.finding("note", "counter-went-back", fmt.Sprintf("%s went from %d to %d: it was cleared, the device restarted, or the captures are in the wrong order; no difference is taken", p.name, first.Packets, last.Packets), first.Quote, last.Quote)
			continue
		}
		if !show.NoSA[p.name] || last.Packets == 0 {
			continue
		}
		switch rose := last.Packets - first.Packets; {
		case len(all) == 1:
			r.finding("warning", "no-sa-drops", fmt.Sprintf("%s is %d: so many packets came without an SA since it was last cleared; a second capture would tell whether they still come", p.name, last.Packets), last.Quote)
		case rose > 0:
			r.finding("error", "no-sa-drops-rise", fmt.Sprintf("%s rose by %d, from %d to %d: packets without an SA still come", p.name, rose, first.Packets, last.Packets), first.Quote, last.Quote)
		default:
			r.finding("note", "no-sa-drops-stand", fmt.Sprintf("%s stands at %d: none came between the captures", p.name, last.Packets), first.Quote, last.Quote)
		}
	}
}
