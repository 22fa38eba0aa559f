package ikev2

import (
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
)

// establish is the moment when the peer is authenticated.
func (m *machine) establish(s *ikeSA, initialContact bool, ref uint64) {
	s.phase, s.created = established, m.now
	s.sendInit, s.recvInit = nil, nil
	m.authBy = time.Time{}
	m.setIKELimits(s)
	m.hear()
	m.touchKeepalive()
	m.notice(ike.Notice{Kind: ike.IKEUp, InitialContact: initialContact, Initiator: s.initiator,
		LocalID: m.localID, RemoteID: m.remoteID, ByCommand: ref})
	m.debugf("Session with IKE ID PAIR (%s, %s) is UP", m.remoteID, m.localID)
	m.report(event.IKESessionUp(m.path.remote, m.remoteID.String()))
}
