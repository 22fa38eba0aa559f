package story

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/sa"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

var errRuns = errors.New("it runs already: what it is is said before it starts")

// notifyForms are ways to write INVALID_SPI under protection. The first is that of RFC 7296 §3.10.
var notifyForms = map[string]func(spi []byte) *ike2.Notify{
	"data":  func(spi []byte) *ike2.Notify { return &ike2.Notify{Data: spi} },
	"field": func(spi []byte) *ike2.Notify { return &ike2.Notify{Protocol: ike2.ProtoESP, SPI: spi} },
	"both":  func(spi []byte) *ike2.Notify { return &ike2.Notify{Protocol: ike2.ProtoESP, SPI: spi, Data: spi} },
	"long": func(spi []byte) *ike2.Notify {
		return &ike2.Notify{Protocol: ike2.ProtoIKE, Data: append(slices.Clone(spi), "and more"...)}
	},
	"short": func(spi []byte) *ike2.Notify { return &ike2.Notify{Data: spi[:3]} },
}

func parseNotify(p *parser, w *words) action {
	from, to := p.pair(w)
	form := w.oneOf("a form of INVALID_SPI", "data", "field", "both", "long", "short")
	return func(ctx context.Context, st *stage) error {
		s := st.sites[from]
		spi, owner, ok := st.lastSPI(st.sites[to], s)
		if s.gw == nil || !ok {
			return errors.New("nothing was sent to it, or it does not run")
		}
		s.form.Store(&form)
		st.tell("fault", from, fmt.Sprintf("sends INVALID_SPI for 0x%08X, protected, written as %q", uint32(spi), form))
		out, err := s.gw.Order(ctx, owner, ike.Command{Verb: ike.VerbNotifySPI, SPI: spi, Why: "the story wants it"})
		if err == nil && out.Result != ike.OK {
			st.tell("fault", from, "its INVALID_SPI came to nothing: "+out.Detail) // for the claims to judge
		}
		return err
	}
}

// lastSPI is what from sent to to on most recently, as the taps saw it, with to's number for the owner.
func (st *stage) lastSPI(from, to *site) (sa.SPI, sa.Owner, bool) {
	seen := st.eyes.departures(sawESP, from.addr(), to.addr(), time.Time{})
	if len(seen) == 0 {
		return 0, 0, false
	}
	for _, p := range to.config.Peers {
		if p.Remote == from.addr() {
			return sa.SPI(seen[len(seen)-1].spi), sa.Owner(p.ID), true
		}
	}
	return 0, 0, false
}

// rewrite gives INVALID_SPI the form that the story asked for.
func (s *site) rewrite(p ikev2.Passing, ps []ike2.Payload) []ike2.Payload {
	form := s.form.Load()
	if form == nil || p.Received || p.Response || p.Exchange != isakmp.Informational {
		return ps
	}
	out := slices.Clone(ps)
	for i, x := range out {
		if n, ok := x.(*ike2.Notify); ok && n.Kind == ike2.InvalidSPI {
			out[i] = notifyForms[*form](n.Data)
			out[i].(*ike2.Notify).Kind = ike2.InvalidSPI
		}
	}
	return out
}

func parseHint(p *parser, w *words) action {
	from, to := p.pair(w)
	n := w.count("how many", 1, 1000)
	return func(_ context.Context, st *stage) error {
		spi, _, ok := st.lastSPI(st.sites[to], st.sites[from])
		if !ok {
			return errors.New("nothing was sent to it")
		}
		st.tell("fault", from, fmt.Sprintf("INVALID_SPI for 0x%08X comes from its address, not protected, %d times", uint32(spi), n))
		for range n {
			st.net.Inject(natPort(st.sites[from].addr()), natPort(st.sites[to].addr()), bareInvalidSPI(spi))
		}
		return nil
	}
}

// chatty is no fault of IKE: it shows that a claim about requests looks at the wire.
var chatty = sabotage{
	help: "twenty INFORMATIONAL requests more than it has reason for leave it",
	running: func(st *stage, s *site) {
		for n := range 20 {
			st.net.Inject(natPort(s.addr()), natPort(st.others(s)[0].addr()), bareInvalidSPI(sa.SPI(esp.MinSPI+n)))
		}
	},
}

func (st *stage) others(s *site) []*site {
	var out []*site
	for _, c := range st.story.casts {
		if c != s.cast {
			out = append(out, st.sites[c.name])
		}
	}
	return out
}

// bareInvalidSPI is the message of RFC 7296 §1.5 behind the non-ESP marker: an INFORMATIONAL request without protection.
func bareInvalidSPI(spi sa.SPI) []byte {
	n := ike2.NotifyInvalidSPI(uint32(spi))
	body := ike2.AppendPayloads(nil, []ike2.Payload{n})
	h := isakmp.Header{SPIi: isakmp.SPI(uint64(spi)<<32 | 1), Version: isakmp.Version2, NextPayload: uint8(n.Type()), Exchange: isakmp.Informational,
		Flags: isakmp.FlagInitiator, Length: uint32(isakmp.HeaderLen + len(body))}
	return append(h.Append(binary.BigEndian.AppendUint32(nil, 0)), body...)
}
