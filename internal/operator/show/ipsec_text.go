package show

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// Text writes the blocks of IOS, one an interface.
func (v *IPsec) Text(w io.Writer) error {
	p := &page{w: w}
	for i := range v.Interfaces {
		v.Interfaces[i].block(p, v.detail)
	}
	return p.err
}

func (v *IPsecInterface) block(p *page, detail bool) {
	p.line("\ninterface: %s", v.Name)
	p.line("    Crypto map tag: %s, local addr %s", v.cryptoMap(), address(v.Local))
	for i := range v.Flows {
		f := &v.Flows[i]
		f.head(p)
		if detail {
			unknown := uint64(0)
			if i == 0 {
				unknown = v.UnknownSPI // of the peer, not of one flow: counted once
			}
			f.Errors.lines(p, unknown)
		} else {
			p.line("    #send errors %d, #recv errors %d", f.Errors.Send, f.Errors.Recv)
		}
		if !f.SilentSince.IsZero() {
			p.line("    one-way: packets go out since %s and none comes (show crypto recovery)", stamp(f.SilentSince))
		}
		f.endpoints(p)
		f.sas(p, "inbound", f.In, v.cryptoMap())
		f.sas(p, "outbound", f.Out, v.cryptoMap())
	}
}

// cryptoMap is the name that IOS gives the map behind a tunnel's protection.
func (v *IPsecInterface) cryptoMap() string { return v.Name + "-head-0" }

func (v *Ident) head(p *page) {
	p.line("\n   protected vrf: (none)")
	for _, s := range v.tsLocal {
		p.line("   local  ident (addr/mask/prot/port): (%s)", ident(s))
	}
	for _, s := range v.tsRemote {
		p.line("   remote ident (addr/mask/prot/port): (%s)", ident(s))
	}
	p.line("   current_peer %s port %d", address(v.Remote.Addr()), v.Remote.Port())
	p.line("     PERMIT, flags={origin_is_acl,}")
	p.line("    #pkts encaps: %d, #pkts encrypt: %d, #pkts digest: %d", v.Encaps, v.Encaps, v.Encaps)
	p.line("    #pkts decaps: %d, #pkts decrypt: %d, #pkts verify: %d", v.Decaps, v.Verified, v.Verified)
	p.line("    #pkts compressed: 0, #pkts decompressed: 0")
	p.line("    #pkts not compressed: 0, #pkts compr. failed: 0")
	p.line("    #pkts not decompressed: 0, #pkts decompress failed: 0")
}

// ident is addr/mask/prot/port. A range that is no prefix has both its ends in the place of the address, and no mask.
func ident(s ike2.Selector) string {
	port := "0"
	switch {
	case s.AnyPort():
	case s.StartPort == s.EndPort:
		port = strconv.Itoa(int(s.StartPort))
	default:
		port = fmt.Sprintf("%d-%d", s.StartPort, s.EndPort)
	}
	tail := fmt.Sprintf("/%d/%s", s.Protocol, port)
	prefix, ok := s.Prefix()
	switch {
	case !ok:
		return fmt.Sprintf("%v-%v/-%s", s.Start, s.End, tail)
	case prefix.Addr().Is4():
		return fmt.Sprintf("%v/%s%s", prefix.Addr(), dotted(prefix.Bits()), tail)
	}
	return fmt.Sprintf("%v%s", prefix, tail)
}

// dotted is an IPv4 mask.
func dotted(bits int) string { return net.IP(net.CIDRMask(bits, 32)).String() }

// lines are those of `detail`, which stand for the short error line.
func (e *IPsecErrors) lines(p *page, unknown uint64) {
	p.line("    #pkts no sa (send) %d, #pkts invalid sa (rcv) %d", e.NoSASend, e.InvalidSARecv+unknown)
	p.line("    #pkts encaps failed (send) %d, #pkts decaps failed (rcv) %d", e.EncapsFailed, e.DecapsFailed)
	p.line("    #pkts invalid prot (recv) %d, #pkts verify failed: %d", e.InvalidProt, e.VerifyFailed)
	p.line("    #pkts invalid identity (recv) %d, #pkts invalid len (rcv) %d", e.InvalidIdentity, e.InvalidLen)
	p.line("    #pkts replay rollover (send): %d, #pkts replay rollover (rcv) 0", e.ReplayRollover)
	p.line("    ##pkts replay failed (rcv): %d", e.ReplayFailed)
	p.line("    #pkts tagged (send): 0, #pkts untagged (rcv): 0")
	p.line("    #pkts not tagged (send): 0, #pkts not untagged (rcv): 0")
	p.line("    #pkts internal err (send): 0, #pkts internal err (recv) %d", e.InternalErrRecv)
}

func (v *Ident) endpoints(p *page) {
	p.line("\n     local crypto endpt.: %s, remote crypto endpt.: %s", address(v.Local.Addr()), address(v.Remote.Addr()))
	p.line("     plaintext mtu %d, path mtu %d, ip mtu %d, ip mtu idb %s", v.MTU, v.PathMTU, v.PathMTU, orNone(v.sourceIF))
	current := "0x0(0)"
	if v.CurrentOutbound != 0 {
		current = v.CurrentOutbound.String()
	}
	p.line("     current outbound spi: %s", current)
	if v.Group == 0 {
		p.line("     PFS (Y/N): N, DH group: none")
	} else {
		p.line("     PFS (Y/N): Y, DH group: group%d", v.Group)
	}
}

func (v *Ident) sas(p *page, direction string, list []ESPSA, cryptoMap string) {
	p.line("\n     %s esp sas:", direction)
	for i := range list {
		list[i].block(p, cryptoMap)
	}
	p.line("\n     %s ah sas:\n\n     %s pcp sas:", direction, direction)
}

func (a *ESPSA) block(p *page, cryptoMap string) {
	p.line("      spi: %v", a.SPI)
	p.line("        transform: %s ,", a.Transform)
	p.line("        in use settings ={Tunnel%s, %s}", yesNo(a.Encap == sa.EncapUDP.String(), " UDP-Encaps", ""), yesNo(a.ESN, "esn", ""))
	p.line("        conn id: 0, flow_id: SW:0, sibling_flags 80000000, crypto map: %s", cryptoMap)
	p.line("        sa timing: remaining key lifetime (k/sec): (%s/%d)", a.volume(), a.SecsLeft)
	p.line("        IV size: %d bytes", a.IVSize)
	if a.Window > 0 {
		p.line("        replay detection support: Y  replay window size: %d", a.Window)
	} else {
		p.line("        replay detection support: N")
	}
	p.line("        Status: ACTIVE(ACTIVE)")
}

// volume is what is left by volume.
func (a *ESPSA) volume() string {
	if a.KBLeft < 0 {
		return "KB Vol Rekey Disabled"
	}
	return strconv.FormatInt(a.KBLeft, 10)
}
