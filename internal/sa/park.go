package sa

import (
	"maps"
	"net/netip"
	"time"
)

// Bounds of early packets (protocol.md §1.2 K4 and K5). A peer that answers IKE_AUTH sends at once: at 1,000 packets a second
// eight packets were gone before a busy host had installed the SA. Half of the smallest replay window is what newer packets,
// which do not wait for these, cannot push out of it.
const (
	parkPackets = 32       // an SPI
	parkOctets  = 48 << 10 // an SPI: so many packets of 1,500
	parkAll     = 4 << 20  // octets in all
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

// fresh lists the early packets that are still worth opening, and counts the others.
func (p *pending) fresh(now time.Time) (out []Early, late, lateOctets int) {
	for _, e := range p.early {
		if now.Sub(e.At) <= parkTime {
			out = append(out, e)
			continue
		}
		late++
		lateOctets += len(e.Packet)
	}
	return out, late, lateOctets
}

// Larval reports that packets on spi are expected soon (K4, K5). It neither locks nor allocates: the packet path asks it
// for every SPI that it does not find.
func (t *Table) Larval(spi SPI) bool {
	_, ok := (*t.larval[spi%shards].Load())[spi]
	return ok
}

// LarvalOwner is whose exchange offered spi; false: it is not larval (any more).
func (t *Table) LarvalOwner(spi SPI) (Owner, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pending[spi]
	if p == nil {
		return NoOwner, false
	}
	return p.owner, true
}

// setLarval publishes or unpublishes a larval SPI. Callers hold mu.
func (t *Table) setLarval(spi SPI, yes bool) {
	next := maps.Clone(*t.larval[spi%shards].Load())
	if yes {
		next[spi] = struct{}{}
	} else {
		delete(next, spi)
	}
	t.larval[spi%shards].Store(&next)
}

// lost tells of early packets that nobody will open.
func (t *Table) lost(packets, octets int) {
	if packets > 0 && t.opt.Lost != nil {
		t.opt.Lost(packets, octets)
	}
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
