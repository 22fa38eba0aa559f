package ikev2

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ip"
)

// plane is the data plane of one side: the SA database that the gateway runs with, and packets that are sealed and opened
// by it. It knows the machine by its effects alone. A nil plane does nothing.
type plane struct {
	s     *side
	table *sa.Table
	inner []byte // the packet that its side sends again and again
	probe ip.Packet
	keys  map[sa.SPI]string // of outbound SAs, by inbound SPI
	used  map[string]bool   // key and sequence number of every packet sent
	notes []sa.Note
	early int  // packets that wait for their SA
	lossy bool // they may wait in vain
}

// packets gives both sides a data plane.
func (l *lab) packets() {
	a, b := netip.MustParseAddrPort("10.1.0.7:9"), netip.MustParseAddrPort("10.2.0.7:9")
	l.a.plane = newPlane(l.a, ip.AppendUDP(nil, a, b, []byte("from a")))
	l.b.plane = newPlane(l.b, ip.AppendUDP(nil, b, a, []byte("from b")))
}

func newPlane(s *side, inner []byte) *plane {
	p := &plane{s: s, inner: inner, keys: map[sa.SPI]string{}, used: map[string]bool{}}
	p.probe, _ = ip.Parse(inner)
	p.table = sa.NewTable(sa.Options{
		Note: func(n sa.Note) { p.notes = append(p.notes, n) },
		Installed: func(spi sa.SPI, early []sa.Early) {
			for _, e := range early {
				p.early--
				p.open(spi, e.Packet)
			}
		},
		Lost: func(packets, _ int) {
			if p.early -= packets; !p.lossy {
				s.lab.fatalf("%s: %d early packets are lost", s.name, packets)
			}
		},
	})
	return p
}

func (p *plane) reserve(spi sa.SPI, o sa.Owner) {
	if p != nil && !p.table.Reserve(spi, o, p.s.lab.now) {
		p.s.lab.fatalf("%s: %v cannot be reserved", p.s.name, spi)
	}
}

func (p *plane) release(spi sa.SPI) {
	if p != nil {
		p.table.Release(spi, p.s.lab.now)
	}
}

func (p *plane) install(e ike.Install) {
	if p == nil {
		return
	}
	if e.Half&sa.OutboundHalf != 0 {
		p.keys[e.Child.In] = string(e.Child.KeyOut.Reveal())
	}
	if err := p.table.Install(e.Child, e.Half, p.s.lab.now); err != nil {
		p.s.lab.fatalf("%s: %v", p.s.name, err)
	}
}

func (p *plane) remove(e ike.Remove) {
	if p != nil {
		p.table.Remove(e.In, e.Out, e.Owner, e.Half, e.Why, p.s.lab.now)
	}
}

// seal sends the packet on the SA that the tunnel has chosen; nil: it has none.
func (p *plane) seal() []byte {
	out := p.table.Tunnel(0).Pick(&p.probe)
	if out == nil {
		return nil
	}
	out.Hold()
	defer out.LetGo()
	seq, why := out.Reserve(1, p.s.lab.now)
	if why != reason.None {
		p.s.lab.fatalf("%s: no sequence number on %v: reason %d", p.s.name, out.Out, why)
	}
	b := make([]byte, out.Sealer().SealedLen(len(p.inner)))
	copy(b[out.Sealer().HeaderLen():], p.inner)
	if _, err := out.Sealer().Seal(b, seq, b[out.Sealer().HeaderLen():][:len(p.inner)], 4); err != nil {
		p.s.lab.fatalf("%s: %v", p.s.name, err)
	}
	once := p.keys[out.In] + fmt.Sprint(seq)
	if p.used[once] {
		p.s.lab.fatalf("%s: sequence number %d is used twice under the key of %v", p.s.name, seq, out.Out)
	}
	p.used[once] = true
	out.Sent(1, len(p.inner), p.s.lab.now)
	return b
}

// receive takes what the other side sealed. A packet on an SPI that is offered waits for its SA (protocol.md D04).
func (p *plane) receive(b []byte) {
	spi := sa.SPI(binary.BigEndian.Uint32(b))
	if p.table.Larval(spi) {
		if larval, kept := p.table.Park(spi, sa.Early{Packet: b, At: p.s.lab.now}); !larval || !kept {
			p.s.lab.fatalf("%s: an early packet on %v was not kept", p.s.name, spi)
		}
		p.early++
		return
	}
	p.open(spi, b)
}

// knows says that a packet's SPI is installed or offered.
func (p *plane) knows(b []byte) bool {
	spi := sa.SPI(binary.BigEndian.Uint32(b))
	_, ok := p.table.Lookup(spi)
	return ok || p.table.Larval(spi)
}

func (p *plane) open(spi sa.SPI, b []byte) {
	in, ok := p.table.Lookup(spi)
	if !ok {
		p.s.lab.fatalf("make-before-break: a packet reaches %s on %v, which it does not have", p.s.name, spi)
	}
	in.Hold()
	defer in.LetGo()
	got, why := in.Open(slices.Clone(b), p.s.lab.other(p.s).cfg.Local, p.s.lab.now)
	if why != reason.None || !slices.Equal(got, p.s.lab.other(p.s).plane.inner) {
		p.s.lab.fatalf("%s opens a packet on %v with reason %d", p.s.name, spi, why)
	}
}

// tell hands what the packets led to to the machine, as the gateway does.
func (p *plane) tell() {
	kinds := map[sa.NoteKind]ike.TrafficKind{sa.NoteFirstInbound: ike.FirstInbound, sa.NoteInbound: ike.Inbound}
	notes := p.notes
	p.notes = nil
	for _, n := range notes {
		if k, ok := kinds[n.Kind]; ok {
			p.s.step(ike.Traffic{SPI: n.SPI, Kind: k, Value: n.Value})
		}
	}
}

// pair is a child as both ends name it.
type pair struct{ a, b sa.SPI }

func (p pair) String() string { return fmt.Sprintf("%X ⇄ %X", uint32(p.a), uint32(p.b)) }

// pairs are the children of the data plane, seen from a. Halves are told by what is missing.
func (p *plane) pairs() (whole []pair, halves []string) {
	for _, x := range p.table.Snapshot() {
		q := pair{x.Child.In, x.Child.Out}
		if p.s == p.s.lab.b {
			q = pair{x.Child.Out, x.Child.In}
		}
		if !x.Both {
			halves = append(halves, fmt.Sprintf("%v, inbound only", q))
			continue
		}
		whole = append(whole, q)
	}
	return whole, halves
}

// newest is the inbound SPI of the child that was made last, 0 if there is none but the first.
func (p *plane) newest() (spi sa.SPI) {
	for _, x := range p.table.Snapshot() {
		if x.Child.In&0xfff > 1 {
			spi = max(spi, x.Child.In)
		}
	}
	return spi
}

// holds is the data plane in one line.
func (p *plane) holds() string {
	whole, halves := p.pairs()
	var words []string
	for _, q := range whole {
		words = append(words, q.String())
	}
	if words = append(words, halves...); len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "; ")
}

// The data plane of the tables must itself be able to fail: two that were never told of the same child share nothing.
func TestPlanesWithoutAgreementCarryNothing(t *testing.T) {
	l := newLab(t)
	l.packets()
	if l.a.plane.seal() != nil {
		t.Error("a packet left without an SA")
	}
	l.up()
	for _, s := range []*side{l.a, l.b} {
		l.other(s).plane.receive(s.plane.seal())
	}
	if got := l.a.plane.holds(); got != "A001 ⇄ B001" || l.b.plane.holds() != got {
		t.Errorf("a holds %s, b holds %s", got, l.b.plane.holds())
	}
}
