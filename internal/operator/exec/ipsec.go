package exec

import (
	"context"
	"fmt"
	"slices"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

func ipsecCommands(r *reader) []cli.Command {
	return []cli.Command{
		{Pattern: "show crypto ipsec sa [peer A.B.C.D|interface Tunnel<0-99999999>:unit] [detail]", Help: "IPSEC SA table", Run: showing(r.ipsecSAs)},
		{Pattern: "show crypto ipsec spi-lookup [WORD:spi]", Help: "IPSEC SPI to SA lookup", Run: showing(r.spiLookup)},
	}
}

func (r *reader) ipsecSAs(ctx context.Context, c *call) (show.View, error) {
	detail := c.Match.Has("detail")
	want := withIKE | withChildren | withInterfaces
	if detail || c.JSON {
		want |= withFlows
	}
	s := r.snapshot(ctx, want)
	if unit, ok := c.Match.Var("unit"); ok {
		p := s.Config.PeerByTunnel(int(unit.Number))
		if p == nil {
			return nil, fmt.Errorf("%% Tunnel%d is not configured with tunnel protection", unit.Number)
		}
		return show.NewIPsec(s, detail, func(other *policy.Peer) bool { return other == p }), nil
	}
	if a, ok := c.Match.Var("address"); ok {
		peers := at(s.Config, s.IKE, a.Addr)
		if len(peers) == 0 {
			return nil, noPeer(a.Addr)
		}
		return show.NewIPsec(s, detail, func(p *policy.Peer) bool { return slices.Contains(peers, p) }), nil
	}
	return show.NewIPsec(s, detail, nil), nil
}

func (r *reader) spiLookup(ctx context.Context, c *call) (show.View, error) {
	spi := sa.SPI(0)
	if text := c.Match.Text("spi"); text != "" {
		var err error
		if spi, err = parseSPI(text); err != nil {
			return nil, err
		}
	}
	return show.NewSPILookup(r.snapshot(ctx, withChildren|withFlows), spi), nil
}
