package engine

import (
	"net/netip"
	"slices"

	"lockstep/internal/ike"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// Deliver hands in one IKE message (without the non-ESP marker) that came to local from remote; msg belongs to the engine
// from then on. false: it was discarded, and counted. Any goroutine may call it; it does not wait.
func (e *Engine) Deliver(local, remote netip.AddrPort, msg []byte) bool {
	if e.killed.Err() != nil {
		return false
	}
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	h, why := e.judge(msg)
	if why != reason.None {
		if why == reason.IKEBadVersion {
			e.replyVersion(local, remote, h, len(msg))
		}
		return e.drop(why)
	}
	if inTheClear(h) {
		e.hint(remote, msg)
		return e.drop(reason.IKEUnauthenticated)
	}
	d := ike.Datagram{Local: local, Remote: remote, Bytes: msg}
	if peer.IsFirst(h) {
		if len(e.candidates(d)) == 0 {
			return e.drop(reason.IKENoPolicy)
		}
		return e.shardOf(remote.Addr()).offerFirst(mail{in: d, header: h, at: e.opt.Now()})
	}
	spi := h.ReceiverSPI()
	i := int(spi & (maxShards - 1))
	if spi == 0 || i >= len(e.shards) {
		return e.drop(unclaimed(h))
	}
	return e.shards[i].offer(mail{in: d, header: h, at: e.opt.Now()})
}

// judge checks what needs no state.
func (e *Engine) judge(msg []byte) (isakmp.Header, reason.Drop) {
	if len(msg) > ike2.MaxMessage {
		return isakmp.Header{}, reason.IKETooLarge
	}
	h, err := isakmp.ParseHeader(msg)
	switch {
	case err != nil:
		return h, reason.IKEMalformed
	case h.Major() == 1:
		return h, reason.IKEv1Unsupported
	case h.Major() != 2:
		return h, reason.IKEBadVersion
	}
	return h, reason.None
}

// unclaimed says what a message without an IKE SPI of ours is: a first message with SPIi 0 is broken (RFC 7296 §2.6).
func unclaimed(h isakmp.Header) reason.Drop {
	if h.Exchange == isakmp.IKESAInit && h.SPIi == 0 {
		return reason.IKEMalformed
	}
	return reason.IKEUnknownSPI
}

// candidates are the peers that a first message may come from: those at its source whose tunnel has the address that it
// came to.
func (e *Engine) candidates(d ike.Datagram) []*policy.Peer {
	all := e.plan.Load().at[d.Remote.Addr()]
	if d.Local.Addr().IsUnspecified() {
		return all
	}
	fits := func(p *policy.Peer) bool {
		a, ok := e.opt.Source(p.Tunnel)
		return ok && a.Unmap() == d.Local.Addr()
	}
	if !slices.ContainsFunc(all, func(p *policy.Peer) bool { return !fits(p) }) {
		return all
	}
	var out []*policy.Peer
	for _, p := range all {
		if fits(p) {
			out = append(out, p)
		}
	}
	return out
}
