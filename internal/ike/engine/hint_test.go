package engine

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// claimOf is an INVALID_SPI in the clear with the SPIs and Message ID given.
func claimOf(spii, spir isakmp.SPI, id uint32, ps ...ike2.Payload) []byte {
	return (&ike2.Message{Header: isakmp.Header{SPIi: spii, SPIr: spir, Version: isakmp.Version2, Exchange: isakmp.Informational,
		Flags: isakmp.FlagInitiator, MessageID: id}, Payloads: ps}).Append(nil)
}

// listening is an engine with one peer whose child 0x1001 sends on 0xFF123456 to it, and the hints that reached it.
func listening(t *testing.T) (*Engine, *diary, *[]ike.Hint) {
	d, ps := newDiary(t), &puppets{}
	var got []ike.Hint
	ps.react = func(m *puppet, _ time.Time, in ike.Input) []ike.Effect {
		if h, ok := in.(ike.Hint); ok {
			got = append(got, h)
		}
		return nil
	}
	o := d.options(configOf(peerOf(0, addrA, addrB)))
	o.Maker = ps
	ps.first = []ike.Effect{ike.Install{ID: 1, Half: sa.BothHalves, Child: sa.Child{In: 0x1001, Out: 0xFF123456}}}
	o.SendsOn = func(out sa.SPI, remote netip.AddrPort) (sa.SPI, sa.Owner, bool) {
		return 0x1001, 0, out == 0xFF123456 && remote == endB()
	}
	e := launch(t, o)
	e.Post(0, ike.Command{Verb: ike.VerbInitiate})
	synctest.Wait()
	d.sent = nil
	return e, d, &got
}

const lostThere = 0xFF123456

func TestEveryFormOfAnINVALIDSPIInTheClearReachesThePeerItIsAbout(t *testing.T) {
	spi := binary.BigEndian.AppendUint32(nil, lostThere)
	token := &ike2.Notify{Protocol: ike2.ProtoIKE, Kind: 16419, Data: make([]byte, 128)} // RFC 6290
	for name, c := range map[string]struct {
		msg  []byte
		want int
	}{
		"M3 octet for octet": {[]byte("\x11\x22\x33\x44\x55\x66\x77\x88\x00\x00\x00\x00\x00\x00\x00\x00" +
			"\x29\x20\x25\x08\x00\x00\x00\x00\x00\x00\x00\x28" + "\x00\x00\x00\x0c\x00\x00\x00\x0b\xff\x12\x34\x56"), 1},
		"both SPIs zero":                 {claimOf(0, 0, 0, ike2.NotifyInvalidSPI(lostThere)), 1},
		"both SPIs random, any ID":       {claimOf(0x1122334455667788, 0x99AABBCCDDEEFF00, 77, ike2.NotifyInvalidSPI(lostThere)), 1},
		"with an SPI of ours":            {claimOf(0x0102030405060700, 0x99AABBCCDDEEFF00, 0, ike2.NotifyInvalidSPI(lostThere)), 1},
		"SPI field":                      {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSPI, Protocol: ike2.ProtoESP, SPI: spi}), 1},
		"SPI field and data, AH":         {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSPI, Protocol: ike2.ProtoAH, SPI: spi, Data: spi}), 1},
		"long data":                      {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSPI, Data: append(append([]byte(nil), spi...), 1, 2, 3)}), 1},
		"with four tokens":               {claimOf(1, 2, 0, token, token, token, token, ike2.NotifyInvalidSPI(lostThere)), 1},
		"two notifies":                   {claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere), ike2.NotifyInvalidSPI(lostThere)), 1},
		"short data":                     {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSPI, Data: []byte{1, 2, 3}}), 0},
		"SPI of three octets":            {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSPI, SPI: spi[:3], Data: spi}), 0},
		"another SPI":                    {claimOf(1, 0, 0, ike2.NotifyInvalidSPI(0x123456FF)), 0},
		"another notify":                 {claimOf(1, 0, 0, &ike2.Notify{Kind: ike2.InvalidSyntax, Data: spi}), 0},
		"a Delete":                       {claimOf(1, 0, 0, &ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{lostThere}}), 0},
		"nothing":                        {claimOf(1, 0, 0), 0},
		"too long for any of its makers": {claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere), &ike2.Vendor{Data: make([]byte, maxHint)}), 0},
		"does not parse":                 {append(claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere))[:27], 0x2c, 0x29, 0, 0, 0xFF, 0, 0, 0, 0x0b, 0xff, 0x12, 0x34, 0x56, 0, 0, 0, 0), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, d, got := listening(t)
				if e.Deliver(endA(), endB(), c.msg) {
					t.Error("taken for a message of an IKE SA")
				}
				synctest.Wait()
				if len(*got) != c.want || c.want == 1 && (*got)[0] != (ike.Hint{In: 0x1001, Out: lostThere, Remote: endB()}) {
					t.Errorf("%+v, want %d", *got, c.want)
				}
				if d.dropped(reason.IKEUnauthenticated) != 1 || len(d.sent) != 0 {
					t.Errorf("drops %v, %d sent: it must be counted, and never be answered", d.drops, len(d.sent))
				}
			})
		})
	}
}

func TestAStrangersHintReachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, d, got := listening(t)
		for i := range uint16(10000) {
			e.Deliver(endA(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 500), claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere)))
		}
		synctest.Wait()
		if len(*got) != 0 || d.dropped(reason.IKEUnauthenticated) != 10000 {
			t.Errorf("%d hints, drops %v", len(*got), d.drops)
		}
		e.Deliver(endA(), endB(), claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere))) // they used up nothing
		synctest.Wait()
		if len(*got) != 1 {
			t.Error("the flood of strangers keeps a peer's hint out")
		}
	})
}

func TestHintsOfAllPeersAreAHundredASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, got := listening(t)
		flood := func(what string, want int) {
			before := len(*got)
			for range 1000 {
				e.Deliver(endA(), endB(), claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere)))
			}
			synctest.Wait()
			if n := len(*got) - before; n != want {
				t.Errorf("%s: %d in a second, want %d", what, n, want)
			}
			time.Sleep(time.Second)
		}
		flood("first second", hintsPerSecond)
		flood("next second", hintsPerSecond)
		cfg := configOf(peerOf(0, addrA, addrB))
		cfg.Recovery.HintsPerSecond = 7
		e.Apply(cfg, nil)
		flood("crypto recovery budget hints per-second 7", 7)
	})
}

func TestWithoutATableHintsAreOnlyCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		e := launch(t, d.options(configOf(peerOf(0, addrA, addrB))))
		e.Deliver(endA(), endB(), claimOf(1, 0, 0, ike2.NotifyInvalidSPI(lostThere)))
		synctest.Wait()
		if d.dropped(reason.IKEUnauthenticated) != 1 {
			t.Errorf("drops %v", d.drops)
		}
	})
}

// hinted tells b's gateway, in the clear and from where b sends ESP to, that the SPI that it sends on is not known there.
func hinted(a, b *gateway) {
	c := b.table.Snapshot()[0].Child
	if c.Remote.Addr() != a.addr {
		b.net.t.Fatalf("%s sends to %v", b.name, c.Remote)
	}
	b.e.Deliver(c.Local, c.Remote, claimOf(0, 0, 0, ike2.NotifyInvalidSPI(uint32(c.Out))))
}

func TestATrueHintFromALivePeerReplacesTheChildInTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		old := b.table.Snapshot()[0].Child.In
		a.table.Remove(b.table.Snapshot()[0].Child.Out, 0, 0, sa.BothHalves, sa.TombCleared, time.Now()) // its data plane lost it
		hinted(a, b)
		time.Sleep(4*oneWay + slack) // liveness, then the rekey
		if p := b.table.Snapshot(); p[len(p)-1].Child.In == old && len(p) == 1 {
			t.Errorf("still on %v\n%v", old, n.trace)
		}
		time.Sleep(time.Minute)
		n.wantAgreement(a, b, 1, 1)
	})
}

func TestAHintFromAPeerThatRestartedEndsItsOldIKESAInSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		lost := b.table.Snapshot()[0].Child.In
		a.e.Kill()
		n.gateway("a'", configOf(peerOf(0, addrA, addrB)), addrA, func(o *Options) { o.Frozen = true })
		hinted(a, b)
		time.Sleep(ike.ProbeSchedule().Total() + time.Second) // without the hint nothing would have asked
		if tomb, ok := b.table.Tombstone(lost, time.Now()); !ok || tomb.Why != sa.TombDPD {
			t.Errorf("tombstone %+v, %v\n%v", tomb, ok, n.trace)
		}
	})
}

func TestFortyThousandForgedHintsMoveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a, b := n.pair()
		a.e.Start()
		time.Sleep(time.Minute)
		asked := b.count("INFORMATIONAL request") + b.count("CREATE_CHILD_SA request")
		for range 400 { // ten seconds of 4,000 a second, with b's true SPI and a's true address
			for range 100 {
				hinted(a, b)
			}
			time.Sleep(25 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		n.wantAgreement(a, b, 1, 1)
		if more := b.count("INFORMATIONAL request") + b.count("CREATE_CHILD_SA request") - asked; more > 5 {
			t.Errorf("%d requests: liveness, rekey and Delete are 3", more)
		}
	})
}
