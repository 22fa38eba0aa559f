package gateway

import (
	"net/netip"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

func TestAnEndpointMovesWithItsChild(t *testing.T) {
	g, _ := onFake(t, 0)
	giveChild(t, g, 0, 1000)
	local, before := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("198.51.100.1:4500")
	after := netip.MustParseAddrPort("203.0.113.5:61000")
	is := func(remote netip.AddrPort, want bool) {
		t.Helper()
		if o, ok := g.installer.ownerAt(local, remote, sa.EncapUDP); ok != want || ok && o != g.running.Load().owner[0] {
			t.Errorf("%v: owner %v, %v", remote, o, ok)
		}
	}
	is(before, true)
	move := ike.Moved{In: 1000, Owner: g.running.Load().owner[0], Local: local, Remote: after}
	stranger := move
	stranger.Owner++
	g.installer.moved(stranger)
	is(before, true)
	g.installer.moved(move)
	is(before, false)
	is(after, true)
	if c := g.Children()[0].Child; c.Remote != after {
		t.Errorf("the child sends to %v", c.Remote)
	}
	g.installer.Remove(1000, 1001, move.Owner, sa.BothHalves, sa.TombCleared, g.now())
	is(after, false)
}
