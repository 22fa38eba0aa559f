package sa

import "time"

const (
	// maxTombs bounds the memory of removed SPIs: about 8 MiB.
	maxTombs = 65536
	// tombLife is how long a removal can be explained; longer than any retransmission of a peer (protocol.md §1.2 K7).
	tombLife = 300 * time.Second
)

// graveyard remembers removed SPIs, the oldest go first. Callers serialise its use.
type graveyard struct {
	bySPI map[SPI]Tombstone
	order []SPI // oldest first
}

func (g *graveyard) bury(tomb Tombstone, now time.Time) {
	if g.bySPI == nil {
		g.bySPI = map[SPI]Tombstone{}
	}
	for len(g.order) > 0 && (len(g.order) >= maxTombs || now.Sub(g.bySPI[g.order[0]].Deleted) > tombLife) {
		delete(g.bySPI, g.order[0])
		g.order = g.order[1:]
	}
	if _, again := g.bySPI[tomb.SPI]; !again {
		g.order = append(g.order, tomb.SPI)
	}
	g.bySPI[tomb.SPI] = tomb
}

func (g *graveyard) find(spi SPI, now time.Time) (Tombstone, bool) {
	tomb, ok := g.bySPI[spi]
	if !ok || now.Sub(tomb.Deleted) > tombLife {
		return Tombstone{}, false
	}
	return tomb, true
}
