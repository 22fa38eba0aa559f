package sa

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
)

func TestAKeyIsInstalledOnce(t *testing.T) {
	c := child(0x1000, 0x2000)
	table := installed(t, Options{}, c)
	table.Remove(c.In, c.Out, c.Owner, BothHalves, TombCleared, t0)
	for name, again := range map[string]Child{
		"both":             {KeyIn: c.KeyIn, KeyOut: c.KeyOut},
		"outbound":         {KeyIn: keyOf(7), KeyOut: c.KeyOut},
		"inbound outbound": {KeyIn: keyOf(8), KeyOut: c.KeyIn},
	} {
		next := child(0x1001, 0x2001)
		next.KeyIn, next.KeyOut = again.KeyIn, again.KeyOut
		table.Reserve(next.In, next.Owner, t0)
		if err := table.Install(next, BothHalves, t0); !errors.Is(err, ErrKeyReuse) {
			t.Errorf("%s: %v", name, err)
		}
		if table.State(next.In, t0) != Larval {
			t.Errorf("%s: a refused install left it %v", name, table.State(next.In, t0))
		}
	}
}

func TestAFailedInstallMayBeTriedAgainWithItsKeys(t *testing.T) {
	table, c := NewTable(Options{}), child(0x1000, 0x2000)
	if err := table.Install(c, BothHalves, t0); !errors.Is(err, ErrNotLarval) {
		t.Fatal(err)
	}
	install(t, table, c)
}

func TestTheKeyringForgetsTheOldestFirst(t *testing.T) {
	var k keyring
	mark := func(i int) keyMark { return keyMark{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range maxKeys + 5 {
		k.add(mark(i))
	}
	_, oldest := k.known[mark(4)]
	_, next := k.known[mark(5)]
	if oldest || !next || len(k.known) != maxKeys || len(k.ring) != maxKeys {
		t.Errorf("oldest known %v, next %v, %d known, ring %d", oldest, next, len(k.known), len(k.ring))
	}
}

func TestAMovedPeerKeepsItsNumbersAndIsNotMovedByAnother(t *testing.T) {
	c := child(0x1000, 0x2000)
	table := installed(t, Options{}, c)
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
	out.Reserve(41, t0)
	to := netip.MustParseAddrPort("203.0.113.9:1024")
	if table.Move(c.In, 9, siteA, to) || table.Move(0x7777, 3, siteA, to) || out.Path().Remote != siteB {
		t.Fatal("moved by another owner")
	}
	if !table.Move(c.In, c.Owner, siteA, to) || *out.Path() != (Path{siteA, to}) {
		t.Fatalf("path %v", out.Path())
	}
	if first, _ := out.Reserve(1, t0); first != 42 {
		t.Errorf("number %d after the move", first)
	}
	if got := table.Snapshot()[0].Child.Remote; got != to {
		t.Errorf("shown at %v", got)
	}
}

func TestLarvalIsSeenWithoutALock(t *testing.T) {
	table, c := NewTable(Options{}), child(0x1000, 0x2000)
	if table.Larval(c.In) {
		t.Error("before Reserve")
	}
	table.Reserve(c.In, c.Owner, t0)
	if !table.Larval(c.In) {
		t.Error("not after Reserve")
	}
	if err := table.Install(c, InboundHalf, t0); err != nil || table.Larval(c.In) {
		t.Errorf("after Install: %v", err)
	}
	table.Reserve(0x1100, c.Owner, t0)
	table.Release(0x1100, t0)
	if table.Larval(0x1100) {
		t.Error("after Release")
	}
	table.Reserve(0x1200, c.Owner, t0)
	if n := testing.AllocsPerRun(100, func() { table.Larval(0x1200) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestARemovedLarvalSPILeavesATombstone(t *testing.T) {
	lost := 0
	table := NewTable(Options{Lost: func(n, _ int) { lost += n }})
	table.Reserve(0x1000, 3, t0)
	table.Park(0x1000, Early{Packet: make([]byte, 50), At: t0})
	table.Remove(0x1000, 0, 4, BothHalves, TombInstallFailed, t0)
	if table.State(0x1000, t0) != Larval {
		t.Fatal("another owner removed it")
	}
	table.Remove(0x1000, 0, 3, BothHalves, TombInstallFailed, t0)
	if tomb, ok := table.Tombstone(0x1000, t0); !ok || tomb.Why != TombInstallFailed || table.Larval(0x1000) || lost != 1 {
		t.Errorf("tombstone %+v, larval %v, lost %d", tomb, table.Larval(0x1000), lost)
	}
}

func TestEarlyPacketsThatWaitInVainAreCounted(t *testing.T) {
	var lost, lostOctets, early int
	table := NewTable(Options{
		Lost:      func(n, octets int) { lost += n; lostOctets += octets },
		Installed: func(_ SPI, e []Early) { early += len(e) },
	})
	c := child(0x1000, 0x2000)
	table.Reserve(c.In, c.Owner, t0)
	table.Park(c.In, Early{Packet: make([]byte, 30), At: t0})
	now := t0.Add(parkTime + 1)
	table.Park(c.In, Early{Packet: make([]byte, 31), At: now})
	if err := table.Install(c, BothHalves, now); err != nil {
		t.Fatal(err)
	}
	table.Reserve(0x1001, c.Owner, t0)
	table.Park(0x1001, Early{Packet: make([]byte, 40), At: now})
	table.Release(0x1001, now)
	if lost != 2 || lostOctets != 70 || early != 1 || table.parked != 0 {
		t.Errorf("%d lost (%d octets), %d handed out, %d octets still parked", lost, lostOctets, early, table.parked)
	}
}

func TestTheInboundHalfKeepsItsVolume(t *testing.T) {
	var notes []NoteKind
	c := child(0x1000, 0x2000)
	c.SoftPackets, c.SoftBytes, c.HardBytes = 2, 100, 200
	a := installed(t, Options{Note: func(n Note) { notes = append(notes, n.Kind) }}, c)
	out := installed(t, Options{}, mirror(c)).Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 22)))
	in, _ := a.Lookup(c.In)
	var last reason.Drop
	for seq := range uint64(6) {
		_, last = open(in, seal(t, out, seq+1, 4, inner("10.2.0.7:9", "10.1.0.7:9", 22)), t0) // 50 octets
	}
	if last != reason.HardExpired || a.Snapshot()[0].In.Octets != 200 {
		t.Errorf("reason %v after %d octets", last, a.Snapshot()[0].In.Octets)
	}
	want := []NoteKind{NoteFirstInbound, NoteSoftPackets, NoteSoftBytes, NoteHardBytes}
	if len(notes) != len(want) {
		t.Fatalf("notes %v", notes)
	}
	for i := range want {
		if notes[i] != want[i] {
			t.Errorf("notes %v", notes)
		}
	}
}

func TestWithoutHelpTheTableRenewsItsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := child(0x1000, 0x2000)
		table := installed(t, Options{}, c)
		out := table.Tunnel(0).Pick(mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4)))
		var last uint64
		for range 5 * leaseBlock / 1000 {
			first, why := out.Reserve(1000, t0)
			if why != reason.None || first != last+1 {
				t.Fatalf("%d after %d: %v", first, last, why)
			}
			last += 1000
			synctest.Wait()
		}
	})
}

// Two peers may choose the same SPI: a lease must never be renewed for the wrong child.
func TestLeasesOfEqualOutboundSPIsAreApart(t *testing.T) {
	var asked []SPI
	table := NewTable(Options{LeaseLow: func(in SPI) { asked = append(asked, in) }})
	a, b := child(0x1000, 0x2000), child(0x1001, 0x2000)
	b.Tunnel, b.KeyOut = 1, keyOf(99)
	install(t, table, a)
	install(t, table, b)
	p := mustParse(t, inner("10.2.0.7:9", "10.1.0.7:9", 4))
	for _, c := range []Child{a, b} {
		out := table.Tunnel(c.Tunnel).Pick(p)
		if _, why := out.Reserve(leaseBlock-1, t0); why != reason.None {
			t.Fatal(why)
		}
		if err := table.Renew(c.In); err != nil {
			t.Fatal(err)
		}
		if _, why := out.Reserve(leaseBlock, t0); why != reason.None {
			t.Errorf("%v after its renewal: %v", c.In, why)
		}
	}
	if len(asked) < 2 || asked[0] != a.In || asked[len(asked)-1] != b.In {
		t.Errorf("asked for %v", asked)
	}
}

func TestSelectorsOfAnyPacketDecideLikeTheOthers(t *testing.T) {
	all4 := anyone
	for name, c := range map[string]struct {
		ts    []ike2.Selector
		wide4 bool
	}{
		"any":       {all4, true},
		"half":      {[]ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/1"))}, false},
		"tcp":       {[]ike2.Selector{{Protocol: 6, EndPort: 65535, Start: all4[0].Start, End: all4[0].End}}, false},
		"low ports": {[]ike2.Selector{{EndPort: 1023, Start: all4[0].Start, End: all4[0].End}}, false},
		"two":       {append([]ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("10.0.0.0/8"))}, all4...), true},
		"ipv6":      {[]ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("::/0"))}, false},
	} {
		if got := widest(c.ts, 32); got != c.wide4 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !widest([]ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("::/0"))}, 128) {
		t.Error("::/0 is not every IPv6 packet")
	}
}

func TestASenderWhoseNumbersWentBackIsToldOf(t *testing.T) {
	var notes []Note
	table := installed(t, Options{Note: func(n Note) {
		if n.Kind == NoteReplayStuck {
			notes = append(notes, n)
		}
	}}, child(0x100, 0x200))
	there := installed(t, Options{}, mirror(child(0x100, 0x200)))
	out := there.out[0x200]
	in, _ := table.Lookup(0x100)
	send := func(seq uint64, at time.Duration) reason.Drop {
		_, why := open(in, seal(t, out, seq, 4, inner("10.2.0.1:1", "10.1.0.1:2", 10)), t0.Add(at))
		return why
	}
	if why := send(5000, 0); why != reason.None {
		t.Fatal(why)
	}
	for i := range 15 { // restored with a number of before
		if why := send(uint64(1000+i), time.Second+time.Duration(i)*time.Second); why != reason.ReplayOld {
			t.Fatal(why)
		}
	}
	if len(notes) != 0 {
		t.Fatalf("told after 15 packets: %v", notes)
	}
	send(1015, 16*time.Second)
	if len(notes) != 1 || notes[0].Value != 16 || notes[0].SPI != 0x100 || notes[0].Owner != 3 {
		t.Fatalf("notes %+v", notes)
	}
	for i := range 1000 { // not for each packet
		send(uint64(1016+i), 16*time.Second+time.Duration(i)*10*time.Millisecond)
	}
	if len(notes) != 1 {
		t.Errorf("%d notes in ten seconds", len(notes))
	}
	send(3000, 27*time.Second)
	if len(notes) != 2 {
		t.Errorf("%d notes: it lasts", len(notes))
	}
	if why := send(5001, 28*time.Second); why != reason.None { // a good one ends it
		t.Fatal(why)
	}
	for i := range 15 {
		send(uint64(3001+i), 60*time.Second+time.Duration(i)*time.Millisecond)
	}
	if len(notes) != 2 {
		t.Errorf("%d notes: reordered packets between good ones", len(notes))
	}
}

func TestForgedOldNumbersAreNoSenderGoneBack(t *testing.T) {
	told := 0
	table := installed(t, Options{Note: func(n Note) {
		if n.Kind == NoteReplayStuck {
			told++
		}
	}}, child(0x100, 0x200))
	there := installed(t, Options{}, mirror(child(0x100, 0x200)))
	in, _ := table.Lookup(0x100)
	send := func(seq uint64, at time.Duration, forged bool) {
		pkt := seal(t, there.out[0x200], seq, 4, inner("10.2.0.1:1", "10.1.0.1:2", 10))
		if forged {
			pkt[len(pkt)-1] ^= 1
		}
		open(in, pkt, t0.Add(at))
	}
	send(5000, 0, false)
	for i := range 100 {
		send(uint64(1000+i), time.Second+time.Duration(i)*time.Second, true)
	}
	if told != 0 {
		t.Errorf("told %d times of packets that nobody vouches for", told)
	}
	if send(2000, 102*time.Second, false); told != 1 {
		t.Error("forged packets hide a true one")
	}
}

func TestDuplicatesAndShortReorderingAreNoSenderGoneBack(t *testing.T) {
	told := false
	table := installed(t, Options{Note: func(n Note) { told = told || n.Kind == NoteReplayStuck }}, child(0x100, 0x200))
	there := installed(t, Options{}, mirror(child(0x100, 0x200)))
	in, _ := table.Lookup(0x100)
	for i := range 200 { // the same packet again and again, a minute long
		open(in, seal(t, there.out[0x200], 7000, 4, inner("10.2.0.1:1", "10.1.0.1:2", 10)), t0.Add(time.Duration(i)*300*time.Millisecond))
	}
	for i := range 200 { // a burst of old ones within a second
		open(in, seal(t, there.out[0x200], uint64(100+i), 4, inner("10.2.0.1:1", "10.1.0.1:2", 10)), t0.Add(2*time.Minute+time.Duration(i)*time.Millisecond))
	}
	if told {
		t.Error("taken for a sender that went back")
	}
}

// A note that finds the mailbox of IKE full is lost; the peer stays where nothing reaches it until another is heard.
func TestAMovedPeerIsToldOfUntilItIsFollowed(t *testing.T) {
	var told []Note
	full := true
	c := child(0x100, 0x900)
	table := installed(t, Options{Note: func(n Note) {
		if n.Kind == NoteEndpointMoved && !full {
			told = append(told, n)
		}
	}}, c)
	in, _ := table.Lookup(c.In)
	peer := installed(t, Options{}, mirror(c))
	moved, seq := netip.MustParseAddrPort("203.0.113.9:1024"), uint64(0)
	arrive := func(at time.Time, from netip.AddrPort) {
		t.Helper()
		seq++
		pkt := seal(t, peer.out[c.Out], seq, 4, inner("10.2.0.7:9", "10.1.0.7:9", 8))
		in.Hold()
		defer in.LetGo()
		if _, why := in.Open(pkt, from, at); why != reason.None {
			t.Fatalf("reason %d", why)
		}
	}
	arrive(t0, siteB)
	arrive(t0, moved) // told, and lost
	full = false
	arrive(t0.Add(aliveEvery-1), moved)
	if len(told) != 0 {
		t.Errorf("told again too soon: %v", told)
	}
	arrive(t0.Add(aliveEvery), moved)
	if len(told) != 1 || told[0].Remote != moved {
		t.Fatalf("told %v", told)
	}
	table.Move(c.In, c.Owner, siteA, moved)
	arrive(t0.Add(10*aliveEvery), moved)
	if len(told) != 1 {
		t.Errorf("told although it is followed: %v", told)
	}
	arrive(t0.Add(10*aliveEvery), siteB) // it moves back
	if len(told) != 2 || told[1].Remote != siteB {
		t.Errorf("told %v", told)
	}
}
