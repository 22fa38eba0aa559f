package sa

import (
	"net/netip"
	"time"
)

// Bounds of early packets (protocol K4 and K5).
const (
	parkPackets = 8       // an SPI
	parkOctets  = 16384   // an SPI
	parkAll     = 4 << 20 // octets in all
	parkTime    = 500 * time.Millisecond
)

// Early is an ESP packet that came on a larval SPI: the peer is ready before we are (D04, D05). It is evidence of
// success and never reaches code that can delete an SA.
type Early struct {
	Local, Remote netip.AddrPort
	Encap         Encap
	Packet        []byte // from the SPI on; owned by the table until it is handed out
	At            time.Time
}

type pending struct {
	owner  Owner
	since  time.Time
	early  []Early
	octets int
}

// fresh lists the early packets that are still worth opening.
func (p *pending) fresh(now time.Time) []Early {
	var out []Early
	for _, e := range p.early {
		if now.Sub(e.At) <= parkTime {
			out = append(out, e)
		}
	}
	return out
}

// Park keeps a copy of an early packet until its SPI is installed. larval is false if the SPI is not larval (any more:
// look it up again); kept is false if there is no room.
func (t *Table) Park(spi SPI, e Early) (larval, kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pending[spi]
	if p == nil {
		return false, false
	}
	n := len(e.Packet)
	if len(p.early) >= parkPackets || p.octets+n > parkOctets || t.parked+n > parkAll {
		return true, false
	}
	e.Packet = append([]byte(nil), e.Packet...)
	p.early = append(p.early, e)
	p.octets += n
	t.parked += n
	return true, true
}

// unpark forgets the early packets of an SPI. Callers hold mu.
func (t *Table) unpark(spi SPI) {
	if p := t.pending[spi]; p != nil {
		t.parked -= p.octets
		p.early, p.octets = nil, 0
	}
}
