package engine

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// opening is an IKE_SA_INIT request with only a nonce of one repeated octet: enough for the gate.
func opening(spii isakmp.SPI, nonce byte) []byte {
	data := make([]byte, 32)
	for i := range data {
		data[i] = nonce
	}
	m := &ike2.Message{Header: isakmp.Header{SPIi: spii, Version: isakmp.Version2, Exchange: isakmp.IKESAInit, Flags: isakmp.FlagInitiator},
		Payloads: []ike2.Payload{&ike2.Nonce{Data: data}}}
	return m.Append(nil)
}

// withHeader changes octets of the header of a message.
func withHeader(msg []byte, change func(b []byte)) []byte {
	b := append([]byte(nil), msg...)
	change(b)
	return b
}

func TestEveryMessageThatIsDroppedAtTheDoorHasItsReason(t *testing.T) {
	broken := func(b []byte) { binary.BigEndian.PutUint32(b[24:], 5) }
	hint := &ike2.Message{Header: isakmp.Header{Version: isakmp.Version2, Exchange: isakmp.Informational, Flags: isakmp.FlagInitiator},
		Payloads: []ike2.Payload{ike2.NotifyInvalidSPI(0x1234)}}
	for name, c := range map[string]struct {
		remote netip.AddrPort
		msg    []byte
		want   reason.Drop
	}{
		"length does not fit":    {endB(), withHeader(opening(1, 1), broken), reason.IKEMalformed},
		"empty":                  {endB(), nil, reason.IKEMalformed},
		"initiator's SPI zero":   {endB(), opening(0, 1), reason.IKEMalformed},
		"longer than a datagram": {endB(), make([]byte, ike2.MaxMessage+1), reason.IKETooLarge},
		"version 1":              {endB(), withHeader(opening(1, 1), func(b []byte) { b[17] = isakmp.Version1 }), reason.IKEv1Unsupported},
		"version 3":              {endB(), withHeader(opening(1, 1), func(b []byte) { b[17] = 0x30 }), reason.IKEBadVersion},
		"version 0":              {endB(), withHeader(opening(1, 1), func(b []byte) { b[17] = 0 }), reason.IKEBadVersion},
		"stranger":               {netip.MustParseAddrPort("203.0.113.9:500"), opening(1, 1), reason.IKENoPolicy},
		"SPI of no shard":        {endB(), to(0x01ff), reason.IKEUnknownSPI},
		"SPI of nobody":          {endB(), to(0x0100), reason.IKEUnknownSPI},
		"INVALID_SPI in clear":   {endB(), hint.Append(nil), reason.IKEUnauthenticated},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDiary(t)
			o := d.options(configOf(peerOf(0, addrA, addrB)))
			o.Maker = &puppets{}
			e := launch(t, o)
			e.Deliver(endA(), c.remote, c.msg)
			synctest.Wait()
			if len(d.drops) != 1 || d.dropped(c.want) != 1 {
				t.Errorf("%s: drops %v, want one %v", name, d.drops, c.want)
			}
			if got := e.Status(t.Context()); len(got) != 0 {
				t.Errorf("%s: made state", name)
			}
		})
	}
}

func TestANewerVersionIsToldOursOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		e := launch(t, d.options(configOf(peerOf(0, addrA, addrB))))
		msg := withHeader(opening(0x77, 1), func(b []byte) { b[17] = 0x30 })
		e.Deliver(endA(), endB(), msg)
		e.Deliver(endA(), endB(), msg)
		e.Deliver(endA(), netip.MustParseAddrPort("203.0.113.9:500"), msg)
		e.Deliver(endA(), endB(), withHeader(msg, func(b []byte) { b[19] |= byte(isakmp.FlagResponse) }))
		if len(d.sent) != 1 || d.sent[0].Remote != endB() || d.sent[0].Local != endA() {
			t.Fatalf("sent %v", d.sent)
		}
		m, err := ike2.Parse(d.sent[0].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		n := ike2.FindNotify(m.Payloads, ike2.InvalidMajorVersion)
		if n == nil || m.SPIi != 0x77 || !m.Response() || m.FromInitiator() || m.Version != isakmp.Version2 || len(d.sent[0].Bytes) > len(msg) {
			t.Errorf("reply %v", m)
		}
		time.Sleep(versionGap)
		e.Deliver(endA(), endB(), msg)
		if len(d.sent) != 2 {
			t.Errorf("%d replies", len(d.sent))
		}
	})
}

func TestATunnelIsChosenByItsOwnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		o := d.options(configOf(peerOf(0, addrA, addrB), peerOf(1, addrC, addrB)))
		o.Maker = ps
		e := launch(t, o)
		e.Deliver(netip.AddrPortFrom(addrC, 500), endB(), opening(1, 1))
		synctest.Wait()
		if ps.of(0) != nil || ps.of(1) == nil {
			t.Error("the wrong tunnel answers")
		}
		e.Deliver(netip.MustParseAddrPort("192.0.2.200:500"), endB(), opening(2, 2))
		if d.dropped(reason.IKENoPolicy) != 1 {
			t.Errorf("drops %v", d.drops)
		}
	})
}

func TestOurOwnFirstMessageIsNotACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		e := launch(t, d.options(configOf(peerOf(0, addrA, addrB))))
		e.Post(0, ike.Command{Verb: ike.VerbInitiate})
		synctest.Wait()
		e.Deliver(endA(), endB(), d.sent[0].Bytes)
		synctest.Wait()
		if d.dropped(reason.IKEReflected) != 1 || len(d.sent) != 1 {
			t.Errorf("drops %v, %d sent", d.drops, len(d.sent))
		}
	})
}

// A shard that was busy for long answers no calls of then: their senders have called again (protocol.md §2.8, T7).
func TestAFirstMessageThatWaitedTooLongIsStale(t *testing.T) {
	for wait, want := range map[time.Duration]int{staleAfter: 0, staleAfter + time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			d, ps := newDiary(t), &puppets{}
			held := make(chan struct{})
			o := d.options(configOf(peerOf(0, addrA, addrB)))
			o.Maker = ps
			e := launch(t, o)
			e.shards[0].urgent(func() { <-held })
			synctest.Wait()
			e.Deliver(endA(), endB(), opening(1, 1))
			time.Sleep(wait)
			close(held)
			synctest.Wait()
			if d.dropped(reason.IKEStaleInit) != want || (ps.of(0) == nil) != (want == 1) {
				t.Errorf("after %v: drops %v", wait, d.drops)
			}
		})
	}
}

func TestFromAThresholdOnCallersShowACookieAndFromALimitOnTheyAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ps := newDiary(t), &puppets{}
		var peers []*policy.Peer
		for i := range 4 {
			peers = append(peers, peerOf(i, addrA, netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)})))
		}
		cfg := configOf(peers...)
		cfg.CookieChallenge = 2
		o := d.options(cfg)
		o.Maker, o.HalfOpen = ps, 3
		e := launch(t, o)
		from := func(i int) netip.AddrPort { return netip.AddrPortFrom(peers[i].Remote, 500) }
		for i := range 3 {
			e.Deliver(endA(), from(i), opening(isakmp.SPI(i+1), byte(i)))
			synctest.Wait()
		}
		if ps.of(1) == nil || ps.of(2) != nil || d.dropped(reason.IKECookieSent) != 1 || len(d.sent) != 1 || d.sent[0].Remote != from(2) {
			t.Fatalf("drops %v, %d sent", d.drops, len(d.sent))
		}
		reply, err := ike2.Parse(d.sent[0].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ike2.Parse(opening(3, 2))
		if err != nil {
			t.Fatal(err)
		}
		again.Payloads = append([]ike2.Payload{ike2.FindNotify(reply.Payloads, ike2.Cookie)}, again.Payloads...)
		e.Deliver(endA(), from(3), again.Append(nil)) // another address: that cookie is not for it
		synctest.Wait()
		e.Deliver(endA(), from(2), again.Append(nil))
		synctest.Wait()
		if ps.of(2) == nil || ps.of(3) != nil || d.dropped(reason.IKECookieSent) != 2 {
			t.Fatalf("drops %v", d.drops)
		}
		e.Deliver(endA(), from(3), opening(4, 4))
		synctest.Wait()
		if d.dropped(reason.IKEHalfOpenLimit) != 1 || ps.of(3) != nil {
			t.Errorf("drops %v", d.drops)
		}
		e.Deliver(endA(), from(0), opening(1, 0)) // a repetition is no new caller
		synctest.Wait()
		if d.dropped(reason.IKEHalfOpenLimit) != 1 {
			t.Errorf("drops %v", d.drops)
		}
	})
}

func TestAFewHalfOpenIKESAsOfOnePeerAskItForACookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		o := d.options(configOf(peerOf(0, addrA, addrB)))
		o.Maker = &puppets{}
		e := launch(t, o)
		for i := range byte(cookiesPerPeer + 1) {
			e.Deliver(endA(), endB(), opening(isakmp.SPI(i+1), i))
			synctest.Wait()
		}
		if d.dropped(reason.IKECookieSent) != 1 || len(e.Status(t.Context())) != cookiesPerPeer {
			t.Errorf("drops %v", d.drops)
		}
	})
}

func TestARefusedMessageUnderCookieLoadIsMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t)
		cfg := configOf(peerOf(0, addrA, addrB))
		cfg.CookieChallenge = 1
		o := d.options(cfg)
		o.Maker = &puppets{}
		e := launch(t, o)
		e.Deliver(endA(), endB(), opening(1, 1))
		synctest.Wait()
		bare := isakmp.Header{SPIi: 9, Version: isakmp.Version2, Exchange: isakmp.IKESAInit, Flags: isakmp.FlagInitiator, Length: isakmp.HeaderLen}
		e.Deliver(endA(), endB(), bare.Append(nil))
		synctest.Wait()
		if d.dropped(reason.IKEMalformed) != 1 || len(d.sent) != 0 {
			t.Errorf("drops %v", d.drops)
		}
	})
}

func FuzzDeliverTakesAnyOctets(f *testing.F) {
	f.Add(opening(1, 1))
	f.Add(to(0x100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		e, err := New(newDiary(t).options(configOf(peerOf(0, addrA, addrB))))
		if err != nil {
			t.Fatal(err)
		}
		s := e.shards[0]
		if e.Deliver(endA(), endB(), msg) {
			s.handle(<-s.mail)
		}
		for en := s.entries[0]; en.open; { // a Compute that the message led to
			s.doUrgent()
		}
	})
}
