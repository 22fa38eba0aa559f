package ikev2

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// TestNoFormOfINVALIDSPICostsTheIKESA: every Protocol ID, SPI size and length of data that are consistent get an empty answer
// and never INVALID_SYNTAX, which would cost the IKE SA (RFC 7296 §2.21.3, CSC..40554); those that name an SPI of ours, in the
// field or in the data, lead to one rekey.
func TestNoFormOfINVALIDSPICostsTheIKESA(t *testing.T) {
	spi := []byte{0, 0, 0xB0, 0x01} // what a sends on
	fill := func(n int) []byte {
		return append(bytes.Clone(spi[:min(n, 4)]), bytes.Repeat([]byte{0xEE}, max(0, n-4))...)
	}
	for _, protocol := range []ike2.Protocol{0, ike2.ProtoIKE, ike2.ProtoAH, ike2.ProtoESP, 200} {
		for _, size := range []int{0, 1, 3, 4, 5, 8, 16, 255} {
			for _, data := range []int{0, 1, 3, 4, 5, 8, 300} {
				t.Run(fmt.Sprintf("protocol %d, SPI size %d, data %d", protocol, size, data), func(t *testing.T) {
					l := newLab(t)
					l.up()
					l.advance(2 * time.Second)
					answered := l.notifyToA(&ike2.Notify{Kind: ike2.InvalidSPI, Protocol: protocol, SPI: fill(size), Data: fill(data)})
					if len(answered) != 0 {
						l.fatalf("answered with %v", payloadNames(answered))
					}
					l.run()
					probed := l.a.nextSPI != 0xA001
					if want := size == 4 || size == 0 && data >= 4; probed != want {
						l.fatalf("rekeyed %v, want %v", probed, want)
					}
					l.settle(1)
				})
			}
		}
	}
}

// notifyToA sends a protected notify of b to a, and opens a's answer.
func (l *lab) notifyToA(n *ike2.Notify) []ike2.Payload {
	l.t.Helper()
	p := l.b.inject(isakmp.Informational, l.a.mach().cur.recv.Expected(), false, []ike2.Payload{n})
	sent := len(l.a.sent)
	l.arrive(p)
	m := l.b.mach()
	for _, s := range l.a.sent[sent:] {
		if !s.header().Response() {
			continue
		}
		ps, why, err := m.open(m.cur, s.msg)
		m.out = nil
		if why != 0 || err != nil {
			l.fatalf("cannot open the answer: %v %v", why, err)
		}
		m.cur.send = ike.SendFrom(s.header().MessageID + 1) // so that its next request has the next Message ID
		return ps
	}
	l.fatalf("no answer")
	return nil
}

func TestAYoungChildIsProbedOnceThePeerMustHaveInstalledIt(t *testing.T) {
	for _, srtt := range []time.Duration{0, 400 * time.Millisecond} {
		l := newLab(t)
		l.up()
		l.a.mach().srtt = srtt
		ready := max(time.Second, 4*srtt)
		l.notifyToA(ike2.NotifyInvalidSPI(0xB001))
		l.advance(ready - time.Millisecond)
		if l.a.nextSPI != 0xA001 {
			t.Errorf("srtt %v: probed at an age of %v", srtt, ready-time.Millisecond)
		}
		l.advance(time.Millisecond)
		if l.a.nextSPI != 0xA002 {
			t.Errorf("srtt %v: not probed at an age of %v", srtt, ready)
		}
	}
}

// Peers of before RFC 5996 know no CHILD_SA_NOT_FOUND and say NO_PROPOSAL_CHOSEN (RFC 4718 §5.11.10): a fresh child is
// made, and then the old pair goes.
func TestNoProposalChosenToAProbeGivesAFreshChildBesideTheOld(t *testing.T) {
	old := func(p *packet) {} // what b says in place of its answer
	l := newLab(t)
	l.up()
	l.advance(time.Minute)
	l.rewrite = func(p *packet) { old(p) }
	old = func(p *packet) {
		if h := p.header(); p.from == l.b && h.Exchange == isakmp.CreateChildSA && h.Response() {
			*p = l.b.inject(isakmp.CreateChildSA, h.MessageID, true, []ike2.Payload{&ike2.Notify{Kind: ike2.NoProposalChosen}})
			old = func(*packet) {}
		}
	}
	n := len(l.a.sent)
	lost := func() { // b has lost the child, and a probe makes nothing there
		m := l.b.mach()
		m.children, l.b.inbound, l.b.outbound = nil, map[sa.SPI]sa.Child{}, nil
	}
	lost()
	l.a.step(l.hint())
	l.run()
	l.mustWork()
	l.settle(1)
	if got := l.a.asked(n); !slices.Equal(got, []string{"liveness", "REKEY_SA", "create", "Delete"}) {
		t.Errorf("asked %v", got)
	}
}

func TestNoProposalChosenToARekeyForItsTimeMakesNothingBeside(t *testing.T) {
	l := newLab(t)
	l.up()
	l.b.cfg.Peer.IPsec.TransformSets[0].Cipher.KeyBits = 128
	n := len(l.a.sent)
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
	l.a.want(5, ike.Refused)
	if got := l.a.asked(n); !slices.Equal(got, []string{"REKEY_SA"}) {
		t.Errorf("asked %v", got)
	}
	l.advance(time.Minute)
	n = len(l.a.sent)
	l.a.step(l.hint())
	l.run()
	if got := l.a.asked(n); !slices.Equal(got, []string{"liveness", "REKEY_SA", "create"}) {
		t.Errorf("a probe asked %v, want one more try and no Delete", got)
	}
	l.mustAgree(1)
}

func TestNoProposalChosenToTheRekeyOfALostSPIGivesAFreshChild(t *testing.T) {
	l := newLab(t)
	l.up()
	lost := l.loseInbound()
	refused := false
	l.rewrite = func(p *packet) {
		if h := p.header(); !refused && p.from == l.b && h.Exchange == isakmp.CreateChildSA && h.Response() {
			refused = true
			*p = l.b.inject(isakmp.CreateChildSA, h.MessageID, true, []ike2.Payload{&ike2.Notify{Kind: ike2.NoProposalChosen}})
		}
	}
	m := l.b.mach()
	m.children, l.b.inbound, l.b.outbound = nil, map[sa.SPI]sa.Child{}, nil
	l.a.command(ike.Command{Verb: ike.VerbRekeySPI, SPI: lost, Ref: 5})
	if o := l.a.want(5, ike.OK); o.RoundTrips != 2 || !refused {
		t.Errorf("%d round trips, refused %v", o.RoundTrips, refused)
	}
	l.mustWork()
	l.settle(1)
}
