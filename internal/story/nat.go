package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/wire/isakmp"
)

// translation is a NAT before one site.
type translation struct {
	site    *site
	outside netip.Addr
	rebinds int // how often its mappings were forgotten
}

// address reads one of IPv4.
func (w *words) address(what string) netip.Addr {
	got := w.plain(what)
	a, err := netip.ParseAddr(got)
	if w.err == nil && (err != nil || !a.Is4()) {
		w.fail("%s is expected, an IPv4 address, not %s", what, got)
	}
	return a
}

func parseNAT(p *parser, w *words) action {
	name, outside := p.gateway(w), w.address("the outside address")
	if w.err == nil && slices.ContainsFunc(p.s.casts, func(c *cast) bool { return slices.Contains(addressesOf(c.config), outside) }) {
		w.fail("another address is expected: a gateway has %v", outside)
	}
	if w.err == nil {
		p.cast(name).outside = outside
	}
	return func(_ context.Context, st *stage) error {
		s := st.sites[name]
		if err := st.net.Translate(s.addr(), outside); err != nil {
			return err
		}
		st.mu.Lock()
		st.nats = append(st.nats, &translation{site: s, outside: outside})
		st.mu.Unlock()
		st.tell("fault", "net", fmt.Sprintf("%s is behind a NAT with the address %v", name, outside))
		return nil
	}
}

func parseRebind(p *parser, w *words) action {
	name := p.gateway(w)
	return func(_ context.Context, st *stage) error {
		s := st.sites[name]
		if !st.net.Rebind(s.addr()) {
			return errors.New("it is not behind a NAT")
		}
		st.mu.Lock()
		for _, n := range st.nats {
			if n.site == s {
				n.rebinds++
			}
		}
		st.mu.Unlock()
		st.tell("fault", "net", "the NAT before "+name+" forgets its mappings")
		return nil
	}
}

// nat is the one before a site; zero: none.
func (st *stage) nat(s *site) translation {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, n := range st.nats {
		if n.site == s {
			return *n
		}
	}
	return translation{}
}

// remember keeps the last ESP packet of each address for parseReplay.
func (st *stage) remember(s *sighting, payload []byte) {
	if s.kind != sawESP {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.lastESP == nil {
		st.lastESP = map[netip.Addr][]byte{}
	}
	st.lastESP[s.src.Addr()] = slices.Clone(payload)
}

// parseReplay reads `replay`: what anybody on the path could do.
func parseReplay(p *parser, w *words) action {
	a, b := p.pair(w)
	w.literal("from")
	src := w.address("the address of whoever does it")
	return func(_ context.Context, st *stage) error {
		st.mu.Lock()
		payload := st.lastESP[st.sites[a].addr()]
		st.mu.Unlock()
		if payload == nil {
			return fmt.Errorf("%s has sent no ESP", a)
		}
		st.net.Inject(netip.AddrPortFrom(src, isakmp.PortNAT), natPort(st.sites[b].addr()), payload)
		st.tell("fault", "net", fmt.Sprintf("somebody at %v sends the last ESP packet of %s to %s once more", src, a, b))
		return nil
	}
}

func parseFollows(p *parser, w *words) judgement {
	a, b := p.pair(w)
	return func(_ context.Context, st *stage) evaluation { return follows(st, st.sites[a], st.sites[b]) }
}

// follows: what s sends goes where the last packet of its peer came from, each time that the NAT has another mapping, and
// never to anybody else. One packet may be on its way to the socket then.
func follows(st *stage, s, peer *site) evaluation {
	n := st.nat(peer)
	came := st.eyes.arrivals(sawESP, n.outside, s.addr(), time.Time{})
	sent := st.eyes.all(sawESP, s.addr())
	mappings := map[netip.AddrPort]bool{}
	for _, x := range came {
		mappings[x.src] = true
	}
	if n.rebinds == 0 || len(mappings) != n.rebinds+1 || len(sent) == 0 {
		return fails("the mappings were forgotten %d times, ESP came from %d, and %d packets were sent", n.rebinds, len(mappings), len(sent))
	}
	stale, astray, at := 0, 0, 0
	for _, x := range sent {
		for at+1 < len(came) && came[at+1].at.Before(x.at) {
			at++
		}
		switch {
		case x.dst.Addr() != n.outside:
			astray++
		case x.dst != came[at].src:
			stale++
		}
	}
	value := fmt.Sprintf("%d mappings; %d of %d packets went to one from which no packet came any more, %d elsewhere", len(mappings), stale, len(sent), astray)
	switch {
	case astray > 0 || sent[len(sent)-1].dst != came[len(came)-1].src:
		return fails("%s, the last to %v", value, sent[len(sent)-1].dst)
	case stale > n.rebinds:
		return late("%s", value)
	}
	return holds("%s", value)
}

// sticky is a sabotage: s's packets look to others as if they came from the mapping that it had first.
func sticky(st *stage, s *site) { st.net.Pretend(s.addr()) }
