package ikev2

import (
	"encoding/binary"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
)

// reauthAgain is the pause before the next attempt, where one came to nothing and the IKE SA still lives; and the least time
// to the first, so that a peer which wants it at once, each time, does not get us into a loop.
const reauthAgain = time.Minute

// authLifetime takes the peer's word that it will close the IKE SA unless we authenticate again within so many seconds: in
// its last IKE_AUTH message or later, and not ended by a rekey (RFC 4478 §2, §3). It is a wish of an authenticated peer: the
// worst it leads to is another handshake.
func (m *machine) authLifetime(ps []ike2.Payload) {
	n := ike2.FindNotify(ps, ike2.AuthLifetime)
	if n == nil || len(n.Data) != 4 {
		return
	}
	life := time.Duration(binary.BigEndian.Uint32(n.Data)) * time.Second
	m.debugf("Peer wants to be authenticated to again within %v", life)
	m.reauthAt = m.now.Add(max(m.soft(life, true), reauthAgain))
}

// askToReauthenticate: a new IKE SA beside this one is its Peer's to make (RFC 7296 §2.8.3).
func (m *machine) askToReauthenticate() {
	m.reauthAt = m.now.Add(reauthAgain)
	m.notice(ike.Notice{Kind: ike.ReauthDue})
}
