package interop

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// Both ends rekey at once (RFC 7296 §2.8.1, §2.8.2). The links have no delay, so the router makes the exchanges cross. It
// drops both requests. Then, if it drops nothing more, one repetition comes first, to an end that waits for its own answer, and
// the other is for what is replaced by then; if it drops the responses too, both ends have made the other's SA before they get
// their own.
func TestCrossingRekeysAgreeAndLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		full bool // both ends notice
		ours string
		swan func(*lab.Swan)
		says string // in strongSwan's journal
	}{
		{"ChildNoticedByOneEnd", false, "crypto ipsec rekey", (*lab.Swan).RekeyChild, "CHILD_REKEY collision with CHILD_REKEY"},
		{"ChildNoticedByBoth", true, "crypto ipsec rekey", (*lab.Swan).RekeyChild, "CHILD_REKEY collision with CHILD_REKEY"},
		{"IKENoticedByOneEnd", false, "crypto ikev2 rekey", (*lab.Swan).RekeyIKE, "IKE_REKEY collision with IKE_REKEY"},
		{"IKENoticedByBoth", true, "crypto ikev2 rekey", (*lab.Swan).RekeyIKE, "IKE_REKEY collision with IKE_REKEY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, lab.SVTI{}, lab.SwanConfig{Daemon: []string{"retransmit_timeout = 1"}})
			s.up()
			child, ike := s.agree(), s.ourIKE()[0]
			ab, ba := s.Both(t, 200)
			var both sync.WaitGroup
			s.cut(ike4500, func() {
				both.Go(func() {
					if _, err := s.ours.Try(c.ours); err != nil {
						t.Errorf("our rekey: %v", err)
					}
				})
				both.Go(func() { c.swan(s.swan) })
				lab.Eventually(t, 5*time.Second, "both requests", s.cutOff)
			})
			if c.full {
				s.cut(responses, func() { lab.Eventually(t, 10*time.Second, "both responses", s.cutOff) })
			}
			both.Wait()
			time.Sleep(4 * time.Second) // for what is repeated, and for late packets
			s.lossless(ab, ba)
			if s.agree() == child && s.ourIKE()[0] == ike {
				t.Error("nothing was rekeyed")
			}
			if c.full && !strings.Contains(s.swan.Journal(), c.says) {
				t.Errorf("strongSwan says nothing of a %s: the exchanges did not cross", c.says)
			}
			s.quiet()
		})
	}
}

// A child of which the peer does not know yet, because our answer is lost, is not rekeyed: the peer would say that there is
// none, and use it a moment later.
func TestChildWhoseAnswerIsLostIsNotRekeyedAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{}, lab.SwanConfig{Daemon: []string{"retransmit_timeout = 1"}})
	s.up()
	child := s.agree()
	ab, ba := s.Both(t, 200)
	s.cut(responses, func() {
		s.swan.RekeyChild()
		lab.Eventually(t, 3*time.Second, "a child that waits for its first packet", func() bool {
			for _, c := range ikeOf(s.ours).SAs[0].Children {
				if c.State == "receiving" {
					return true
				}
			}
			return false
		})
		s.ours.Exec("crypto ipsec rekey")
	})
	time.Sleep(4 * time.Second)
	s.lossless(ab, ba)
	if s.agree() == child {
		t.Error("nothing was rekeyed")
	}
	if strings.Contains(s.swan.Journal(), "CHILD_SA not found") {
		t.Error("strongSwan was asked to rekey what it did not know")
	}
	s.quiet()
}

// Both ends call at once, and both come to IKE_AUTH. Whatever stays, strongSwan knows nothing that we do not, and it carries:
// its own call goes if our INITIAL_CONTACT came after it, without a word; ours goes if it lost (the lower SPIi, protocol.md D10) and
// strongSwan has kept its own; else both stay for a while.
func TestCrossingCallsLeaveATunnelThatCarries(t *testing.T) {
	t.Parallel()
	s := newQuietSite(t, lab.SVTI{}, lab.SwanConfig{Daemon: []string{"retransmit_timeout = 1"}})
	var call sync.WaitGroup
	s.cut(ike4500, func() {
		s.ours.Start()
		call.Go(func() { s.swan.Control("--initiate", "--child", "net", "--timeout", "5") })
		lab.Eventually(t, 5*time.Second, "both calls at IKE_AUTH", func() bool {
			j := s.swan.Journal()
			return strings.Contains(j, "generating IKE_AUTH request 1") && strings.Contains(j, "generating IKE_SA_INIT response 0")
		})
	})
	call.Wait()
	var ours, theirs [][2]uint64
	defer func() { t.Logf("IKE SAs: ours %016x, strongSwan's %016x", ours, theirs) }()
	lab.Eventually(t, 10*time.Second, "agreement", func() bool {
		ours, theirs = sorted(s.ourIKE()), sorted(s.theirIKE())
		ourCallLost := len(theirs) == 2 && s.initiated(theirs[0])
		return len(theirs) > 0 && !ourCallLost && len(intersection(ours, theirs)) == len(theirs)
	})
	ab, ba := s.Both(t, 200)
	lab.Eventually(t, 5*time.Second, "packets both ways", func() bool { return ab.Received() > 400 && ba.Received() > 400 })
	s.lossless(ab, ba)
	s.quiet()
}

func intersection(a, b [][2]uint64) (out [][2]uint64) {
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// sorted orders IKE SAs by SPIi: the lowest one lost a crossing.
func sorted(sas [][2]uint64) [][2]uint64 {
	slices.SortFunc(sas, func(a, b [2]uint64) int { return cmp.Compare(a[0], b[0]) })
	return sas
}

// initiated says that we made an IKE SA.
func (s *site) initiated(sa [2]uint64) bool {
	return slices.ContainsFunc(ikeOf(s.ours).SAs, func(i ikeSA) bool { return i.Initiator && hex(s.t, i.LocalSPI) == sa[0] })
}

// IKE on port 4500, all of it and the responses alone, as nft matches: the R flag (RFC 7296 §3.1) is behind UDP header,
// marker and 19 octets.
const (
	ike4500   = "udp dport 4500 @th,64,32 0"
	responses = ike4500 + " @th,248,8 & 0x20 == 0x20"
)

// cut drops what fits an nft match on its way through the router while do runs.
func (s *site) cut(match string, do func()) {
	s.t.Helper()
	s.R.Run("nft", "add table ip cut; add counter ip cut ab; add counter ip cut ba; add chain ip cut pass { type filter hook forward priority 0; }; "+
		"add rule ip cut pass iifname a0 "+match+" counter name ab drop; add rule ip cut pass iifname b0 "+match+" counter name ba drop")
	do()
	s.R.Run("nft", "delete table ip cut")
}

// cutOff says that cut has dropped something from each side.
func (s *site) cutOff() bool {
	out := s.R.Run("nft", "list", "counters", "table", "ip", "cut")
	return strings.Count(out, "packets") == 2 && !strings.Contains(out, "packets 0 ")
}
