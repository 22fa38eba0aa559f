package ikev2

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
)

// requests counts what s sent with an exchange of its own, keepalives left out.
func (s *side) requests() (n int) {
	for _, p := range s.sent {
		if len(p.msg) > 1 && !p.header().Response() {
			n++
		}
	}
	return n
}

func TestAReloadTurnsPeriodicLivenessOnAndOff(t *testing.T) {
	l := newLab(t)
	l.up()
	quiet := l.a.requests()
	l.advance(5 * time.Minute)
	if n := l.a.requests(); n != quiet {
		t.Fatalf("%d requests without dpd", n-quiet)
	}
	on := *l.a.cfg.Peer
	profile := *on.IKE
	profile.DPD = &policy.DPD{Interval: 20 * time.Second, Retry: 2 * time.Second, Periodic: true}
	on.IKE = &profile
	l.a.step(ike.Reconfigured{Peer: &on})
	l.advance(2*time.Minute + time.Second)
	if n := l.a.requests() - quiet; n != 6 || l.a.m.Status().DPD != profile.DPD {
		t.Errorf("%d checks in two minutes of 'dpd 20 2 periodic'", n)
	}
	quiet = l.a.requests()
	off := *l.a.cfg.Peer
	l.a.step(ike.Reconfigured{Peer: &off})
	l.advance(5 * time.Minute)
	if n := l.a.requests(); n != quiet {
		t.Errorf("%d checks after 'no dpd'", n-quiet)
	}
	l.mustWork()
}

func TestAReloadLeavesRunningLifetimesAlone(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Peer.IPsec.Lifetime = 4 * time.Hour
	l.up()
	short := *l.a.cfg.Peer
	terms := *short.IPsec
	terms.Lifetime = 10 * time.Minute
	short.IPsec = &terms
	l.a.step(ike.Reconfigured{Peer: &short})
	l.advance(54*time.Minute - time.Second)
	if c, _ := l.a.out(); c.In != 0xA001 {
		t.Fatal("a running child was rekeyed early")
	}
	l.advance(2 * time.Second)
	first, _ := l.a.out()
	if first.In == 0xA001 {
		t.Fatal("not rekeyed at nine tenths of its life")
	}
	l.advance(9 * time.Minute)
	if second, _ := l.a.out(); second.In == first.In {
		t.Error("the second child does not go by the new lifetime")
	}
	l.mustWork()
}

func TestAReloadOfAnotherPeerIsNotForThisMachine(t *testing.T) {
	l := newLab(t)
	other := testPeer(addrA)
	other.ID = 1
	l.b.cfg.Peer.ID = 2
	ours := l.b.cfg.Peer
	shared := []*policy.Peer{other, ours}
	l.b.cfg.Peer, l.b.cfg.Candidates = nil, shared
	l.up()
	if got := l.b.mach().peer; got != ours && got != other {
		t.Fatalf("b took it for %+v", got)
	}
	mine := l.b.mach().peer
	stranger, changed := *other, *mine
	stranger.ID = 7
	l.b.step(ike.Reconfigured{Peer: &stranger})
	if l.b.mach().peer != mine {
		t.Error("took the policy of another peer")
	}
	l.b.step(ike.Reconfigured{Peer: &changed})
	if l.b.mach().peer != &changed {
		t.Error("did not take its own")
	}
	if shared[0] != other || shared[1] != ours {
		t.Error("a list that others read was written to")
	}
}
