package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

func TestClearOrdersWhatItSays(t *testing.T) {
	child, everything := fmt.Sprint(ike.VerbClearChild), fmt.Sprint(ike.VerbClearIKE)
	for line, want := range map[string][]string{
		"clear crypto sa":                           {"0 verb " + child + " spi 00000000: clear crypto sa", "1 verb " + child + " spi 00000000: clear crypto sa"},
		"cle cry sa peer 192.0.2.2":                 {"0 verb " + child + " spi 00000000: clear crypto sa"},
		"clear crypto sa spi 0xB761863E":            {"0 verb " + child + " spi B761863E: clear crypto sa spi"},
		"clear crypto sa spi 207229392":             {"0 verb " + child + " spi B761863E: clear crypto sa spi"}, // the outbound SPI of that child
		"clear crypto ikev2 sa":                     {"0 verb " + everything + " spi 00000000: clear crypto ikev2 sa", "1 verb " + everything + " spi 00000000: clear crypto ikev2 sa"},
		"clear crypto ikev2 sa remote 198.51.100.7": {"1 verb " + everything + " spi 00000000: clear crypto ikev2 sa remote 198.51.100.7"},
		"clear crypto session remote 192.0.2.2":     {"0 verb " + everything + " spi 00000000: clear crypto session remote 192.0.2.2"},
	} {
		l := newLab(t)
		if out := l.must(line); out != "" || !slices.Equal(l.orders, want) {
			t.Errorf("%s: %q, %q", line, out, l.orders)
		}
	}
}

func TestTunnelsThatAreShutDownAreNotCleared(t *testing.T) {
	l := newLab(t)
	b, c := l.cfg.Peers[0], l.cfg.Peers[1]
	b.Tunnel.Shutdown = true
	if _, err := l.run("clear crypto sa peer 192.0.2.2"); err == nil || err.Error() != "% Tunnel0 (192.0.2.2) is shut down" || len(l.orders) != 0 {
		t.Errorf("%v, %q", err, l.orders)
	}
	b.Remote = c.Remote // two tunnels to one peer, one of them shut down
	for _, line := range []string{"clear crypto sa peer 198.51.100.7", "crypto ipsec rekey peer 198.51.100.7", "clear crypto sa"} {
		l.orders = nil
		if l.must(line); len(l.orders) != 1 || !strings.HasPrefix(l.orders[0], "1 ") {
			t.Errorf("%s: %q", line, l.orders)
		}
	}
}

func TestClearWithoutAMatchOrdersNothing(t *testing.T) {
	l := newLab(t)
	two := l.pairs[0]
	two.Child.In, two.Child.Owner = 0x9999, 1
	l.pairs = append(l.pairs, two) // the same outbound SPI as the first: the peers chose it
	for line, want := range map[string]string{
		"clear crypto sa peer 203.0.113.9":         "% No tunnel has the peer 203.0.113.9",
		"clear crypto ikev2 sa remote 203.0.113.9": "% No tunnel has the peer 203.0.113.9",
		"clear crypto recovery peer 203.0.113.9":   "% No tunnel has the peer 203.0.113.9",
		"clear crypto sa spi 0xDEAD":               "% No SA has the SPI 0x0000DEAD(57005)",
		"clear crypto sa spi 0x0C5A11D0":           "% 0x0C5A11D0(207229392) is the outbound SPI of 2 SAs: give the inbound SPI of the one that is meant",
		"clear crypto sa spi none":                 `% "none" is no SPI: 0x and up to eight hexadecimal digits, or a decimal number, from 256 on (RFC 4303 §2.1)`,
	} {
		if out, err := l.run(line); err == nil || err.Error() != want || out != "" {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
	l.pairs[0].Child.Owner = 77
	if _, err := l.run("clear crypto sa spi 0xB761863E"); err == nil || !strings.Contains(err.Error(), "no longer configured") {
		t.Errorf("%v", err)
	}
	if len(l.orders)+len(l.cleared) != 0 {
		t.Errorf("ordered %q, cleared %v", l.orders, l.cleared)
	}
}

func TestTunnelsThatAreShutDownAreLeftAlone(t *testing.T) {
	l := newLab(t)
	l.cfg.Peers[1].Tunnel.Shutdown = true
	if l.must("clear crypto ikev2 sa"); len(l.orders) != 1 {
		t.Errorf("%q", l.orders)
	}
}

func TestEveryEndOfAnOrderIsTold(t *testing.T) {
	for result, want := range map[ike.Result]string{
		ike.OK: "", ike.Moot: "", ike.NoIKE: "", ike.ChildNotFound: "",
		ike.TimedOut:       "% Tunnel0 (192.0.2.2): cleared here, but the peer does not answer: it may keep its SAs until their lifetime ends",
		ike.Busy:           "% Tunnel0 (192.0.2.2): not done, something else is under way with this peer: x?[0m",
		ike.Refused:        "% Tunnel0 (192.0.2.2): the peer refused: x?[0m",
		ike.NotInitiable:   "% Tunnel0 (192.0.2.2): the tunnel may not call its peer: x?[0m",
		ike.AuthFailed:     "% Tunnel0 (192.0.2.2): authentication failed: x?[0m",
		ike.InternalFailed: "% Tunnel0 (192.0.2.2): failed inside the gateway: x?[0m",
	} {
		l := newLab(t)
		l.answer = func(sa.Owner, ike.Command) (ike.Outcome, error) {
			return ike.Outcome{Result: result, Detail: "x\x1b[0m"}, nil
		}
		out, err := l.run("clear crypto sa peer 192.0.2.2")
		if got := fmt.Sprint(err); out != "" || (want == "") != (err == nil) || err != nil && got != want {
			t.Errorf("%v: %q, %s", result, out, got)
		}
	}
}

func TestFailuresOfManyTunnelsAreOneLine(t *testing.T) {
	l := newLab(t)
	for n := range 10 {
		l.cfg.Peers = append(l.cfg.Peers, &policy.Peer{ID: 100 + n, Remote: siteC, Tunnel: &policy.Tunnel{Unit: 100 + n}})
	}
	l.answer = func(o sa.Owner, _ ike.Command) (ike.Outcome, error) {
		if o < 100 {
			return ike.Outcome{Result: ike.OK}, nil
		}
		return ike.Outcome{}, errors.New("the mailbox is full")
	}
	_, err := l.run("clear crypto sa")
	want := "% Tunnel100 (198.51.100.7): the mailbox is full; Tunnel101 (198.51.100.7): the mailbox is full; Tunnel102 (198.51.100.7): the mailbox is full; and 7 more of 12 tunnels"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// silent answers nothing until its context ends, and notes when it was asked.
type silent struct {
	*lab
	mu    sync.Mutex
	asked map[time.Time]int // guarded by mu
}

func (s *silent) Order(ctx context.Context, _ sa.Owner, _ ike.Command) (ike.Outcome, error) {
	s.mu.Lock()
	s.asked[time.Now()]++
	s.mu.Unlock()
	<-ctx.Done()
	return ike.Outcome{}, ctx.Err()
}

func TestClearAsksEverybodyAndWaitsTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silent{lab: newLab(t), asked: map[time.Time]int{}}
		for n := range 1000 {
			s.cfg.Peers = append(s.cfg.Peers, &policy.Peer{ID: 100 + n, Remote: siteC, Tunnel: &policy.Tunnel{Unit: 100 + n}})
		}
		began := time.Now()
		orders := make([]order, len(s.cfg.Peers))
		for i, p := range s.cfg.Peers {
			orders[i].peer = p
		}
		err := carryOut(t.Context(), s, orders)
		if err == nil || !strings.Contains(err.Error(), "Tunnel0 (192.0.2.2): no answer from the peer yet") || !strings.HasSuffix(err.Error(), "and 999 more of 1002 tunnels") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != clearWait || len(s.asked) != 4 || s.asked[began] != burst {
			t.Errorf("%v, asked %v", took, s.asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the operator does not want to wait
		if err := carryOut(ctx, s, orders[:1]); err == nil || err.Error() != "% Tunnel0 (192.0.2.2): not waited for: it goes on" {
			t.Errorf("%v", err)
		}
	})
}

func TestClearRecovery(t *testing.T) {
	l := newLab(t)
	l.must("clear crypto recovery")
	l.must("clear crypto recovery peer 198.51.100.7")
	if !slices.Equal(l.cleared, []sa.Owner{sa.NoOwner, 1}) {
		t.Errorf("%v", l.cleared)
	}
	l.refuse = true
	if _, err := l.run("clear crypto recovery"); err == nil || err.Error() != "% Recovery is overloaded and did not take it: try again" {
		t.Errorf("%v", err)
	}
}
