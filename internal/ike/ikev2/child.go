package ikev2

import (
	"fmt"
	"slices"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

// childState of a pair of ESP SAs:
//
//	installing ──► receiving ──► working ──► deleting ──► grace ──► (gone)
//	                   (rekey responder)  └──────peer's Delete──────►┘
type childState uint8

const (
	installing childState = iota // the inbound half is on its way into the data plane
	receiving                    // inbound installed; we send on the SA that it replaces (RFC 7296 §2.8)
	working                      // both halves installed, we send on it unless a newer one works
	deleting                     // our Delete for it is outstanding
	grace                        // only the inbound half is left, for packets still on their way (protocol.md §1.4)
	gone
)

var childStates = [...]string{"installing", "receiving", "working", "deleting", "grace", "gone"}

func (s childState) String() string { return childStates[s] }

// child is one child SA, from the moment that it is handed to the data plane.
type child struct {
	spec  sa.Child // what the data plane was given
	state childState

	wishLocal, wishRemote []ike2.Selector // as offered; a rekey offers them again (RFC 7296 §2.9.2)

	group  uint16
	lowest []byte // the lower nonce of the exchange that made it (RFC 7296 §2.8.1)

	old       *child    // what it replaces; nil: nothing, or a lost SA
	heir      *child    // replaced by this one, which works or is about to
	rival     *child    // made by the peer's rekey of this one
	isLoser   bool      // lost a collision: its creator deletes it
	said      bool      // our Delete for it is out
	twin      *child    // made by the peer at the same time for the same traffic
	twinBy    time.Time // it should have been deleted by then
	hasOut    bool      // the outbound half is installed
	rekeyAt   time.Time
	hardAt    time.Time
	switchAt  time.Time   // receiving: latest time to send on it
	removeAt  time.Time   // grace: end
	probed    time.Time   // last rekey that an INVALID_SPI led to
	recheckAt time.Time   // an INVALID_SPI came while it was too young
	heard     time.Time   // last packet that was told of: notes are a second apart
	proven    bool        // a packet was verified on it
	doubted   bool        // a hint waits for a sign that the IKE SA lives
	speech    speech      // what was sent since something last came
	spokeEver bool        // a packet was sent on it
	replays   bool        // ReplayStuck was noted since something last came
	switched  time.Time   // we send on it since then
	held      *heldSwitch // the switch waits for the peer; nil: it does not
	rekeys    int         // failed attempts to rekey it
	besides   bool        // a fresh one was made, or tried, beside it
	why       sa.TombReason
	vanished  bool // the data plane has lost it
	unheard   bool // the peer says that it has no SA for what we send on it
}

// live says that the child exists for the peer: rekeys and Deletes may name it.
func (c *child) live() bool { return c.state < grace }

// usable says that it carries traffic both ways, and no other has taken over from it.
func (c *child) usable() bool {
	return c.state == working && (c.heir == nil || c.heir.state < working)
}

// successor is the child that stands for c, made by our rekey or by the peer's; nil if there is none.
func (c *child) successor() *child {
	switch {
	case c.heir != nil && c.heir.live():
		return c.heir
	case c.rival != nil && c.rival.live():
		return c.rival
	}
	return nil
}

func (m *machine) childIn(spi sa.SPI) *child {
	for _, c := range m.children {
		if c.spec.In == spi {
			return c
		}
	}
	return nil
}

// childOut finds a child by the SPI that the peer names in REKEY_SA and Delete: the sender's inbound, our outbound.
func (m *machine) childOut(spi sa.SPI) *child {
	for _, c := range m.children {
		if c.spec.Out == spi && c.live() {
			return c
		}
	}
	return nil
}

// working finds a usable child that carries all of these selectors; empty ones are carried by any.
func (m *machine) working(tsLocal, tsRemote []ike2.Selector) *child {
	for _, c := range m.children {
		if c.usable() && ike.Covers(c.spec.TSLocal, tsLocal) && ike.Covers(c.spec.TSRemote, tsRemote) {
			return c
		}
	}
	return nil
}

// deal is what both ends agreed on for a child.
type deal struct {
	suite             ike.ESPSuite // SPI is the peer's
	in                sa.SPI
	tsLocal, tsRemote []ike2.Selector
	wishLocal         []ike2.Selector
	wishRemote        []ike2.Selector
	ni, nr            []byte // of the exchange that makes it
	shared            []byte // g^ir of a new key exchange; nil: none
	initiator         bool   // of that exchange
	old               *child
}

// newChild derives the keys of a child (RFC 7296 §2.17: KEYMAT = prf+(SK_d, [g^ir] | Ni | Nr); first the SA from the
// initiator of the exchange, encryption before integrity) and sets its limits.
func (m *machine) newChild(s *ikeSA, d deal) (*child, error) {
	half := d.suite.Cipher.KeyLen() + d.suite.Cipher.IntegKeyLen()
	keys, err := s.suite.PRF.Plus(s.skD, 2*half, d.shared, d.ni, d.nr)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of a child SA: %w", err)
	}
	out, in := keys[:half], keys[half:]
	if !d.initiator {
		out, in = in, out
	}
	c := &child{state: installing, group: d.suite.Group, lowest: lowest(d.ni, d.nr), old: d.old,
		wishLocal: d.wishLocal, wishRemote: d.wishRemote}
	c.spec = sa.Child{Owner: m.owner(), Tunnel: m.peer.Tunnel.Unit, IKE: uint64(s.ours), In: d.in, Out: d.suite.SPI,
		Cipher: d.suite.Cipher, ESN: d.suite.ESN, KeyIn: policy.NewSecret(in), KeyOut: policy.NewSecret(out),
		TSLocal: d.tsLocal, TSRemote: d.tsRemote, ReplayWindow: m.peer.IPsec.ReplayWindow, Initiator: d.initiator, Created: m.now}
	c.spec.Local, c.spec.Remote, c.spec.Encap = m.espPath()
	if d.old != nil {
		c.spec.Replaces = d.old.spec.In
	}
	m.setChildLimits(c)
	return c, nil
}

// bringUp is the way of an initiator (protocol.md §1.4): inbound in, then stored, then outbound in and switched to. If any
// of it fails the child is deleted at the peer, and then(false) follows.
func (m *machine) bringUp(c *child, ref uint64, then func(ok bool)) {
	m.children = append(m.children, c)
	if c.old != nil {
		c.old.heir = c
	}
	m.install(c, sa.InboundHalf, func(err error) {
		if m.stillborn(c, err) {
			then(false)
			return
		}
		m.persist(false, func(err error) {
			if m.stillborn(c, err) {
				then(false)
				return
			}
			if m.holds() {
				m.hold(c, ref, then)
				return
			}
			m.switchTo(c, ref, then)
		})
	})
}

// stillborn takes a failed step of an installation: the child goes, at both ends.
func (m *machine) stillborn(c *child, err error) bool {
	if c.state == gone {
		return true
	}
	if err == nil {
		return false
	}
	m.report(event.IKEInstallFailed(m.path.remote, c.spec.In, err))
	if c.old != nil {
		c.old.heir = nil
		c.old.rekeyAt = m.now.Add(m.retryPause())
	}
	c.state, c.why = deleting, sa.TombInstallFailed
	m.enqueue(&deleteTask{children: []*child{c}, why: sa.TombInstallFailed})
	m.wantChildLater()
	return true
}

// switchTo installs the outbound half, after which the tunnel sends on c. What is emitted meanwhile queues behind it. A
// machine that takes its leave sends on nothing any more.
func (m *machine) switchTo(c *child, ref uint64, then func(ok bool)) {
	c.switchAt = time.Time{}
	if h := c.letGo(); h != nil {
		ref, then = h.ref, h.then
	}
	if c.hasOut || m.parting {
		then(true)
		return
	}
	c.hasOut = true
	m.install(c, sa.OutboundHalf, func(err error) {
		if err != nil {
			c.hasOut = false
		}
		if m.stillborn(c, err) {
			then(false)
			return
		}
		m.nowWorking(c, ref)
		then(true)
	})
}

func (m *machine) nowWorking(c *child, ref uint64) {
	if c.state < deleting {
		c.state = working
	}
	c.switched = m.now
	if c.old != nil && c.old.heir == nil && !c.isLoser {
		c.old.heir = c
	}
	m.wantAt, m.wantPause = time.Time{}, 0
	m.debugf("Child SA is UP: in %v, out %v, local %v, remote %v", c.spec.In, c.spec.Out, selectorText(c.spec.TSLocal), selectorText(c.spec.TSRemote))
	m.notice(ike.Notice{Kind: ike.ChildUp, In: c.spec.In, Out: c.spec.Out, Initiator: c.spec.Initiator, ByCommand: ref})
}

// remove takes what is left of a child out of the data plane and out of the machine.
func (m *machine) remove(c *child, why sa.TombReason) {
	if c.state == gone {
		return
	}
	half, told := sa.BothHalves, c.state == grace
	if told {
		half = sa.InboundHalf
	}
	c.state, c.why = gone, why
	m.emit(ike.Remove{In: c.spec.In, Out: c.spec.Out, Owner: m.owner(), Half: half, Why: why})
	m.children = slices.DeleteFunc(m.children, func(o *child) bool { return o == c })
	m.unlink(c)
	c.spec.KeyIn, c.spec.KeyOut = policy.Secret{}, policy.Secret{} // its heir keeps it
	if !told {
		m.childDown(c, why)
	}
	if h := c.letGo(); h != nil {
		h.then(false)
	}
}

// unlink takes a child that is gone out of its line: it keeps no ancestor, and what it stood for must be rekeyed by another.
func (m *machine) unlink(c *child) {
	o := c.old
	c.old = nil // its heir would keep every ancestor
	if o == nil || o.heir != c && o.rival != c {
		return
	}
	if o.heir == c {
		o.heir = nil
	}
	if o.rival == c {
		o.rival = nil
	}
	if o.state < deleting && o.rekeyAt.IsZero() && o.successor() == nil {
		o.rekeyAt = m.now.Add(m.retryPause())
	}
}

// toGrace removes the outbound half of a rekeyed child and keeps the inbound one for late packets.
func (m *machine) toGrace(c *child) {
	if c.state >= grace {
		return
	}
	c.state, c.hasOut, c.why = grace, false, sa.TombRekeyed
	c.removeAt = m.now.Add(m.tune.Grace)
	m.emit(ike.Remove{In: c.spec.In, Out: c.spec.Out, Owner: m.owner(), Half: sa.OutboundHalf, Why: sa.TombRekeyed})
	m.childDown(c, sa.TombRekeyed)
}

func (m *machine) childDown(c *child, why sa.TombReason) {
	m.debugf("Child SA is DOWN: in %v, out %v: %v", c.spec.In, c.spec.Out, why)
	m.notice(ike.Notice{Kind: ike.ChildDown, In: c.spec.In, Out: c.spec.Out, Initiator: c.spec.Initiator, Cause: why})
}

func selectorText(s []ike2.Selector) string { return (&ike2.TS{Selectors: s}).String() }
