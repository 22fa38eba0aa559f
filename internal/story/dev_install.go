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

// ignoresDelete imitates a sender that never leaves its first SA (D06): it answers Deletes and rekeys as it should, and its
// data plane goes on.
var ignoresDelete = deviation{
	help: "answers Deletes, and sends on the deleted SA for ever (D06)",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return &stubborn{Installer: to} })
	},
}

type stubborn struct {
	engine.Installer

	mu   sync.Mutex
	kept sa.SPI // guarded by mu: inbound SPI of the child that it sends on; 0: none yet
}

// Install implements engine.Installer: no second outbound half comes into use.
func (s *stubborn) Install(c sa.Child, h sa.Half, now time.Time) error {
	s.mu.Lock()
	if s.kept == 0 && h&sa.OutboundHalf != 0 {
		s.kept = c.In
	}
	keep := s.kept
	s.mu.Unlock()
	if c.In != keep && keep != 0 {
		h &^= sa.OutboundHalf
	}
	if h == 0 {
		return nil
	}
	return s.Installer.Install(c, h, now)
}

// Remove implements engine.Installer.
func (s *stubborn) Remove(in, out sa.SPI, o sa.Owner, h sa.Half, why sa.TombReason, now time.Time) {
	s.mu.Lock()
	keep := in == s.kept
	s.mu.Unlock()
	if !keep {
		s.Installer.Remove(in, out, o, h, why, now)
	}
}

// smallVolume shortens a lifetime by volume to what traffic of a story uses up in seconds. The least that a configuration
// may say is 2,560 kB.
var smallVolume = deviation{
	help: "has a lifetime by volume of 36 kB instead of 4,608,000",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return voluminous{to} })
	},
}

type voluminous struct{ engine.Installer }

const volume = 36 << 10 // octets of inner packets

// Install implements engine.Installer.
func (v voluminous) Install(c sa.Child, h sa.Half, now time.Time) error {
	if c.HardBytes > 0 {
		c.SoftBytes = c.SoftBytes * volume / c.HardBytes // the same share
		c.HardBytes = volume
	}
	return v.Installer.Install(c, h, now)
}

// hasty is CSCtq57752 at this end: nobody is told before a limit by volume is reached.
var hasty = sabotage{
	help: "its data plane does not tell when four fifths of a volume are used up",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return hastyInstaller{to} })
	},
}

type hastyInstaller struct{ engine.Installer }

// Install implements engine.Installer.
func (x hastyInstaller) Install(c sa.Child, h sa.Half, now time.Time) error {
	c.SoftBytes = 0
	return x.Installer.Install(c, h, now)
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

// noVolume leaves it to the peer's limit to end an SA.
var noVolume = sabotage{
	help: "it has no limit by volume",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return endless{to} })
	},
	honest: true, // of a small one
}

type endless struct{ engine.Installer }

// Install implements engine.Installer.
func (e endless) Install(c sa.Child, h sa.Half, now time.Time) error {
	c.SoftBytes, c.HardBytes = 0, 0
	return e.Installer.Install(c, h, now)
}
