package interop

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// What does not fit is told once, with the peer, both offers as far as they are known, and what to change; and nobody storms.
func TestRefusalsAreToldWithPeerOffersAndRemedy(t *testing.T) {
	const (
		watched      = 5 * time.Second
		mostRequests = 8 // of ours in that time: retransmissions grow, new attempts back off
	)
	for _, c := range []struct {
		name   string
		ours   lab.SVTI
		swan   lab.SwanConfig
		words  []string // of one log line when we initiate
		theirs []string // on top, when the peer does
	}{
		{"WrongKey", lab.SVTI{}, lab.SwanConfig{PSK: "another"},
			[]string{"%CRYPTO-3-IKEV2_AUTH_FAILED", "192.0.2.2", "pre-shared-key"}, []string{"the pre-shared keys differ"}},
		{"NoCommonIKEProposal", lab.SVTI{}, lab.SwanConfig{IKE: "aes128-sha256-modp2048"},
			[]string{"%CRYPTO-3-IKEV2_NO_PROPOSAL_CHOSEN", "192.0.2.2", "AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_256", "crypto ikev2 proposal"},
			[]string{"AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048"}},
		{"NoCommonESPProposal", lab.SVTI{}, lab.SwanConfig{ESP: "aes128-sha256"},
			[]string{"%CRYPTO-3-IKEV2_NO_PROPOSAL_CHOSEN", "192.0.2.2", "ESP AES_GCM_16_256", "crypto ipsec transform-set"},
			[]string{"AES_CBC_128/HMAC_SHA2_256_128"}},
		{"NoCommonSelectors", lab.SVTI{}, lab.SwanConfig{LocalTS: "2001:db8:2::/48", RemoteTS: "2001:db8:1::/48"},
			[]string{"%CRYPTO-3-IKEV2_TS_UNACCEPTABLE", "192.0.2.2", "0.0.0.0-255.255.255.255"}, []string{"2001:db8:"}},
		{"UnknownIdentity", lab.SVTI{}, lab.SwanConfig{LocalID: "b.example"},
			[]string{"%CRYPTO-3-IKEV2_AUTH_FAILED", "192.0.2.2", "b.example", "match identity remote"}, nil},
	} {
		t.Run(c.name+"/LockstepInitiates", func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.ours, c.swan)
			lab.Eventually(t, 5*time.Second, "a line with "+strings.Join(c.words, ", "), func() bool { return len(logLines(s.ours, c.words...)) > 0 })
			time.Sleep(watched)
			s.toldOnce(c.words)
			if n := s.requests(); n > mostRequests {
				t.Errorf("%d requests in %v", n, watched)
			}
		})
		t.Run(c.name+"/StrongSwanInitiates", func(t *testing.T) {
			t.Parallel()
			ours := c.ours
			ours.Profile = []string{responderOnly}
			s := newSite(t, ours, c.swan)
			for range 3 {
				if out, err := s.swan.Control("--initiate", "--child", "net", "--timeout", "3"); err == nil {
					t.Errorf("the peer came up:\n%s", out)
				}
			}
			s.toldOnce(append(c.words, c.theirs...))
		})
	}
}

// toldOnce says that one line has all the words, and that it has not come again with each attempt (one a minute is allowed).
func (s *site) toldOnce(words []string) {
	s.t.Helper()
	if l := logLines(s.ours, words...); len(l) != 1 {
		s.t.Errorf("%d lines with %q, want 1, in\n%s", len(l), words, s.ours.Exec("show logging"))
	}
	if len(s.ourSPIs()) > 0 {
		s.t.Error("there is a child SA")
	}
}

// requests counts our IKE requests on the wire so far.
func (s *site) requests() int {
	s.t.Helper()
	s.wan.Flush()
	out, err := exec.Command("tshark", "-n", "-r", s.pcap, "-Y", "isakmp && ip.src == "+lab.AddrA.String()+" && isakmp.flag_r == 0", "-T", "fields", "-e", "frame.number").Output()
	if err != nil {
		s.t.Fatal("tshark:", err)
	}
	return strings.Count(string(out), "\n")
}
