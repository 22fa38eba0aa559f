package ikev2

import (
	"crypto/sha1" // RFC 7296 §2.23 names it; nothing secret rests on it
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// natHash is SHA-1(SPIi | SPIr | IP | port) (RFC 7296 §2.23).
func natHash(spii, spir isakmp.SPI, at netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(spii))
	b = binary.BigEndian.AppendUint64(b, uint64(spir))
	b = append(b, at.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, at.Port())
	sum := sha1.Sum(b)
	return sum[:]
}

// natPayloads are both NAT detection notifies of our IKE_SA_INIT message. To force encapsulation the source hash is one
// that no address has, so that the peer finds a NAT.
func (m *machine) natPayloads(spii, spir isakmp.SPI) []ike2.Payload {
	source := natHash(spii, spir, m.path.local)
	if m.forceEncap() {
		fake := make([]byte, sha1.Size)
		if _, err := io.ReadFull(m.cfg.Env.Rand, fake); err == nil {
			source = fake
		}
	}
	return []ike2.Payload{
		&ike2.Notify{Kind: ike2.NATDetectionSourceIP, Data: source},
		&ike2.Notify{Kind: ike2.NATDetectionDestinationIP, Data: natHash(spii, spir, m.path.remote)},
	}
}

func (m *machine) forceEncap() bool {
	if m.cfg.Encap == policy.EncapForce {
		return true
	}
	return slices.ContainsFunc(m.cfg.candidates(), func(p *policy.Peer) bool { return p.IKE.ForceEncap })
}

// detectNAT reads the peer's IKE_SA_INIT message, which came to local from remote: a NAT is before the peer if none of
// its source hashes fits where it came from, and before us if its destination hash is not where we are (RFC 7296 §2.23).
// A peer that fakes one is taken at its word. It then decides how ESP travels.
func (m *machine) detectNAT(ps []ike2.Payload, spii, spir isakmp.SPI, local, remote netip.AddrPort) {
	sources := ike2.AllNotify(ps, ike2.NATDetectionSourceIP)
	dest := ike2.FindNotify(ps, ike2.NATDetectionDestinationIP)
	fits := func(n *ike2.Notify, at netip.AddrPort) bool { return string(n.Data) == string(natHash(spii, spir, at)) }
	supported := len(sources) > 0 && dest != nil
	m.path.natRemote = supported && !slices.ContainsFunc(sources, func(n *ike2.Notify) bool { return fits(n, remote) })
	m.path.natLocal = supported && !fits(dest, local)
	m.path.peerLockstep = hasLockstepVendor(ps)
	m.path.encap = sa.EncapNone
	if supported && (m.path.natLocal || m.path.natRemote || m.forceEncap() || m.path.peerLockstep && m.cfg.Encap != policy.EncapNever) {
		// RFC 7296 §2.23: with a NAT both ends must encapsulate; without one whoever signalled support must accept it.
		m.path.encap = sa.EncapUDP
	}
}

// float moves an initiator to port 4500, from IKE_AUTH on (RFC 7296 §2.23). A responder follows.
func (m *machine) float() {
	if m.path.encap != sa.EncapUDP || m.path.local.Port() == isakmp.PortNAT {
		return
	}
	m.path.local = netip.AddrPortFrom(m.path.local.Addr(), isakmp.PortNAT)
	m.path.remote = netip.AddrPortFrom(m.path.remote.Addr(), isakmp.PortNAT)
}

// espPath are the outer addresses of a child: on port 500 no ESP may be encapsulated (RFC 7296 §2.23).
func (m *machine) espPath() (local, remote netip.AddrPort, encap sa.Encap) {
	local, remote, encap = m.path.local, m.path.remote, m.path.encap
	if encap == sa.EncapUDP && local.Port() == isakmp.Port {
		local = netip.AddrPortFrom(local.Addr(), isakmp.PortNAT)
	}
	if encap == sa.EncapUDP && remote.Port() == isakmp.Port {
		remote = netip.AddrPortFrom(remote.Addr(), isakmp.PortNAT)
	}
	return local, remote, encap
}

// moveTo follows a peer that now comes from remote, or reaches us at local: only for authenticated fresh packets, and
// only if we are not behind a NAT ourselves (RFC 7296 §2.23).
func (m *machine) moveTo(local, remote netip.AddrPort) {
	if m.path.natLocal || m.path.remote == remote && m.path.local == local {
		return
	}
	m.debugf("Peer moved from %v to %v", m.path.remote, remote)
	m.path.local, m.path.remote = local, remote
	for _, c := range m.children {
		c.spec.Local, c.spec.Remote, _ = m.espPath()
		if c.spec.Encap == sa.EncapUDP {
			m.emit(ike.Moved{In: c.spec.In, Out: c.spec.Out, Owner: m.owner(), Local: c.spec.Local, Remote: c.spec.Remote})
		}
	}
}

// keepalive holds the mapping of the NAT before us open (RFC 3948 §2.3): one octet, no marker, no answer.
func (m *machine) keepalive() {
	m.emit(ike.Send{Local: m.path.local, Remote: m.path.remote, Bytes: []byte{0xff}})
	m.touchKeepalive()
}

// touchKeepalive puts the next keepalive off: any packet keeps the mapping.
func (m *machine) touchKeepalive() {
	m.keepAt = time.Time{}
	if m.path.natLocal && m.up() && m.path.local.Port() == isakmp.PortNAT {
		m.keepAt = m.now.Add(orElse(m.peer.IKE.NATKeepalive, defaultKeepalive))
	}
}
