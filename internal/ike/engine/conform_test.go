package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/sa"
)

// INITIAL_CONTACT concerns the IKE SAs of the peer that says it, whoever else has tunnels here (protocol.md D26; RFC 7296
// §2.4).
func TestInitialContactOfOnePeerLeavesTheSAsOfOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hub := n.gateway("hub", configOf(responder(peerOf(0, addrB, addrA)), responder(peerOf(1, addrB, addrC))), addrB, nil)
		a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
		c := n.gateway("c", configOf(peerOf(0, addrC, addrB)), addrC, nil)
		a.e.Start()
		c.e.Start()
		time.Sleep(time.Minute)
		lost, other := a.table.Snapshot()[0].Child.Out, c.table.Snapshot()[0].Child.Out
		a.e.Kill()
		a = n.gateway("a'", configOf(peerOf(0, addrA, addrB)), addrA, nil)
		a.e.Start()
		time.Sleep(time.Second)
		if tomb, ok := hub.table.Tombstone(lost, time.Now()); !ok || tomb.Why != sa.TombInitialContact {
			t.Errorf("the old child of a left %+v, %v: INITIAL_CONTACT did nothing", tomb, ok)
		}
		if st := hub.table.State(other, time.Now()); st != sa.Installed {
			t.Errorf("the child of c is %v", st)
		}
		if up := len(hub.ikeSAs()); up != 2 {
			t.Errorf("%d IKE SAs, want one with each", up)
		}
		if asked := hub.count("INFORMATIONAL request"); asked != 0 {
			t.Errorf("%d requests to peers that have done nothing", asked)
		}
	})
}
