package event

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
)

// IKESessionUp is the line that `crypto logging session` asks for when an IKEv2 SA is authenticated. id is the peer's
// identity.
func IKESessionUp(peer netip.AddrPort, id string) Record { return ikeSession("UP", peer, id, "") }

// IKESessionDown is its end. why says how it ended; it is data only, the text is that of IOS.
func IKESessionDown(peer netip.AddrPort, id, why string) Record {
	return ikeSession("DOWN", peer, id, why)
}

func ikeSession(state string, peer netip.AddrPort, id, why string) Record {
	r := Record{Facility: "CRYPTO", Severity: Notification, Mnemonic: "IKEV2_SESSION_STATUS", Peer: peer.Addr(),
		Text:  fmt.Sprintf("Crypto tunnel v2 is %s.  Peer %s:%d       Id: %s", state, peer.Addr(), peer.Port(), id),
		Attrs: []slog.Attr{slog.String("state", state), slog.String("id", id)}}
	if why != "" {
		r.Attrs = append(r.Attrs, slog.String("why", why))
	}
	return r
}

// IKEAuthFailed says that one side could not prove to the other who it is. what is the finding, remedy what to change;
// neither may hold key material.
func IKEAuthFailed(peer netip.AddrPort, id, what, remedy string) Record {
	return ikeFailure("IKEV2_AUTH_FAILED", peer,
		fmt.Sprintf("Authentication with peer %s, id %s, failed: %s. %s", peer, id, what, remedy),
		slog.String("id", id), slog.String("what", what))
}

// IKENoProposal says that no proposal of one side suits the other. saKind is "IKE" or "ESP"; theirs is empty where
// the peer refused ours without naming its own.
func IKENoProposal(peer netip.AddrPort, saKind, ours, theirs string) Record {
	return ikeFailure("IKEV2_NO_PROPOSAL_CHOSEN", peer,
		fmt.Sprintf("No common %s proposal with peer %s: ours %s; theirs %s. %s", saKind, peer, ours, orNotTold(theirs), proposalRemedy(saKind)),
		slog.String("sa", saKind), slog.String("ours", ours), slog.String("theirs", theirs))
}

func proposalRemedy(saKind string) string {
	if saKind == "IKE" {
		return "Give both ends one common encryption, integrity, PRF and group in 'crypto ikev2 proposal'"
	}
	return "Give both ends one common 'crypto ipsec transform-set', and the same 'set pfs' in the IPsec profile"
}

// IKESelectorsRefused says that the traffic selectors of both sides have nothing in common.
func IKESelectorsRefused(peer netip.AddrPort, ours, theirs string) Record {
	return ikeFailure("IKEV2_TS_UNACCEPTABLE", peer,
		fmt.Sprintf("Traffic selectors do not match with peer %s: ours %s; theirs %s. "+
			"Let the peer's selectors cover the tunnel's, 0.0.0.0/0 on both ends for a tunnel interface", peer, ours, orNotTold(theirs)),
		slog.String("ours", ours), slog.String("theirs", theirs))
}

func orNotTold(s string) string {
	if s == "" {
		return "not told"
	}
	return s
}

// IKEInstallFailed says that the data plane or the store refused a child SA, which is given up again.
func IKEInstallFailed(peer netip.AddrPort, spi fmt.Stringer, err error) Record {
	return ikeFailure("IKEV2_INSTALL_FAILED", peer,
		fmt.Sprintf("Child SA %s with peer %s could not be installed: %v. It is deleted again", spi, peer, err),
		slog.String("spi", spi.String()))
}

// IKEInvalidSyntax says that the peer could not read a message of ours (what), which costs the IKE SA.
func IKEInvalidSyntax(peer netip.AddrPort, what string) Record {
	return ikeFailure("IKEV2_INVALID_SYNTAX", peer,
		fmt.Sprintf("Peer %s answered %s with INVALID_SYNTAX: the IKE SA is lost", peer, what), slog.String("message", what))
}

// IKEInternalError says that the machine of one IKE SA of a tunnel failed and was closed. stack is data only.
func IKEInternalError(peer netip.Addr, tunnel string, what any, stack string) Record {
	return ikeFailure("IKEV2_INTERNAL_ERROR", netip.AddrPortFrom(peer, 0),
		fmt.Sprintf("An IKE SA of %s with peer %s failed and was closed: %v. Please report this", tunnel, peer, what),
		slog.String("stack", stack))
}

func ikeFailure(mnemonic string, peer netip.AddrPort, text string, attrs ...slog.Attr) Record {
	return Record{Facility: "CRYPTO", Severity: Error, Mnemonic: mnemonic, Peer: peer.Addr(), Text: text, Attrs: attrs,
		RateKey: mnemonic + " " + peer.Addr().String()}
}

// IKEPacket is the `debug crypto ikev2` picture of one message.
type IKEPacket struct {
	Session       int  // number of the lines' head
	Received      bool // or sent
	Again         bool // a retransmission
	Local, Remote netip.AddrPort
	SPIi, SPIr    string // 16 hexadecimal digits
	MessageID     uint32
	Exchange      string
	Response      bool
	Payloads      []string // names; nil: not known
}

// IKEMessage is the debug record of a message, in the four lines of IOS.
func IKEMessage(p IKEPacket) Record {
	verb, far, near := "Sending Packet [To", p.Remote, p.Local
	from := "From"
	if p.Received {
		verb = "Received Packet [From"
		from = "To"
	}
	if p.Again {
		verb = "Retransmitting packet [To"
	}
	kind := "REQUEST"
	if p.Response {
		kind = "RESPONSE"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "IKEv2:(SESSION ID = %d,SA ID = %d):%s %s/%s %s/VRF i0:f0]\n", p.Session, p.Session, verb, far, from, near)
	fmt.Fprintf(&b, "Initiator SPI : %s - Responder SPI : %s Message id: %d\n", p.SPIi, p.SPIr, p.MessageID)
	fmt.Fprintf(&b, "IKEv2 %s Exchange %s", p.Exchange, kind)
	if p.Payloads != nil {
		fmt.Fprintf(&b, "\nPayload contents:\n %s", strings.Join(p.Payloads, " "))
	}
	return ikeDebug(p.Remote, b.String())
}

// IKEDebug is one line of `debug crypto ikev2`.
func IKEDebug(session int, peer netip.AddrPort, text string) Record {
	return ikeDebug(peer, fmt.Sprintf("IKEv2:(SESSION ID = %d,SA ID = %d):%s", session, session, text))
}

func ikeDebug(peer netip.AddrPort, text string) Record {
	return Record{Facility: "CRYPTO", Severity: Debugging, Topic: TopicIKEv2, Peer: peer.Addr(), Text: text}
}
