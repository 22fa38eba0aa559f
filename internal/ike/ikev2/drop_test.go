package ikev2

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/reason"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// tampered is a good next request of b to a, changed.
func tampered(change func(b []byte) []byte) func(l *lab) []byte {
	return func(l *lab) []byte {
		return change(l.b.inject(isakmp.Informational, 0, false, nil).msg)
	}
}

func patch(at int, value byte) func([]byte) []byte {
	return func(b []byte) []byte { b[at] = value; return b }
}

// Every reason for which a machine discards a message, and that it then does nothing else (ARCHITECTURE.md: every
// discarded message has a named reason, and every reason a test).
func TestEveryDiscardedMessageHasAReason(t *testing.T) {
	for _, c := range []struct {
		name string
		why  reason.Drop
		make func(l *lab) []byte
	}{
		{"shorter than a header", reason.IKEMalformed, tampered(func(b []byte) []byte { return b[:27] })},
		{"length field", reason.IKEMalformed, tampered(patch(27, 1))},
		{"payload length", reason.IKEMalformed, tampered(patch(31, 3))},
		{"major version 3", reason.IKEBadVersion, tampered(patch(17, 0x30))},
		{"last octet", reason.IKEBadICV, tampered(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"exchange type changed", reason.IKEBadICV, tampered(patch(18, byte(isakmp.CreateChildSA)))},
		{"no content", reason.IKEMalformed, func(l *lab) []byte {
			b := l.b.inject(isakmp.Informational, 0, false, nil).msg[:isakmp.HeaderLen+skHeaderLen+8]
			b[27], b[31] = byte(len(b)), 12
			return b
		}},
		{"message ID ahead", reason.IKEBadMessageID, tampered(patch(23, 5))},
		{"response to nothing", reason.IKEBadMessageID, tampered(func(b []byte) []byte { b[19] |= 0x20; b[23] = 9; return b })},
		{"response again", reason.IKEDuplicate, func(l *lab) []byte { return l.b.sent[1].msg }},
		{"unknown SPI", reason.IKEUnknownSPI, tampered(patch(0, 0x77))},
		{"our own message", reason.IKEReflected, func(l *lab) []byte { return l.a.sent[1].msg }},
		{"our own first message", reason.IKEReflected, func(l *lab) []byte { return l.a.sent[0].msg }},
		{"IKE_AUTH when up", reason.IKEUnexpected, func(l *lab) []byte { return l.b.inject(isakmp.IKEAuth, 0, false, nil).msg }},
		{"IKE_SA_INIT response when up", reason.IKEDuplicate, func(l *lab) []byte { return l.b.sent[0].msg }},
		{"exchange that we do not speak", reason.IKEUnexpected, func(l *lab) []byte { return l.b.inject(isakmp.IKEIntermediate, 0, false, nil).msg }},
		{"in the clear", reason.IKEUnauthenticated, func(l *lab) []byte {
			m := l.b.mach()
			return (&ike2.Message{Header: m.cur.header(isakmp.Informational, false, 0),
				Payloads: []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoIKE}}}).Append(nil)
		}},
		{"in the clear and empty", reason.IKEUnauthenticated, func(l *lab) []byte {
			return (&ike2.Message{Header: l.b.mach().cur.header(isakmp.Informational, false, 0)}).Append(nil)
		}},
		{"critical in the clear", reason.IKECritical, func(l *lab) []byte {
			return (&ike2.Message{Header: l.b.mach().cur.header(isakmp.Informational, false, 0),
				Payloads: []ike2.Payload{&ike2.Unknown{Kind: 200, Critical: true}}}).Append(nil)
		}},
		{"too large", reason.IKETooLarge, func(l *lab) []byte {
			b := make([]byte, ike2.MaxMessage+1)
			h := l.b.mach().cur.header(isakmp.Informational, false, 0)
			h.Length = uint32(len(b))
			copy(b, h.Append(nil))
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			msg := c.make(l)
			before, sent := l.a.m.Status(), len(l.a.sent)
			heard, notices := l.a.mach().heard, len(l.a.notices)
			l.now = l.now.Add(time.Second)
			l.a.step(ike.Datagram{Local: l.a.cfg.Local, Remote: l.a.cfg.Remote, Bytes: msg})
			if l.a.drops[c.why] != 1 || len(l.a.drops) != 1 {
				t.Errorf("drops %v, want reason %d", l.a.drops, c.why)
			}
			after := l.a.m.Status()
			if len(l.a.sent) != sent || len(l.a.notices) != notices || l.a.mach().heard != heard ||
				after.RecvMID != before.RecvMID || after.SendMID != before.SendMID || after.Remote != before.Remote {
				t.Error("a discarded message had an effect")
			}
			l.mustAgree(1)
		})
	}
}

func TestRepeatedRequestGetsTheSameOctetsAndIsCounted(t *testing.T) {
	l := newLab(t)
	l.up()
	p := l.a.inject(isakmp.Informational, 2, false, nil)
	l.arrive(p)
	l.arrive(p)
	n := len(l.b.sent)
	if string(l.b.sent[n-1].msg) != string(l.b.sent[n-2].msg) || l.b.drops[reason.IKEDuplicate] != 1 {
		t.Errorf("drops %v", l.b.drops)
	}
	// The same ID with other octets is no repetition.
	q := l.a.inject(isakmp.Informational, 2, false, []ike2.Payload{&ike2.Delete{Protocol: ike2.ProtoIKE}})
	l.arrive(q)
	if l.b.drops[reason.IKEBadMessageID] != 1 || l.b.m.Status().State != "READY" {
		t.Errorf("drops %v", l.b.drops)
	}
}

func TestCriticalPayloadUnderProtectionFailsTheRequestOnly(t *testing.T) {
	l := newLab(t)
	l.up()
	l.arrive(l.a.inject(isakmp.Informational, 2, false, []ike2.Payload{&ike2.Unknown{Kind: 201, Critical: true}}))
	m := l.a.mach()
	ps, _, err := m.open(m.cur, l.b.sent[len(l.b.sent)-1].msg)
	m.out = nil
	n := ike2.FindNotify(ps, ike2.UnsupportedCriticalPayload)
	if err != nil || n == nil || len(n.Data) != 1 || n.Data[0] != 201 || l.b.drops[reason.IKECritical] != 1 {
		t.Errorf("%v %v, drops %v", ps, err, l.b.drops)
	}
	if l.b.m.Status().State != "READY" {
		t.Error("the IKE SA went with it")
	}
}

func TestSyntaxErrorUnderProtectionCostsTheIKESA(t *testing.T) {
	l := newLab(t)
	l.up()
	// A nonce of one octet is no nonce.
	l.arrive(l.a.inject(isakmp.Informational, 2, false, []ike2.Payload{&ike2.Nonce{Data: []byte{1}}}))
	if l.b.drops[reason.IKEMalformed] != 1 || l.b.m.Status().State != "DELETE" || len(l.b.inbound) != 0 {
		l.fatalf("b: drops %v, state %s", l.b.drops, l.b.m.Status().State)
	}
}

func TestCriticalPayloadInAResponseFailsTheExchangeOnly(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.wire = nil
	l.arrive(l.b.inject(isakmp.CreateChildSA, 2, true, []ike2.Payload{&ike2.Unknown{Kind: 201, Critical: true}}))
	l.a.want(5, ike.Refused)
	if l.a.m.Status().State != "READY" {
		t.Error("the IKE SA went with it")
	}
	l.b.mach().cur.recv.Answer(nil) // b takes itself to have answered
	l.a.command(ike.Command{Verb: ike.VerbLiveness, Ref: 6})
	l.a.want(6, ike.OK)
}

func TestUnknownPayloadsAndNotifiesAreIgnored(t *testing.T) {
	l := newLab(t)
	l.up()
	l.arrive(l.a.inject(isakmp.Informational, 2, false, []ike2.Payload{&ike2.Unknown{Kind: 200, Body: []byte("x")},
		&ike2.Notify{Kind: 40999}, &ike2.Notify{Kind: 99}, &ike2.Vendor{Data: []byte("y")}}))
	if l.b.mach().cur.recv.Expected() != 3 || len(l.b.drops) != 0 {
		t.Errorf("drops %v", l.b.drops)
	}
	l.mustAgree(1)
}
