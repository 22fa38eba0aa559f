package reason

import "slices"

// Entry is what an operator is told about a reason.
type Entry struct {
	Drop     Drop
	Mnemonic string // stable: metric label and JSON value
	Global   string // counter of `show platform hardware qfp active statistics drop`; empty: nothing was lost
	Row      int    // of Rows; 0: IOS XE has no row for it
	Meaning  string
	Action   string // what to do; empty: nothing
}

// Global counter names: the Ipsec ones are IOS XE's; the rest of its kind.
const (
	gInput   = "IpsecInput"
	gOutput  = "IpsecOutput"
	gInvalid = "IpsecInvalidSa"
	gTail    = "IpsecTailDrop"
	gIKE     = "IpsecIkeIndicate"
	gDeny    = "IpsecDenyDrop"
	gTED     = "IpsecTedIndicate"
)

const (
	askPeer   = "see show crypto recovery; compare the SPIs of both ends"
	forged    = "harmless when rare; a flood is an attack or a broken sender"
	fewer     = "look for the sender; the limit protects what is established"
	shortTime = "none: it passes with the rekey"
)

var entries = [...]Entry{
	{InvalidSPI, "invalid_spi", gInput, 4, "ESP to us with an SPI that no SA has", askPeer},
	{InvalidSPIv6, "invalid_spi_v6", gInput, 12, "ESP over IPv6 to us with an SPI that no SA has", askPeer},
	{TransitSPI, "transit_spi", gInput, 7, "ESP that is not addressed to us", "check the routing of the sender"},
	{SPIZero, "spi_zero", gInput, 0, "protocol 50 with SPI 0, which no SA can have", forged},
	{SPIReserved, "spi_reserved", gInput, 0, "SPI 1 to 255, reserved by RFC 4303", forged},
	{ESPTruncated, "esp_truncated", gInput, 23, "shorter than any ESP packet of its SA", forged},
	{LarvalOverflow, "larval_overflow", gInput, 27, "more packets than are kept came before their SA was installed", shortTime},
	{LarvalTimeout, "larval_timeout", gInput, 28, "the SA of early packets was not installed in time", "look at the exchange in debug crypto ikev2"},
	{ReplayOld, "replay_old", gInput, 19, "sequence number below the replay window", "raise the replay window if the path reorders"},
	{ReplayDuplicate, "replay_duplicate", gInput, 21, "sequence number seen before", "a duplicated packet, or a replay attack"},
	{BadICV, "bad_icv", gInput, 62, "integrity check failed", "changed on the way, or forged; never a reason to delete the SA"},
	{BadPadding, "bad_padding", gInput, 65, "padding that does not fit, inside a verified packet", "the peer's ESP is wrong"},
	{SelectorMismatch, "selector_mismatch", gInput, 8, "inner packet outside the selectors of its SA", "compare the selectors of both ends"},
	{InnerMalformed, "inner_malformed", gInput, 89, "no whole IP packet inside", "the peer's ESP is wrong"},
	{DummyPacket, "dummy", "", 0, "next header 59: sent to hide traffic or to prove life", ""},
	{WrongNextHeader, "wrong_next_header", gInput, 65, "not an IP packet in tunnel mode", "the peer uses another mode than agreed"},
	{HardExpired, "hard_expired", gInvalid, 18, "the SA is past its lifetime", "the rekey failed: see the log"},
	{OuterMalformed, "outer_malformed", gInput, 70, "outer header or datagram makes no sense", forged},
	{KeepaliveNAT, "nat_keepalive", "", 0, "NAT keepalive of one octet 0xFF", ""},
	{ShortNonESP, "short_udp", gInput, 23, "datagram on UDP 4500 too short for ESP and IKE", forged},

	{NoOutboundSA, "no_outbound_sa", gIKE, 111, "no SA for the tunnel yet: one is asked for", "if it stays: show crypto ikev2 sa"},
	{NoSelectorMatch, "no_selector_match", gDeny, 35, "SAs exist, none carries this packet: one is asked for", "compare the selectors of both ends"},
	{TooBigDF, "too_big_df", gOutput, 48, "larger than the tunnel's MTU and must not be fragmented: the sender was told", ""},
	{SeqExhausted, "seq_exhausted", gOutput, 46, "sequence numbers used up", "the rekey failed: see the log; use esn"},
	{LeaseWait, "lease_wait", gTail, 110, "the store has not granted the next sequence numbers", "the disk is slow"},
	{RecursiveRoute, "recursive_route", gOutput, 61, "the outer packet would enter a tunnel", "route the tunnel destination outside the tunnel"},
	{DeviceMalformed, "device_malformed", gOutput, 50, "the tunnel interface gave no IP packet", ""},
	{WireSendFailed, "wire_send_failed", gOutput, 61, "the socket refused the packet", "see the log for the system's reason"},
	{DeviceWriteFailed, "device_write_failed", gTail, 29, "the tunnel interface refused the packet", "is the interface up?"},
	{TTLExpired, "ttl_expired", gOutput, 0, "the packet's time to live ended here", ""},

	{IKEMalformed, "ike_malformed", gIKE, 0, "not a well-formed IKE message", forged},
	{IKEUnknownSPI, "ike_unknown_spi", gIKE, 0, "IKE message for an IKE SA that we do not have", "the peer has not noticed yet that we restarted"},
	{IKEBadVersion, "ike_bad_version", gIKE, 0, "major version above 2", forged},
	{IKEv1Unsupported, "ikev1_unsupported", gIKE, 0, "IKE version 1", "configure IKEv2 at the peer"},
	{IKEBadICV, "ike_bad_icv", gIKE, 0, "integrity check of an IKE message failed", forged},
	{IKEBadMessageID, "ike_bad_message_id", gIKE, 0, "message ID outside the window", ""},
	{IKEDuplicate, "ike_duplicate", gIKE, 0, "retransmission: answered again or ignored", ""},
	{IKENoPolicy, "ike_no_policy", gIKE, 0, "first message from an address without a configured peer", "check tunnel destination and keyring"},
	{IKEHalfOpenLimit, "ike_half_open_limit", gIKE, 0, "too many unfinished IKE SAs", fewer},
	{IKECookieSent, "ike_cookie_sent", gIKE, 0, "asked for a cookie, kept nothing", ""},
	{IKEMailboxFull, "ike_mailbox_full", gTail, 0, "IKE is overloaded", fewer},
	{IKEUnexpected, "ike_unexpected", gIKE, 0, "makes no sense in the state of its IKE SA", ""},
	{IKEStaleInit, "ike_stale_init", gTail, 0, "waited so long that an answer would be worthless", fewer},
	{IKECritical, "ike_critical", gIKE, 0, "unknown critical payload", "the peer uses an extension that we do not have"},
	{IKEUnauthenticated, "ike_unauthenticated", gIKE, 0, "unprotected notify: a hint at most", forged},
	{IKETooLarge, "ike_too_large", gIKE, 0, "larger than any IKE message may be", forged},
	{IKEReflected, "ike_reflected", gIKE, 0, "our own message came back", "look for a loop on the path"},
	{IKEPanic, "ike_internal", gIKE, 0, "an IKE SA failed inside and was closed", "report it with show tech-support"},

	{CongestionLost, "congestion_lost", gInput, 0, "congestion was marked outside, and the packet's sender does not do ECN", "none: it counts as lost by congestion"},
	{PathPanic, "path_internal", gTail, 0, "the packet path failed inside; the packet's row was given up", "report it with show tech-support"},
}

// Of tells about a reason, false for None and for values outside the set.
func Of(d Drop) (Entry, bool) {
	if d == None || int(d) > len(entries) {
		return Entry{}, false
	}
	return entries[d-1], true // the test holds the table to the order of the constants
}

// String is the mnemonic.
func (d Drop) String() string {
	if e, ok := Of(d); ok {
		return e.Mnemonic
	}
	return "none"
}

// GlobalNames lists the global counters in the order of the show command: by name.
func GlobalNames() []string {
	names := []string{gTED} // IOS XE shows it; tunnel endpoint discovery does not exist here
	for _, e := range entries {
		if e.Global != "" {
			names = append(names, e.Global)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
