package story

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

// rehearsal plays hours of two gateways in moments: what is pure of them (their IKE, SA tables and recovery, joined as
// package gateway joins them) over simulated time, with one stream of real ESP packets from the first to the second. What
// runs beside it in a gateway, sockets, workers and timers, is not in it. The same seed gives the same hours.
type rehearsal struct {
	now    time.Time
	delay  time.Duration
	events eventQueue
	count  int
	luck   *rand.Rand
	actors [2]*actor
	ids    ike.EffectID
}

// actor is one of the two.
type actor struct {
	r      *rehearsal
	far    *actor
	cast   *cast
	peer   *peer.Peer
	table  *sa.Table
	healer *recovery.Engine
	// restless: a sabotage, a rekey each time that nothing comes back.
	restless bool

	todo    []ike.Effect // in order
	running bool
	breath  time.Time // no Tick before
	spis    uint32

	sent, got int
	changed   []time.Time // when the stream from it began to use another SPI
	spi       sa.SPI
}

const (
	rehearsalSeed = 7
	tickLeast     = time.Millisecond // between two Ticks of one peer, as package engine has it
)

func rehearse(casts [2]*cast, delay, length, every time.Duration, restless bool) (*rehearsal, error) {
	r := &rehearsal{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), delay: delay, luck: rand.New(rand.NewPCG(rehearsalSeed, 0))}
	for i, c := range casts {
		r.actors[i] = newActor(r, c)
	}
	a, b := r.actors[0], r.actors[1]
	a.far, b.far, a.restless = b, a, restless
	src, ok1 := b.cast.inside(a.cast)
	dst, ok2 := a.cast.inside(b.cast)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%s and %s have no routes to each other", a.cast.name, b.cast.name)
	}
	a.after(0, func() { a.obey(a.peer.Begin(r.now, 0)) })
	const setUp = time.Second
	var speak func()
	speak = func() {
		a.speak(netip.AddrPortFrom(src, insidePort), netip.AddrPortFrom(dst, insidePort))
		a.after(every, speak)
	}
	a.after(setUp, speak)
	r.play(r.now.Add(length))
	return r, nil
}

func newActor(r *rehearsal, c *cast) *actor {
	a := &actor{r: r, cast: c, spis: esp.MinSPI}
	a.table = sa.NewTable(sa.Options{
		Note:     func(n sa.Note) { a.after(0, func() { a.step(noted(n)) }) },
		LeaseLow: func(in sa.SPI) { a.after(0, func() { _ = a.table.Renew(in) }) },
	})
	a.healer = recovery.New(recovery.Options{Settings: recovery.SettingsOf(c.config), Jitter: r.jitter, Started: r.now})
	a.peer = peer.New(c.config.Peers[0], peer.Options{Env: a.env(), Maker: rehearsalMaker{r}})
	return a
}

func (r *rehearsal) jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(r.luck.Int64N(int64(most)))
}

func (a *actor) env() ike.Env {
	random := rand.NewChaCha8([32]byte{byte(a.cast.config.Peers[0].ID), rehearsalSeed})
	return ike.Env{
		Rand: random,
		KE: func(id uint16) (suite.KeyExchange, error) {
			g, ok := suite.GroupByID(id)
			if !ok {
				return nil, fmt.Errorf("group %d is not supported", id)
			}
			return g.Generate(random)
		},
		AllocSPI: func(o sa.Owner) (sa.SPI, error) {
			a.spis++
			a.table.Reserve(sa.SPI(a.spis), o, a.r.now)
			return sa.SPI(a.spis), nil
		},
		AllocIKE: func() isakmp.SPI { return isakmp.SPI(random.Uint64() | 1) },
		SPIState: func(spi sa.SPI) sa.State { return a.table.State(spi, a.r.now) },
		Jitter:   a.r.jitter,
		Config:   func() *policy.Config { return a.cast.config },
	}
}

// rehearsalMaker makes IKEv2 machines as package engine does.
type rehearsalMaker struct{ r *rehearsal }

func (m rehearsalMaker) config(st peer.Start) ikev2.Config {
	return ikev2.Config{Env: st.Env, Peer: st.Peer, Local: st.Local, Remote: st.Remote, InitialContact: st.InitialContact, Quirks: st.Quirks,
		NextID: func() ike.EffectID { m.r.ids++; return m.r.ids }, Encap: st.Env.Config().Encap}
}

// Initiate implements peer.Maker.
func (m rehearsalMaker) Initiate(now time.Time, st peer.Start, cmd ike.Command) (ike.Machine, []ike.Effect) {
	return ikev2.Initiate(now, m.config(st), cmd)
}

// Respond implements peer.Maker.
func (m rehearsalMaker) Respond(now time.Time, st peer.Start, first ike.Datagram) (ike.Machine, []ike.Effect) {
	return ikev2.Respond(now, m.config(st), first)
}

// play goes from event to event.
func (r *rehearsal) play(end time.Time) {
	for {
		next, who := r.events[0].at, (*actor)(nil)
		for _, a := range r.actors {
			if d := a.deadline(); !d.IsZero() && d.Before(next) {
				next, who = d, a
			}
		}
		if next.After(end) {
			return
		}
		if next.After(r.now) {
			r.now = next
		}
		if who == nil {
			heap.Pop(&r.events).(event).do()
			continue
		}
		who.breath = r.now.Add(tickLeast)
		who.step(ike.Tick{})
		who.heal(recovery.Tick{})
	}
}

func (a *actor) deadline() time.Time {
	d := a.peer.Deadline()
	if h := a.healer.Deadline(); d.IsZero() || !h.IsZero() && h.Before(d) {
		d = h
	}
	if d.IsZero() || !d.Before(a.breath) {
		return d
	}
	return a.breath
}

func (a *actor) after(d time.Duration, do func()) {
	a.r.count++
	heap.Push(&a.r.events, event{a.r.now.Add(d), a.r.count, do})
}

func (a *actor) step(in ike.Input) { a.obey(a.peer.Step(a.r.now, in)) }

// obey runs effects in order. A barrier is done at once; what follows from it comes before what waits behind it.
func (a *actor) obey(effects []ike.Effect) {
	a.todo = append(a.todo, effects...)
	if a.running {
		return
	}
	a.running = true
	for len(a.todo) > 0 {
		next := a.todo[0]
		a.todo = a.todo[1:]
		if done, barrier := a.perform(next); barrier {
			a.todo = append(a.peer.Step(a.r.now, done), a.todo...)
		}
	}
	a.running = false
}

func (a *actor) perform(effect ike.Effect) (done ike.Done, barrier bool) {
	now := a.r.now
	switch f := effect.(type) {
	case ike.Persist:
		return ike.Done{ID: f.ID}, true
	case ike.Install:
		return ike.Done{ID: f.ID, Err: a.table.Install(f.Child, f.Half, now)}, true
	case ike.Compute:
		v, err := f.Run()
		return ike.Done{ID: f.ID, Value: v, Err: err}, true
	case ike.Remove:
		a.table.Remove(f.In, f.Out, f.Owner, f.Half, f.Why, now)
	case ike.Release:
		a.table.Release(f.SPI, now)
	case ike.Moved:
		a.table.Move(f.In, f.Owner, f.Local, f.Remote)
	case ike.Send:
		bytes := append([]byte(nil), f.Bytes...)
		a.after(a.r.delay, func() { a.far.step(ike.Datagram{Local: f.Remote, Remote: f.Local, Bytes: bytes}) })
	case ike.Notice:
		a.hear(f)
	case ike.Outcome:
		if f.Ref&recovery.RefTag != 0 {
			a.heal(recovery.Ended{Outcome: f})
		}
	}
	return ike.Done{}, false
}

func (a *actor) hear(n ike.Notice) {
	switch {
	case !a.restless:
		a.heal(recovery.Told{Notice: n})
	case n.Kind == ike.ChildSilent:
		a.after(0, func() { a.step(ike.Command{Verb: ike.VerbRekeyChild, SPI: n.In}) })
	}
}

// heal steps the recovery; what it orders is posted.
func (a *actor) heal(in recovery.Input) {
	for _, action := range a.healer.Step(a.r.now, in) {
		if o, ok := action.(recovery.Order); ok {
			a.after(0, func() { a.step(o.Command) })
		}
	}
}

var notedKinds = map[sa.NoteKind]ike.TrafficKind{
	sa.NoteFirstInbound: ike.FirstInbound, sa.NoteSoftBytes: ike.SoftBytes, sa.NoteSoftPackets: ike.SoftPackets,
	sa.NoteHardBytes: ike.HardBytes, sa.NoteSeqHigh: ike.SeqHigh, sa.NoteInbound: ike.Inbound, sa.NoteEndpointMoved: ike.EndpointMoved,
	sa.NoteOutbound: ike.Outbound, sa.NoteReplayStuck: ike.ReplayStuck,
}

func noted(n sa.Note) ike.Traffic {
	return ike.Traffic{SPI: n.SPI, Kind: notedKinds[n.Kind], Value: n.Value, Remote: n.Remote}
}

// speak sends one packet through the tunnel.
func (a *actor) speak(src, dst netip.AddrPort) {
	pkt := ip.AppendNumbered(nil, src, dst, uint64(a.sent), payloadLen)
	a.sent++
	p, _ := ip.Parse(pkt)
	out := a.table.Tunnel(a.cast.config.Tunnels[0].Unit).Pick(&p)
	if out == nil {
		return
	}
	if a.spi != out.Child.Out {
		a.spi, a.changed = out.Child.Out, append(a.changed, a.r.now)
	}
	out.Hold()
	defer out.LetGo()
	seq, why := out.Reserve(1, a.r.now)
	if why != reason.None {
		return
	}
	sealed := make([]byte, out.Sealer().SealedLen(len(pkt)))
	const ipv4 = 4 // next header of a tunnel
	n, err := out.Sealer().Seal(sealed, seq, pkt, ipv4)
	if err != nil {
		return
	}
	out.Sent(1, len(pkt), a.r.now)
	from := out.Path().Local
	a.after(a.r.delay, func() { a.far.receive(sealed[:n], from) })
}

func (a *actor) receive(pkt []byte, from netip.AddrPort) {
	spi, _, _ := esp.Parse(pkt)
	in, ok := a.table.Lookup(sa.SPI(spi))
	if !ok {
		return
	}
	in.Hold()
	defer in.LetGo()
	if _, why := in.Open(pkt, from, a.r.now); why == reason.None {
		a.got++
	}
}

// event is something that happens at a time; count keeps the order of what happens at the same one.
type event struct {
	at    time.Time
	count int
	do    func()
}

type eventQueue []event

func (q eventQueue) Len() int      { return len(q) }
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q eventQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].count < q[j].count
	}
	return q[i].at.Before(q[j].at)
}
func (q *eventQueue) Push(x any) { *q = append(*q, x.(event)) }

// Pop implements heap.Interface.
func (q *eventQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
