package story

import (
	"slices"
	"sync"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
)

// earlySwitch imitates gateways that send on a new SA before they have answered the CREATE_CHILD_SA that makes it (D04), as
// RFC 7296 §2.8 lets them: the packets are there before the keys. CSCvn31824 and CSCvx23833 are what happens to peers that
// are not prepared for it.
var earlySwitch = deviation{
	help: "sends on a new SA before it has answered the request for it (D04; what CSCvn31824 and CSCvx23833 break on)",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return &early{Installer: to, done: map[sa.SPI]bool{}} })
	},
}

// early installs both halves at once, and answers only some time later.
type early struct {
	engine.Installer

	mu   sync.Mutex
	done map[sa.SPI]bool // guarded by mu: outbound halves that are installed already, by inbound SPI
}

// headStart is by how much ESP is ahead of the answer.
const headStart = 60 * time.Millisecond

// Install implements engine.Installer.
func (e *early) Install(c sa.Child, h sa.Half, now time.Time) error {
	if h == sa.OutboundHalf && e.take(c.In) {
		return nil
	}
	if h != sa.InboundHalf || c.Replaces == 0 || c.Initiator {
		return e.Installer.Install(c, h, now)
	}
	if err := e.Installer.Install(c, sa.BothHalves, now); err != nil {
		return err
	}
	e.mu.Lock()
	e.done[c.In] = true
	e.mu.Unlock()
	time.Sleep(headStart) // the call may take its time; the answer waits for its end
	return nil
}

func (e *early) take(in sa.SPI) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.done[in]
	delete(e.done, in)
	return was
}

// noParking is a gateway that keeps no packets which are there before their SA.
var noParking = sabotage{
	help: "it drops packets that come before their SA is installed",
	play: func(s *site, _ *gateway.Options, w *world) {
		w.screen(func(d datagram) []byte {
			x := d.seen()
			if x.kind != sawESP || d.out || slices.ContainsFunc(s.books.held(), func(c sa.Child) bool { return uint32(c.In) == x.spi }) {
				return d.payload
			}
			return nil
		})
	},
}
