package sa

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

var (
	t0     = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	gcm    = suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 128}
	siteA  = netip.MustParseAddrPort("192.0.2.1:4500")
	siteB  = netip.MustParseAddrPort("192.0.2.2:4500")
	anyone = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))}
)

// keyOf makes the key under which packets with that SPI travel.
func keyOf(spi SPI) policy.Secret {
	k := sha256.Sum256(fmt.Append(nil, spi))
	return policy.NewSecret(k[:20])
}

// longKey is keyOf for AES-GCM-256.
func longKey(spi SPI) policy.Secret {
	k := sha256.Sum256(fmt.Append(nil, spi))
	return policy.NewSecret(append(k[:], k[:4]...))
}

// child is A's side of a pair; its peer's side has the keys and selectors the other way round.
func child(in, out SPI) Child {
	return Child{Owner: 3, Tunnel: 0, In: in, Out: out, Cipher: gcm, KeyIn: keyOf(in), KeyOut: keyOf(out), TSLocal: anyone, TSRemote: anyone,
		Local: siteA, Remote: siteB, Encap: EncapUDP, ReplayWindow: 64, Created: t0}
}

func mirror(c Child) Child {
	c.In, c.Out, c.KeyIn, c.KeyOut = c.Out, c.In, c.KeyOut, c.KeyIn
	c.TSLocal, c.TSRemote, c.Local, c.Remote = c.TSRemote, c.TSLocal, c.Remote, c.Local
	return c
}

func installed(t testing.TB, opt Options, c Child) *Table {
	t.Helper()
	table := NewTable(opt)
	install(t, table, c)
	return table
}

func install(t testing.TB, table *Table, c Child) {
	t.Helper()
	if !table.Reserve(c.In, c.Owner, t0) {
		t.Fatalf("%v is taken", c.In)
	}
	if err := table.Install(c, BothHalves, t0); err != nil {
		t.Fatal(err)
	}
}

func inner(src, dst string, payload int) []byte {
	return ip.AppendUDP(nil, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst), make([]byte, payload))
}

// seal makes the ESP packet of a child's outbound half.
func seal(t testing.TB, o *Outbound, seq uint64, next uint8, payload []byte) []byte {
	t.Helper()
	b := make([]byte, o.Sealer().SealedLen(len(payload)))
	if _, err := o.Sealer().Seal(b, seq, payload, next); err != nil {
		t.Fatal(err)
	}
	return b
}

func open(in *Inbound, pkt []byte, now time.Time) ([]byte, reason.Drop) {
	in.Hold()
	defer in.LetGo()
	return in.Open(append([]byte(nil), pkt...), siteB, now)
}

func TestAnSPILivesThroughItsStates(t *testing.T) {
	table, c := NewTable(Options{}), child(0xFF000001, 0x100)
	want := func(now time.Time, s State) {
		t.Helper()
		if got := table.State(c.In, now); got != s {
			t.Fatalf("state %v, want %v", got, s)
		}
	}
	want(t0, Unknown)
	if !table.Reserve(c.In, c.Owner, t0) || table.Reserve(c.In, c.Owner, t0) {
		t.Fatal("an SPI is reserved once")
	}
	want(t0, Larval)
	if err := table.Install(c, InboundHalf, t0); err != nil {
		t.Fatal(err)
	}
	want(t0, Installed)
	if table.Tunnel(0).Up() {
		t.Error("up with the inbound half alone")
	}
	if err := table.Install(c, OutboundHalf, t0); err != nil {
		t.Fatal(err)
	}
	if !table.Tunnel(0).Up() {
		t.Error("down with both halves")
	}
	gone := t0.Add(time.Hour)
	table.Remove(c.In, c.Out, c.Owner, OutboundHalf, TombRekeyed, gone)
	if _, ok := table.Lookup(c.In); !ok || table.Tunnel(0).Up() {
		t.Error("the inbound half goes with the outbound one")
	}
	table.Remove(c.In, c.Out, c.Owner, BothHalves, TombRekeyed, gone)
	want(gone.Add(4*time.Second), Grace)
	want(gone.Add(6*time.Second), Tombed)
	tomb, ok := table.Tombstone(c.In, gone)
	if !ok || tomb.Why != TombRekeyed || tomb.Owner != 3 || !tomb.Deleted.Equal(gone) || tomb.Remote != siteB {
		t.Errorf("tombstone %+v", tomb)
	}
	if table.Reserve(c.In, c.Owner, gone) {
		t.Error("a buried SPI is given out again")
	}
	want(gone.Add(tombLife+time.Second), Unknown)
}

func TestWrongInstallsChangeNothing(t *testing.T) {
	table := NewTable(Options{})
	c := child(0x1000, 0x2000)
	if err := table.Install(c, BothHalves, t0); !errors.Is(err, ErrNotLarval) {
		t.Errorf("not reserved: %v", err)
	}
	for _, spi := range []SPI{0, 1, 255} {
		if table.Reserve(spi, 3, t0) {
			t.Errorf("%v was given out", spi)
		}
	}
	for _, spi := range []SPI{0x100, 0x7FFFFFFF, 0x80000000, 0xFF000000, 0xFFFFFFFF} {
		if !table.Reserve(spi, 3, t0) {
			t.Errorf("%v was refused (CSCvp16730)", spi)
		}
	}
	table.Reserve(c.In, 9, t0)
	if err := table.Install(c, BothHalves, t0); !errors.Is(err, ErrWrongPeer) {
		t.Errorf("another owner's: %v", err)
	}
	table.Release(c.In, t0)
	table.Reserve(c.In, c.Owner, t0)
	if err := table.Install(c, OutboundHalf, t0); !errors.Is(err, ErrNoInbound) {
		t.Errorf("outbound alone: %v", err)
	}
	same := c
	same.KeyOut = same.KeyIn
	if err := table.Install(same, BothHalves, t0); !errors.Is(err, ErrSameKeys) {
		t.Errorf("same keys: %v", err)
	}
	short := c
	short.KeyOut = policy.NewSecret([]byte("short"))
	if err := table.Install(short, BothHalves, t0); err == nil || table.State(c.In, t0) == Installed {
		t.Errorf("a bad outbound key left the inbound half: %v, %v", err, table.State(c.In, t0))
	}
}

func TestNobodyRemovesAnothersSA(t *testing.T) {
	c := child(0x1000, 0x2000)
	table := installed(t, Options{}, c)
	table.Remove(c.In, c.Out, 4, BothHalves, TombPeerDeleted, t0)
	if _, ok := table.Lookup(c.In); !ok || !table.Tunnel(0).Up() {
		t.Error("another owner removed it")
	}
}

func TestPacketsPassBetweenBothSidesAndEveryFaultHasItsName(t *testing.T) {
	c := child(0x1000, 0x2000)
	c.TSRemote = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("10.2.0.0/24"))}
	a, b := installed(t, Options{}, c), installed(t, Options{}, mirror(c))
	in, _ := a.Lookup(c.In)
	out := b.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 40)))
	if out == nil || out.Child.Out != c.In {
		t.Fatalf("B sends on %v", out)
	}
	good := inner("10.2.0.7:9", "10.1.0.7:9", 40)
	if got, why := open(in, seal(t, out, 100, 4, good), t0); why != reason.None || string(got) != string(good) {
		t.Fatalf("%x, reason %d", got, why)
	}
	bad := seal(t, out, 101, 4, good)
	bad[20] ^= 1
	for name, f := range map[string]struct {
		pkt  []byte
		now  time.Time
		want reason.Drop
	}{
		"again":             {seal(t, out, 100, 4, good), t0, reason.ReplayDuplicate},
		"below the window":  {seal(t, out, 36, 4, good), t0, reason.ReplayOld},
		"changed":           {bad, t0, reason.BadICV},
		"cut":               {seal(t, out, 102, 4, good)[:30], t0, reason.ESPTruncated},
		"dummy":             {seal(t, out, 103, 59, make([]byte, 20)), t0, reason.DummyPacket},
		"transport mode":    {seal(t, out, 104, 17, good[20:]), t0, reason.WrongNextHeader},
		"not IP":            {seal(t, out, 105, 4, []byte("hello")), t0, reason.InnerMalformed},
		"IPv4 said to be 6": {seal(t, out, 106, 41, good), t0, reason.InnerMalformed},
		"other source":      {seal(t, out, 107, 4, inner("10.3.0.7:9", "10.1.0.7:9", 4)), t0, reason.SelectorMismatch},
	} {
		if _, why := open(in, f.pkt, f.now); why != f.want {
			t.Errorf("%s: reason %d, want %d", name, why, f.want)
		}
		if n := a.Snapshot()[0].In.Drops[f.want]; n == 0 {
			t.Errorf("%s: not counted", name)
		}
	}
	if got, why := open(in, seal(t, out, 99, 4, append(good, 1, 2, 3)), t0); why != reason.None || len(got) != len(good) {
		t.Errorf("TFC padding: %d octets, reason %d", len(got), why)
	}
}

func mustParse(t testing.TB, b []byte) *ip.Packet {
	t.Helper()
	p, flaw := ip.Parse(b)
	if flaw != 0 {
		t.Fatalf("parse: %v", flaw)
	}
	return &p
}

func TestAnUnverifiedPacketMovesNothing(t *testing.T) {
	var notes []Note
	c := child(0x1000, 0x2000)
	a := installed(t, Options{Note: func(n Note) { notes = append(notes, n) }}, c)
	b := installed(t, Options{}, mirror(c))
	in, _ := a.Lookup(c.In)
	out := b.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	pkt := seal(t, out, 1<<31, 4, inner("10.2.0.7:9", "10.1.0.7:9", 4))
	pkt[len(pkt)-1] ^= 1
	in.Hold()
	_, why := in.Open(pkt, netip.MustParseAddrPort("203.0.113.9:4500"), t0)
	in.LetGo()
	if why != reason.BadICV || len(notes) != 0 || a.Snapshot()[0].ReplayTop != 0 {
		t.Fatalf("reason %d, notes %v, top %d", why, notes, a.Snapshot()[0].ReplayTop)
	}
	moved := netip.MustParseAddrPort("192.0.2.2:1024")
	for i, from := range []netip.AddrPort{siteB, moved, moved} {
		in.Hold()
		in.Open(seal(t, out, uint64(10+i), 4, inner("10.2.0.7:9", "10.1.0.7:9", 4)), from, t0)
		in.LetGo()
	}
	in.Hold()
	in.Open(seal(t, out, 5, 4, inner("10.2.0.7:9", "10.1.0.7:9", 4)), siteB, t0) // older: must not move it back
	in.LetGo()
	if len(notes) != 2 || notes[0].Kind != NoteFirstInbound || notes[1].Kind != NoteEndpointMoved || notes[1].Remote != moved || notes[1].SPI != c.In {
		t.Errorf("notes %+v", notes)
	}
}

func TestExpiredSAsCarryNothing(t *testing.T) {
	c := child(0x1000, 0x2000)
	c.Hard = t0.Add(time.Hour)
	a, b := installed(t, Options{}, c), installed(t, Options{}, mirror(c))
	p := inner("10.2.0.7:9", "10.1.0.7:9", 4)
	out := b.Tunnel(0).Pick(mustParse(t, p))
	in, _ := a.Lookup(c.In)
	if _, why := open(in, seal(t, out, 1, 4, p), c.Hard); why != reason.HardExpired {
		t.Errorf("inbound: reason %d", why)
	}
	if _, why := out.Reserve(1, c.Hard); why != reason.HardExpired {
		t.Errorf("outbound: reason %d", why)
	}
}

func TestEarlyPacketsWaitForTheirSAAndAreBounded(t *testing.T) {
	c := child(0x1000, 0x2000)
	var got []Early
	table := NewTable(Options{Installed: func(spi SPI, early []Early) {
		if spi != c.In {
			t.Errorf("early packets of %v", spi)
		}
		got = early
	}})
	early := func(n int, at time.Time) Early { return Early{Remote: siteB, Packet: make([]byte, n), At: at} }
	if larval, _ := table.Park(c.In, early(100, t0)); larval {
		t.Fatal("parked for an SPI that nobody offered")
	}
	table.Reserve(c.In, c.Owner, t0)
	table.Park(c.In, early(1, t0))
	late := t0.Add(parkTime + time.Millisecond)
	kept := 1
	for i := range parkPackets + 4 {
		if larval, ok := table.Park(c.In, early(100+i, late)); !larval {
			t.Fatal("not larval")
		} else if ok {
			kept++
		}
	}
	if kept != parkPackets {
		t.Errorf("%d packets kept", kept)
	}
	if err := table.Install(c, InboundHalf, late); err != nil {
		t.Fatal(err)
	}
	if len(got) != parkPackets-1 || len(got[0].Packet) != 100 || len(got[6].Packet) != 106 {
		t.Errorf("handed out %d: the first came too early to be worth it", len(got))
	}
	if table.parked != 0 {
		t.Errorf("%d octets still parked", table.parked)
	}
	for i := range 2 * parkAll / parkOctets {
		table.Reserve(SPI(0x10000+i), 1, t0)
		table.Park(SPI(0x10000+i), early(parkOctets, t0))
	}
	if table.parked > parkAll {
		t.Errorf("%d octets parked", table.parked)
	}
}

func TestTheMostSpecificChildSendsAndOfEqualsTheNewest(t *testing.T) {
	table := NewTable(Options{})
	to := func(in, out SPI, prefix string) Child {
		c := child(in, out)
		c.TSRemote = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix(prefix))}
		return c
	}
	host, wide, wideNew := to(0x1001, 0x2001, "10.2.0.7/32"), to(0x1002, 0x2002, "10.2.0.0/16"), to(0x1003, 0x2003, "10.2.0.0/16")
	for _, c := range []Child{host, wide, wideNew} {
		install(t, table, c)
	}
	for dst, want := range map[string]SPI{"10.2.0.7:1": host.Out, "10.2.0.8:1": wideNew.Out} {
		if o := table.Tunnel(0).Pick(mustParse(t, inner("10.1.0.1:1", dst, 1))); o == nil || o.Child.Out != want {
			t.Errorf("%s goes out on %v", dst, o)
		}
	}
	if o := table.Tunnel(0).Pick(mustParse(t, inner("10.1.0.1:1", "10.3.0.1:1", 1))); o != nil {
		t.Errorf("10.3.0.1 goes out on %v", o.Child.Out)
	}
	table.Remove(wideNew.In, wideNew.Out, 3, BothHalves, TombCleared, t0)
	if o := table.Tunnel(0).Pick(mustParse(t, inner("10.1.0.1:1", "10.2.0.8:1", 1))); o == nil || o.Child.Out != wide.Out {
		t.Errorf("after the removal on %v", o)
	}
}

// A peer restarts while a child that it asked for waits for its first packet, and makes another: the wait ends by time, and
// what the peer has forgotten must not be sent on again.
func TestAnOlderChildWhoseOutboundHalfIsLateDoesNotTakeOver(t *testing.T) {
	table := NewTable(Options{})
	late, young := child(0x1001, 0x2001), child(0x1002, 0x2002)
	young.Created = t0.Add(time.Second)
	if !table.Reserve(late.In, late.Owner, t0) {
		t.Fatal("not reserved")
	}
	if err := table.Install(late, InboundHalf, t0); err != nil {
		t.Fatal(err)
	}
	install(t, table, young)
	if err := table.Install(late, OutboundHalf, t0.Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if o := table.Tunnel(0).Pick(mustParse(t, inner("10.1.0.1:1", "10.2.0.8:1", 1))); o == nil || o.Child.Out != young.Out {
		t.Errorf("goes out on %v", o)
	}
}

// slowLeaser grants nothing until it is let.
type slowLeaser struct{ bound uint64 }

func (l *slowLeaser) Grant(_ SPI, upTo uint64) (uint64, error) {
	if l.bound < upTo {
		return 0, errors.New("the disk is slow")
	}
	return upTo, nil
}

func TestNoSequenceNumberBeyondTheLease(t *testing.T) {
	l := &slowLeaser{bound: 1 + leaseBlock}
	asked := 0
	c := child(0x1000, 0x2000)
	table := installed(t, Options{Leaser: l, LeaseLow: func(SPI) { asked++ }}, c)
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	var top uint64
	for {
		first, why := out.Reserve(100, t0)
		if why == reason.LeaseWait {
			break
		}
		if why != reason.None || first != top+1 {
			t.Fatalf("%d after %d, reason %d", first, top, why)
		}
		top = first + 99
	}
	if top > leaseBlock || asked != 1 {
		t.Fatalf("went to %d, asked %d times", top, asked)
	}
	if err := table.Renew(c.In); err == nil {
		t.Fatal("the slow store granted")
	}
	l.bound = 1 << 40
	if err := table.Renew(c.In); err != nil {
		t.Fatal(err)
	}
	if first, why := out.Reserve(1, t0); why != reason.None || first != top+1 {
		t.Errorf("%d after the renewal, reason %d", first, why)
	}
}

func TestTheSequenceSpaceNeverWraps(t *testing.T) {
	var notes []Note
	c := child(0x1000, 0x2000)
	table := installed(t, Options{Note: func(n Note) { notes = append(notes, n) }}, c)
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	out.next.Store(1<<32 - 5)
	out.bound.Store(1<<32 - 1)
	if err := table.Renew(c.In); err != nil || out.bound.Load() != 1<<32 {
		t.Fatalf("bound %d, %v", out.bound.Load(), err)
	}
	if first, why := out.Reserve(5, t0); why != reason.None || first != 1<<32-5 {
		t.Errorf("the last five: %d, reason %d", first, why)
	}
	if _, why := out.Reserve(1, t0); why != reason.SeqExhausted {
		t.Errorf("one more: reason %d", why)
	}
	if len(notes) != 1 || notes[0].Kind != NoteSeqHigh {
		t.Errorf("notes %+v", notes)
	}
}

func TestLimitsAreToldNowAndThenAndHardOnesStop(t *testing.T) {
	var notes []Note
	c := child(0x1000, 0x2000)
	c.SoftPackets, c.SoftBytes, c.HardBytes = 10, 1000, 2000
	table := installed(t, Options{Note: func(n Note) { notes = append(notes, n) }}, c)
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	for range 20 {
		if _, why := out.Reserve(1, t0); why != reason.None {
			t.Fatalf("reason %d", why)
		}
		out.Sent(1, 100, t0)
	}
	for range 3 {
		if _, why := out.Reserve(1, t0); why != reason.HardExpired {
			t.Errorf("past the hard limit: reason %d", why)
		}
	}
	var kinds []NoteKind
	for _, n := range notes {
		if n.Kind != NoteOutbound {
			kinds = append(kinds, n.Kind)
		}
	}
	if fmt.Sprint(kinds) != fmt.Sprint([]NoteKind{NoteSoftPackets, NoteSoftBytes, NoteHardBytes}) {
		t.Errorf("told %v", kinds)
	}
	for s := range 31 { // the note may have been lost
		out.Reserve(1, t0.Add(time.Duration(s)*time.Second))
	}
	if n := len(notes); n != 4+3 || notes[n-1].Kind != NoteHardBytes || !notes[n-1].At.Equal(t0.Add(30*time.Second)) {
		t.Errorf("in 30 s past the hard limit: %+v", notes)
	}
}

func TestOutgoingTrafficIsToldOnceASecond(t *testing.T) {
	var notes []Note
	table := installed(t, Options{Note: func(n Note) { notes = append(notes, n) }}, child(0x1000, 0x2000))
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	for i := range 25 {
		out.Sent(1, 100, t0.Add(time.Duration(i)*100*time.Millisecond))
	}
	if len(notes) != 3 || notes[2] != (Note{SPI: 0x1000, Owner: 3, Kind: NoteOutbound, At: t0.Add(2 * time.Second)}) {
		t.Errorf("in 2.4 s: %+v", notes)
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	var g graveyard
	for i := range maxTombs + 10 {
		g.bury(Tombstone{SPI: SPI(1000 + i), Deleted: t0}, t0)
	}
	if len(g.bySPI) != maxTombs || len(g.order) != maxTombs {
		t.Errorf("%d remembered", len(g.bySPI))
	}
	if _, ok := g.find(1000, t0); ok {
		t.Error("the oldest is still there")
	}
	later := t0.Add(tombLife + time.Second)
	g.bury(Tombstone{SPI: 1, Deleted: later}, later)
	if len(g.bySPI) != 1 {
		t.Errorf("%d remembered after their time", len(g.bySPI))
	}
}

func TestReadersAndAWriterDoNotMeet(t *testing.T) {
	table := NewTable(Options{})
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			p, _ := ip.Parse(inner("10.1.0.1:1", "10.2.0.1:1", 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				if in, ok := table.Lookup(0x1005); ok && in.Child.In != 0x1005 {
					t.Error("another SA was found")
				}
				if o := table.Tunnel(0).Pick(&p); o != nil {
					o.Hold()
					o.Reserve(1, t0)
					o.LetGo()
				}
				table.Snapshot()
			}
		})
	}
	for round := range 200 {
		at := t0.Add(time.Duration(round) * 10 * time.Minute)
		c := child(0x1005, SPI(0x2000+round))
		c.KeyIn = keyOf(SPI(0x900000 + round))
		if !table.Reserve(c.In, c.Owner, at) {
			t.Fatal("taken")
		}
		if err := table.Install(c, BothHalves, at); err != nil {
			t.Fatal(err)
		}
		table.Remove(c.In, c.Out, c.Owner, BothHalves, TombCleared, at)
	}
	close(stop)
	readers.Wait()
}

func BenchmarkLookup20000(b *testing.B) {
	table := NewTable(Options{})
	spis := make([]SPI, 20000)
	for i := range spis {
		spis[i] = SPI(uint32(i+300) * 2654435761)
		if spis[i] < minSPI {
			spis[i] += minSPI
		}
		table.mu.Lock()
		table.publish(spis[i], &Inbound{})
		table.mu.Unlock()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := table.Lookup(spis[i]); !ok {
			b.Fatal("missed")
		}
		if i++; i == len(spis) {
			i = 0
		}
	}
}

func BenchmarkLookupMiss(b *testing.B) {
	table := NewTable(Options{})
	for i := range 20000 {
		table.mu.Lock()
		table.publish(SPI(uint32(i+300)*2654435761), &Inbound{})
		table.mu.Unlock()
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := table.Lookup(0x42); ok {
			b.Fatal("found")
		}
	}
}
