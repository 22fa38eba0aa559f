package story

import (
	"fmt"
	"sync"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
)

// dropsFF imitates CSCvp16730 (IOS XE): ESP whose SPI begins with 0xFF does not get through it, in either direction.
var dropsFF = deviation{
	help: "drops ESP whose SPI begins with 0xFF (CSCvp16730)",
	play: func(_ *site, _ *gateway.Options, w *world) {
		w.screen(func(d datagram) []byte {
			if s := d.seen(); s.kind == sawESP && s.spi>>24 == 0xFF {
				return nil
			}
			return d.payload
		})
	},
}

// drawsFF is the chance of one in 256, made certain: of the SPIs that it draws, the first and every second one after it begin
// with 0xFF. All are its own, by its identity file.
var drawsFF = deviation{
	help: "draws SPIs that begin with 0xFF every second time, as others do once in 256",
	play: func(_ *site, o *gateway.Options, _ *world) {
		o.SPIs = func(from engine.SPIs) engine.SPIs { return &ffSPIs{from: from} }
	},
}

type ffSPIs struct {
	from   engine.SPIs
	always bool

	mu   sync.Mutex
	last uint32 // guarded by mu
}

// Next implements engine.SPIs.
func (f *ffSPIs) Next() (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	const tries = 1 << 16
	want := f.always || f.last>>24 != 0xFF
	for range tries {
		spi, err := f.from.Next()
		if r, ok := f.from.(interface{ Renew() error }); ok && err != nil {
			if err = r.Renew(); err == nil {
				continue
			}
		}
		if err != nil {
			return 0, err
		}
		if spi>>24 == 0xFF == want {
			f.last = spi
			return spi, nil
		}
	}
	return 0, fmt.Errorf("%d SPIs drawn and none begins as it should", tries)
}

// onlyFF leaves no other choice: every SPI begins with 0xFF.
var onlyFF = sabotage{
	help: "it draws no SPI but such that begin with 0xFF",
	play: func(_ *site, o *gateway.Options, _ *world) {
		o.SPIs = func(from engine.SPIs) engine.SPIs { return &ffSPIs{from: from, always: true} }
	},
	honest: true, // of drawing
}
