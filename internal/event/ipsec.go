package event

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"lockstep/internal/wire/ike2"
)

// IPsecSA is the `debug crypto ipsec` picture of one direction of a child SA. What the caller no longer knows stays zero,
// and its line is left out.
type IPsecSA struct {
	Tunnel        string // interface name
	SPI           uint32
	Inbound       bool
	Local, Remote netip.AddrPort // outer; port 0 for protocol 50
	Transform     string         // as in `crypto ipsec transform-set`: "esp-gcm 256"
	ConnID        int
	LifeKB        uint64 // kilobytes of 1024 octets; 0: not limited
	Life          time.Duration
	TSLocal       []ike2.Selector
	TSRemote      []ike2.Selector
}

// IPsecCreated tells that one direction of a child SA is installed, in the lines of IOS's create_sa.
func IPsecCreated(at time.Time, s IPsecSA) Record {
	return ipsecDebug(at, s, "IPSEC(create_sa): sa created,\n"+s.lines())
}

// IPsecDeleted tells that it is gone. IOS's delete_sa does not say why; that line is ours.
func IPsecDeleted(at time.Time, s IPsecSA, why string) Record {
	r := ipsecDebug(at, s, "IPSEC(delete_sa): deleting SA,\n"+s.lines()+"\n  (reason) "+why)
	r.Attrs = append(r.Attrs, slog.String("why", why))
	return r
}

func ipsecDebug(at time.Time, s IPsecSA, text string) Record {
	direction := "out"
	if s.Inbound {
		direction = "in"
	}
	return Record{At: at, Facility: "CRYPTO", Severity: Debugging, Topic: TopicIPsec, Peer: s.Remote.Addr(), Text: text,
		Attrs: []slog.Attr{slog.String("tunnel", s.Tunnel), slog.String("direction", direction), slog.Uint64("spi", uint64(s.SPI))}}
}

// lines are the (sa) and (identity) parts. The destination of an inbound SA is our own address.
func (s IPsecSA) lines() string {
	destination := s.Remote.Addr()
	if s.Inbound {
		destination = s.Local.Addr()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  (sa) sa_dest= %v, sa_proto= 50,\n    sa_spi= 0x%08X(%d)", destination.Unmap(), s.SPI, s.SPI)
	if s.Transform != "" {
		fmt.Fprintf(&b, ",\n    sa_trans= %s , sa_conn_id= %d", s.Transform, s.ConnID)
	}
	if s.Life != 0 || s.LifeKB != 0 {
		fmt.Fprintf(&b, "\n    sa_lifetime(k/sec)= (%d/%d)", s.LifeKB, int64(s.Life/time.Second))
	}
	fmt.Fprintf(&b, ",\n  (identity) local= %s, remote= %s", endpoint(s.Local), endpoint(s.Remote))
	if len(s.TSLocal) > 0 && len(s.TSRemote) > 0 {
		fmt.Fprintf(&b, ",\n    local_proxy= %s,\n    remote_proxy= %s", proxies(s.TSLocal), proxies(s.TSRemote))
	}
	return b.String()
}

func endpoint(a netip.AddrPort) string { return fmt.Sprintf("%v:%d", a.Addr().Unmap(), a.Port()) }

// proxies gives selectors IOS's form ADDRESS/MASK/PROTOCOL/PORT, 256 being any protocol and 0 any port. IOS knows one a
// side; of several, and of ranges that are no prefix, the form is ours.
func proxies(list []ike2.Selector) string {
	var out []string
	for _, s := range list {
		out = append(out, proxy(s))
	}
	return strings.Join(out, " ")
}

func proxy(s ike2.Selector) string {
	p, isPrefix := s.Prefix()
	portsAreOne := s.AnyPort() || s.StartPort == s.EndPort
	if !isPrefix || !portsAreOne {
		return s.String()
	}
	protocol, port := 256, s.StartPort
	if s.Protocol != 0 {
		protocol = int(s.Protocol)
	}
	return fmt.Sprintf("%v/%s/%d/%d", p.Addr(), mask(p), protocol, port)
}

// mask is dotted for IPv4; IPv6 has its length.
func mask(p netip.Prefix) string {
	if !p.Addr().Is4() {
		return fmt.Sprint(p.Bits())
	}
	m := ^uint32(0) << (32 - p.Bits())
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// KeysExported warns that the keys of child SAs are being written to a file.
func KeysExported(at time.Time, path string) Record {
	return keysExported.record(at, fmt.Sprintf("Keys of child SAs are written to %s: whoever reads that file reads the traffic", path),
		slog.String("path", path))
}
