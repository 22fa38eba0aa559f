package relay

import (
	"net/netip"
	"testing"
	"time"
)

func TestTheRuleLosesHoldsUpAndCopies(t *testing.T) {
	n := running(t, time.Millisecond)
	n.Rule(func(p Packet) Fate {
		switch string(p.Payload) {
		case "lost":
			return Fate{Lost: true}
		case "late":
			return Fate{Extra: 30 * time.Millisecond}
		case "twice":
			return Fate{Copies: 1}
		}
		return Fate{}
	})
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	for _, s := range []string{"late", "lost", "twice", "plain"} {
		if err := a.Send(siteB, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"twice", "twice", "plain", "late"} {
		if got, _ := recv(t, b); got != want {
			t.Errorf("number %d is %q, want %q", i, got, want)
		}
	}
	if byRule, overflow, _ := n.Lost(); byRule != 1 || overflow != 0 {
		t.Errorf("%d lost by rule, %d for want of room", byRule, overflow)
	}
	n.Rule(nil)
	if err := a.Send(siteB, []byte("lost")); err != nil {
		t.Fatal(err)
	}
	if got, _ := recv(t, b); got != "lost" {
		t.Errorf("got %q without a rule", got)
	}
}

func TestNothingArrivesWhileHeld(t *testing.T) {
	n := running(t, 0)
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	release := n.Hold()
	if err := a.Send(siteB, []byte("held")); err != nil {
		t.Fatal(err)
	}
	b.mine.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, _, err := b.Recv(make([]byte, 10)); err == nil {
		t.Error("arrived while held")
	}
	release()
	if got, _ := recv(t, b); got != "held" {
		t.Errorf("got %q", got)
	}
}

func TestANATHidesAnAddressAndForgetsItsMappings(t *testing.T) {
	n := running(t, time.Millisecond)
	outside := netip.MustParseAddr("192.0.2.101")
	if n.Rebind(siteA.Addr()) {
		t.Error("rebound without a NAT")
	}
	if err := n.Translate(siteA.Addr(), outside); err != nil {
		t.Fatal(err)
	}
	if n.Translate(siteA.Addr(), outside) == nil || n.Translate(siteB.Addr(), outside) == nil {
		t.Error("two NATs in one place")
	}
	a, b := attach(t, n, siteA), attach(t, n, siteB)
	say := func(from *Port, to netip.AddrPort, text string) {
		t.Helper()
		if err := from.Send(to, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say(b, siteA, "to an inside address") // gets lost
	say(a, siteB, "1")
	_, first := recv(t, b)
	if first != netip.AddrPortFrom(outside, firstNATPort) {
		t.Errorf("comes from %v", first)
	}
	say(b, first, "back")
	if got, from := recv(t, a); got != "back" || from != siteB {
		t.Errorf("%q from %v", got, from)
	}
	if !n.Rebind(siteA.Addr()) {
		t.Error("not rebound")
	}
	say(b, first, "to the old mapping") // gets lost
	say(a, siteB, "2")
	_, second := recv(t, b)
	if second.Addr() != outside || second == first {
		t.Errorf("comes from %v, before from %v", second, first)
	}
	say(b, second, "back again")
	if got, _ := recv(t, a); got != "back again" {
		t.Errorf("%q came through the old mapping", got)
	}
	if _, _, unclaimed := n.Lost(); unclaimed != 2 {
		t.Errorf("%d datagrams reached nobody, want 2", unclaimed)
	}
}
