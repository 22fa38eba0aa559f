package story

import (
	"sync"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
)

// stopsAtVolume imitates CSCtq57752 (ASA): a lifetime by volume that is used up stops its sending on that SA, without a rekey,
// a Delete or a word (D13).
var stopsAtVolume = deviation{
	help: "sends no more than 72 kB on an SA, and says nothing then (CSCtq57752)",
	play: func(_ *site, _ *gateway.Options, w *world) {
		var mu sync.Mutex
		sent := map[uint32]int{}
		w.screen(func(d datagram) []byte {
			s := d.seen()
			if s.kind != sawESP || !d.out {
				return d.payload
			}
			mu.Lock()
			defer mu.Unlock()
			if sent[s.spi] += len(d.payload); sent[s.spi] > stopVolume {
				return nil
			}
			return d.payload
		})
	},
}

const stopVolume = 72 << 10 // octets of ESP

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
