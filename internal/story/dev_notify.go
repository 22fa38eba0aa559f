package story

import (
	"slices"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// invalidSyntax imitates CSC..40554 (IOS; its prefix is not public): INVALID_SPI whose SPI size is 0, which is how RFC 7296
// §3.10 writes it, is answered with INVALID_SYNTAX, and that costs the IKE SA.
var invalidSyntax = deviation{
	help: "answers an INVALID_SPI whose SPI size is 0 with INVALID_SYNTAX (CSC..40554)",
	play: func(_ *site, o *gateway.Options, _ *world) {
		chained, choke := o.Tuning.Rewrite, false
		o.Tuning.Rewrite = func(p ikev2.Passing, ps []ike2.Payload) []ike2.Payload {
			if chained != nil {
				ps = chained(p, ps)
			}
			if p.Exchange != isakmp.Informational || p.Received == p.Response {
				return ps
			}
			if p.Received {
				n := ike2.FindNotify(ps, ike2.InvalidSPI)
				choke = n != nil && len(n.SPI) == 0
				return ps
			}
			if choke {
				return []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidSyntax}}
			}
			return ps
		}
	},
}

// passive is a gateway without any recovery, as with `no crypto isakmp invalid-spi-recovery` on a router that does not even
// send a Delete.
var passive = deviation{
	help: "does nothing by itself about packets on an SPI that it does not have",
	play: func(_ *site, o *gateway.Options, _ *world) { o.NoRecovery = true },
}

// deaf is a gateway that overhears INVALID_SPI, protected or not.
var deaf = sabotage{
	help: "it takes no notice of INVALID_SPI",
	play: func(_ *site, o *gateway.Options, w *world) {
		o.Tuning.Rewrite = func(p ikev2.Passing, ps []ike2.Payload) []ike2.Payload {
			return slices.DeleteFunc(slices.Clone(ps), func(x ike2.Payload) bool {
				n, ok := x.(*ike2.Notify)
				return ok && p.Received && n.Kind == ike2.InvalidSPI
			})
		}
		w.screen(func(d datagram) []byte {
			if s := d.seen(); !d.out && s.kind == sawIKE && s.ike.NextPayload == uint8(ike2.PayloadNotify) {
				return nil
			}
			return d.payload
		})
	},
}
