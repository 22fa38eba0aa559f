package ikev2

import (
	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// createTask is CREATE_CHILD_SA as its initiator: a new child (RFC 7296 §1.3.1), a child rekey (§1.3.3), or the rekey of an
// inbound SPI that we lost (protocol.md §2.6 Decide).
type createTask struct {
	orders
	wish    childWish
	offer   *childOffer
	crossed []*child // that the peer asked for meanwhile, to replace nothing
}

// start makes a fresh offer. A rekey of what is gone, or replaced by the peer meanwhile, has nothing to ask any more.
func (t *createTask) start(m *machine, s *ikeSA) {
	if done, result := t.pointless(m); done {
		m.finish(s)
		t.end(m, result, "")
		m.wantChildNow()
		return
	}
	offer, err := m.offerChild(t.wish)
	if err != nil {
		m.finish(s)
		t.end(m, ike.InternalFailed, err.Error())
		m.wantChildLater()
		return
	}
	t.offer, m.doomed = offer, nil
	ke, group := m.cfg.Env.KE, m.peer.IPsec.PFS
	if group == 0 {
		t.ask(m, s)
		return
	}
	m.compute(slow(group), func() (any, error) { return ke(group) }, func(v any, err error) {
		kx, ok := v.(suite.KeyExchange)
		if err != nil || !ok {
			m.abandon(s, ike.InternalFailed, "no key for the key exchange")
			return
		}
		offer.kx = kx
		t.ask(m, s)
	})
}

// pointless says that there is nothing left to do, and how the commands end.
func (t *createTask) pointless(m *machine) (bool, ike.Result) {
	old := t.wish.old
	switch {
	case old != nil && (old.state != working && old.state != receiving || old.successor() != nil):
		return true, ike.OK
	case t.wish.lost != 0 && m.have(t.wish.lost):
		return true, ike.Moot
	case t.wish.carried[0] != nil && m.expects(t.wish.carried[0], t.wish.carried[1]):
		return true, ike.OK // a colliding exchange made it (RFC 7296 §2.25)
	case t.wish.forPacket && m.expects(t.wish.tsLocal, t.wish.tsRemote):
		return true, ike.OK // made by the peer, or by an earlier task, while this one waited
	}
	return false, 0
}

// ask stores, and then sends (protocol.md §1.4: allocate, persist, send).
func (t *createTask) ask(m *machine, s *ikeSA) {
	m.persist(false, func(err error) {
		if err != nil {
			m.abandon(s, ike.InternalFailed, err.Error())
			return
		}
		var ps []ike2.Payload
		if n := t.wish.rekeyNotify(); n != nil {
			ps = append(ps, n)
		}
		if spi := t.wish.unheard(); spi != 0 && m.path.peerLockstep {
			ps = append(ps, ike2.NotifyInvalidSPI(uint32(spi)))
		}
		m.request(s, isakmp.CreateChildSA, append(ps, t.offer.payloads(true)...), m.tune.Request)
	})
}

func (t *createTask) answer(m *machine, s *ikeSA, ps []ike2.Payload) {
	if n := ike2.FindError(ps); n != nil {
		t.refused(m, s, n)
		return
	}
	ke, ok := ike2.Find[*ike2.KE](ps)
	kx := t.offer.kx
	if kx == nil {
		t.made(m, s, ps, nil)
		return
	}
	if !ok || ke.Group != kx.Group() {
		t.misanswered(m, s, ps, ike.ErrAnswer)
		return
	}
	public := ke.Data
	m.compute(slow(kx.Group()), func() (any, error) { return kx.Shared(public) }, func(v any, err error) {
		shared, ok := v.([]byte)
		if err != nil || !ok {
			t.misanswered(m, s, ps, err)
			return
		}
		t.made(m, s, ps, shared)
	})
}

// made installs the child, in the order of protocol.md §1.4, and deletes what it replaces.
func (t *createTask) made(m *machine, s *ikeSA, ps []ike2.Payload, shared []byte) {
	c, err := m.childFromAnswer(s, t.offer, ps, shared)
	if err != nil {
		t.misanswered(m, s, ps, err)
		return
	}
	m.inStep()
	if m.wasDoomed(c.spec.Out) {
		// Its Delete overtook the answer (protocol.md §5.7): the peer has no such child any more.
		m.finish(s)
		m.emit(ike.Release{SPI: c.spec.In})
		m.enqueue(&deleteTask{spis: []sa.SPI{c.spec.In}, quiet: true, why: sa.TombPeerDeleted})
		t.end(m, ike.Refused, "deleted by the peer at once")
		m.wantChildNow()
		return
	}
	if old := t.wish.old; old != nil && old.rival != nil && old.rival.live() {
		t.collided(m, s, c, old)
		return
	}
	m.bringUp(c, t.ref(), func(ok bool) {
		m.finish(s)
		if !ok {
			t.end(m, ike.InternalFailed, "install failed")
			return
		}
		t.replaceOld(m, c)
	})
}

// replaceOld deletes what the new child stands for, or the new one where nobody has a use for it. A lost SPI is deleted
// too, for the peer still sends on it; that round trip belongs to the command.
func (t *createTask) replaceOld(m *machine, c *child) {
	switch {
	case t.wish.old != nil && t.wish.old.live():
		t.wish.old.heir = c
		m.deleteChild(t.wish.old, sa.TombRekeyed, nil)
		t.end(m, ike.OK, "")
	case t.wish.instead != nil:
		m.deleteChild(t.wish.instead, sa.TombRekeyed, nil)
		t.end(m, ike.OK, "")
	case t.wish.lost != 0:
		if !m.enqueue(&deleteTask{orders: t.orders, spis: []sa.SPI{t.wish.lost}, why: sa.TombRekeyed, detail: "rekeyed"}) {
			t.end(m, ike.OK, "rekeyed")
		}
	default:
		if t.wish.forPacket {
			m.acquired(t.wish, c)
		}
		m.settleTwin(c, t.crossed)
		t.end(m, ike.OK, "")
	}
}

// refused takes the peer's error; none of them costs the IKE SA (RFC 7296 §1.3). INVALID_KE_PAYLOAD is one of them: we
// offer one group, so there is no other to try.
func (t *createTask) refused(m *machine, s *ikeSA, n *ike2.Notify) {
	m.finish(s)
	old := t.wish.old
	replacedByPeer := old != nil && (old.successor() != nil || !old.live())
	switch {
	case replacedByPeer:
		// The peer's own rekey did it (RFC 7296 §2.8.1), or its Delete (§2.25.1); then a fresh one may be wanted.
		m.release(t.offer)
		t.end(m, ike.OK, "rekeyed or deleted by the peer")
		m.wantChildNow()
		return
	case n.Kind == ike2.ChildSANotFound:
		t.notFound(m)
		return
	case n.Kind == ike2.TemporaryFailure:
		m.release(t.offer)
		t.later(m, n)
		m.outOfStep()
		return
	case n.Kind == ike2.NoProposalChosen && t.wish.lost != 0:
		t.notFound(m) // how peers of before RFC 5996 say CHILD_SA_NOT_FOUND (RFC 4718 §5.11.10)
		return
	case n.Kind == ike2.NoProposalChosen && old != nil && m.suspects(old):
		t.beside(m)
		return
	}
	m.childRefused(t.offer, n)
	t.later(m, n)
}

// later ends the attempt: a rekey is tried again after a pause with jitter (RFC 7296 §2.25), a wanted child too.
func (t *createTask) later(m *machine, n *ike2.Notify) {
	if old := t.wish.old; old != nil {
		old.rekeys++
		old.rekeyAt = m.now.Add(m.retryPause())
	} else {
		m.wantChildLater()
	}
	if t.wish.forPacket {
		m.askedInVain()
	}
	t.end(m, ike.Refused, n.Kind.String())
}

// notFound: the peer has lost the SA too. It is removed without a word, and a fresh child made, unless there is one by now
// (RFC 7296 §2.25).
func (t *createTask) notFound(m *machine) {
	m.release(t.offer)
	fresh := &createTask{orders: t.orders, wish: childWish{tsLocal: t.wish.tsLocal, tsRemote: t.wish.tsRemote}}
	fresh.wish.carried = [2][]ike2.Selector{m.cfg.tsLocal(), m.cfg.tsRemote()}
	if old := t.wish.old; old != nil && old.live() {
		fresh.wish.carried = [2][]ike2.Selector{old.spec.TSLocal, old.spec.TSRemote}
		m.remove(old, sa.TombPeerDeleted)
	}
	m.queue = append([]task{fresh}, m.queue...)
}

// beside makes a fresh child next to one that the peer may have lost and cannot say so (RFC 4718 §5.11.10); then the old
// one goes.
func (t *createTask) beside(m *machine) {
	m.release(t.offer)
	t.wish.old.besides = true
	fresh := &createTask{orders: t.orders, wish: childWish{instead: t.wish.old}}
	m.queue = append([]task{fresh}, m.queue...)
}

func (t *createTask) misanswered(m *machine, s *ikeSA, ps []ike2.Payload, err error) {
	m.finish(s)
	m.childMisanswered(t.offer, ps, err)
	if t.wish.old != nil {
		t.wish.old.rekeys++
		t.wish.old.rekeyAt = m.now.Add(m.retryPause())
	}
	t.end(m, ike.Refused, err.Error())
}

func (t *createTask) lost(m *machine, _ *ikeSA, result ike.Result, detail string) {
	if t.offer != nil {
		m.release(t.offer)
	}
	if t.wish.old != nil {
		t.wish.old.rekeyAt = m.now.Add(m.retryPause())
	}
	t.end(m, result, detail)
	m.wantChildNow()
}

// wasDoomed takes an outbound SPI off the list of Deletes that came too early.
func (m *machine) wasDoomed(spi sa.SPI) bool {
	for i, d := range m.doomed {
		if d == spi {
			m.doomed = append(m.doomed[:i], m.doomed[i+1:]...)
			return true
		}
	}
	return false
}
