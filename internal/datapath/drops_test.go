package datapath

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

// sealed is what A's child sends to B: any payload under any number and next header.
func sealed(t testing.TB, a *site, seq uint64, next uint8, payload []byte) []byte {
	t.Helper()
	p, _ := ip.Parse(udp("10.1.0.1:7", "10.2.0.1:9", 0))
	out := a.table.Tunnel(0).Pick(&p)
	b := make([]byte, out.Sealer().SealedLen(len(payload)))
	if _, err := out.Sealer().Seal(b, seq, payload, next); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryInboundDropHasItsName(t *testing.T) {
	good := udp("10.1.0.1:7", "10.2.0.1:9", 30)
	ours := func(a netip.Addr) bool { return a == siteB.Addr() || a.Is6() }
	esp := func(spi uint32, n int) []byte {
		b := make([]byte, n)
		binary.BigEndian.PutUint32(b, spi)
		return b
	}
	v6 := netip.MustParseAddrPort("[2001:db8::2]:4500")
	raw := func(buf []byte) Run {
		return Run{Local: netip.AddrPortFrom(siteB.Addr(), 0), Remote: netip.AddrPortFrom(siteA.Addr(), 0), Buf: buf}
	}
	in := func(buf []byte) Run { return Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: buf} }
	ttl0 := func() []byte {
		p := udp("10.1.0.1:7", "10.2.0.1:9", 30)
		p[8] = 0
		ip.SetHeaderChecksum(p)
		return p
	}
	for name, c := range map[string]struct {
		run   func(*testing.T, *site) Run
		setUp func(*testing.T, *site)
		child func(*sa.Child)
		want  reason.Drop
		bare  bool
		n     uint64
	}{
		"unknown SPI":        {run: func(*testing.T, *site) Run { return in(esp(0xB0009999, 60)) }, want: reason.InvalidSPI},
		"unknown SPI, raw":   {run: func(*testing.T, *site) Run { return raw(esp(0xB0009999, 60)) }, want: reason.InvalidSPI},
		"SPI with high bits": {run: func(*testing.T, *site) Run { return in(esp(0xFF00FFFF, 24)) }, want: reason.InvalidSPI},
		"unknown SPI on IPv6": {run: func(*testing.T, *site) Run {
			return Run{Local: v6, Remote: netip.MustParseAddrPort("[2001:db8::1]:4500"), Encap: sa.EncapUDP, Buf: esp(0xB0009999, 60)}
		}, want: reason.InvalidSPIv6},
		"not to us": {run: func(*testing.T, *site) Run {
			r := raw(esp(0xB0009999, 60))
			r.Local = netip.MustParseAddrPort("198.51.100.9:0")
			return r
		}, want: reason.TransitSPI},
		"SPI 0":           {run: func(*testing.T, *site) Run { return raw(esp(0, 60)) }, want: reason.SPIZero},
		"SPI 255":         {run: func(*testing.T, *site) Run { return in(esp(255, 60)) }, want: reason.SPIReserved},
		"23 octets":       {run: func(*testing.T, *site) Run { return in(esp(0xB0009999, 23)) }, want: reason.ESPTruncated},
		"7 octets, raw":   {run: func(*testing.T, *site) Run { return raw(esp(0xB0009999, 7)) }, want: reason.ESPTruncated},
		"nothing, raw":    {run: func(*testing.T, *site) Run { return raw(nil) }, want: reason.ESPTruncated},
		"7 octets in UDP": {run: func(*testing.T, *site) Run { return in(esp(0xB0009999, 7)) }, want: reason.ShortNonESP},
		"nothing in UDP":  {run: func(*testing.T, *site) Run { return in(nil) }, want: reason.ShortNonESP},
		"keepalive":       {run: func(*testing.T, *site) Run { return in([]byte{0xff}) }, want: reason.KeepaliveNAT},
		"no source":       {run: func(*testing.T, *site) Run { return Run{Local: siteB, Encap: sa.EncapUDP, Buf: esp(0xB0009999, 60)} }, want: reason.OuterMalformed},
		"UDP from port 0": {run: func(*testing.T, *site) Run {
			r := in(esp(0xB0009999, 60))
			r.Remote = netip.AddrPortFrom(siteA.Addr(), 0)
			return r
		}, want: reason.OuterMalformed},
		"shorter than GCM":   {run: func(*testing.T, *site) Run { b := esp(uint32(spiB), 24); b[7] = 1; return in(b) }, want: reason.ESPTruncated},
		"changed":            {run: func(t *testing.T, a *site) Run { b := sealed(t, a, 9, 4, good); b[25] ^= 4; return in(b) }, want: reason.BadICV},
		"dummy":              {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 59, make([]byte, 9))) }, want: reason.DummyPacket},
		"transport mode":     {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 17, good[20:])) }, want: reason.WrongNextHeader},
		"not IP":             {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, []byte("hello"))) }, want: reason.InnerMalformed},
		"time to live over":  {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, ttl0())) }, want: reason.TTLExpired},
		"no device":          {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, good)) }, want: reason.DeviceWriteFailed, bare: true},
		"broken device":      {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, good)) }, setUp: func(_ *testing.T, b *site) { b.dev.fail = errFake }, want: reason.DeviceWriteFailed},
		"outside selectors":  {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, udp("10.9.0.1:7", "10.2.0.1:9", 30))) }, want: reason.SelectorMismatch, child: narrow},
		"past its life":      {run: func(t *testing.T, a *site) Run { return in(sealed(t, a, 9, 4, good)) }, want: reason.HardExpired, child: func(c *sa.Child) { c.Hard = t0 }},
		"congestion outside": {run: func(t *testing.T, a *site) Run { r := in(sealed(t, a, 9, 4, good)); r.TrafficClass = ip.CE; return r }, want: reason.CongestionLost},
		"twice": {run: func(t *testing.T, a *site) Run {
			b := sealed(t, a, 9, 4, good)
			return Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Seg: len(b), Buf: append(b, sealed(t, a, 9, 4, good)...)}
		}, want: reason.ReplayDuplicate},
		"below the window": {run: func(t *testing.T, a *site) Run {
			b := sealed(t, a, 5000, 4, good)
			return Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Seg: len(b), Buf: append(b, sealed(t, a, 9, 4, good)...)}
		}, want: reason.ReplayOld},
		"SPI that is larval": {
			setUp: func(t *testing.T, b *site) { b.table.Reserve(0xB0002000, 1, t0) },
			run: func(*testing.T, *site) Run {
				var buf []byte
				for range 35 { // three more than an SPI may park
					buf = append(buf, esp(0xB0002000, 60)...)
				}
				return Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Seg: 60, Buf: buf}
			}, want: reason.LarvalOverflow, n: 3},
	} {
		t.Run(name, func(t *testing.T) {
			child := childOf(spiA, spiB)
			if c.child != nil {
				c.child(&child)
			}
			wa, wb := wires()
			a, b := newSite(t, wa, settings{}), newSite(t, wb, settings{bare: c.bare, opt: Options{Ours: ours}})
			wide := childOf(spiA, spiB)
			a.install(t, wide)
			b.install(t, mirror(child))
			if c.setUp != nil {
				c.setUp(t, b)
			}
			b.arrive(c.run(t, a))
			b.dropped(t, c.want, max(c.n, 1))
			if len(b.ike) != 0 {
				t.Errorf("taken for IKE: %q", b.ike)
			}
			strays, stray := b.TakeStrays(nil), c.want == reason.InvalidSPI || c.want == reason.InvalidSPIv6
			if stray != (len(strays) == 1) {
				t.Errorf("strays %+v", strays) // nothing but an unknown SPI of ours may reach recovery
			}
		})
	}
}

// narrow is B's peer at 10.1/16 alone, seen from A.
func narrow(c *sa.Child) {
	c.TSLocal = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("10.1.0.0/16"))}
}

func TestAVerifiedPacketWithBadPaddingIsCounted(t *testing.T) {
	a, b := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	// GCM, made by hand: 2 octets of payload and trailer that claim more padding than there is.
	pkt := sealed(t, a, 9, 4, nil)
	inner := gcmPlain(t, keyOf(gcm, spiB).Reveal(), pkt, []byte{0, 0, 200, 4})
	b.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: inner})
	b.dropped(t, reason.BadPadding, 1)
}

func TestEarlyPacketsThatWaitInVainAreDroppedByName(t *testing.T) {
	s := newSite(t, newWire(siteB), settings{})
	s.table.Reserve(spiB, 1, t0)
	pkt := make([]byte, 60)
	binary.BigEndian.PutUint32(pkt, uint32(spiB))
	s.arrive(Run{Local: siteB, Remote: siteA, Encap: sa.EncapUDP, Buf: pkt})
	s.table.Release(spiB, t0.Add(time.Second))
	s.dropped(t, reason.LarvalTimeout, 1)
	if got := s.Drops().Octets[reason.LarvalTimeout]; got != 60 {
		t.Errorf("%d octets", got)
	}
}

func TestTooManyInjectedPacketsAreDroppedByName(t *testing.T) {
	s := newSite(t, newWire(siteB), settings{})
	s.Inject(spiB, make([]sa.Early, maxInjected+2))
	s.dropped(t, reason.LarvalOverflow, 2)
}

func TestEveryOutboundDropHasItsName(t *testing.T) {
	pkt := udp("10.1.0.1:7", "10.2.0.1:9", 30)
	with := func(change func([]byte)) []byte {
		f := plain(udp("10.1.0.1:7", "10.2.0.1:9", 30))
		change(f)
		return f
	}
	df := func(p []byte) []byte { ip.SetDF(p, true); return p }
	for name, c := range map[string]struct {
		frame  []byte
		setUp  func(*testing.T, *site)
		child  func(*sa.Child)
		opt    settings
		none   bool // no child
		want   reason.Drop
		asked  int
		icmp   bool
		circle bool
	}{
		"no child":          {frame: plain(pkt), none: true, want: reason.NoOutboundSA, asked: 1},
		"none for this one": {frame: plain(udp("10.9.0.1:7", "10.2.0.1:9", 30)), child: narrow, want: reason.NoSelectorMatch, asked: 1},
		"other family": {frame: plain(udp("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", 3)), want: reason.NoSelectorMatch, asked: 1,
			child: func(c *sa.Child) { c.TSLocal, c.TSRemote = []ike2.Selector{any4}, []ike2.Selector{any4} }},
		"inbound half only":   {frame: plain(pkt), want: reason.NoOutboundSA, asked: 1, setUp: func(_ *testing.T, s *site) { s.table.Remove(spiA, spiB, 1, sa.OutboundHalf, sa.TombRekeyed, t0) }},
		"too big with DF":     {frame: plain(df(udp("10.1.0.1:7", "10.2.0.1:9", 1373))), opt: settings{tunnel: TunnelOptions{MTU: 1400}}, want: reason.TooBigDF, icmp: true},
		"too big IPv6":        {frame: plain(udp("[2001:db8:1::1]:7", "[2001:db8:2::1]:9", 1353)), opt: settings{tunnel: TunnelOptions{MTU: 1400}}, want: reason.TooBigDF, icmp: true},
		"too big for anybody": {frame: plain(udp("10.1.0.1:7", "10.2.0.1:9", 65500)), want: reason.TooBigDF},
		"short":               {frame: make([]byte, 9), want: reason.DeviceMalformed},
		"not IP":              {frame: make([]byte, 60), want: reason.DeviceMalformed},
		"unknown offload":     {frame: with(func(f []byte) { f[1] = 3 }), want: reason.DeviceMalformed},
		"TCP offload of UDP":  {frame: with(func(f []byte) { f[1], f[4] = 1, 8 }), want: reason.DeviceMalformed},
		"segments of nothing": {frame: with(func(f []byte) { f[1] = 5 }), want: reason.DeviceMalformed},
		"checksum beyond it":  {frame: with(func(f []byte) { f[0], f[6] = 1, 200 }), want: reason.DeviceMalformed},
		"time to live over":   {frame: with(func(f []byte) { f[VirtioLen+8] = 0 }), want: reason.TTLExpired},
		"our own ESP in UDP":  {frame: plain(udp("192.0.2.1:4500", "192.0.2.2:4500", 60)), want: reason.RecursiveRoute, circle: true},
		"our own IKE, no child": {frame: plain(udp("192.0.2.1:500", "192.0.2.2:500", 60)), none: true, want: reason.RecursiveRoute, circle: true,
			opt: settings{opt: Options{Ours: func(a netip.Addr) bool { return a == siteA.Addr() }}}},
		"wire that refuses": {frame: plain(pkt), want: reason.WireSendFailed, setUp: func(_ *testing.T, s *site) { s.wire.fail = errFake }},
		"no wire":           {frame: plain(pkt), want: reason.WireSendFailed, setUp: func(_ *testing.T, s *site) { s.RemoveWire(s.wire) }},
		"past its life":     {frame: plain(pkt), want: reason.HardExpired, child: func(c *sa.Child) { c.Hard = t0 }},
		"numbers used up": {frame: plain(pkt), want: reason.SeqExhausted, setUp: func(t *testing.T, s *site) {
			use(t, s, 1<<32-1)
		}, opt: settings{sa: sa.Options{Leaser: plenty{}}}},
		"lease not granted": {frame: plain(pkt), want: reason.LeaseWait, opt: settings{sa: sa.Options{LeaseLow: func(sa.SPI) {}}},
			setUp: func(t *testing.T, s *site) { use(t, s, 1<<16-1+1) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(siteA)
			s := newSite(t, w, c.opt)
			child := childOf(spiA, spiB)
			if c.child != nil {
				c.child(&child)
			}
			if !c.none {
				s.install(t, child)
			}
			if c.setUp != nil {
				c.setUp(t, s)
			}
			s.leave(c.frame)
			s.dropped(t, c.want, 1)
			if len(w.runs()) != 0 || len(s.asked) != c.asked || (s.self > 0) != c.circle || (len(s.dev.frames()) == 1) != c.icmp {
				t.Errorf("%d sent, asked %d times, recursion told %d, %d frames back", len(w.runs()), len(s.asked), s.self, len(s.dev.frames()))
			}
		})
	}
}

// plenty grants the whole space at once.
type plenty struct{}

func (plenty) Grant(_ sa.SPI, upTo uint64) (uint64, error) { return max(upTo, 1<<32), nil }

// use takes numbers away.
func use(t *testing.T, s *site, n int) {
	t.Helper()
	p, _ := ip.Parse(udp("10.1.0.1:7", "10.2.0.1:9", 0))
	out := s.table.Tunnel(0).Pick(&p)
	out.Hold()
	defer out.LetGo()
	if _, why := out.Reserve(n, t0); why != reason.None {
		t.Fatalf("%d numbers: %v", n, why)
	}
}

func TestAskingForAChildIsBounded(t *testing.T) {
	s := newSite(t, newWire(siteA), settings{})
	for range 50 {
		s.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 30)))
	}
	if len(s.asked) != 10 || s.asked[0].DstPort != 9 {
		t.Errorf("asked %d times", len(s.asked))
	}
	s.now = t0.Add(time.Second)
	s.leave(plain(udp("10.1.0.1:7", "10.2.0.1:9", 30)))
	if len(s.asked) != 11 {
		t.Errorf("asked %d times", len(s.asked))
	}
	s.dropped(t, reason.NoOutboundSA, 51)
}

func TestThePacketTooBigSaysWhatFits(t *testing.T) {
	s := newSite(t, newWire(siteA), settings{tunnel: TunnelOptions{MTU: 1400, Address4: netip.MustParseAddr("172.16.0.1")}})
	s.install(t, childOf(spiA, spiB))
	big := udp("10.1.0.1:7", "10.2.0.1:9", 1373)
	ip.SetDF(big, true)
	s.leave(plain(big))
	got := s.dev.frames()[0][VirtioLen:]
	p, flaw := ip.Parse(got)
	if flaw != ip.NoFlaw || p.Src != netip.MustParseAddr("172.16.0.1") || p.Dst != netip.MustParseAddr("10.1.0.1") ||
		p.SrcPort != 3<<8|4 || binary.BigEndian.Uint16(got[26:]) != 1400 {
		t.Errorf("% x", got)
	}
	s.SetMTU(0, 1401)
	s.leave(plain(big))
	if n := len(s.wire.runs()); n != 1 {
		t.Errorf("%d sent with the larger MTU", n)
	}
	ip.SetDF(big, false)
	s.SetMTU(0, 1000)
	s.leave(plain(big))
	if n := len(s.wire.runs()); n != 2 {
		t.Errorf("%d sent without DF", n)
	}
}

func TestNoNumberIsUsedBeyondTheLeaseByAWholeFrame(t *testing.T) {
	s := newSite(t, newWire(siteA), settings{sa: sa.Options{LeaseLow: func(sa.SPI) {}}})
	s.install(t, childOf(spiA, spiB))
	use(t, s, 1<<16-10)
	s.leave(tcpFrame(11*1000, 1000)) // 11 segments, 10 numbers left
	s.dropped(t, reason.LeaseWait, 11)
	s.leave(tcpFrame(10*1000, 1000))
	if got := packets(s.wire.runs()); len(got) != 10 || binary.BigEndian.Uint32(got[9][4:]) != 1<<16 {
		t.Errorf("%d packets", len(got))
	}
	if !errors.Is(s.table.Renew(spiA), nil) {
		t.Error("no renewal")
	}
	s.leave(tcpFrame(1000, 1000))
	if got := packets(s.wire.runs()); len(got) != 11 || binary.BigEndian.Uint32(got[10][4:]) != 1<<16+1 {
		t.Errorf("%d packets after the renewal", len(got))
	}
}

func TestWhatIsInFlightAtTheEndIsNoFault(t *testing.T) {
	a, _ := pair(t, settings{}, settings{}, childOf(spiA, spiB))
	for err, told := range map[error]int{errFake: 1, net.ErrClosed: 0, os.ErrClosed: 0} {
		a.loops, a.wire.fail = nil, err
		x := newTransmitter(a.Plane, (*a.tunnels.Load())[0])
		x.carry(plain(udp("10.1.0.1:7", "10.2.0.1:9", 3)))
		x.send.flush()
		if len(a.loops) != told {
			t.Errorf("%v is told %d times, want %d", err, len(a.loops), told)
		}
	}
}
