package capture

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/wire/isakmp"
)

const (
	maxIKE    = 10_000 // IKE SAs that are followed
	maxAsked  = 256    // exchanges of one of them that are remembered
	maxRecent = 32     // messages that a repeat is looked for among, of one IKE SA and direction
)

// Exchange types of IKEv1 (RFC 2408 §3.1, RFC 2409 §5, draft-dukes-ike-mode-cfg).
const (
	mainMode       isakmp.Exchange = 2
	aggressiveMode isakmp.Exchange = 4
	informational1 isakmp.Exchange = 5
	transaction    isakmp.Exchange = 6
	quickMode      isakmp.Exchange = 32
	newGroupMode   isakmp.Exchange = 33
)

// conversations are the IKE SAs of a capture, in the order of their first packets.
type conversations struct {
	order []*conversation
	// latest by the initiator's SPI and both addresses: the first message has no SPIr yet.
	latest map[party]*conversation
	seed   maphash.Seed
}

type party struct {
	spii isakmp.SPI
	low  netip.Addr
	high netip.Addr
}

// conversation is one IKE SA on its way.
type conversation struct {
	evidence.IKE
	asked  map[question]*state
	recent map[netip.Addr][]uint64 // hashes of the newest messages, by their sender
}

// question is one exchange: in IKEv2 a Message ID is the asker's, in IKEv1 it is common and belongs to a type.
type question struct {
	asker netip.Addr // IKEv1: none
	kind  isakmp.Exchange
	id    uint32
}

type state struct {
	from     netip.Addr // who spoke first
	answered bool
}

func newConversations() conversations {
	return conversations{latest: map[party]*conversation{}, seed: maphash.MakeSeed()}
}

// take counts one message; false: it is of an IKE SA for which there is no room.
func (cs *conversations) take(src, dst netip.Addr, h isakmp.Header, b []byte, at time.Time, from evidence.Source) bool {
	c := cs.of(src, dst, h, at, from)
	if c == nil {
		return false
	}
	c.Messages++
	if at.After(c.Last) {
		c.Last = at
	}
	if c.repeats(src, maphash.Bytes(cs.seed, b)) {
		c.Repeated++
		return true
	}
	if h.Major() == 1 {
		c.take1(src, h, at)
	} else {
		c.take2(src, dst, h, at)
	}
	return true
}

// of finds the conversation of a message or begins one. SPIr is learnt from the first message that has it.
func (cs *conversations) of(src, dst netip.Addr, h isakmp.Header, at time.Time, from evidence.Source) *conversation {
	p := party{h.SPIi, src, dst}
	if dst.Less(src) {
		p.low, p.high = dst, src
	}
	c := cs.latest[p]
	if c != nil && c.Version == h.Major() && (h.SPIr == 0 || c.SPIr == 0 || c.SPIr == uint64(h.SPIr)) {
		if c.SPIr == 0 {
			c.SPIr = uint64(h.SPIr)
		}
		return c
	}
	if len(cs.order) >= maxIKE {
		return nil
	}
	c = &conversation{IKE: evidence.IKE{Source: from, Initiator: src, Responder: dst, SPIi: uint64(h.SPIi), SPIr: uint64(h.SPIr), Version: h.Major(), First: at, Last: at, Began: began(h)},
		asked: map[question]*state{}, recent: map[netip.Addr][]uint64{}}
	if h.Major() == 2 && h.Flags&isakmp.FlagInitiator == 0 {
		c.Initiator, c.Responder = dst, src
	}
	cs.latest[p] = c
	cs.order = append(cs.order, c)
	return c
}

// began names the exchange if h is the first message of an IKE SA: the responder's SPI is not known yet.
func began(h isakmp.Header) string {
	if h.SPIr != 0 {
		return ""
	}
	switch {
	case h.Major() == 2 && h.Exchange == isakmp.IKESAInit && !h.Response(),
		h.Major() == 1 && (h.Exchange == mainMode || h.Exchange == aggressiveMode):
		return exchangeName(h)
	}
	return ""
}

// repeats reports that src sent these very octets shortly before. Retransmissions are identical (RFC 7296 §2.1, RFC 2408
// §5.1); an IKE_SA_INIT with a cookie, a fragment and the third message of a mode have the Message ID of another and are
// not.
func (c *conversation) repeats(src netip.Addr, sum uint64) bool {
	seen := c.recent[src]
	if slices.Contains(seen, sum) {
		return true
	}
	if len(seen) == maxRecent {
		seen = slices.Delete(seen, 0, 1)
	}
	c.recent[src] = append(seen, sum)
	return false
}

func (c *conversation) take2(src, dst netip.Addr, h isakmp.Header, at time.Time) {
	asker := src
	if h.Response() {
		asker = dst
	}
	s := c.exchange(question{asker, h.Exchange, h.MessageID}, src, h)
	s.answered = h.Response() || oneWay(h)
	if h.Response() && h.Exchange == isakmp.IKEAuth {
		c.made(at)
	}
}

// oneWay is an INVALID_SPI or the like outside of an IKE SA: a request that nobody may answer (RFC 7296 §1.5).
func oneWay(h isakmp.Header) bool { return h.Exchange == isakmp.Informational && h.SPIr == 0 }

// take1 cannot tell requests from responses: an exchange in which both spoke counts as answered. Informational exchanges
// are of one message (RFC 2409 §5.7).
func (c *conversation) take1(src netip.Addr, h isakmp.Header, at time.Time) {
	s := c.exchange(question{kind: h.Exchange, id: h.MessageID}, src, h)
	s.answered = s.answered || src != s.from || h.Exchange == informational1
	if s.answered && h.Exchange == quickMode {
		c.made(at)
	}
}

func (c *conversation) made(at time.Time) {
	if c.Made.IsZero() {
		c.Made = at
	}
}

// exchange finds what is known of an exchange, and counts it when it is new.
func (c *conversation) exchange(q question, src netip.Addr, h isakmp.Header) *state {
	if s := c.asked[q]; s != nil {
		return s
	}
	c.count(exchangeName(h))
	if len(c.asked) >= maxAsked {
		c.settle()
	}
	s := &state{from: src}
	c.asked[q] = s
	return s
}

// settle forgets the exchanges so far; those without an answer stay so.
func (c *conversation) settle() {
	for _, s := range c.asked {
		if !s.answered {
			c.Unanswered++
		}
	}
	clear(c.asked)
}

func (c *conversation) count(name string) {
	for i := range c.Exchanges {
		if c.Exchanges[i].Type == name {
			c.Exchanges[i].Count++
			return
		}
	}
	c.Exchanges = append(c.Exchanges, evidence.Exchanges{Type: name, Count: 1})
}

// done is the conversation as evidence.
func (c *conversation) done() evidence.IKE {
	c.settle()
	return c.IKE
}

func exchangeName(h isakmp.Header) string {
	if h.Major() != 1 {
		return h.Exchange.String()
	}
	switch h.Exchange {
	case mainMode:
		return "Main Mode"
	case aggressiveMode:
		return "Aggressive Mode"
	case informational1:
		return "Informational"
	case transaction:
		return "Transaction"
	case quickMode:
		return "Quick Mode"
	case newGroupMode:
		return "New Group Mode"
	}
	return fmt.Sprintf("exchange-%d", uint8(h.Exchange))
}
