package ikev2

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/suite"
	"lockstep/internal/wire/isakmp"
)

// phase of an IKE SA:
//
//	halfOpen ──AUTH──► established ──rekeyed──► replaced ──Delete──► over
//	    └──refused──► over ◄──Delete, dead peer──┘
type phase uint8

const (
	halfOpen    phase = iota // the peer is not authenticated
	established              //
	replaced                 // its successor has the children; it waits for its Delete
	closing                  // our Delete is outstanding
	over                     // answers retransmissions at most
)

// ikeSA is one IKE SA of the lineage: keys, windows, and what we are asking of the peer through it.
type ikeSA struct {
	ours, theirs isakmp.SPI
	initiator    bool // we are its original initiator: the I flag of our messages (RFC 7296 §3.1)
	phase        phase

	suite      ike.IKESuite
	ni, nr     []byte // nonces of the exchange that made it
	skD        []byte
	skPi, skPr []byte
	sealer     *suite.SK
	opener     *suite.SK
	iv         uint64 // last message IV of ours under sealer (protocol.md §3.3: never again)

	sendInit, recvInit []byte // IKE_SA_INIT messages as AUTH covers them: ours and the peer's (RFC 7296 §2.15)

	send   ike.SendWindow
	recv   ike.RecvWindow
	active task
	asking isakmp.Exchange // of the request whose ExchangeEnded is due; 0: none

	// Where the request being answered came from: the answer goes back there (RFC 7296 §2.11).
	askedLocal, askedRemote netip.AddrPort

	created  time.Time
	rekeyAt  time.Time // soft lifetime
	hardAt   time.Time
	rekeys   int       // failed attempts to rekey it
	deleteIt bool      // replaced by our rekey: the Delete is ours to send
	goneBy   time.Time // replaced by the peer's rekey: it should have been deleted by then
	theirsIs *ikeSA    // made by the peer's rekey of this one while ours was outstanding
	yielding bool      // the peer's rekey of it is being answered
}

// leaving says that another IKE SA takes over from s, or is about to: nothing new begins on it (RFC 7296 §2.8).
func (s *ikeSA) leaving() bool { return s.yielding || s.theirsIs != nil }

// unheardOf says that the peer has never sent a request on s. One that lost a collision of rekeys may have been given up by
// its creator before our answer came (RFC 7296 §2.8.2): nobody is left to tell of its end.
func (s *ikeSA) unheardOf() bool { return s.recv.Expected() == 0 && !s.recv.Busy() }

// spis are the SPIs as the header has them: initiator, responder of this IKE SA.
func (s *ikeSA) spis() (spii, spir isakmp.SPI) {
	if s.initiator {
		return s.ours, s.theirs
	}
	return s.theirs, s.ours
}

// derive makes the seven keys from SKEYSEED (RFC 7296 §2.14; RFC 5282 §7.1 for AEAD: no SK_a, the salt in SK_e).
func (s *ikeSA) derive(skeyseed []byte) error {
	prf, c := s.suite.PRF, s.suite.Cipher
	spii, spir := s.spis()
	spis := binary.BigEndian.AppendUint64(nil, uint64(spii))
	spis = binary.BigEndian.AppendUint64(spis, uint64(spir))
	keys, err := prf.Plus(skeyseed, 3*prf.Size()+2*c.IntegKeyLen()+2*c.KeyLen(), s.ni, s.nr, spis)
	if err != nil {
		return fmt.Errorf("derive the keys of the IKE SA: %w", err)
	}
	take := func(n int) []byte {
		k := keys[:n:n]
		keys = keys[n:]
		return k
	}
	s.skD = take(prf.Size())
	ai, ar := take(c.IntegKeyLen()), take(c.IntegKeyLen())
	ei, er := take(c.KeyLen()), take(c.KeyLen())
	s.skPi, s.skPr = take(prf.Size()), take(prf.Size())
	fromI, err := suite.NewSK(c, ei, ai)
	if err != nil {
		return err
	}
	fromR, err := suite.NewSK(c, er, ar)
	if err != nil {
		return err
	}
	s.sealer, s.opener = fromI, fromR
	if !s.initiator {
		s.sealer, s.opener = fromR, fromI
	}
	return nil
}

// deriveFirst is derive for IKE_SA_INIT: SKEYSEED = prf(Ni | Nr, g^ir) (RFC 7296 §2.14).
func (s *ikeSA) deriveFirst(shared []byte) error {
	key := append(append([]byte(nil), s.ni...), s.nr...)
	return s.derive(s.suite.PRF.Sum(key, shared))
}

// deriveRekeyed is derive after a rekey of old: SKEYSEED = prf(SK_d of old, g^ir | Ni | Nr) with the PRF of old (RFC 7296
// §2.18).
func (s *ikeSA) deriveRekeyed(old *ikeSA, shared []byte) error {
	return s.derive(old.suite.PRF.Sum(old.skD, shared, s.ni, s.nr))
}

// goodNonce: at least half the PRF's key (RFC 7296 §2.10); the codec has checked 16 to 256 octets.
func goodNonce(n []byte, prf suite.PRF) bool { return 2*len(n) >= prf.Size() }

// lowest is the smaller of two nonces as octet strings, a prefix being the smaller (RFC 7296 §2.8.1).
func lowest(a, b []byte) []byte {
	if string(a) < string(b) {
		return a
	}
	return b
}
