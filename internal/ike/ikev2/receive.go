package ikev2

import (
	"errors"
	"slices"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// datagram takes one IKE message. Nothing of the machine changes before its integrity was checked.
func (m *machine) datagram(d ike.Datagram) {
	h, err := isakmp.ParseHeader(d.Bytes)
	switch {
	case err != nil:
		m.drop(reason.IKEMalformed)
	case len(d.Bytes) > ike2.MaxMessage:
		m.drop(reason.IKETooLarge)
	case h.Major() != 2:
		m.drop(reason.IKEBadVersion)
	case h.Exchange == isakmp.IKESAInit:
		m.initMessage(d, h)
	default:
		m.protected(d, h)
	}
}

// protected takes a message of an exchange behind IKE_SA_INIT.
func (m *machine) protected(d ike.Datagram, h isakmp.Header) {
	s, why := m.find(h)
	switch {
	case s == nil:
		m.drop(why)
	case s.opener == nil:
		m.drop(reason.IKEUnexpected)
	case h.Response():
		m.response(s, d, h)
	default:
		m.ask(s, d, h)
	}
}

// find is the IKE SA of a message: by the SPI at our position (RFC 7296 §2.6), and it must have the peer's too.
func (m *machine) find(h isakmp.Header) (*ikeSA, reason.Drop) {
	for _, s := range m.sas {
		spii, spir := s.spis()
		if h.SPIi != spii || h.SPIr != spir {
			continue
		}
		if h.FromInitiator() == s.initiator {
			return nil, reason.IKEReflected // its sender has our role
		}
		return s, reason.None
	}
	return nil, reason.IKEUnknownSPI
}

// response takes what claims to answer our outstanding request.
func (m *machine) response(s *ikeSA, d ike.Datagram, h isakmp.Header) {
	if s.active == nil || !s.send.Answers(h.MessageID) {
		m.drop(m.staleResponse(s, h.MessageID))
		return
	}
	if h.Exchange != s.asking {
		m.drop(reason.IKEUnexpected)
		return
	}
	ps, why, err := m.open(s, d.Bytes)
	if why != reason.None {
		m.drop(why)
		m.disowned(s, d, why)
		return
	}
	m.fresh(d)
	m.sample(s.send.Done(m.now))
	m.probeDoubted()
	if err != nil {
		m.unreadable(s, err)
		return
	}
	s.active.roundTrip()
	if s.phase != halfOpen && ike2.FindNotify(ps, ike2.InvalidSyntax) != nil {
		// RFC 7296 §2.21.3: an authentic INVALID_SYNTAX ends the IKE SA on both sides, without Delete.
		m.report(event.IKEInvalidSyntax(d.Remote, s.asking.String()))
		if _, notify := s.active.(*notifySPITask); notify {
			m.cannotReadNotify()
		}
		m.abandon(s, ike.Refused, ike2.InvalidSyntax.String())
		m.fail(s, ike.Refused, ike2.InvalidSyntax.String())
		return
	}
	s.active.answer(m, s, ps)
}

// staleResponse: the answer to the request before is a duplicate, any other is nonsense.
func (m *machine) staleResponse(s *ikeSA, id uint32) reason.Drop {
	if id+1 == s.send.ID() {
		return reason.IKEDuplicate
	}
	return reason.IKEBadMessageID
}

// unreadable is an authentic response that cannot be read: the exchange has failed, and a syntax error costs the IKE SA,
// on both sides and without Delete (RFC 7296 §2.21.2-3). The peer would only resend the same octets.
func (m *machine) unreadable(s *ikeSA, err error) {
	m.drop(parseReason(err))
	m.abandon(s, ike.Refused, err.Error())
	var critical *ike2.CriticalError
	if !errors.As(err, &critical) || s.phase == halfOpen {
		m.fail(s, ike.Refused, err.Error())
	}
}

// ask takes a request of the peer.
func (m *machine) ask(s *ikeSA, d ike.Datagram, h isakmp.Header) {
	switch s.recv.Judge(h.MessageID, d.Bytes) {
	case ike.Repeated:
		m.drop(reason.IKEDuplicate)
		m.sendOn(d.Local, d.Remote, s.recv.Response())
		return
	case ike.Pending:
		m.drop(reason.IKEDuplicate)
		return
	case ike.Outside:
		m.drop(reason.IKEBadMessageID)
		return
	}
	if !m.accepts(s, h) {
		m.drop(reason.IKEUnexpected)
		return
	}
	ps, why, err := m.open(s, d.Bytes)
	if why != reason.None {
		m.drop(why)
		return
	}
	m.fresh(d)
	s.recv.Begin(d.Bytes)
	s.askedLocal, s.askedRemote = d.Local, d.Remote
	if err != nil {
		m.refuseUnreadable(s, h.Exchange, err)
		return
	}
	m.serve(s, h.Exchange, ps)
}

// accepts says whether the exchange makes sense now: IKE_AUTH once, the others behind it (RFC 7296 §1.2).
func (m *machine) accepts(s *ikeSA, h isakmp.Header) bool {
	switch {
	case s.phase == over:
		return false
	case s.phase == halfOpen:
		return h.Exchange == isakmp.IKEAuth && !s.initiator
	}
	return h.Exchange == isakmp.CreateChildSA || h.Exchange == isakmp.Informational
}

func (m *machine) serve(s *ikeSA, e isakmp.Exchange, ps []ike2.Payload) {
	switch e {
	case isakmp.IKEAuth:
		m.respondAuth(s, ps)
	case isakmp.CreateChildSA:
		m.respondCreate(s, ps)
	case isakmp.Informational:
		m.respondInformational(s, ps)
	}
}

// refuseUnreadable answers an authentic request that cannot be read (RFC 7296 §2.5, §2.21): an unknown critical payload
// fails the request, anything else the IKE SA; in IKE_AUTH either does.
func (m *machine) refuseUnreadable(s *ikeSA, e isakmp.Exchange, err error) {
	m.drop(parseReason(err))
	n := &ike2.Notify{Kind: ike2.InvalidSyntax}
	var critical *ike2.CriticalError
	if errors.As(err, &critical) {
		n = &ike2.Notify{Kind: ike2.UnsupportedCriticalPayload, Data: []byte{byte(critical.Kind)}}
	}
	m.respond(s, e, []ike2.Payload{n})
	if critical == nil || s.phase == halfOpen {
		m.fail(s, ike.Refused, "unreadable request: "+err.Error())
	}
}

// respond answers the request being served; later copies of it get the same octets.
func (m *machine) respond(s *ikeSA, e isakmp.Exchange, ps []ike2.Payload) {
	if !s.recv.Busy() {
		return // the IKE SA was closed across a barrier
	}
	msg, err := m.seal(s, e, true, s.recv.Expected(), ps)
	if err != nil {
		m.fail(s, ike.InternalFailed, err.Error())
		return
	}
	s.recv.Answer(msg)
	m.sendOn(s.askedLocal, s.askedRemote, msg)
}

func (m *machine) refuse(s *ikeSA, e isakmp.Exchange, kind ike2.NotifyType) {
	m.debugf("Refusing %v: %v", e, kind)
	m.respond(s, e, []ike2.Payload{&ike2.Notify{Kind: kind}})
}

// dropSA ends an IKE SA of the lineage that is no longer the current one.
func (m *machine) dropSA(s *ikeSA) {
	s.phase = over
	m.emit(ike.Disclaim{SPI: s.ours})
	m.sas = slices.DeleteFunc(m.sas, func(o *ikeSA) bool { return o == s })
}
