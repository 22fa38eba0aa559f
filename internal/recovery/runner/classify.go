package runner

import (
	"net/netip"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
	"lockstep/internal/sa/spi"
)

// Table is what the runner asks the SA database; *sa.Table is one.
type Table interface {
	State(s sa.SPI, now time.Time) sa.State
	Tombstone(s sa.SPI, now time.Time) (sa.Tombstone, bool)
}

// Identity tells whose an SPI is; *spi.Identity does.
type Identity interface {
	Ours(s uint32, now time.Time) spi.Verdict
}

// classify turns a stray into evidence. false: the SPI is offered, being installed or installed by now, which is a sign of
// success and none of recovery's business (CSCvn31824).
func (r *Runner) classify(s Stray, now time.Time) (recovery.Evidence, bool) {
	count, octets := r.tallies.since(s)
	seen := recovery.Seen{Src: unmap(s.Src), Dst: unmap(s.Dst), SPI: s.SPI, Encap: s.Encap, First: s.First, At: s.Last,
		Count: count, Octets: octets, MinLen: s.MinLen}
	switch r.opt.Table.State(s.SPI, now) {
	case sa.Grace, sa.Tombed:
		if tomb, ok := r.opt.Table.Tombstone(s.SPI, now); ok {
			return recovery.FromTombstone(seen, tomb), true
		}
	case sa.Unknown:
	default:
		return recovery.Evidence{}, false
	}
	seen.Owner, seen.OwnerBy = r.ownerOf(seen)
	return r.byIdentity(seen, now), true
}

func (r *Runner) byIdentity(seen recovery.Seen, now time.Time) recovery.Evidence {
	if r.opt.Identity == nil {
		return recovery.FromUnknown(seen)
	}
	switch r.opt.Identity.Ours(uint32(seen.SPI), now) {
	case spi.Issued:
		return recovery.FromLost(seen, r.origin(seen.SPI))
	case spi.NeverOurs:
		return recovery.FromNeverOurs(seen)
	}
	return recovery.FromUnknown(seen)
}

func (r *Runner) origin(s sa.SPI) recovery.Origin {
	if r.opt.EarlierRun == nil {
		return recovery.OriginNotTold
	}
	switch earlier, known := r.opt.EarlierRun(s); {
	case !known:
		return recovery.OriginNotTold
	case earlier:
		return recovery.OriginEarlier
	}
	return recovery.OriginThisRun
}

// ownerOf finds whose packets these are, where no tombstone tells: a live IKE SA with that endpoint, then the
// configuration (protocol.md §1.3). The configuration knows no ports: behind a NAT they are the NAT's. Of several tunnels
// with one peer address, the one with our address as its source is meant.
func (r *Runner) ownerOf(s recovery.Seen) (sa.Owner, string) {
	if r.opt.LiveOwner != nil {
		if o, ok := r.opt.LiveOwner(s.Dst, s.Src, s.Encap); ok {
			return o, "live IKE SA"
		}
	}
	var found *policy.Peer
	for _, p := range r.config.Load().PeersAt(s.Src.Addr()) {
		if p.Tunnel != nil && p.Tunnel.Source.IsValid() && p.Tunnel.Source.Unmap() != s.Dst.Addr() {
			continue
		}
		if found == nil {
			found = p
		}
	}
	if found == nil {
		return sa.NoOwner, ""
	}
	return sa.Owner(found.ID), "configuration"
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
