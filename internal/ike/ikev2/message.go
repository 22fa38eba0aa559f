package ikev2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// seal makes one protected message of s.
func (m *machine) seal(s *ikeSA, e isakmp.Exchange, response bool, id uint32, ps []ike2.Payload) ([]byte, error) {
	ps = m.tune.rewritten(Passing{Exchange: e, Response: response}, ps)
	inner := ike2.AppendPayloads(nil, ps)
	body := s.sealer.BodyLen(len(inner))
	h := s.header(e, response, id)
	h.NextPayload = uint8(ike2.PayloadSK)
	h.Length = uint32(isakmp.HeaderLen + skHeaderLen + body)
	if h.Length > ike2.MaxMessage {
		return nil, fmt.Errorf("message of %d octets", h.Length)
	}
	head := append(h.Append(nil), byte(ike2.First(ps)), 0, 0, 0)
	binary.BigEndian.PutUint16(head[isakmp.HeaderLen+2:], uint16(skHeaderLen+body))
	s.iv++
	sealed, err := s.sealer.Seal(head, s.iv, m.cfg.Env.Rand, inner)
	if err != nil {
		return nil, err
	}
	m.debugMessage(h, ps, m.path.local, m.path.remote, false)
	return append(head, sealed...), nil
}

// skHeaderLen is the generic header before the body of an SK payload (RFC 7296 §3.14).
const skHeaderLen = 4

func (s *ikeSA) header(e isakmp.Exchange, response bool, id uint32) isakmp.Header {
	h := isakmp.Header{Version: isakmp.Version2, Exchange: e, MessageID: id}
	h.SPIi, h.SPIr = s.spis()
	if s.initiator {
		h.Flags |= isakmp.FlagInitiator
	}
	if response {
		h.Flags |= isakmp.FlagResponse
	}
	return h
}

// open verifies and decrypts a message of s. ps is nil if it must be dropped: why is the reason then. A message that is
// authentic and still no IKEv2 gives err, a *ike2.SyntaxError or *ike2.CriticalError.
func (m *machine) open(s *ikeSA, msg []byte) (ps []ike2.Payload, why reason.Drop, err error) {
	outer, err := ike2.Parse(msg)
	if err != nil {
		return nil, parseReason(err), nil
	}
	if len(outer.Payloads) == 0 {
		return nil, reason.IKEUnauthenticated, nil
	}
	sk, ok := outer.Payloads[len(outer.Payloads)-1].(*ike2.SK)
	if !ok {
		// RFC 7296 §2.21.4: what is not protected changes nothing.
		return nil, reason.IKEUnauthenticated, nil
	}
	plain, err := s.opener.Open(msg[:len(msg)-len(sk.Body)], sk.Body)
	if errors.Is(err, suite.ErrICV) {
		return nil, reason.IKEBadICV, nil
	}
	if err != nil {
		return nil, reason.IKEMalformed, nil
	}
	ps, err = ike2.ParsePayloads(sk.First, plain)
	if err != nil {
		return nil, reason.None, err
	}
	m.debugMessage(outer.Header, ps, m.path.local, m.path.remote, true)
	return m.tune.rewritten(Passing{outer.Header.Exchange, outer.Header.Response(), true}, ps), reason.None, nil
}

// parseReason is the drop reason of a message that does not parse.
func parseReason(err error) reason.Drop {
	var critical *ike2.CriticalError
	if errors.As(err, &critical) {
		return reason.IKECritical
	}
	return reason.IKEMalformed
}

// sendOn transmits one IKE message; on port 4500 it goes behind the non-ESP marker (RFC 3948 §2.2).
func (m *machine) sendOn(local, remote netip.AddrPort, msg []byte) {
	m.emit(ike.Send{Local: local, Remote: remote, Bytes: msg, Marker: local.Port() == isakmp.PortNAT})
	m.touchKeepalive()
}

func (m *machine) debugMessage(h isakmp.Header, ps []ike2.Payload, local, remote netip.AddrPort, received bool) {
	m.report(event.IKEMessage(event.IKEPacket{Session: m.session(), Received: received, Local: local, Remote: remote,
		SPIi: h.SPIi.String(), SPIr: h.SPIr.String(), MessageID: h.MessageID, Exchange: h.Exchange.String(),
		Response: h.Response(), Payloads: payloadNames(ps)}))
}

// payloadNames are the names that IOS shows: VID, NOTIFY(…), ENCR of an SK's content left out.
func payloadNames(ps []ike2.Payload) []string {
	names := make([]string, 0, len(ps))
	for _, p := range ps {
		switch p := p.(type) {
		case *ike2.Notify:
			names = append(names, "NOTIFY("+p.Kind.String()+")")
		case *ike2.Vendor:
			names = append(names, "VID")
		case *ike2.Nonce:
			names = append(names, "N")
		case *ike2.Delete:
			names = append(names, "DELETE")
		default:
			names = append(names, p.Type().String())
		}
	}
	return names
}
