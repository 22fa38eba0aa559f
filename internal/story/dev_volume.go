package story

import (
	"sync"

	"lockstep/internal/gateway"
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
