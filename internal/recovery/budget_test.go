package recovery

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

func TestTwoSecondsBetweenTheActionsOfAnOwner(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	begun := r.now
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	r.now = r.now.Add(100 * time.Millisecond)
	r.want(r.lost(0x2222))
	got := r.wait(1899 * time.Millisecond)
	r.want(got)
	r.want(r.wait(time.Millisecond), "Delete 0x00002222") // without another packet
	if d := r.now.Sub(begun); d != 2*time.Second {
		t.Errorf("after %v", d)
	}
}

func TestManySPIsGoInOneBatch(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	first := r.lost(lostSPI)
	for i := range sa.SPI(200) {
		r.now = r.now.Add(time.Millisecond)
		r.lost(0x10000 + i)
	}
	r.now = r.now.Add(2 * time.Second)
	got := r.end(first, ike.OK, 1, "")
	got = append(got, r.wait(2*time.Second)...)
	n := len(orders(got))
	if n < 32 || n > maxBatch {
		t.Errorf("%d Deletes in the next batch", n)
	}
	if o := len(r.e.owners[0].open); o > maxBatch {
		t.Errorf("%d open incidents", o)
	}
}

func TestTenDeletesAMinute(t *testing.T) {
	r := newRig(t, true, false)
	r.live(0x4000)
	n := 0
	for s := range 600 { // ten minutes of a peer that does not listen
		step := r.lost(lostSPI)
		n += len(orders(step))
		r.end(step, ike.OK, 1, "")
		late := r.wait(time.Second)
		n += len(orders(late))
		r.end(late, ike.OK, 1, "")
		if most := 10 * ((s+1)/60 + 1); n > most {
			t.Fatalf("%d Deletes after %d s", n, s+1)
		}
	}
	if n < 95 {
		t.Errorf("%d Deletes in ten minutes: the budget is not used", n)
	}
}

func TestAllOwnersTogetherBeginFiftyIKESAsASecondAfterAHundred(t *testing.T) {
	r := newRig(t, true, true, func(s *Settings) {
		s.Owners = nil
		for i := range 1000 {
			a := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
			s.Owners = append(s.Owners, Owner{ID: sa.Owner(i), Name: fmt.Sprint("Tunnel", i), Remote: a, Initiate: true})
		}
	})
	n := 0
	for range 3 {
		for i := range 1000 {
			s := r.seen(0x10000 + sa.SPI(i))
			s.Src, s.Owner = netip.AddrPortFrom(r.e.owners[sa.Owner(i)].Remote, 0), sa.Owner(i)
			n += len(orders(r.step(FromLost(s, OriginEarlier))))
		}
		if n != 100 {
			t.Fatalf("%d at once", n)
		}
	}
	for s := range 10 {
		for range 10 {
			n += len(orders(r.wait(100 * time.Millisecond)))
			for i := range 1000 {
				s := r.seen(0x10000 + sa.SPI(i))
				s.Src, s.Owner = netip.AddrPortFrom(r.e.owners[sa.Owner(i)].Remote, 0), sa.Owner(i)
				n += len(orders(r.step(FromLost(s, OriginEarlier))))
			}
		}
		if most := 100 + 50*(s+1); n > most {
			t.Fatalf("%d after %d s", n, s+1)
		}
	}
	if n < 500 {
		t.Errorf("%d in ten seconds", n)
	}
}

// TestAFloodOfKeysTakesNoMoreMemoryAndHidesNobody: 100,000 forged keys of strangers, of never-ours "from" the peer, and
// of the peer's own kind.
func TestAFloodOfKeysTakesNoMoreMemoryAndHidesNobody(t *testing.T) {
	r := newRig(t, true, true)
	r.live(0x4000)
	r.end(r.lost(lostSPI), ike.OK, 1, "")
	for i := range 100000 {
		r.now = r.now.Add(10 * time.Microsecond)
		s := r.seen(0x100000 + sa.SPI(i))
		switch i % 3 {
		case 0:
			s.Src, s.Owner = netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 9}), 0), sa.NoOwner
			r.step(FromNeverOurs(s))
		case 1:
			r.step(FromNeverOurs(s))
		case 2:
			r.step(FromUnknown(s))
		}
		if i%100 == 0 {
			r.lost(lostSPI)
		}
	}
	if n := len(r.e.flows.all); n > maxKnown+maxStrangers || r.e.flows.known > maxPerOwner {
		t.Errorf("%d flows, %d of owners", n, r.e.flows.known)
	}
	if n := len(r.e.Incidents()); n > maxHistory+maxBatch {
		t.Errorf("%d incidents", n)
	}
	found := false
	for _, f := range r.e.Flows() {
		found = found || f.SPI == lostSPI && f.Count == 1001
	}
	if !found {
		t.Error("the peer's flow was pushed out")
	}
	for _, i := range r.e.owners[0].open {
		if i.Key.SPI == lostSPI {
			return
		}
	}
	t.Error("the peer's incident was pushed out")
}

func TestKnownFlowsAreBoundedOverAllOwners(t *testing.T) {
	tab := newFlowTable()
	for i := range 3 * maxKnown {
		o := sa.Owner(i % 100)
		tab.see(FromLost(Seen{Src: peer, Dst: ours, SPI: sa.SPI(i), Owner: o, At: t0}, 0), "")
	}
	if tab.known > maxKnown || len(tab.all) > maxKnown || tab.evicted == 0 {
		t.Errorf("%d known, %d in all, %d evicted", tab.known, len(tab.all), tab.evicted)
	}
}

func TestTheFirstFlowsOfAnOwnerFindRoomInAFullTable(t *testing.T) {
	tab := newFlowTable()
	see := func(o sa.Owner, spi int) *flow {
		return tab.see(FromLost(Seen{Src: peer, Dst: ours, SPI: sa.SPI(spi), Owner: o, At: t0}, 0), "")
	}
	for i := range maxKnown {
		see(sa.Owner(i%100), i)
	}
	const late = 50 // owners without any trouble so far
	for i := range late * 100 {
		if see(sa.Owner(1000+i%late), maxKnown+i) == nil {
			t.Fatalf("flow %d of owner %d finds no room", i/late, 1000+i%late)
		}
	}
	if tab.known > maxKnown+late*leastPerOwner {
		t.Errorf("%d known", tab.known)
	}
}

func TestTheFlowsOfAnOwnerGoWithIt(t *testing.T) {
	r := newRig(t, true, true)
	r.lost(lostSPI)
	r.step(Configured{})
	if r.e.flows.known != 0 || len(r.e.flows.all) != 0 || len(r.e.flows.owners) != 0 {
		t.Errorf("%d known, %d in all, %d pools", r.e.flows.known, len(r.e.flows.all), len(r.e.flows.owners))
	}
}

// limits checks over the life of an engine what protocol.md §2.8 promises, whatever comes in.
type limits struct {
	t       *testing.T
	actions map[sa.Owner][]time.Time
	deletes map[sa.Owner][]time.Time
	starts  []time.Time
	flying  map[uint64]Order
}

func (l *limits) check(now time.Time, actions []Action) {
	batch := map[sa.Owner]int{}
	for _, a := range actions {
		o, ok := a.(Order)
		if !ok {
			continue
		}
		if o.Why == "" || l.flying[o.Command.Ref].Why != "" {
			l.t.Fatalf("order %+v", o)
		}
		l.flying[o.Command.Ref] = o
		if batch[o.Owner]++; batch[o.Owner] > 2*maxBatch {
			l.t.Fatal("batch too large")
		}
		if o.Command.Verb == ike.VerbInitiate {
			l.starts = append(l.starts, now)
		}
		if batch[o.Owner] == 1 && (o.Command.Verb == ike.VerbDeleteSPI || o.Command.Verb == ike.VerbRekeySPI) {
			l.deletes[o.Owner] = append(l.deletes[o.Owner], now)
		}
	}
	for o, at := range l.deletes {
		n := 0
		for _, d := range at {
			if now.Sub(d) < time.Minute {
				n++
			}
		}
		if n > defaultDeletes {
			l.t.Fatalf("owner %d: %d Deletes in a minute", o, n)
		}
	}
}

// FuzzAnyInputKeepsTheBudgets steps an engine through whatever a byte string says.
func FuzzAnyInputKeepsTheBudgets(f *testing.F) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 1200)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) { play(t, script[:min(len(script), 6000)]) })
}

func play(t *testing.T, script []byte) {
	e := New(Options{Started: t0, Settings: Settings{InvalidSPI: len(script)%2 == 0, Extended: len(script)%3 != 0,
		Owners: []Owner{static(), {ID: 1, Name: "Tunnel1", Remote: ours.Addr(), NotifySPI: true}}}})
	l := &limits{t: t, actions: map[sa.Owner][]time.Time{}, deletes: map[sa.Owner][]time.Time{}, flying: map[uint64]Order{}}
	now := t0
	for ; len(script) >= 6; script = script[6:] {
		now = now.Add(time.Duration(binary.BigEndian.Uint16(script[4:])) * time.Millisecond)
		if script[4] == 0xFF {
			now = now.Add(-time.Minute) // the clock goes back
		}
		real := now
		if e.now.After(real) {
			real = e.now
		}
		l.check(real, e.Step(now, l.input(script, now)))
		if d := e.Deadline(); !d.IsZero() && !d.After(e.now) {
			t.Fatalf("deadline %v is not after %v: the caller would spin", d, e.now)
		}
	}
	if len(e.flows.all) > len(l.flying)+10000 || e.open > 2*maxBatch {
		t.Fatal("unbounded")
	}
	e.Flows()
	e.Incidents()
	e.Standings()
}

func (l *limits) input(b []byte, now time.Time) Input {
	owner := sa.Owner(b[1]%3) - 1
	seen := Seen{Src: peer, Dst: ours, SPI: sa.SPI(b[2] % 8), First: now.Add(-time.Duration(b[3]) * time.Millisecond), At: now,
		Count: uint64(b[3]), Owner: owner}
	tomb := sa.Tombstone{SPI: seen.SPI, Owner: owner, Deleted: now.Add(-time.Duration(b[3]) * 50 * time.Millisecond), Why: sa.TombReason(b[3] % 14)}
	switch b[0] % 16 {
	case 0, 1, 2:
		return FromLost(seen, Origin(b[3]%3))
	case 3:
		return FromUnknown(seen)
	case 4:
		return FromNeverOurs(seen)
	case 5, 6:
		return FromTombstone(seen, tomb)
	case 7:
		return FromForeignOwner(seen)
	case 8, 9, 10, 11:
		return Told{ike.Notice{Kind: ike.NoticeKind(b[2]%12 + 1), Owner: owner, At: now, IKE: isakmp.SPI(b[3] % 4), In: sa.SPI(b[3] % 8),
			Exchange: isakmp.CreateChildSA, Initiator: b[3]&1 == 0, ByCommand: uint64(b[3] & 2), SRTT: time.Duration(b[3]) * time.Millisecond, Cause: sa.TombReason(b[3] % 14)}}
	case 12, 13, 14:
		for ref, o := range l.flying { // any of them
			delete(l.flying, ref)
			return Ended{ike.Outcome{Ref: ref, Verb: o.Command.Verb, Owner: o.Owner, Result: ike.Result(b[2] % 12), RoundTrips: int(b[3]), Detail: "TEMPORARY_FAILURE"}}
		}
	case 15:
		switch b[2] % 3 {
		case 0:
			return Operator{owner}
		case 1:
			return Inbound{owner, now}
		}
	}
	return Tick{}
}

func TestNeverOursInTheNameOfAPeerPushesOutNothingOfIts(t *testing.T) {
	r := newRig(t, false, true)
	r.step(FromTombstone(r.seen(lostSPI), sa.Tombstone{SPI: lostSPI, Owner: 0, Deleted: r.now, Why: sa.TombRekeyed})) // in grace: no incident holds it
	for i := range sa.SPI(3 * maxPerOwner) {
		r.step(FromNeverOurs(r.seen(0x10000 + i)))
	}
	for _, f := range r.e.Flows() {
		if f.SPI == lostSPI {
			return
		}
	}
	t.Error("the peer's flow was pushed out")
}
