package story

import (
	"context"
	"fmt"
	"time"
)

// maxRehearsal bounds what a script rehearses: a day takes a second.
const maxRehearsal = 7 * 24 * time.Hour

func parseRehearse(p *parser, w *words) action {
	length := w.duration("how long", time.Minute, maxRehearsal)
	a, b := p.pair(w)
	every := w.duration("the time between two packets", time.Millisecond, time.Hour)
	p.rehearsed = true
	return func(_ context.Context, st *stage) error {
		restless := st.twin != nil && st.twin.At == a && sabotages[st.twin.Name].restless
		began := time.Now()
		r, err := rehearse([2]*cast{p.cast(a), p.cast(b)}, st.story.delay, length, every, restless)
		if err != nil {
			return err
		}
		st.rehearsed = r
		st.tell("net", "net", fmt.Sprintf("%v of a packet each %v from %s to %s, by their IKE, SA tables and recovery over simulated time, took %s",
			length, every, a, b, milliseconds(time.Since(began))))
		return nil
	}
}

// lifetimeShare is what an SA has lived at least when its lifetime is why it is rekeyed: the margin is a tenth of it, and the
// jitter as much.
const lifetimeShare = 0.8

func parseSteady(p *parser, w *words) judgement {
	most := w.count("how many more rekeys an hour than lifetimes ask for", 0, 1000)
	if !p.rehearsed {
		w.fail("a `rehearse` is expected before it")
	}
	return func(_ context.Context, st *stage) evaluation {
		a, b := st.rehearsed.actors[0], st.rehearsed.actors[1]
		life := a.cast.config.Peers[0].IPsec.Lifetime
		if life == 0 {
			life = time.Hour // the default of IOS
		}
		var extra []time.Time
		for i := 1; i < len(a.changed); i++ {
			if lived := a.changed[i].Sub(a.changed[i-1]); lived.Seconds() < lifetimeShare*life.Seconds() {
				extra = append(extra, a.changed[i])
			}
		}
		worst := mostWithin(extra, time.Hour)
		value := fmt.Sprintf("%d rekeys, %d of them before their time, %d in an hour at the worst; %d of %d packets came out",
			len(a.changed)-1, len(extra), worst, b.got, a.sent)
		if worst > most || len(a.changed) == 0 || b.got < a.sent-1 { // the last one is on its way
			return fails("%s", value)
		}
		return holds("%s", value)
	}
}

// mostWithin is how many of some times, in order, lie within so long.
func mostWithin(at []time.Time, d time.Duration) int {
	most, first := 0, 0
	for i := range at {
		for at[i].Sub(at[first]) >= d {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
