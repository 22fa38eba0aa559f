package exec

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

// at lists the tunnels whose peer has an address: the configured one, or the one that it is reached at now.
func at(cfg *policy.Config, ikes []ike.Status, a netip.Addr) []*policy.Peer {
	a = a.Unmap()
	var out []*policy.Peer
	for _, p := range cfg.Peers {
		here := p.Remote.Unmap() == a || slices.ContainsFunc(ikes, func(st ike.Status) bool {
			return st.Owner == sa.Owner(p.ID) && st.Remote.Addr().Unmap() == a
		})
		if here {
			out = append(out, p)
		}
	}
	return out
}

func noPeer(a netip.Addr) error { return fmt.Errorf("%% No tunnel has the peer %v", a) }

// parseSPI reads an SPI as logs and other commands print it: 0xB761863E, 3076621886, or both as 0xB761863E(3076621886).
func parseSPI(text string) (sa.SPI, error) {
	number, decimal, both := strings.Cut(text, "(")
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(number), "0x"); ok {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 32)
	if err == nil && both {
		var again uint64
		again, err = strconv.ParseUint(strings.TrimSuffix(decimal, ")"), 10, 32)
		if again != n {
			err = strconv.ErrSyntax
		}
	}
	if err != nil || n < 256 {
		return 0, fmt.Errorf("%% %q is no SPI: 0x and up to eight hexadecimal digits, or a decimal number, from 256 on (RFC 4303 §2.1)", text)
	}
	return sa.SPI(n), nil
}
