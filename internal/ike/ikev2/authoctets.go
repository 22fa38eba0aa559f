package ikev2

import (
	"crypto/hmac"

	"lockstep/internal/policy"
	"lockstep/internal/wire/ike2"
)

// keyPad is hashed with the shared secret (RFC 7296 §2.15): 17 ASCII characters, no NUL.
const keyPad = "Key Pad for IKEv2"

// authPSK is AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets) of one side (RFC 7296 §2.15). The octets are that side's
// whole IKE_SA_INIT message, the other's nonce, and prf(SK_p, body of its ID payload).
func (s *ikeSA) authPSK(secret policy.Secret, ofInitiator bool, message []byte, id *ike2.ID) []byte {
	prf := s.suite.PRF
	skP, nonce := s.skPi, s.nr
	if !ofInitiator {
		skP, nonce = s.skPr, s.ni
	}
	key := prf.Sum(secret.Reveal(), []byte(keyPad))
	return prf.Sum(key, message, nonce, prf.Sum(skP, id.AppendBody(nil)))
}

// ownAuth proves us.
func (s *ikeSA) ownAuth(secret policy.Secret, id *ike2.ID) *ike2.Auth {
	return &ike2.Auth{Method: ike2.AuthSharedKey, Data: s.authPSK(secret, s.initiator, s.sendInit, id)}
}

// proves says, in constant time, that a is the peer's proof for id.
func (s *ikeSA) proves(a *ike2.Auth, secret policy.Secret, id *ike2.ID) bool {
	if a.Method != ike2.AuthSharedKey || secret.IsZero() {
		return false
	}
	return hmac.Equal(a.Data, s.authPSK(secret, !s.initiator, s.recvInit, id))
}

// localIdentity is whom we claim to be towards p.
func (m *machine) localIdentity(p *policy.Peer) policy.Identity {
	if !p.IKE.Local.IsZero() {
		return p.IKE.Local
	}
	return policy.AddressIdentity(m.path.local.Addr())
}

func idPayload(id policy.Identity, initiator bool) *ike2.ID {
	return &ike2.ID{Initiator: initiator, Kind: ike2.IDType(id.Kind), Data: []byte(id.Value)}
}

func identityOf(id *ike2.ID) policy.Identity {
	return policy.Identity{Kind: policy.IDKind(id.Kind), Value: string(id.Data)}
}

// mayBe says that policy lets p have the identity id; compared by policy, never by the packet's source (RFC 7296 §3.5).
// Without a `match identity remote` line only the address identity of the configured peer will do.
func mayBe(p *policy.Peer, id policy.Identity) bool {
	for _, line := range p.IKE.MatchRemote {
		if line.Matches(id) {
			return true
		}
	}
	return len(p.IKE.MatchRemote) == 0 && id == policy.AddressIdentity(p.Remote)
}
