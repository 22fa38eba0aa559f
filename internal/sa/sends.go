package sa

import "net/netip"

// sendKey is where a child sends to, and on which SPI: the port is 0 for protocol 50. The SPI and the address alone are
// not unique, for two peers behind one NAT may choose the same (RFC 4301 §4.4.2).
type sendKey struct {
	out    SPI
	remote netip.AddrPort
}

func sendKeyOf(o *Outbound, remote netip.AddrPort) sendKey {
	return sendKey{o.Child.Out, endpoint(remote, o.Encap)}
}

func endpoint(remote netip.AddrPort, e Encap) netip.AddrPort {
	if e == EncapNone {
		return netip.AddrPortFrom(remote.Addr().Unmap(), 0)
	}
	return netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
}

// sending maps where children send to their inbound SPIs. Callers serialise its use.
type sending map[sendKey]SPI

func (s sending) add(o *Outbound) { s[sendKeyOf(o, o.Path().Remote)] = o.Child.In }

func (s sending) drop(o *Outbound) {
	if k := sendKeyOf(o, o.Path().Remote); s[k] == o.Child.In {
		delete(s, k)
	}
}

// SendsOn finds the child that sends to remote on the outbound SPI out: in UDP from and to that port, or as protocol 50,
// where ports say nothing. It is for notifies in the clear, which name a child by that SPI (RFC 7296 §1.5).
func (t *Table) SendsOn(out SPI, remote netip.AddrPort) (in SPI, o Owner, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range []Encap{EncapUDP, EncapNone} {
		in, ok = t.sends[sendKey{out, endpoint(remote, e)}]
		if child := t.out[in]; ok && child != nil {
			return in, child.Owner, true
		}
	}
	return 0, NoOwner, false
}
