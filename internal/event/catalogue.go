package event

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Rate is how often records of one kind may be printed. Counters are never limited.
type Rate uint8

const (
	Unlimited Rate = iota
	// PerFlowMinute: one a minute for each RateKey, ten a second of the message in all.
	PerFlowMinute
)

// Entry is a kind of message: what catalogue, documentation and constructors share.
type Entry struct {
	Facility string
	Severity Severity
	Mnemonic string
	Rate     Rate
	Meaning  string
	Action   string
}

// Name is the form by which operators look a message up: %CRYPTO-4-RECVD_PKT_INV_SPI.
func (e Entry) Name() string { return fmt.Sprintf("%%%s-%d-%s", e.Facility, e.Severity, e.Mnemonic) }

var (
	invSPI = Entry{"CRYPTO", Warning, "RECVD_PKT_INV_SPI", PerFlowMinute,
		"An ESP packet came with an SPI that no SA has. Once for a flow it is the transient of a rekey; again for the same flow and SPI, the SAs of both ends are out of step.",
		"See show crypto recovery."}
	recoveryStarted = Entry{"CRYPTO", Notification, "RECOVERY_STARTED", Unlimited,
		"Recovery acts on an SPI that we do not have, or on an SA on which nothing comes back; the text says what it does and why.", "None."}
	recoveryHealed = Entry{"CRYPTO", Notification, "RECOVERY_HEALED", Unlimited,
		"Traffic of the peer arrives on a good SA again. Milliseconds run from the first packet on the lost SPI.",
		"If it recurs, look for the cause: recovery does not remove it."}
	recoveryGaveUp = Entry{"CRYPTO", Error, "RECOVERY_GAVEUP", Unlimited,
		"Recovery has no further step for this peer or for the SPI in the text, or its budget is used up.", "Look at the peer; clear crypto sa peer starts anew."}
	recoveryRecurring = Entry{"CRYPTO", Error, "RECOVERY_RECURRING", Unlimited,
		"One peer had to be healed three times in 24 hours, or twice of the same cause: recovery masks a cause that stays.",
		"Look at what the text names, at both ends; show crypto recovery trend has the healings by hour and day with their causes."}
	recoveryOneWay = Entry{"CRYPTO", Notification, "RECOVERY_ONE_WAY", Unlimited,
		"We send on an SA and nothing comes back, although the peer answers IKE and a fresh SA changed nothing: as for video or syslog.",
		"None if the traffic of that tunnel goes one way by nature; else look at the routes and filters behind the peer."}
	peerFault = Entry{"CRYPTO", Warning, "PEER_FAULT", PerFlowMinute,
		"The peer has a published defect; the text has its number, how it showed, and what we do about it from now on.",
		"Update the peer's software; see docs/peers.md."}
	restarted = Entry{"SYS", Notification, "RESTART", Unlimited,
		"The gateway has started.", "If nobody asked for it, see why it ended before."}
	configured = Entry{"SYS", Notification, "CONFIG_I", Unlimited,
		"Another configuration is the running one.", "None."}
	hostFailure = Entry{"SYS", Error, "HOST_FAILURE", PerFlowMinute,
		"The host refused something that the gateway needs: a socket, a device, a route. The text has what, and the kernel's reason.",
		"See the reason in the text; lockstep check -host lists what stands in the way."}
	suppressed = Entry{"SYS", Informational, "SUPPRESSED", Unlimited,
		"So many occurrences of the message above, for the same flow, had no line of their own since the last one.", "Counters have them all."}
	lineProtocol = Entry{"LINEPROTO", Notification, "UPDOWN", Unlimited,
		"The line protocol of a tunnel follows its SAs: up with a working child, down without.", "None by itself."}
	recursiveTunnel = Entry{"TUN", Notification, "RECURDOWN", Unlimited,
		"The route to the tunnel destination leads through the tunnel.", "Route the destination outside the tunnel."}

	keysExported = Entry{"CRYPTO", Warning, "KEYS_EXPORTED", Unlimited,
		"The keys of child SAs are written to a file as they are installed, so that captures can be decrypted.",
		"Stop it and remove the file when the capture is done: it opens all traffic of these SAs."}

	ikeStatus = Entry{"CRYPTO", Notification, "IKEV2_SESSION_STATUS", Unlimited,
		"An IKEv2 SA was authenticated, or ended.", "None by itself."}
	ikeAuth = Entry{"CRYPTO", Error, "IKEV2_AUTH_FAILED", PerFlowMinute,
		"One side could not prove to the other who it is.", "Compare the pre-shared keys and identities of both ends."}
	ikeProposal = Entry{"CRYPTO", Error, "IKEV2_NO_PROPOSAL_CHOSEN", PerFlowMinute,
		"No proposal of one side suits the other; the text has both offers.", "Give both ends one in common."}
	ikeSelectors = Entry{"CRYPTO", Error, "IKEV2_TS_UNACCEPTABLE", PerFlowMinute,
		"The traffic selectors of both sides have nothing in common; the text has both.", "Let the peer's selectors cover the tunnel's."}
	ikeInstall = Entry{"CRYPTO", Error, "IKEV2_INSTALL_FAILED", PerFlowMinute,
		"The data plane or the store refused a child SA, which was deleted again.", "See the reason in the text."}
	ikeSyntax = Entry{"CRYPTO", Error, "IKEV2_INVALID_SYNTAX", PerFlowMinute,
		"The peer could not read a message of ours, which costs the IKE SA.", "Report it with the peer's product and version."}
	ikeInternal = Entry{"CRYPTO", Error, "IKEV2_INTERNAL_ERROR", PerFlowMinute,
		"An IKE SA failed inside the gateway and was closed; the others live.", "Report it with the stack that the event carries as data."}
)

// Catalogue lists every kind of message.
func Catalogue() []Entry {
	return []Entry{invSPI, recoveryStarted, recoveryHealed, recoveryGaveUp, recoveryRecurring, recoveryOneWay, peerFault, lineProtocol, recursiveTunnel,
		restarted, configured, hostFailure, suppressed, keysExported,
		ikeStatus, ikeAuth, ikeProposal, ikeSelectors, ikeInstall, ikeSyntax, ikeInternal}
}

// Lookup finds the entry of a record's facility and mnemonic.
func Lookup(facility, mnemonic string) (Entry, bool) {
	for _, e := range Catalogue() {
		if e.Facility == facility && e.Mnemonic == mnemonic {
			return e, true
		}
	}
	return Entry{}, false
}

func (e Entry) record(at time.Time, text string, attrs ...slog.Attr) Record {
	return Record{At: at, Facility: e.Facility, Severity: e.Severity, Mnemonic: e.Mnemonic, Text: text, Attrs: attrs}
}

// RecvdPktInvSPI tells of an ESP packet from src to dst whose SPI has no SA. prot is 50 in UDP too, where IOS once said
// nothing (CSCsq59183).
func RecvdPktInvSPI(at time.Time, dst, src netip.Addr, spi uint32) Record {
	dst, src = dst.Unmap(), src.Unmap()
	r := invSPI.record(at, fmt.Sprintf("decaps: rec'd IPSEC packet has invalid spi for destaddr=%v, prot=50, spi=0x%08X(%d), srcaddr=%v", dst, spi, spi, src),
		slog.String("destaddr", dst.String()), slog.String("srcaddr", src.String()), slog.Uint64("spi", uint64(spi)))
	r.Peer, r.RateKey = src, fmt.Sprintf("%v %v %08X", src, dst, spi)
	return r
}

// RecoveryStarted tells what recovery does for a tunnel, and why.
func RecoveryStarted(at time.Time, tunnel string, peer netip.Addr, spi uint32, what, why string) Record {
	r := recoveryStarted.record(at, fmt.Sprintf("%s: peer %v, spi 0x%08X: %s (%s)", tunnel, peer, spi, what, why),
		slog.String("tunnel", tunnel), slog.Uint64("spi", uint64(spi)), slog.String("action", what))
	r.Peer = peer
	return r
}

// RecoveryHealed tells that traffic is back: after how long, what it cost, who healed it and what the cause was (a
// D-code or "unknown").
func RecoveryHealed(at time.Time, tunnel string, peer netip.Addr, took time.Duration, roundTrips int, lost uint64, healer, cause string) Record {
	r := recoveryHealed.record(at, fmt.Sprintf("%s: peer %v healed by %s in %d ms, %d round trips, %d packets lost, cause %s",
		tunnel, peer, healer, took.Milliseconds(), roundTrips, lost, cause),
		slog.String("tunnel", tunnel), slog.Int64("heal_ms", took.Milliseconds()), slog.Int("round_trips", roundTrips),
		slog.Uint64("packets_lost", lost), slog.String("healer", healer), slog.String("cause", cause))
	r.Peer = peer
	return r
}

// RecoveryGaveUp tells that nothing more will be tried for now.
func RecoveryGaveUp(at time.Time, tunnel string, peer netip.Addr, why string) Record {
	r := recoveryGaveUp.record(at, fmt.Sprintf("%s: peer %v: %s", tunnel, peer, why), slog.String("tunnel", tunnel))
	r.Peer = peer
	return r
}

// LineProtocol tells that a tunnel's line protocol changed.
func LineProtocol(at time.Time, tunnel string, up bool) Record {
	state := "down"
	if up {
		state = "up"
	}
	return lineProtocol.record(at, fmt.Sprintf("Line protocol on Interface %s, changed state to %s", tunnel, state),
		slog.String("interface", tunnel), slog.Bool("up", up))
}

// RecursiveRoute tells that a tunnel is held down because its own destination is routed into it.
func RecursiveRoute(at time.Time, tunnel string) Record {
	return recursiveTunnel.record(at, tunnel+" temporarily disabled due to recursive routing", slog.String("interface", tunnel))
}
