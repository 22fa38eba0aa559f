package engine

import (
	"net/netip"
	"sync"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

const (
	hintsPerSecond = 100  // of all peers, unless the configuration says another number (protocol.md §2.8 rule 9)
	maxHint        = 1024 // octets: INVALID_SPI and four tokens of RFC 6290 fit in
)

// inTheClear says that a message is an INFORMATIONAL request without protection. Nobody has vouched for it, whatever its SPIs
// and Message ID, and it is never answered (RFC 7296 §1.5, §2.21.4).
func inTheClear(h isakmp.Header) bool {
	next := ike2.PayloadType(h.NextPayload)
	return h.Exchange == isakmp.Informational && !h.Response() && next != ike2.PayloadSK && next != ike2.PayloadSKF
}

// hint hands an INVALID_SPI in the clear to the peer whose child it is about. Whoever names no SA that sends to where the
// message came from costs a look-up and no state; what finds one, a place in the budget of all peers.
func (e *Engine) hint(remote netip.AddrPort, msg []byte) {
	if e.opt.SendsOn == nil || len(msg) > maxHint {
		return
	}
	m, err := ike2.Parse(msg)
	if err != nil {
		return
	}
	for _, n := range ike2.AllNotify(m.Payloads, ike2.InvalidSPI) {
		spi, ok := n.OffendingSPI()
		if !ok {
			continue
		}
		// At most one a message (RFC 7296 §1.5 knows one offending packet): the others wait for their own.
		in, o, ok := e.opt.SendsOn(sa.SPI(spi), remote)
		if ok && e.hints.take(e.opt.Now(), e.mostHints()) {
			e.Post(o, ike.Hint{In: in, Out: sa.SPI(spi), Remote: remote})
		}
		return
	}
}

// mostHints is `crypto recovery budget hints`.
func (e *Engine) mostHints() int {
	if n := e.plan.Load().config.Recovery.HintsPerSecond; n > 0 {
		return n
	}
	return hintsPerSecond
}

// hintBudget bounds what hints may cost all machines together.
type hintBudget struct {
	mu     sync.Mutex
	second time.Time // guarded by mu: its start
	used   int       // guarded by mu: in that second
}

func (b *hintBudget) take(now time.Time, most int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.second) >= time.Second || now.Before(b.second) {
		b.second, b.used = now, 0
	}
	if b.used >= most {
		return false
	}
	b.used++
	return true
}
