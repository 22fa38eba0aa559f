package read

import (
	"fmt"
	"testing"

	"lockstep/internal/diagnose/evidence"
)

// what is an event in one line.
func what(e evidence.Event) string {
	s := e.Kind.String()
	if e.Src.IsValid() {
		s += fmt.Sprintf(" %v>%v", e.Src, e.Dst)
	}
	if e.SPI != 0 {
		s += fmt.Sprintf(" %08X", e.SPI)
	}
	if e.Peer.IsValid() && e.Peer != e.Src {
		s += fmt.Sprintf(" peer %v", e.Peer)
	}
	if e.Count > 0 {
		s += fmt.Sprintf(" x%d", e.Count)
	}
	return s
}

func TestMessagesOfEveryProduct(t *testing.T) {
	for line, want := range map[string]string{
		// IOS and IOS XE
		"Feb 20 11:00:00: " + invalid: "invalid SPI 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 11:00:00: ISAKMP-ERROR: (0):ignoring request to send delete notify (no ISAKMP sa) src 192.0.2.2 dst 198.51.100.9 for SPI 0xC0FFEE01":            "no IKE SA to send a Delete over 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 11:00:00: ISAKMP: ignoring request to send delete notify (no ISAKMP sa) src 192.0.2.2 dst 198.51.100.9 for SPI 0xC0FFEE01":                      "no IKE SA to send a Delete over 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 11:00:00: %CRYPTO-5-SESSION_STATUS: Crypto tunnel is UP  .  Peer 198.51.100.9:500       Id: 198.51.100.9":                                       "IPsec SA up peer 198.51.100.9",
		"Feb 20 11:00:00: %CRYPTO-5-IKEV2_SESSION_STATUS: Crypto tunnel v2 is DOWN.  Peer 198.51.100.9:4500       Id: b":                                        "IPsec SA down peer 198.51.100.9",
		"Feb 20 11:00:00: %CRYPTO-4-IKMP_NO_SA: IKE message from 198.51.100.9 has no SA and is not an initialization offer":                                     "IKE without an SA peer 198.51.100.9",
		"Feb 20 11:00:00: %SYS-5-RESTART: System restarted --":                                                                                                  "device started",
		"Feb 20 11:00:00: %SYS-5-RELOAD: Reload requested by ops on vty0 (198.51.100.77). Reload Reason: upgrade.":                                              "reload ordered",
		"Feb 20 11:00:00: %HSRP-5-STATECHANGE: GigabitEthernet0/1 Grp 1 state Standby -> Active":                                                                "became active",
		"Feb 20 11:00:00: %PARSER-5-CFGLOG_LOGGEDCMD: User:ops  logged command:!exec: clear crypto sa peer 198.51.100.9":                                        "cleared by an operator peer 198.51.100.9",
		"Feb 20 11:00:00: ISAKMP: (1002):bring down existing phase 1 and 2 SA's with local 192.0.2.2 remote 198.51.100.9 remote port 4500":                      "INITIAL_CONTACT peer 198.51.100.9",
		"Feb 20 11:00:00: ISAKMP: (1002):Successfully installed IPSEC SA (SPI:0xC0FFEE01) on GigabitEthernet1":                                                  "SA installed C0FFEE01",
		"Feb 20 11:00:00: IKEv2:(SESSION ID = 4,SA ID = 1):Sending DELETE INFO message for IPsec SA [SPI: 0xC0FFEE01]":                                          "Delete sent C0FFEE01",
		"Feb 20 11:00:00: SA ID:1 SESSION ID:4 Remote: 198.51.100.9/500 Local: 192.0.2.2/500  Processing DELETE INFO message for IPsec SA [SPI: 0xC0FFEE01]":    "Delete received C0FFEE01 peer 198.51.100.9",
		"Feb 20 11:00:00: %IPSEC-3-REPLAY_ERROR: IPSec SA receives anti-replay error, DP Handle 13, src_addr 198.51.100.9, dest_addr 192.0.2.2, SPI 0xc0ffee01": "anti-replay drop 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 11:00:00: %CRYPTO-4-RECVD_PKT_NOT_IPSEC: Rec'd packet not an IPSEC packet. (ip) vrf/dest_addr= /192.0.2.2, src_addr= 198.51.100.9, prot= 47":    "clear text instead of ESP 198.51.100.9>192.0.2.2",
		"<164>%PIX-4-402101: decaps: rec'd IPSEC packet has invalid spi for destaddr= 192.0.2.2, prot= 50, spi= 0xc0ffee01(3237998081)":                         "invalid SPI C0FFEE01",
		// ASA and FTD
		"Feb 20 2026 11:00:00 fw-1 : %ASA-4-402114: IPSEC: Received an ESP packet (SPI= 0xC0FFEE01, sequence number= 0x2A) from 198.51.100.9 to 192.0.2.2 with an invalid SPI.":                                                         "invalid SPI 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 2026 11:00:00: %FTD-4-402119: IPSEC: Received an ESP packet (SPI= 0xC0FFEE01, sequence number= 0x2A) from 198.51.100.9 (user= x) to 192.0.2.2 that failed anti-replay checking.":                                        "anti-replay drop 198.51.100.9>192.0.2.2 C0FFEE01",
		"Feb 20 2026 11:00:00: %ASA-4-113019: Group = 198.51.100.9, Username = 198.51.100.9, IP = 198.51.100.9, Session disconnected. Session Type: LAN-to-LAN, Duration: 1h:00m:00s, Bytes xmt: 1, Bytes rcv: 2, Reason: Lost Service": "peer declared dead peer 198.51.100.9",
		"Feb 20 2026 11:00:00: %ASA-5-111010: User 'ops', running 'CLI' from IP 198.51.100.77, executed 'clear crypto ipsec sa peer 198.51.100.9'":                                                                                      "cleared by an operator peer 198.51.100.9",
		"Feb 20 2026 11:00:00: %ASA-5-713120: Group = 198.51.100.9, IP = 198.51.100.9, PHASE 2 COMPLETED (msgid=0a0b0c0d)":                                                                                                              "IPsec SA up peer 198.51.100.9",
		// strongSwan
		"Feb 20 11:00:00 gw charon[812]: 05[ESP] inbound ESP packet does not belong to an installed SA":                                                 "ESP without SA",
		"Feb 20 11:00:00 gw charon[812]: 05[IKE] <net|3> received DELETE for ESP CHILD_SA with SPI c0ffee01":                                            "Delete received C0FFEE01",
		"Feb 20 11:00:00 05[IKE] <net|3> CHILD_SA net{7} established with SPIs c0ffee01_i 0badcafe_o and TS 10.1.0.0/16 === 10.2.0.0/16":                "SA installed C0FFEE01",
		"Feb 20 11:00:00 gw charon: 05[IKE] <net|3> closing expired CHILD_SA net{7} with SPIs c0ffee01_i 0badcafe_o and TS 10.1.0.0/16 === 10.2.0.0/16": "lifetime over C0FFEE01",
		"Feb 20 11:00:00 gw charon: 05[IKE] <net|3> detected CHILD_REKEY collision with CHILD_REKEY":                                                    "rekey collision",
		"Feb 20 11:00:00 gw charon: 05[IKE] <net|3> IKE_SA net[3] established between 192.0.2.2[a]...198.51.100.9[b]":                                   "IKE SA up peer 198.51.100.9",
		"Feb 20 11:00:00 gw charon: 05[IKE] <net|3> giving up after 5 retransmits":                                                                      "peer declared dead",
		"Feb 20 11:00:00 gw charon: 00[DMN] Starting IKE charon daemon (strongSwan 5.9.8, Linux 6.1.0, x86_64)":                                         "device started",
		// libreswan
		`Feb 20 11:00:00.123456: "net" #5: received Delete SA(0xc0ffee01) payload: deleting IPsec State #3`:                                                                                            "Delete received C0FFEE01",
		`Feb 20 11:00:00 gw pluto[99]: "net" #5: responder established Child SA using #4; IPsec tunnel [10.1.0.0/16===10.2.0.0/16] {ESP=>0x0badcafe <0xc0ffee01 xfrm=AES_GCM_16_256-NONE DPD=passive}`: "SA installed C0FFEE01",
		`Feb 20 11:00:00 gw pluto[99]: "net"[2] 198.51.100.9 #5: ignoring Delete SA payload: PROTO_IPSEC_ESP SA(0xc0ffee01) not found (maybe expired)`:                                                 "Delete for an unknown SA C0FFEE01 peer 198.51.100.9",
		// Linux XFRM
		"Feb 20 11:00:00 gw kernel: audit: type=1415 audit(1771587599.250:7): op=SA-notfound src=198.51.100.9 dst=192.0.2.2 spi=3237998081(0xc0ffee01) seqno=9": "invalid SPI 198.51.100.9>192.0.2.2 C0FFEE01",
		"type=MAC_IPSEC_EVENT msg=audit(1771587599.250:7): op=SA-icv-failure src=198.51.100.9 dst=192.0.2.2 spi=3237998081(0xc0ffee01) seqno=9":                 "integrity check failed 198.51.100.9>192.0.2.2 C0FFEE01",
		"XfrmInNoStates                  \t1207": "drops without SA x1207",
		"XfrmInNoStates 1207":                    "drops without SA x1207",
		// Lockstep
		"*Feb 20 11:00:00.000: %SYS-6-SUPPRESSED: 41 more of %CRYPTO-4-RECVD_PKT_INV_SPI for this flow since the last line":                                 "repeats not printed x41",
		"*Feb 20 11:00:00.000: %CRYPTO-5-RECOVERY_HEALED: Tunnel0: peer 198.51.100.9 healed by recovery in 84 ms, 4 round trips, 9 packets lost, cause D01": "healed peer 198.51.100.9",
	} {
		got, span := readText(t, line+"\n")
		said := ""
		if len(got.events) == 1 {
			said = what(got.events[0])
		}
		if said != want || len(got.events) > 1 {
			t.Errorf("%s\n\tis  %q\n\twant %q (%+v)", line, said, want, span.Skipped)
		}
	}
}
