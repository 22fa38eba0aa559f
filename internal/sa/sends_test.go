package sa

import (
	"net/netip"
	"testing"
)

func TestAChildIsFoundByWhereItSends(t *testing.T) {
	table := NewTable(Options{})
	install(t, table, child(0x100, 0xFF000000)) // in UDP
	native := child(0x200, 0xFF000000)
	native.KeyIn, native.KeyOut = keyOf(0x2001), keyOf(0x2002)
	native.Owner, native.Encap = 4, EncapNone
	install(t, table, native)
	behind := child(0x300, 0xFF000000) // the same NAT, another port
	behind.KeyIn, behind.KeyOut, behind.Owner = keyOf(0x3001), keyOf(0x3002), 5
	behind.Remote = netip.AddrPortFrom(siteB.Addr(), 41000)
	install(t, table, behind)
	want := func(in SPI, o Owner, out SPI, from string) {
		t.Helper()
		gotIn, gotOwner, ok := table.SendsOn(out, netip.MustParseAddrPort(from))
		if gotIn != in || ok != (in != 0) || ok && gotOwner != o {
			t.Errorf("%v to %s: %v of %d, %v; want %v of %d", out, from, gotIn, gotOwner, ok, in, o)
		}
	}
	want(0x100, 3, 0xFF000000, "192.0.2.2:4500")
	want(0x300, 5, 0xFF000000, "192.0.2.2:41000")
	want(0x200, 4, 0xFF000000, "192.0.2.2:500") // no port of ESP in UDP: protocol 50
	want(0x200, 4, 0xFF000000, "[::ffff:192.0.2.2]:500")
	want(0, 0, 0xFF000001, "192.0.2.2:500")
	want(0, 0, 0xFF000000, "192.0.2.3:500")

	moved := netip.MustParseAddrPort("203.0.113.9:1024")
	table.Move(0x300, 5, siteA, moved)
	want(0x300, 5, 0xFF000000, "203.0.113.9:1024")
	want(0x200, 4, 0xFF000000, "192.0.2.2:41000")

	table.Remove(0x300, 0xFF000000, 5, OutboundHalf, TombRekeyed, t0)
	want(0, 0, 0xFF000000, "203.0.113.9:1024")
	table.Remove(0x200, 0xFF000000, 4, BothHalves, TombCleared, t0)
	want(0, 0, 0xFF000000, "192.0.2.2:500")
	table.Remove(0x100, 0xFF000000, 3, InboundHalf, TombCleared, t0) // the outbound half goes with it
	want(0, 0, 0xFF000000, "192.0.2.2:4500")
	if len(table.sends) != 0 {
		t.Errorf("%d entries are left", len(table.sends))
	}
}

func TestTheSuccessorOnOneSPIIsFoundWhateverOfTheFirstGoes(t *testing.T) {
	table := installed(t, Options{}, child(0x100, 0x900))
	second := child(0x200, 0x900) // its peer drew the same SPI again
	second.KeyIn, second.KeyOut = keyOf(1), keyOf(2)
	install(t, table, second)
	table.Remove(0x100, 0x900, 3, BothHalves, TombRekeyed, t0)
	if in, _, ok := table.SendsOn(0x900, siteB); !ok || in != 0x200 {
		t.Errorf("%v, %v", in, ok)
	}
}

func TestTheEndOfTheSecondOnOneSPIDoesNotHideTheFirst(t *testing.T) {
	table := installed(t, Options{}, child(0x100, 0x900))
	second := child(0x200, 0x900)
	second.KeyIn, second.KeyOut, second.Owner = keyOf(1), keyOf(2), 4
	install(t, table, second)
	if in, o, ok := table.SendsOn(0x900, siteB); !ok || in != 0x200 || o != 4 {
		t.Errorf("%v of %d, %v: not the newest", in, o, ok)
	}
	table.Remove(0x200, 0x900, 4, BothHalves, TombPeerDeleted, t0)
	if in, o, ok := table.SendsOn(0x900, siteB); !ok || in != 0x100 || o != 3 {
		t.Errorf("%v of %d, %v", in, o, ok)
	}
	table.Remove(0x100, 0x900, 3, OutboundHalf, TombPeerDeleted, t0)
	if len(table.sends) != 0 {
		t.Errorf("%d entries are left", len(table.sends))
	}
}
