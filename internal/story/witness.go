package story

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"lockstep/internal/story/relay"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/isakmp"
)

// maxSightings bounds what a witness remembers: at 200 packets a second a quarter of an hour.
const maxSightings = 1 << 18

// kind is what a datagram is to somebody who has no keys.
type kind uint8

const (
	sawOther kind = iota // nothing that a gateway should send
	sawIKE
	sawESP
	sawKeepalive
)

// sighting is one datagram at one end of the path.
type sighting struct {
	at       time.Time
	src, dst netip.AddrPort
	kind     kind
	spi, seq uint32        // of ESP
	ike      isakmp.Header // of IKE
	sum      uint64        // of all octets of an IKE message
}

// witness sees every datagram that enters or leaves the path, without keys. Its methods may be called from any goroutine.
type witness struct {
	inside []netip.Addr // addresses behind the gateways, which nobody may see

	mu            sync.Mutex
	entered, left []sighting // guarded by mu: in order of time
	bare          []string   // guarded by mu: what was in the clear, and what is neither IKE nor ESP
	overflow      int        // guarded by mu
}

// classify looks at a datagram as RFC 3948 §2.2 does. Behind a NAT one end alone has port 4500.
func classify(src, dst netip.AddrPort, payload []byte) sighting {
	s := sighting{src: src, dst: dst}
	msg, isIKE, isKeepalive := payload, true, false
	if dst.Port() == isakmp.PortNAT || src.Port() == isakmp.PortNAT {
		msg, isIKE, isKeepalive = isakmp.StripMarker(payload)
	}
	switch {
	case isKeepalive:
		s.kind = sawKeepalive
	case isIKE:
		h, err := isakmp.ParseHeader(msg)
		if err == nil && h.Major() == 2 {
			s.kind, s.ike, s.sum = sawIKE, h, sumOf(msg)
		}
	default:
		spi, seq, ok := esp.Parse(msg)
		if ok && spi >= esp.MinSPI && len(msg) >= esp.MinLen {
			s.kind, s.spi, s.seq = sawESP, spi, seq
		}
	}
	return s
}

func sumOf(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// enter takes in a datagram at the beginning of its path.
func (w *witness) enter(p relay.Packet) sighting {
	s := classify(p.Src, p.Dst, p.Payload)
	s.at = p.At
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entered = w.keep(w.entered, s)
	if s.kind == sawOther {
		w.bare = append(w.bare, fmt.Sprintf("%v > %v: %d octets, neither IKE nor ESP", p.Src, p.Dst, len(p.Payload)))
	}
	if what := w.naked(p.Payload); what != "" {
		w.bare = append(w.bare, fmt.Sprintf("%v > %v: %s", p.Src, p.Dst, what))
	}
	return s
}

// leave takes in a datagram that reached a gateway's socket.
func (w *witness) leave(p relay.Packet) sighting {
	s := classify(p.Src, p.Dst, p.Payload)
	s.at = p.At
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = w.keep(w.left, s)
	return s
}

// keep is called with mu held.
func (w *witness) keep(to []sighting, s sighting) []sighting {
	if len(to) >= maxSightings {
		w.overflow++
		return to
	}
	return append(to, s)
}

// naked finds the source and destination of an inner packet, as they stand in its header, anywhere in a datagram: eight
// octets that no ciphertext shows by chance.
func (w *witness) naked(payload []byte) string {
	for _, src := range w.inside {
		for _, dst := range w.inside {
			if src != dst && bytes.Contains(payload, append(src.AsSlice(), dst.AsSlice()...)) {
				return fmt.Sprintf("an inner packet of %v to %v in the clear", src, dst)
			}
		}
	}
	return ""
}

// where lists the sightings of a list that fit.
func where(list []sighting, fits func(*sighting) bool) []sighting {
	var out []sighting
	for i := range list {
		if fits(&list[i]) {
			out = append(out, list[i])
		}
	}
	return out
}

// arrivals lists the datagrams of a kind that reached an address from another one since a time, which is in.
func (w *witness) arrivals(k kind, from, to netip.Addr, since time.Time) []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return where(w.left, func(s *sighting) bool { return s.fits(k, from, to) && !s.at.Before(since) })
}

// departures is arrivals at the beginning of the path.
func (w *witness) departures(k kind, from, to netip.Addr, since time.Time) []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return where(w.entered, func(s *sighting) bool { return s.fits(k, from, to) && !s.at.Before(since) })
}

func (s *sighting) fits(k kind, from, to netip.Addr) bool {
	return s.kind == k && s.src.Addr() == from && s.dst.Addr() == to
}

// exposed tells what was seen that nobody may see, and how many datagrams there were in all.
func (w *witness) exposed() (bare []string, datagrams, forgotten int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.bare...), len(w.entered), w.overflow
}

// latest is the last arrival of a kind.
func (w *witness) latest(k kind, from, to netip.Addr) (sighting, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.left) - 1; i >= 0; i-- {
		if w.left[i].fits(k, from, to) {
			return w.left[i], true
		}
	}
	return sighting{}, false
}

// all lists what an address has sent of a kind.
func (w *witness) all(k kind, from netip.Addr) []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return where(w.entered, func(s *sighting) bool { return s.kind == k && s.src.Addr() == from })
}

// spis is the set of SPIs on which an address has sent.
func (w *witness) spis(from netip.Addr) map[uint32]bool {
	out := map[uint32]bool{}
	for _, s := range w.all(sawESP, from) {
		out[s.spi] = true
	}
	return out
}

// esp lists all ESP that was sent to an address so far.
func (w *witness) esp(to netip.Addr) []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return where(w.entered, func(s *sighting) bool { return s.kind == sawESP && s.dst.Addr() == to })
}
