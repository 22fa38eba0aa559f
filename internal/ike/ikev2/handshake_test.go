package ikev2

import (
	"fmt"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/suite"
)

func TestHandshakeBringsUpTheFirstChild(t *testing.T) {
	l := newLab(t)
	l.up()
	if o := l.a.want(1, ike.OK); o.RoundTrips != 2 {
		t.Errorf("%d round trips, want 2", o.RoundTrips)
	}
	for _, s := range []*side{l.a, l.b} {
		if st := s.m.Status(); st.State != "READY" || len(st.Children) != 1 || st.RemoteID == "" {
			t.Errorf("%s: %+v", s.name, st)
		}
		if s.noticed(ike.IKEUp) != 1 || s.noticed(ike.ChildUp) != 1 {
			t.Errorf("%s: notices %v", s.name, s.notices)
		}
		if !s.said("IKEV2_SESSION_STATUS", "Crypto tunnel v2 is UP.  Peer ") {
			t.Errorf("%s: no session line", s.name)
		}
	}
	l.mustAgree(1)
}

func TestHandshakeWithEverySuite(t *testing.T) {
	ciphers := map[string]policy.Cipher{
		"gcm128": {Encr: suite.EncrAESGCM16, KeyBits: 128}, "gcm256": {Encr: suite.EncrAESGCM16, KeyBits: 256},
		"cbc128-sha256": {Encr: suite.EncrAESCBC, KeyBits: 128, Integ: suite.IntegHMACSHA256},
		"cbc256-sha384": {Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA384},
		"cbc192-sha512": {Encr: suite.EncrAESCBC, KeyBits: 192, Integ: suite.IntegHMACSHA512},
	}
	for name, c := range ciphers {
		for _, group := range []uint16{14, 19, 20, 31} {
			for _, pfs := range []uint16{0, group} {
				t.Run(fmt.Sprintf("%s-group%d-pfs%d", name, group, pfs), func(t *testing.T) {
					l := newLab(t)
					for _, s := range []*side{l.a, l.b} {
						p := s.cfg.Peer
						p.Proposals = []policy.IKEProposal{{Encr: []policy.Cipher{c}, PRF: []uint16{suite.PRFHMACSHA384}, Groups: []uint16{group}}}
						if c.Integ != 0 {
							p.Proposals[0].Integ = []uint16{c.Integ}
						}
						p.IPsec.TransformSets[0].Cipher = c
						p.IPsec.TransformSets[0].ESN = group == 19
						p.IPsec.PFS = pfs
					}
					l.up()
					if st := l.b.m.Status(); st.Group != group || st.Cipher != suite.Cipher(c) {
						t.Fatalf("negotiated %v group %d", st.Cipher, st.Group)
					}
					l.a.command(ike.Command{Verb: ike.VerbRekeyChild, Ref: 2})
					l.b.command(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 3})
					l.a.want(2, ike.OK)
					l.b.want(3, ike.OK)
					l.settle(1)
					if c := l.a.m.Status().Children[0]; c.PFSGroup != pfs || c.ESN != (group == 19) {
						t.Errorf("child %+v", c)
					}
				})
			}
		}
	}
}
