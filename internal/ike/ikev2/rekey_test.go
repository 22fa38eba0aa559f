package ikev2

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// carry lets each side's data plane tell of the first packet on its newest inbound SA.
func (l *lab) carry() {
	for _, s := range []*side{l.a, l.b} {
		if c, ok := s.out(); ok {
			l.other(s).step(ike.Traffic{SPI: c.Out, Kind: ike.FirstInbound})
		}
	}
	l.run()
}

func TestTenChildRekeysFromEachSideNeverBreakTheTunnel(t *testing.T) {
	for _, traffic := range []bool{true, false} {
		l := newLab(t)
		l.up()
		l.watch()
		ref := uint64(10)
		for range 10 {
			for _, s := range []*side{l.a, l.b} {
				before, _ := s.out()
				ref++
				s.step(ike.Command{Verb: ike.VerbRekeyChild, Ref: ref, SPI: before.In})
				for len(l.wire) > 0 {
					l.hop()
					if traffic {
						l.carry()
					}
				}
				s.want(ref, ike.OK)
				l.advance(30 * time.Second)
				if after, _ := s.out(); after.In == before.In || after.Replaces != before.In {
					l.fatalf("%s: %v was not replaced", s.name, before.In)
				}
			}
		}
		l.mustAgree(1)
		for spi, why := range l.a.tombs {
			if why != sa.TombRekeyed {
				t.Errorf("%v went as %v", spi, why)
			}
		}
		if len(l.a.tombs) != 20 || len(l.b.tombs) != 20 {
			t.Errorf("%d and %d tombstones, want 20", len(l.a.tombs), len(l.b.tombs))
		}
	}
}

func TestRekeyResponderSendsOnTheOldUntilTheInitiatorIsReady(t *testing.T) {
	for name, release := range map[string]func(l *lab, next sa.Child){
		"first packet": func(l *lab, next sa.Child) { l.b.step(ike.Traffic{SPI: next.Out, Kind: ike.FirstInbound}) },
		"time":         func(l *lab, next sa.Child) { l.fault = nil; l.now = l.now.Add(10 * time.Second); l.b.step(ike.Tick{}) },
		"delete of the old": func(l *lab, _ sa.Child) {
			l.fault = nil
			l.now = l.now.Add(time.Second)
			l.a.step(ike.Tick{})
			l.run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			l.watch()
			old, _ := l.b.out()
			l.fault = func(p packet) fate { // the Delete of the old does not get through at first
				if p.header().Exchange == isakmp.Informational {
					return lose
				}
				return deliver
			}
			l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
			next, _ := l.a.out()
			if now, _ := l.b.out(); now.Out != old.Out || len(l.b.outbound) != 1 {
				l.fatalf("b sends on %v before a is known to be ready", now.Out)
			}
			if _, ok := l.b.inbound[next.Out]; !ok {
				l.fatalf("b cannot receive on the new SA")
			}
			release(l, next)
			if now, _ := l.b.out(); now.In != next.Out {
				l.fatalf("b still sends on %v", now.Out)
			}
			l.fault = nil
			l.settle(1)
		})
	}
}

func TestChildThatThePeerDoesNotKnowYetIsNotRekeyed(t *testing.T) {
	l := newLab(t)
	l.up()
	l.watch()
	l.fault = func(p packet) fate { // the answer does not get through at first
		if h := p.header(); h.Exchange == isakmp.CreateChildSA && h.Response() {
			return lose
		}
		return deliver
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	next := l.b.inbound[0xB002]
	if next.In == 0 {
		l.fatalf("b made no child")
	}
	sent := len(l.b.sent)
	l.b.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 9})
	l.b.want(9, ike.OK)
	if len(l.b.sent) != sent {
		l.fatalf("b asked to rekey what a does not know: %v", l.b.sent[sent:])
	}
	l.fault = nil
	l.settle(1)
	if now, _ := l.a.out(); now.Out != next.In {
		l.fatalf("a sends on %v, b made %v", now.Out, next.In)
	}
}

func TestResponseLeavesOnlyBehindInstallAndPersist(t *testing.T) {
	l := newLab(t)
	l.up()
	var order []string
	l.b.slow = func(e ike.Effect) bool {
		switch e := e.(type) {
		case ike.Install:
			order = append(order, fmt.Sprintf("install %d", e.Half))
		case ike.Persist:
			order = append(order, "persist")
		}
		return true
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	sent := len(l.b.sent)
	for len(l.b.sent) == sent && len(order) < 5 {
		l.b.release()
	}
	if fmt.Sprint(order) != "[install 1 persist]" {
		t.Errorf("before the response: %v", order)
	}
}

func TestRekeyedInboundStaysForTheGrace(t *testing.T) {
	l := newLab(t)
	l.up()
	old, _ := l.a.out()
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	for _, s := range []*side{l.a, l.b} {
		if len(s.inbound) != 2 || len(s.outbound) != 1 {
			t.Errorf("%s: %d inbound, %d outbound", s.name, len(s.inbound), len(s.outbound))
		}
	}
	l.advance(4999 * time.Millisecond)
	if _, ok := l.a.inbound[old.In]; !ok {
		t.Error("removed too early")
	}
	l.advance(time.Millisecond)
	if _, ok := l.a.inbound[old.In]; ok {
		t.Error("not removed")
	}
	l.mustAgree(1)
}

func TestIKERekeyFromEachSideKeepsTheChildren(t *testing.T) {
	l := newLab(t)
	l.up()
	l.watch()
	child, _ := l.a.out()
	for i := range 6 {
		s := []*side{l.a, l.b}[i%2]
		before := s.m.Status()
		ref := uint64(20 + i)
		s.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: ref})
		s.want(ref, ike.OK)
		after, other := s.m.Status(), l.other(s).m.Status()
		if after.LocalSPI == before.LocalSPI || after.LocalSPI != other.RemoteSPI || !after.Initiator || other.Initiator {
			l.fatalf("after the rekey: %+v, %+v", after, other)
		}
		if after.SendMID != 0 || other.RecvMID != 0 {
			t.Errorf("message IDs begin at %d, %d", after.SendMID, other.RecvMID)
		}
		l.advance(20 * time.Second)
		if len(s.claims) != 1 || !s.claims[after.LocalSPI] || len(s.mach().sas) != 1 {
			t.Errorf("%s claims %v", s.name, s.claims)
		}
	}
	if now, _ := l.a.out(); now.In != child.In {
		t.Error("the child did not stay")
	}
	// The inherited child can be rekeyed and deleted under the new IKE SA.
	l.b.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 30})
	l.b.want(30, ike.OK)
	l.settle(1)
}

func TestEachLostMessageOfARekeyIsMadeUpFor(t *testing.T) {
	for _, verb := range []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE} {
		for lost := range 4 {
			for _, from := range []string{"a", "b"} {
				t.Run(fmt.Sprintf("verb%d-message%d-%s", verb, lost, from), func(t *testing.T) {
					l := newLab(t)
					l.up()
					l.watch()
					n := 0
					l.fault = func(packet) fate {
						n++
						if n == lost+1 {
							return lose
						}
						return deliver
					}
					s := l.a
					if from == "b" {
						s = l.b
					}
					s.command(ike.Command{Verb: verb, Ref: 9})
					l.settle(1)
					s.want(9, ike.OK)
					if len(l.a.claims) != 1 || len(l.b.claims) != 1 {
						t.Errorf("claims %v, %v", l.a.claims, l.b.claims)
					}
				})
			}
		}
	}
}

func TestEarlyPacketKicksTheOutstandingRequest(t *testing.T) {
	l := newLab(t)
	l.up()
	l.fault = func(p packet) fate {
		if p.from == l.b {
			return lose
		}
		return deliver
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
	larval := l.a.nextSPI
	n := len(l.a.sent)
	l.fault = nil
	l.a.command(ike.Command{Verb: ike.VerbKickLarval, SPI: larval, Ref: 7})
	l.a.want(7, ike.OK)
	if !bytes.Equal(l.a.sent[n].msg, l.a.sent[n-1].msg) {
		t.Error("the kick is another message")
	}
	l.a.command(ike.Command{Verb: ike.VerbKickLarval, SPI: larval, Ref: 8})
	l.a.want(8, ike.Moot)
	l.settle(1)
}

func TestFailedInstallDeletesTheChildAtThePeer(t *testing.T) {
	broken := errors.New("table full")
	for name, c := range map[string]struct {
		side  string
		match func(e ike.Effect) bool
	}{
		"initiator inbound":  {"a", func(e ike.Effect) bool { i, ok := e.(ike.Install); return ok && i.Half == sa.InboundHalf }},
		"initiator outbound": {"a", func(e ike.Effect) bool { i, ok := e.(ike.Install); return ok && i.Half == sa.OutboundHalf }},
		"responder inbound":  {"b", func(e ike.Effect) bool { i, ok := e.(ike.Install); return ok && i.Half == sa.InboundHalf }},
		"responder outbound": {"b", func(e ike.Effect) bool { i, ok := e.(ike.Install); return ok && i.Half == sa.OutboundHalf }},
		"initiator store":    {"a", func(e ike.Effect) bool { _, ok := e.(ike.Persist); return ok }},
		"responder store":    {"b", func(e ike.Effect) bool { _, ok := e.(ike.Persist); return ok }},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			s := l.a
			if c.side == "b" {
				s = l.b
			}
			failed := 0
			s.fail = func(e ike.Effect) error {
				if failed == 0 && c.match(e) {
					failed++
					return broken
				}
				return nil
			}
			l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 5})
			l.advance(time.Minute)
			l.a.result(5)
			if failed != 1 {
				t.Fatal("nothing failed")
			}
			l.mustWork()
			l.settle(1)
		})
	}
}

func TestFailedInstallOfTheFirstChildIsReportedAndMadeAgain(t *testing.T) {
	l := newLab(t)
	failed := false
	l.a.fail = func(e ike.Effect) error {
		if _, ok := e.(ike.Install); ok && !failed {
			failed = true
			return errors.New("no room")
		}
		return nil
	}
	l.start()
	l.run()
	l.a.want(1, ike.InternalFailed)
	if !l.a.said("IKEV2_INSTALL_FAILED", "no room") {
		t.Error(l.transcript())
	}
	if l.a.tombs[0xA001] != sa.TombInstallFailed {
		t.Errorf("tombstone %v", l.a.tombs)
	}
	l.advance(time.Minute)
	l.mustWork()
	l.mustAgree(1)
}

func TestIKERekeyWhoseStoreFailsEndsWithoutAGhost(t *testing.T) {
	l := newLab(t)
	l.up()
	failed := false
	l.b.fail = func(e ike.Effect) error {
		if _, ok := e.(ike.Persist); ok && !failed {
			failed = true
			return errors.New("disk full")
		}
		return nil
	}
	l.a.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 5})
	if o := l.a.want(5, ike.Refused); o.Detail != "TEMPORARY_FAILURE" {
		t.Errorf("detail %q", o.Detail)
	}
	l.advance(time.Minute) // tried again
	l.mustWork()
	if a, b := l.a.m.Status(), l.b.m.Status(); a.LocalSPI != b.RemoteSPI || len(l.b.claims) != 1 {
		t.Errorf("%v %v %v", a.LocalSPI, b.RemoteSPI, l.b.claims)
	}
}
