package sa

import (
	"net/netip"
	"slices"
)

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

// sending maps where children send to their inbound SPIs, the newest last: a peer may choose an SPI again, for a successor
// or, behind one NAT with another, for its own. Callers serialise its use.
type sending map[sendKey][]SPI

func (s sending) add(o *Outbound) {
	k := sendKeyOf(o, o.Path().Remote)
	s[k] = append(s[k], o.Child.In)
}

func (s sending) drop(o *Outbound) {
	k := sendKeyOf(o, o.Path().Remote)
	left := slices.DeleteFunc(s[k], func(in SPI) bool { return in == o.Child.In })
	if len(left) == 0 {
		delete(s, k)
		return
	}
	s[k] = left
}

// SendsOn finds the newest child that sends to remote on the outbound SPI out: in UDP from and to that port, or as protocol 50,
// where ports say nothing. It is for notifies in the clear, which name a child by that SPI (RFC 7296 §1.5).
func (t *Table) SendsOn(out SPI, remote netip.AddrPort) (in SPI, o Owner, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range []Encap{EncapUDP, EncapNone} {
		if ins := t.sends[sendKey{out, endpoint(remote, e)}]; len(ins) > 0 {
			in = ins[len(ins)-1]
			return in, t.out[in].Owner, true
		}
	}
	return 0, NoOwner, false
}
