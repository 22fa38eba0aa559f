package ikev2

import (
	"slices"

	"lockstep/internal/policy"
)

// reconfigured makes p, of the same number, the policy of this peer. Keys, proposals and addresses are as before: where
// they are not, the IKE SA is made anew and never gets here. Lifetimes count from the next SA; what is waited for now
// begins anew with the new interval.
func (m *machine) reconfigured(p *policy.Peer) {
	m.cfg.Candidates = slices.Clone(m.cfg.Candidates) // the list may be shared
	for i, c := range m.cfg.Candidates {
		if c.ID == p.ID {
			m.cfg.Candidates[i] = p
		}
	}
	if m.cfg.Peer != nil && m.cfg.Peer.ID == p.ID {
		m.cfg.Peer = p
	}
	if m.peer == nil || m.peer.ID != p.ID {
		return
	}
	m.peer = p
	m.setProbe()
	m.touchKeepalive()
}
