package peer

import (
	"time"

	"lockstep/internal/ike"
)

// Reauthentication is make before break (RFC 7296 §2.8.3): at no time there is no child.
//
//	A ── INIT, AUTH ───────────► B     a new IKE SA with its first child
//	A ── CREATE_CHILD_SA ──────► B     what the old one had besides
//	A ◄─ a packet, or an answer ─ B     B has it too
//	A ── D(IKE) of the old one ─► B
//
// Who begins it says no INITIAL_CONTACT, for it would not be true. One that comes to nothing leaves the old IKE SA as it is.

// moveWait is how long the new IKE SA may take to get the children of the old one besides its first.
const moveWait = 10 * time.Second

// reauthenticate makes a new IKE SA in the place of all that are there, single flight. The command ends with its child.
func (p *Peer) reauthenticate(c ike.Command) {
	var old []*session
	for _, s := range p.sessions {
		if s.live() && !s.leaving {
			old = append(old, s)
		}
	}
	switch {
	case len(old) == 0:
		p.initiate(c)
	case p.stopped:
		p.outcome(c, ike.NotInitiable, "the tunnel is shut down")
	case p.starting() != nil:
		p.outcome(c, ike.Busy, "an IKE SA is being made")
	case !p.policy.Initiate:
		p.outcome(c, ike.NotInitiable, "responder-only: the peer has to begin")
	default:
		p.call(c, old...)
	}
}

// moveOver asks for the children that the replaced IKE SAs have and s has not.
func (p *Peer) moveOver(s *session) {
	if len(s.instead) == 0 {
		return
	}
	s.moveBy = p.now.Add(moveWait)
	for _, a := range p.missing(s) {
		p.feed(s, a)
	}
}

// movedOver says that s has what it is to replace, or will not get it any more. Else it is looked at again.
func (p *Peer) movedOver(s *session) bool {
	if len(s.instead) == 0 || !p.now.Before(s.moveBy) || len(p.missing(s)) == 0 {
		return true
	}
	s.proveAt = earlier(s.proveAt, p.now.Add(proofWait))
	return false
}

// missing are children of the replaced IKE SAs whose traffic no child of s carries.
func (p *Peer) missing(s *session) (out []ike.Acquire) {
	have := s.m.Status().Children
	for _, o := range s.instead {
		if !o.live() {
			continue
		}
		for _, c := range o.m.Status().Children {
			if c.State == working && !carried(c, have) {
				out = append(out, ike.Acquire{TSLocal: c.TSLocal, TSRemote: c.TSRemote})
			}
		}
	}
	return out
}

// working is how a Status calls a child that has both halves.
const working = "working"

func carried(c ike.ChildStatus, by []ike.ChildStatus) bool {
	for _, b := range by {
		if b.State == working && ike.Covers(b.TSLocal, c.TSLocal) && ike.Covers(b.TSRemote, c.TSRemote) {
			return true
		}
	}
	return false
}
