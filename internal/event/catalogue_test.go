package event

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

var (
	t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	a  = netip.MustParseAddr("192.0.2.1")
	b  = netip.MustParseAddr("192.0.2.2")
)

func line(r Record) string {
	return Entry{Facility: r.Facility, Severity: r.Severity, Mnemonic: r.Mnemonic}.Name() + ": " + r.Text
}

func TestInvalidSPILineIsByteForByteThatOfIOS(t *testing.T) {
	for spi, want := range map[uint32]string{
		0x7C41D9E2: "spi=0x7C41D9E2(2084690402)", 0xFFFFFFFF: "spi=0xFFFFFFFF(4294967295)", 0x00000100: "spi=0x00000100(256)",
		0x80000000: "spi=0x80000000(2147483648)",
	} {
		got := line(RecvdPktInvSPI(t0, a, b, spi))
		want = "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, " + want + ", srcaddr=192.0.2.2"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	mapped := RecvdPktInvSPI(t0, netip.MustParseAddr("::ffff:192.0.2.1"), b, 1)
	if mapped.Text != RecvdPktInvSPI(t0, a, b, 1).Text {
		t.Errorf("a mapped address prints as %s", mapped.Text)
	}
}

func TestOtherLinesSayWhatHappened(t *testing.T) {
	for want, r := range map[string]Record{
		"%LINEPROTO-5-UPDOWN: Line protocol on Interface Tunnel0, changed state to up":                                             LineProtocol(t0, "Tunnel0", true),
		"%LINEPROTO-5-UPDOWN: Line protocol on Interface Tunnel7, changed state to down":                                           LineProtocol(t0, "Tunnel7", false),
		"%TUN-5-RECURDOWN: Tunnel0 temporarily disabled due to recursive routing":                                                  RecursiveRoute(t0, "Tunnel0"),
		"%CRYPTO-5-RECOVERY_HEALED: Tunnel0: peer 192.0.2.2 healed by recovery in 84 ms, 2 round trips, 9 packets lost, cause D01": RecoveryHealed(t0, "Tunnel0", b, 84*time.Millisecond, 2, 9, "recovery", "D01"),
		"%CRYPTO-5-RECOVERY_STARTED: Tunnel0: peer 192.0.2.2, spi 0x0000ABCD: new IKE SA (no IKE SA with a static peer)":           RecoveryStarted(t0, "Tunnel0", b, 0xABCD, "new IKE SA", "no IKE SA with a static peer"),
		"%CRYPTO-3-RECOVERY_GAVEUP: Tunnel0: peer 192.0.2.2: the peer ignores Delete":                                              RecoveryGaveUp(t0, "Tunnel0", b, "the peer ignores Delete"),
	} {
		if got := line(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if _, ok := Lookup(r.Facility, r.Mnemonic); !ok {
			t.Errorf("%s is in no catalogue", r.Mnemonic)
		}
	}
}

func TestIKEMessagesAreInTheCatalogueAndLimited(t *testing.T) {
	peer := netip.AddrPortFrom(b, 500)
	records := []Record{
		IKESessionUp(peer, "site-b"), IKESessionDown(peer, "site-b", "dead peer"), IKEAuthFailed(peer, "site-b", "wrong key", "Compare the keys"),
		IKENoProposal(peer, "IKE", "ours", "theirs"), IKESelectorsRefused(peer, "ours", ""), IKEInstallFailed(peer, b, os.ErrInvalid),
		IKEInvalidSyntax(peer, "INFORMATIONAL"), IKEInternalError(b, "Tunnel0", "boom", "stack"),
	}
	if want := "%CRYPTO-5-IKEV2_SESSION_STATUS: Crypto tunnel v2 is UP.  Peer 192.0.2.2:500       Id: site-b"; line(records[0]) != want {
		t.Errorf("got  %s\nwant %s", line(records[0]), want)
	}
	for _, r := range records {
		e, ok := Lookup(r.Facility, r.Mnemonic)
		if !ok || e.Severity != r.Severity || (e.Rate == Unlimited) != (r.RateKey == "") {
			t.Errorf("%s with key %q: %+v", r.Mnemonic, r.RateKey, e)
		}
	}
}

func TestDocumentationAndCatalogueAgree(t *testing.T) {
	page, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, made []string
	for _, m := range regexp.MustCompile(`(?m)^## (%\S+)$`).FindAllSubmatch(page, -1) {
		documented = append(documented, string(m[1]))
	}
	for _, e := range Catalogue() {
		made = append(made, e.Name())
		if e.Meaning == "" || e.Action == "" {
			t.Errorf("%s: %+v", e.Name(), e)
		}
	}
	if !slices.Equal(documented, made) {
		t.Errorf("documented %q\nmade %q", documented, made)
	}
}

func TestOneLineAMinuteAFlowAndTheRestIsCounted(t *testing.T) {
	var l Limiter
	r := RecvdPktInvSPI(t0, a, b, 0x1001)
	printed := 0
	for s := range 119 { // a packet a second: lines at 0 s and 60 s
		ok, suppressed := l.Allow(r, t0.Add(time.Duration(s)*time.Second))
		if ok {
			printed++
			if want := uint64(59 * (s / 60)); suppressed != want {
				t.Errorf("at %d s: %d suppressed, want %d", s, suppressed, want)
			}
		}
	}
	if printed != 2 {
		t.Errorf("%d lines in two minutes", printed)
	}
	if ok, _ := l.Allow(RecvdPktInvSPI(t0, a, b, 0x1002), t0.Add(61*time.Second)); !ok {
		t.Error("another SPI of the same peer is another flow")
	}
}

func TestAFloodPrintsTenLinesASecondInBoundedMemory(t *testing.T) {
	var l Limiter
	printed := 0
	for i := range 100000 {
		now := t0.Add(time.Duration(i) * 100 * time.Microsecond) // 10 s in all
		if ok, _ := l.Allow(RecvdPktInvSPI(now, a, b, uint32(i)), now); ok {
			printed++
		}
	}
	if printed != 100 {
		t.Errorf("%d lines in ten seconds", printed)
	}
	if len(l.flows) > maxFlows || l.Suppressed() != 100000-100 {
		t.Errorf("%d keys, %d suppressed", len(l.flows), l.Suppressed())
	}
	for i := range 2 * maxFlows {
		if f := l.remember(fmt.Sprint("key ", i), t0); f != nil {
			f.printed = t0
		}
	}
	if len(l.flows) > maxFlows {
		t.Errorf("%d keys", len(l.flows))
	}
}

func TestAFloodOfOneMessageDoesNotHideAnother(t *testing.T) {
	var l Limiter
	for i := range 1000 {
		l.Allow(RecvdPktInvSPI(t0, a, b, uint32(0x1000+i)), t0)
	}
	if ok, _ := l.Allow(IKEAuthFailed(netip.AddrPortFrom(b, 500), "site-b", "wrong key", "Compare the keys"), t0); !ok {
		t.Error("forged ESP hides a failed authentication")
	}
	if ok, _ := l.Allow(RecvdPktInvSPI(t0, a, b, 0x9999), t0); ok {
		t.Error("the flood itself is not limited")
	}
}

func TestMessagesWithoutALimitAlwaysPass(t *testing.T) {
	var l Limiter
	for range 100 {
		if ok, _ := l.Allow(LineProtocol(t0, "Tunnel0", true), t0); !ok {
			t.Fatal("suppressed")
		}
	}
}
