package ikev2

import (
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// wired is a lab whose sides keep their child SAs in real SA databases, whose notes go to the machines: the whole way of an
// endpoint that moves, but for sockets.
type wired struct {
	*lab
	ta, tb *sa.Table
}

// behindNAT: b sees a at natA, and follows it (RFC 7296 §2.23).
func behindNAT(t *testing.T) *wired {
	l := newLab(t)
	l.a.cfg.Encap, l.b.cfg.Encap = policy.EncapForce, policy.EncapNever // b takes a for one behind a NAT
	l.up()
	w := &wired{lab: l}
	w.ta, w.tb = w.table(l.a), w.table(l.b)
	return w
}

func (w *wired) table(s *side) *sa.Table {
	w.t.Helper()
	table := sa.NewTable(sa.Options{Note: func(n sa.Note) {
		if n.Kind == sa.NoteEndpointMoved {
			s.step(ike.Traffic{SPI: n.SPI, Kind: ike.EndpointMoved, Remote: n.Remote})
		}
	}})
	for _, c := range s.outbound {
		if !table.Reserve(c.In, c.Owner, w.now) {
			w.t.Fatal("reserve")
		}
		if err := table.Install(c, sa.BothHalves, w.now); err != nil {
			w.t.Fatal(err)
		}
	}
	return table
}

// packet is the next ESP packet of a.
func (w *wired) packet() []byte {
	w.t.Helper()
	inner := ip.AppendUDP(nil, netip.MustParseAddrPort("10.1.0.1:1000"), netip.MustParseAddrPort("10.2.0.1:2000"), []byte("hello"))
	parsed, flaw := ip.Parse(inner)
	out := w.ta.Tunnel(0).Pick(&parsed)
	if flaw != 0 || out == nil {
		w.t.Fatal("no child carries it")
	}
	out.Hold()
	defer out.LetGo()
	seq, why := out.Reserve(1, w.now)
	b := make([]byte, out.Sealer().SealedLen(len(inner)))
	if _, err := out.Sealer().Seal(b, seq, inner, 4); err != nil || why != reason.None {
		w.t.Fatal(err, why)
	}
	return b
}

// arrives gives b a packet from an address, and carries out what its machine says.
func (w *wired) arrives(pkt []byte, from netip.AddrPort) reason.Drop {
	w.t.Helper()
	c, _ := w.b.out()
	in, ok := w.tb.Lookup(c.In)
	if !ok {
		w.t.Fatal("not installed")
	}
	in.Hold()
	_, why := in.Open(append([]byte(nil), pkt...), from, w.now)
	in.LetGo()
	for _, m := range w.b.moved {
		w.tb.Move(m.In, m.Owner, m.Local, m.Remote)
	}
	w.b.moved = nil
	return why
}

// at wants b to send ESP and IKE to an endpoint.
func (w *wired) at(want netip.AddrPort) {
	w.t.Helper()
	parsed, _ := ip.Parse(ip.AppendUDP(nil, netip.MustParseAddrPort("10.2.0.1:1"), netip.MustParseAddrPort("10.1.0.1:2"), nil))
	if got := w.tb.Tunnel(0).Pick(&parsed).Path().Remote; got != want {
		w.t.Errorf("b sends ESP to %v, want %v", got, want)
	}
	if got := w.b.m.Status().Remote; got != want {
		w.t.Errorf("b sends IKE to %v, want %v", got, want)
	}
}

var (
	natA    = netip.AddrPortFrom(addrA, 4500)
	natNew  = netip.MustParseAddrPort("203.0.113.9:40123")
	natLast = netip.MustParseAddrPort("203.0.113.9:40999")
	mallory = netip.MustParseAddrPort("198.18.0.66:4500")
)

func TestAPeerIsFollowedOnTheFirstFreshPacketOfItsNewMapping(t *testing.T) {
	w := behindNAT(t)
	w.at(natA)
	if why := w.arrives(w.packet(), natA); why != reason.None {
		t.Fatal(why)
	}
	w.at(natA)
	w.arrives(w.packet(), natNew) // the NAT has rebooted
	w.at(natNew)
	w.arrives(w.packet(), natLast)
	w.at(natLast)
	// A request that was out before goes there, too (RFC 7296 §2.23: also retransmissions).
	w.b.step(ike.Command{Verb: ike.VerbLiveness, Ref: 7})
	w.wire = nil
	w.arrives(w.packet(), natNew)
	n := len(w.b.sent)
	w.now = w.now.Add(time.Second)
	w.b.step(ike.Tick{})
	if len(w.b.sent) != n+1 || w.b.sent[n].remote != natNew {
		t.Errorf("retransmitted to %v", w.b.sent[n:])
	}
}

func TestNoPacketThatIsForgedOldOrComeAgainMovesAPeer(t *testing.T) {
	w := behindNAT(t)
	old := w.packet()
	w.arrives(old, natA)
	late, newest := w.packet(), w.packet()
	w.arrives(newest, natNew)
	w.at(natNew)
	forged := w.packet()
	forged[len(forged)-1] ^= 1
	short := w.packet()[:20]
	for what, c := range map[string]struct {
		pkt  []byte
		from netip.AddrPort
		want reason.Drop
	}{
		"forged":                      {forged, mallory, reason.BadICV},
		"captured and sent again":     {newest, mallory, reason.ReplayDuplicate},
		"an older one, sent again":    {old, mallory, reason.ReplayDuplicate},
		"held back on its way, fresh": {late, natA, reason.None}, // authentic, but what came after it tells better
		"cut short":                   {short, mallory, reason.ESPTruncated},
	} {
		if why := w.arrives(c.pkt, c.from); why != c.want {
			t.Errorf("%s: %v, want %v", what, why, c.want)
		}
		w.at(natNew)
	}
}

func TestWhoIsBehindANATItselfFollowsNobody(t *testing.T) {
	w := behindNAT(t)
	w.b.mach().path.natLocal = true // RFC 7296 §2.23: SHOULD NOT
	w.arrives(w.packet(), natNew)
	w.at(natA)
}
