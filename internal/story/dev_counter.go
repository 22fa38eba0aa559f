package story

import (
	"sync"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

// restoresCounter imitates a gateway that is restored with an SA and an old sequence number, again and again (D24; CSCwe65414,
// CSCvq75871): on its first SA, after 200 packets, every fiftieth begins at 1 again. It reuses numbers under one key on the
// wire, which is what makes this a defect.
var restoresCounter = deviation{
	help: "goes back to sequence number 1 on its first SA, after 200 packets and every 50 from then on (D24; CSCwe65414)",
	play: func(_ *site, o *gateway.Options, w *world) {
		r := &rewinder{}
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return rewound{to, r} })
		w.screen(r.pass)
	},
}

const (
	rewindAfter = 200
	rewindEvery = 50
)

// rewinder opens what its gateway has sealed on the first SA, and seals it anew under another number.
type rewinder struct {
	mu     sync.Mutex
	spi    uint32 // guarded by mu, as all of it: 0: no SA yet
	opener *suite.Opener
	sealer *suite.Sealer
	sent   int
}

// rewound shows a rewinder the keys of the first child.
type rewound struct {
	engine.Installer
	r *rewinder
}

// Install implements engine.Installer.
func (i rewound) Install(c sa.Child, h sa.Half, now time.Time) error {
	if err := i.r.learn(c); err != nil {
		return err
	}
	return i.Installer.Install(c, h, now)
}

func (r *rewinder) learn(c sa.Child) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spi != 0 {
		return nil
	}
	keys := c.KeyOut.Reveal()
	if r.opener, err = suite.NewOpener(c.Cipher, keys, uint32(c.Out), c.ESN); err != nil {
		return err
	}
	r.sealer, err = suite.NewSealer(c.Cipher, keys, uint32(c.Out), c.ESN)
	r.spi = uint32(c.Out)
	return err
}

func (r *rewinder) pass(d datagram) []byte {
	s := d.seen()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.kind != sawESP || !d.out || s.spi != r.spi {
		return d.payload
	}
	if r.sent++; r.sent <= rewindAfter {
		return d.payload
	}
	inner, next, err := r.opener.Open(append([]byte(nil), d.payload...), 0)
	if err != nil {
		return nil
	}
	head := r.sealer.HeaderLen()
	out := make([]byte, r.sealer.SealedLen(len(inner)))
	copy(out[head:], inner)
	n, err := r.sealer.Seal(out, uint64(1+(r.sent-rewindAfter-1)%rewindEvery), out[head:head+len(inner)], next)
	if err != nil {
		return nil
	}
	return out[:n]
}
