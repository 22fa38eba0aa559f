package event

import (
	"net/netip"
	"strings"
	"testing"
)

func TestIKESessionLineIsThatOfIOS(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:500")
	up, down := IKESessionUp(peer, "a.example"), IKESessionDown(peer, "a.example", "dead peer")
	if up.Text != "Crypto tunnel v2 is UP.  Peer 192.0.2.1:500       Id: a.example" {
		t.Errorf("%q", up.Text)
	}
	if down.Text != "Crypto tunnel v2 is DOWN.  Peer 192.0.2.1:500       Id: a.example" {
		t.Errorf("%q", down.Text)
	}
	for _, r := range []Record{up, down} {
		if r.Facility != "CRYPTO" || r.Severity != Notification || r.Mnemonic != "IKEV2_SESSION_STATUS" || r.Topic != "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestIKEFailuresNamePeerBothOffersAndRemedy(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:500")
	for _, c := range []struct {
		r     Record
		parts []string
	}{
		{IKENoProposal(peer, "IKE", "OURS", "THEIRS"), []string{"192.0.2.1:500", "ours OURS", "theirs THEIRS", "'crypto ikev2 proposal'"}},
		{IKENoProposal(peer, "ESP", "OURS", ""), []string{"ours OURS", "theirs not told", "transform-set"}},
		{IKESelectorsRefused(peer, "OURS", "THEIRS"), []string{"192.0.2.1:500", "ours OURS", "theirs THEIRS", "0.0.0.0/0"}},
		{IKEAuthFailed(peer, "x.example", "the keys differ", "Make them equal"), []string{"192.0.2.1:500", "x.example", "the keys differ", "Make them equal"}},
		{IKEInvalidSyntax(peer, "INFORMATIONAL"), []string{"192.0.2.1:500", "INFORMATIONAL", "INVALID_SYNTAX"}},
	} {
		for _, p := range c.parts {
			if !strings.Contains(c.r.Text, p) {
				t.Errorf("%s: %q lacks %q", c.r.Mnemonic, c.r.Text, p)
			}
		}
		if c.r.RateKey == "" || c.r.Peer != peer.Addr() || c.r.Severity != Error {
			t.Errorf("%+v", c.r)
		}
	}
}

func TestIKEDebugMessageHasTheFourLinesOfIOS(t *testing.T) {
	p := IKEPacket{Session: 31, Local: netip.MustParseAddrPort("198.51.100.1:500"), Remote: netip.MustParseAddrPort("192.0.2.1:500"),
		SPIi: "1D41D5B93DC33C42", SPIr: "0000000000000000", Exchange: "IKE_SA_INIT", Payloads: []string{"SA", "KE", "N", "VID"}}
	want := "IKEv2:(SESSION ID = 31,SA ID = 31):Sending Packet [To 192.0.2.1:500/From 198.51.100.1:500/VRF i0:f0]\n" +
		"Initiator SPI : 1D41D5B93DC33C42 - Responder SPI : 0000000000000000 Message id: 0\n" +
		"IKEv2 IKE_SA_INIT Exchange REQUEST\nPayload contents:\n SA KE N VID"
	r := IKEMessage(p)
	if r.Text != want || r.Topic != TopicIKEv2 || r.Severity != Debugging || r.Mnemonic != "" {
		t.Errorf("%q, want %q", r.Text, want)
	}
	p.Received, p.Response = true, true
	if r := IKEMessage(p); !strings.Contains(r.Text, "Received Packet [From 192.0.2.1:500/To 198.51.100.1:500/VRF i0:f0]") || !strings.Contains(r.Text, "Exchange RESPONSE") {
		t.Errorf("%q", r.Text)
	}
}
