package peer

import (
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
)

// Update makes q, which has the same number and addresses, the policy: IKE SAs stay, and go by it from now on. Whether they
// may stay is the caller's to judge. A tunnel that may initiate now and could not before is begun.
func (p *Peer) Update(now time.Time, q *policy.Peer) []ike.Effect {
	p.now, p.policy = now, q
	for _, s := range p.all() {
		p.feed(s, ike.Reconfigured{Peer: q})
	}
	return p.flush()
}
