package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// SVTI is a configuration of Lockstep with one tunnel, Tunnel0, as examples/svti-ikev2-a.conf has it. The zero value of a field takes
// the value in parentheses; "-" leaves the line out.
type SVTI struct {
	PSK       string   // ("correct-horse")
	IKE       []string // lines of the proposal ("encryption aes-gcm-256", "prf sha384", "group 19")
	Transform string   // ("esp-gcm 256")
	DPD       string   // ("10 2 on-demand")
	Recovery  string   // ("crypto isakmp invalid-spi-recovery")
	Routes    []string // prefix and mask of what goes into the tunnel (the other side's LAN)
	Profile   []string // further lines of the IPsec profile
	Tunnel    []string // further lines of the interface
	Global    []string // further global lines
	Source    string   // ("wan0")
}

// Text writes the configuration of side "A" or "B".
func (c SVTI) Text(side string) string {
	local, remote := Outer(side), Outer(other(side))
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	optional := func(format, value, def string) {
		if v := or(value, def); v != "-" {
			line(format, v)
		}
	}
	lines := func(ls []string, indent string) {
		for _, l := range ls {
			line("%s%s", indent, l)
		}
	}
	line("hostname site-%s", strings.ToLower(side))
	lines(c.Global, "")
	optional("%s", c.Recovery, "crypto isakmp invalid-spi-recovery")
	line("crypto ikev2 proposal P1")
	lines(orLines(c.IKE, "encryption aes-gcm-256", "prf sha384", "group 19"), " ")
	line("crypto ikev2 policy POL\n proposal P1")
	line("crypto ikev2 keyring KR\n peer other\n  address %s\n  pre-shared-key %s", remote, or(c.PSK, "correct-horse"))
	line("crypto ikev2 profile PROF\n match identity remote address %s 255.255.255.255\n identity local address %s", remote, local)
	line(" authentication remote pre-share\n authentication local pre-share\n keyring local KR")
	optional(" dpd %s", c.DPD, "10 2 on-demand")
	line("crypto ipsec transform-set TS %s\n mode tunnel", or(c.Transform, "esp-gcm 256"))
	line("crypto ipsec profile VTI\n set transform-set TS\n set ikev2-profile PROF")
	lines(c.Profile, " ")
	line("interface Tunnel0\n ip address %s 255.255.255.252\n tunnel source %s", TunnelAddr(side), or(c.Source, "wan0"))
	line(" tunnel mode ipsec ipv4\n tunnel destination %s\n tunnel protection ipsec profile VTI", remote)
	lines(c.Tunnel, " ")
	for _, r := range orLines(c.Routes, lanOf(other(side)).Addr().String()+" 255.255.255.0") {
		line("ip route %s Tunnel0", r)
	}
	line("end")
	return b.String()
}

func orLines(ls []string, def ...string) []string {
	if ls == nil {
		return def
	}
	return ls
}

func lanOf(side string) netip.Prefix {
	if side == "B" {
		return LanB
	}
	return LanA
}

// TunnelAddr is the address of a side's Tunnel0.
func TunnelAddr(side string) netip.Addr {
	if side == "B" {
		return netip.MustParseAddr("172.16.0.2")
	}
	return netip.MustParseAddr("172.16.0.1")
}
