package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/sa"
)

func TestALineFollowsItsChildren(t *testing.T) {
	g, w := onFake(t, 0)
	g.lines.step(true)
	if w.up(0) {
		t.Error("up without a child")
	}
	giveChild(t, g, 0, 1000)
	g.lines.step(false)
	if !w.up(0) || !g.Interfaces()[0].LineUp {
		t.Error("down with a child")
	}
}

// A peer that answers no Delete leaves our children installed until the gateway ends, and taking the lines down changes
// the host, which wakes the lines.
func TestNoLineComesUpAgainOnceTheGatewayStops(t *testing.T) {
	g, w := onFake(t, 0)
	giveChild(t, g, 0, 1000)
	g.lines.step(false)
	g.lines.down()
	g.lines.step(true)
	if w.up(0) {
		t.Error("the line is up again, and its routes lead to a gateway that is gone")
	}
}

func TestATunnelThatComesBackAfterAReloadBeginsWithItsLineDown(t *testing.T) {
	g, w := onFake(t, 0, 1)
	giveChild(t, g, 1, 1000)
	g.lines.step(false)
	one, tree := tunnels(t, 0)
	if _, err := g.Apply(one, tree, "test", "nobody"); err != nil {
		t.Fatal(err)
	}
	if w.up(1) || !slices.Contains(told(g), "UPDOWN: Line protocol on Interface Tunnel1, changed state to down") {
		t.Error("the line of a tunnel that is gone stays up: its routes would be there before its first child")
	}
}

func TestADeviceThatWasDeletedOnTheHostIsMadeAgain(t *testing.T) {
	g, w := onFake(t, 0)
	giveChild(t, g, 0, 1000)
	g.lines.step(true)
	before := g.lines.line(0).device
	g.lines.lost(0)
	w.broken = errors.New("no /dev/net/tun")
	g.lines.step(true)
	if w.up(0) || !slices.ContainsFunc(told(g), func(s string) bool { return strings.Contains(s, "Tunnel0: make its interface again: no /dev/net/tun") }) {
		t.Errorf("up without a device, or not told: %q", told(g))
	}
	w.broken = nil
	g.lines.step(true) // the next look
	if now := g.lines.line(0).device; now == before || !w.up(0) {
		t.Errorf("the same device, or the line is down although its child is there")
	}
	if _, _, ok := g.plane.Traffic(0); !ok {
		t.Error("the new device is not in the packet path")
	}
}

func TestAHostThatDoesNotTellItsAddressesHasThoseOfBefore(t *testing.T) {
	g, w := onFake(t, 0)
	own := netip.MustParseAddr("192.0.2.1")
	w.addresses = nil
	g.lines.step(true)
	if !g.hosts.Load().ours(own) {
		t.Error("our own address counts as somebody else's")
	}
}

func TestWhatIsInTheWayOfEachTunnelIsLogged(t *testing.T) {
	g, w := onFake(t, 0, 1)
	for unit := range 2 {
		w.strands[unit] = fmt.Errorf("Tunnel%d: no route to tunnel destination", unit)
	}
	g.lines.step(true)
	g.sink.Write(<-g.sub.Records())
	g.sink.Write(<-g.sub.Records())
	lines := strings.Join(g.sink.Lines(), "\n")
	for _, name := range []string{"Tunnel0", "Tunnel1"} {
		if !strings.Contains(lines, "HOST_FAILURE: "+name+": no route") {
			t.Errorf("nothing of %s in\n%s", name, lines)
		}
	}
}

func TestAHostThatChangesAllTheTimeIsLookedAtNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, w := onFake(t, 0)
		w.slow = 200 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				select {
				case w.changed <- struct{}{}:
				case <-ctx.Done():
				}
			}
		}()
		w.looks.Store(0)
		go g.lines.run(ctx)
		time.Sleep(10*time.Second + time.Millisecond)
		if n := w.looks.Load(); n < 9 || n > 11 {
			t.Errorf("%d looks of 0.2 s in ten seconds, want 10", n)
		}
		time.Sleep(500 * time.Millisecond) // between two looks
		giveChild(t, g, 0, 1000)
		g.lines.changed()
		synctest.Wait()
		if !w.up(0) {
			t.Error("a child waits for the next look")
		}
	})
}

func TestALineGoesDownWithTheLastSAToSendOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, w := onFake(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go g.lines.run(ctx)
		giveChild(t, g, 0, 1000)
		g.lines.changed()
		synctest.Wait()
		if !w.up(0) {
			t.Fatal("the line is down")
		}
		// The Delete of its IKE SA waits for an answer, and nothing is told of the child until then.
		g.installer.Remove(1000, 1001, g.running.Load().owner[0], sa.OutboundHalf, sa.TombShutdown, g.now())
		synctest.Wait()
		if w.up(0) {
			t.Error("the line is up, and there is nothing to send on")
		}
	})
}
