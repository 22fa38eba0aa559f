package gateway

import (
	"fmt"
	"net/netip"
	"strings"

	"lockstep/internal/host"
	"lockstep/internal/host/netlink"
	"lockstep/internal/steer"
	"lockstep/internal/wire/isakmp"
)

// Uninstall removes from this host what a stopped gateway leaves there so that nothing leaves in the clear: interfaces,
// routes with their blackhole twins, rules. From then on the host's own routes decide. It lists what went; dry only lists.
func Uninstall(dry bool) ([]string, error) {
	who := host.UDPHolder(netip.AddrPortFrom(netip.IPv4Unspecified(), isakmp.Port))
	if strings.HasPrefix(who, "lockstep ") && !dry {
		return nil, fmt.Errorf("a gateway runs: %s: stop it first", who)
	}
	h, err := netlink.Open()
	if err != nil {
		return nil, err
	}
	s := steer.New(h, steer.Options{Mark: host.OuterMark})
	defer s.Close()
	if dry {
		return s.Inventory()
	}
	return s.Uninstall(false)
}
