package engine

import (
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

// Apply goes over to another configuration, in which peers have the numbers that they had (policy.Config.KeepIDs). anew
// says of a tunnel that both have whether its SAs were made under terms that no longer hold (config.Diff tells); nil: none
// were. Such a tunnel's SAs, and those of one that is gone, get Deletes; such a tunnel, and one that is new, begins. All
// others keep their SAs and go by the new policy from now on.
func (e *Engine) Apply(cfg *policy.Config, anew func(unit int) bool) {
	e.applying.Lock()
	defer e.applying.Unlock()
	before := e.plan.Load().peers()
	e.publish(cfg)
	after := e.plan.Load().peers()
	kept := keeps(before, after, anew)
	for _, p := range before {
		if !kept[p.Tunnel.Unit] {
			s := e.shardOf(p.Remote)
			s.urgent(func() { s.leave(sa.Owner(p.ID)) })
		}
	}
	for _, p := range after {
		s := e.shardOf(p.Remote)
		if kept[p.Tunnel.Unit] {
			s.urgent(func() { s.update(p) })
			continue
		}
		started, frozen := e.started, e.frozen
		s.urgent(func() { s.join(p, started, frozen) })
	}
}

// keeps is the units of the tunnels whose SAs stay. One whose peer has another number or another address is never among
// them: everything of a peer lives under the one, in the shard of the other.
func keeps(before, after []*policy.Peer, anew func(unit int) bool) map[int]bool {
	was := map[int]*policy.Peer{}
	for _, p := range before {
		was[p.Tunnel.Unit] = p
	}
	kept := map[int]bool{}
	for _, p := range after {
		old, unit := was[p.Tunnel.Unit], p.Tunnel.Unit
		if old == nil || old.ID != p.ID || old.Remote.Unmap() != p.Remote.Unmap() {
			continue
		}
		kept[unit] = anew == nil || !anew(unit)
	}
	return kept
}

// join makes a peer of this shard, and begins it if the engine was started.
func (s *shard) join(p *policy.Peer, started, frozen bool) {
	en := s.add(p, frozen)
	if started && !s.stopping {
		s.took(en, en.p.Begin(s.e.opt.Now(), 0))
	}
}

// update gives a peer that stays its new policy.
func (s *shard) update(p *policy.Peer) {
	if en := s.peers[sa.Owner(p.ID)]; en != nil {
		s.took(en, en.p.Update(s.e.opt.Now(), p))
	}
}
