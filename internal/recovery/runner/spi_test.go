package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// corners are the SPIs that products have stumbled over: a first octet of 0xFF (CSCvp16730), all ones, the sign bit, and
// the first one that RFC 4303 leaves free.
var corners = []uint32{0xFF000000, 0xFFFFFFFF, 0xFFFFFF00, 0x80000000, 0x7FFFFFFF, 0x00000100, 0x000000FF + 0x100}

func anySPI() *rapid.Generator[sa.SPI] {
	return rapid.Map(rapid.OneOf(rapid.SampledFrom(corners), rapid.Uint32Range(0xFF000000, 0xFFFFFFFF), rapid.Uint32Range(0x100, 0xFFFFFFFF)),
		func(n uint32) sa.SPI { return sa.SPI(n) })
}

// TestEverySPIIsOneOnTheWholeWay follows an SPI from the wire through the SA database, the finding, the message, the views and
// the order to the Delete: it is the same 32 bits everywhere, and none of them is taken for something else.
func TestEverySPIIsOneOnTheWholeWay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { follow(r, anySPI().Draw(r, "spi")) })
}

var (
	begun = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	later = begun.Add(time.Minute)
)

func follow(t *rapid.T, spi sa.SPI) {
	ours, peer := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("192.0.2.2:4500")
	table := sa.NewTable(sa.Options{})
	if !table.Reserve(spi, 0, begun) || table.State(spi, begun) != sa.Larval {
		t.Fatal("not to be had")
	}
	c := sa.Child{Owner: 0, In: spi, Out: spi, Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 128}, KeyIn: policy.NewSecret(make([]byte, 20)),
		KeyOut: policy.NewSecret(bytes.Repeat([]byte{1}, 20)), TSLocal: ike.AnyIPv4(), TSRemote: ike.AnyIPv4(), Local: ours, Remote: peer, Encap: sa.EncapUDP}
	if err := table.Install(c, sa.BothHalves, begun); err != nil {
		t.Fatal(err)
	}
	wire := binary(spi)
	if parsed, _, ok := esp.Parse(append(wire, make([]byte, 40)...)); !ok || sa.SPI(parsed) != spi {
		t.Fatalf("parsed as %08X", parsed)
	}
	if _, ok := table.Lookup(spi); !ok {
		t.Fatal("installed and not found")
	}
	if in, _, ok := table.SendsOn(spi, peer); !ok || in != spi {
		t.Fatal("not found by where it sends")
	}
	table.Remove(spi, spi, 0, sa.BothHalves, sa.TombCleared, begun)

	posted, text := run(t, table, spi, ours, peer)
	if len(posted) != 1 || posted[0].Verb != ike.VerbDeleteSPI || posted[0].SPI != spi {
		t.Fatalf("posted %+v", posted)
	}
	name := fmt.Sprintf("0x%08X(%d)", uint32(spi), uint32(spi))
	for _, part := range text {
		if !strings.Contains(part, name) {
			t.Errorf("%q does not name %s", part, name)
		}
	}
	body := (&ike2.Delete{Protocol: ike2.ProtoESP, SPIs: []uint32{uint32(posted[0].SPI)}}).AppendBody(nil)
	if want := append([]byte{3, 4, 0, 1}, wire...); !slices.Equal(body, want) {
		t.Errorf("Delete %x, want %x", body, want)
	}
	m2 := ike2.NotifyInvalidSPI(uint32(spi))
	if got, ok := m2.OffendingSPI(); !ok || sa.SPI(got) != spi || !slices.Equal(m2.AppendBody(nil), append([]byte{0, 0, 0, 11}, wire...)) {
		t.Errorf("INVALID_SPI %x reads as %08X", m2.AppendBody(nil), got)
	}
}

func binary(s sa.SPI) []byte { return []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)} }

// run lets a runner see one packet with the SPI, while the peer has a live IKE SA. It gives the orders, and what is printed.
func run(t *rapid.T, table *sa.Table, spi sa.SPI, ours, peer netip.AddrPort) (posted []ike.Command, text []string) {
	cfg := &policy.Config{Recovery: policy.Recovery{Extended: true}, Peers: []*policy.Peer{
		{ID: 0, Tunnel: &policy.Tunnel{}, Remote: peer.Addr(), IPsec: &policy.IPsecProfile{Lifetime: time.Hour}, Initiate: true}}}
	feed := runner.NewFeed()
	r := runner.New(runner.Options{Config: cfg, Strays: feed, Table: table, Now: func() time.Time { return later },
		Post: func(_ sa.Owner, c ike.Command) bool { posted = append(posted, c); return true },
		Events: func(e event.Record) {
			if e.Mnemonic == "RECVD_PKT_INV_SPI" {
				text = append(text, e.Text)
			}
		}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	r.Notice(ike.Notice{Kind: ike.IKEUp, Owner: 0, At: begun, IKE: isakmp.SPI(1)})
	r.Notice(ike.Notice{Kind: ike.ChildUp, Owner: 0, At: begun, IKE: isakmp.SPI(1), In: 0x1234})
	feed.Put(runner.Stray{Src: peer, Dst: ours, SPI: spi, Encap: sa.EncapUDP, First: later, Last: later, Count: 1, Octets: 100, MinLen: 100})
	var flows []recovery.Flow
	for len(flows) == 0 { // Flows is answered by the loop that takes the packet
		flows = r.Flows(ctx)
	}
	if len(flows) != 1 || flows[0].SPI != spi || flows[0].Class != recovery.Tombstone || flows[0].Tomb.SPI != spi || len(text) == 0 {
		t.Fatalf("flows %+v, lines %q", flows, text)
	}
	snap := &show.Snapshot{Now: later, Config: cfg, Flows: flows}
	for _, v := range []show.View{show.NewInvalidSPI(snap), show.NewSPILookup(snap, spi), show.NewIncident(r.Incidents()[0])} {
		var b strings.Builder
		if err := v.Text(&b); err != nil {
			t.Fatal(err)
		}
		text = append(text, b.String())
	}
	return posted, text
}
