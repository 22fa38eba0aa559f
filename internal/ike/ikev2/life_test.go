package ikev2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

func (l *lab) cut() { l.fault = func(packet) fate { return lose } }

func TestDeadPeerTakesTheChildrenWithIt(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.DPD = &policy.DPD{Interval: 10 * time.Second, Retry: 2 * time.Second, Periodic: true}
	l.up()
	l.advance(30 * time.Second)
	if l.b.noticed(ike.PeerAlive) < 3 {
		t.Errorf("b heard %d messages", l.b.noticed(ike.PeerAlive))
	}
	l.cut()
	l.advance(time.Minute)
	if l.a.closed == "" || l.a.tombs[0xA001] != sa.TombDPD || len(l.a.inbound)+len(l.a.outbound) != 0 {
		t.Fatal(l.transcript())
	}
	down := 0
	for _, n := range l.a.notices {
		if n.Kind == ike.IKEDown && n.Cause == sa.TombDPD {
			down++
		}
	}
	if down != 1 || !l.a.said("IKEV2_SESSION_STATUS", "Crypto tunnel v2 is DOWN.  Peer 198.51.100.2:500") {
		t.Errorf("%d notices", down)
	}
	for _, p := range l.a.sent[len(l.a.sent)-5:] {
		if string(p.msg) != string(l.a.sent[len(l.a.sent)-1].msg) {
			t.Error("a retransmission differs, or a Delete was sent")
		}
	}
}

func TestOnDemandLivenessAsksOnlyWhenTrafficGoesOneWay(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.DPD = &policy.DPD{Interval: 10 * time.Second, Retry: 2 * time.Second}
	l.up()
	sent := len(l.a.sent)
	l.advance(time.Minute)
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
	l.advance(9 * time.Second)
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
	if len(l.a.sent) != sent {
		t.Fatal("asked although the peer was just heard")
	}
	l.advance(time.Second)
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Outbound})
	l.run()
	if got := len(l.a.sent) - sent; got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
}

func TestCommandedLivenessUsesTheFastSchedule(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 1 {
		t.Errorf("%d round trips", o.RoundTrips)
	}
	l.cut()
	start := l.now
	l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 6})
	for l.a.closed == "" {
		l.advance(l.a.m.Deadline().Sub(l.now))
	}
	l.a.want(6, ike.TimedOut)
	if took := l.now.Sub(start); took < 36*time.Second || took > 39*time.Second {
		t.Errorf("took %v, want about 37 s", took)
	}
}

func TestLivenessHastensAnOutstandingRequest(t *testing.T) {
	l := newLab(t)
	l.up()
	l.cut()
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	start := l.now
	l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 6})
	for l.a.closed == "" {
		l.advance(l.a.m.Deadline().Sub(l.now))
	}
	l.a.want(5, ike.TimedOut)
	l.a.want(6, ike.TimedOut)
	if took := l.now.Sub(start); took > 39*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestChildIsRekeyedBeforeItsTimeAndDeletedAtIt(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.IPsec.Lifetime = 4 * time.Hour
	l.up()
	l.watch()
	l.advance(54*time.Minute - time.Second)
	if c, _ := l.a.out(); c.In != 0xA001 {
		t.Error("rekeyed too early")
	}
	l.advance(time.Second)
	if c, _ := l.a.out(); c.In == 0xA001 {
		t.Error("not rekeyed at nine tenths of its life")
	}
	l.advance(3 * time.Hour)
	l.mustAgree(1)
}

func TestChildThatCannotBeRekeyedCostsTheIKESAInTheEnd(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.IPsec.Lifetime = 4 * time.Hour
	l.up()
	l.b.cfg.Peer.IPsec.TransformSets[0].Cipher.KeyBits = 128 // no rekey can succeed
	l.advance(time.Hour)
	if l.a.closed == "" || l.a.tombs[0xA001] != sa.TombExpiredTime {
		l.fatalf("a: %q, %v", l.a.closed, l.a.tombs)
	}
	l.advance(time.Minute)
	if l.b.closed == "" || len(l.b.inbound) != 0 {
		t.Error("b was not told")
	}
}

func TestSoftLimitsByVolumeLeadToARekeyAndHardOnesToADelete(t *testing.T) {
	for _, k := range []ike.TrafficKind{ike.SoftBytes, ike.SoftPackets, ike.SeqHigh} {
		l := newLab(t)
		l.up()
		l.watch()
		c, _ := l.a.out()
		if c.HardBytes != 4608000*1024 || c.SoftBytes >= c.HardBytes || c.SoftPackets == 0 {
			t.Errorf("limits %d %d %d", c.SoftBytes, c.HardBytes, c.SoftPackets)
		}
		l.a.step(ike.Traffic{SPI: c.In, Kind: k})
		l.a.step(ike.Traffic{SPI: c.In, Kind: k})
		l.run()
		l.settle(1)
		if l.a.tombs[0xA001] != sa.TombRekeyed || l.a.nextSPI != 0xA002 {
			t.Errorf("%d: tombs %v, last SPI %v", k, l.a.tombs, l.a.nextSPI)
		}
	}
	l := newLab(t)
	l.up()
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.HardBytes})
	l.run()
	if l.a.tombs[0xA001] != sa.TombExpiredVolume || l.b.tombs[0xB001] != sa.TombPeerDeleted {
		t.Errorf("tombs %v %v", l.a.tombs, l.b.tombs)
	}
	l.settle(1) // and the tunnel comes back
}

func TestIKESAIsRekeyedBeforeItsTime(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.Lifetime, l.b.cfg.Peer.IKE.Lifetime = time.Hour, 4*time.Hour
	l.a.cfg.Peer.IPsec.Lifetime, l.b.cfg.Peer.IPsec.Lifetime = 100*time.Hour, 100*time.Hour
	l.up()
	l.watch()
	first := l.a.m.Status().LocalSPI
	l.advance(6 * time.Hour)
	st := l.a.m.Status()
	if st.LocalSPI == first || l.now.Sub(st.Established) > time.Hour {
		t.Errorf("status %+v", st)
	}
	l.mustAgree(1)
}

func TestIKESAThatCannotBeRekeyedIsDeletedAtItsEnd(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Peer.IKE.Lifetime, l.b.cfg.Peer.IKE.Lifetime = time.Hour, 4*time.Hour
	l.up()
	l.b.cfg.Peer.Proposals[0].Groups = []uint16{19}
	l.a.cfg.Peer.Proposals[0].Groups = []uint16{31}
	l.advance(time.Hour + time.Minute)
	if l.a.closed == "" || l.b.closed == "" {
		t.Errorf("a %q, b %q", l.a.closed, l.b.closed)
	}
}

// nat puts a translator before a: b sees natA in its place.
func (l *lab) nat() netip.AddrPort {
	outside := netip.MustParseAddrPort("203.0.113.9:40001")
	l.a.cfg.Remote = netip.AddrPortFrom(addrB, 500)
	return outside
}

func TestNATIsFoundAndBothEndsFloatTo4500(t *testing.T) {
	l := newLab(t)
	outside := l.nat()
	seen := map[uint16]bool{}
	// Rewrite what passes the translator.
	l.fault = func(p packet) fate {
		seen[p.local.Port()] = true
		return deliver
	}
	l.rewrite = func(p *packet) {
		if p.from == l.a {
			p.local = netip.AddrPortFrom(outside.Addr(), outside.Port()+p.local.Port()%7)
		} else {
			port := uint16(500)
			if p.local.Port() == 4500 {
				port = 4500
			}
			p.remote = netip.AddrPortFrom(addrA, port)
		}
	}
	l.start()
	l.run()
	l.mustWork()
	a, b := l.a.m.Status(), l.b.m.Status()
	if !a.NATLocal || a.NATRemote || b.NATLocal || !b.NATRemote {
		t.Errorf("a %v %v, b %v %v", a.NATLocal, a.NATRemote, b.NATLocal, b.NATRemote)
	}
	ca, _ := l.a.out()
	cb, _ := l.b.out()
	if ca.Encap != sa.EncapUDP || ca.Local.Port() != 4500 || ca.Remote.Port() != 4500 {
		t.Errorf("a: %v %v %v", ca.Encap, ca.Local, ca.Remote)
	}
	if cb.Encap != sa.EncapUDP || cb.Remote.Addr() != outside.Addr() || cb.Remote.Port() < 40001 || cb.Local.Port() != 4500 {
		t.Errorf("b: %v %v %v", cb.Encap, cb.Local, cb.Remote)
	}
	// Keepalives come from the side behind the NAT only.
	l.advance(time.Minute)
	alive := 0
	for _, p := range l.a.sent {
		if len(p.msg) == 1 && p.local.Port() == 4500 {
			alive++
		}
	}
	if alive != 3 {
		t.Errorf("%d keepalives in a minute, want 3", alive)
	}
	for _, p := range l.b.sent {
		if len(p.msg) == 1 {
			t.Error("b sends keepalives")
		}
	}
}

func TestResponderBehindANATFollowsTheFloat(t *testing.T) {
	l := newLab(t)
	inside := netip.MustParseAddr("10.9.9.9")
	l.b.cfg.Peer.IKE.Local = policy.AddressIdentity(addrB)
	l.rewrite = func(p *packet) {
		if p.from == l.a {
			p.remote = netip.AddrPortFrom(inside, p.remote.Port())
		} else {
			p.local = netip.AddrPortFrom(addrB, p.local.Port())
		}
	}
	l.up()
	want := netip.AddrPortFrom(addrA, 4500)
	st := l.b.m.Status()
	if !st.NATLocal || st.Remote != want || st.Local != netip.AddrPortFrom(inside, 4500) {
		t.Errorf("b behind a NAT %v: it reaches a at %v from %v", st.NATLocal, st.Remote, st.Local)
	}
	for _, e := range l.b.events {
		if e.Mnemonic == "IKEV2_SESSION_STATUS" && !strings.Contains(e.Text, want.String()) {
			t.Errorf("b told of %q", e.Text)
		}
	}
	n := len(l.b.sent)
	l.b.step(ike.Command{Verb: ike.VerbLiveness, Ref: 9})
	if len(l.b.sent) != n+1 || l.b.sent[n].remote != want || l.b.sent[n].local.Port() != 4500 {
		t.Errorf("b asked by %v", l.b.sent[n:])
	}
}

func TestEncapsulationIsDecidedByPolicyWhereThereIsNoNAT(t *testing.T) {
	for name, c := range map[string]struct {
		a, b   policy.Encap
		vendor bool
		want   sa.Encap
	}{
		"two Lockstep gateways": {policy.EncapAuto, policy.EncapAuto, true, sa.EncapUDP},
		"a foreign peer":        {policy.EncapAuto, policy.EncapAuto, false, sa.EncapNone},
		"never on both":         {policy.EncapNever, policy.EncapNever, true, sa.EncapNone},
		"forced by the first":   {policy.EncapForce, policy.EncapNever, false, sa.EncapUDP},
		"forced by the second":  {policy.EncapNever, policy.EncapForce, false, sa.EncapUDP},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.a.cfg.Encap, l.b.cfg.Encap = c.a, c.b
			if !c.vendor {
				l.rewrite = foreign
			}
			l.start()
			l.run()
			l.mustWork()
			for _, s := range []*side{l.a, l.b} {
				o, _ := s.out()
				if o.Encap != c.want || c.want == sa.EncapUDP && (o.Remote.Port() != 4500 || s.m.Status().Local.Port() != 4500) {
					t.Errorf("%s: %v to %v", s.name, o.Encap, o.Remote)
				}
			}
			l.settle(1)
		})
	}
}

func TestPeerThatMovesIsFollowedOnlyWhenAuthentic(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Encap, l.b.cfg.Encap = policy.EncapForce, policy.EncapNever
	l.up()
	// b found a "NAT" before a and none before itself: it follows a.
	to := netip.MustParseAddrPort("203.0.113.77:41000")
	l.b.step(ike.Traffic{SPI: 0xB001, Kind: ike.EndpointMoved, Remote: to})
	if len(l.b.moved) != 1 || l.b.moved[0].Remote != to || l.b.m.Status().Remote != to {
		t.Fatalf("moved %v", l.b.moved)
	}
	// A forged message from elsewhere moves nothing.
	forged := append([]byte(nil), l.a.sent[len(l.a.sent)-1].msg...)
	forged[len(forged)-1] ^= 1
	forged[18], forged[23] = byte(isakmp.Informational), 2 // the next request
	l.b.step(ike.Datagram{Local: l.b.cfg.Local, Remote: netip.MustParseAddrPort("203.0.113.99:1"), Bytes: forged})
	if l.b.m.Status().Remote != to || l.b.drops[reason.IKEBadICV] != 1 {
		t.Errorf("remote %v, drops %v", l.b.m.Status().Remote, l.b.drops)
	}
	// a believes that it is behind a NAT when the hash of its address does not fit; it must not follow anybody.
	l2 := newLab(t)
	l2.b.cfg.Encap = policy.EncapForce
	l2.up()
	l2.a.mach().path.natLocal = true
	l2.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.EndpointMoved, Remote: to})
	if len(l2.a.moved) != 0 {
		t.Error("followed although behind a NAT")
	}
}

func TestAnswersGoBackWhereTheRequestCameFrom(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.mach().path.natLocal = true // so that b does not move there
	p := l.a.inject(isakmp.Informational, 2, false, nil)
	from := netip.MustParseAddrPort("192.0.2.1:500")
	other := netip.MustParseAddrPort("192.0.2.200:4999")
	n := len(l.b.sent)
	l.b.step(ike.Datagram{Local: netip.AddrPortFrom(addrB, 4500), Remote: other, Bytes: p.msg})
	if len(l.b.sent) != n+1 || l.b.sent[n].remote != other || l.b.sent[n].local.Port() != 4500 {
		t.Errorf("answered to %v, not %v", l.b.sent[n].remote, from)
	}
}

// foreign takes the vendor ID out of a message, and out of what its sender's AUTH covers.
func foreign(p *packet) {
	m, err := ike2.Parse(p.msg)
	if err != nil || m.Exchange != isakmp.IKESAInit {
		return
	}
	m.Payloads = slices.DeleteFunc(m.Payloads, func(p ike2.Payload) bool { return p.Type() == ike2.PayloadVendor })
	p.msg = m.Append(nil)
	p.from.mach().cur.sendInit = p.msg
}

func TestIKESAIsRekeyedBeforeItsMessageIDsEnd(t *testing.T) {
	l := newLab(t)
	l.up()
	first := l.a.m.Status().LocalSPI
	l.a.mach().cur.send = ike.SendFrom(1<<32 - 1<<15)
	l.b.mach().cur.recv = ike.RecvFrom(1<<32 - 1<<15)
	l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 5})
	l.advance(time.Minute)
	l.a.want(5, ike.OK)
	if st := l.a.m.Status(); st.LocalSPI == first || st.SendMID > 10 {
		t.Errorf("status %+v", st)
	}
}
