package read

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// iosLimit is how seldom IOS prints RECVD_PKT_INV_SPI: once a minute.
const iosLimit = time.Minute

// mnemonic takes `%FACILITY-SEVERITY-NAME: text` apart. A message that IOS XE's data plane sends is wrapped in another
// one. The first message of a line counts: one that quotes another (an applet, a logged command) is not the other.
func mnemonic(msg string) (facility, name, text string, ok bool) {
	for range 2 {
		i := strings.IndexByte(msg, '%')
		if i < 0 {
			return "", "", "", false
		}
		head, rest, found := strings.Cut(msg[i+1:], ":")
		facility, name, ok = splitMnemonic(head)
		if !found || !ok {
			return "", "", "", false
		}
		text = strings.TrimLeft(rest, " ")
		if name != "PLATFORM" || !strings.Contains(text, "QFP:") {
			return facility, name, text, true
		}
		msg = text
	}
	return facility, name, text, true
}

// splitMnemonic wants capitals around one digit: FACILITY-4-NAME, where the facility may hold further hyphens.
func splitMnemonic(head string) (facility, name string, ok bool) {
	if len(head) > 80 {
		return "", "", false
	}
	for i := 1; i+2 < len(head); i++ {
		if head[i] == '-' && head[i+1] >= '0' && head[i+1] <= '7' && head[i+2] == '-' {
			facility, name = head[:i], head[i+3:]
			return facility, name, capitals(facility) && capitals(name)
		}
	}
	return "", "", false
}

func capitals(s string) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// iosLines are the messages of IOS, IOS XE and Lockstep, by name.
var iosLines = map[string]func(text string, ev *evidence.Event) understood{
	"RECVD_PKT_INV_SPI":     invalidSPI,
	"RECVD_PKT_NOT_IPSEC":   plainPacket,
	"RECVD_PKT_MAC_ERR":     localRemote(evidence.BadICV),
	"PKT_REPLAY_ERR":        bare(evidence.Replay),
	"REPLAY_ERROR":          dataPlane(evidence.Replay),
	"HMAC_ERROR":            dataPlane(evidence.BadICV),
	"IKMP_NO_SA":            fromPeer(evidence.NoIKESA, "from "),
	"IKMP_MODE_FAILURE":     fromPeer(evidence.Refused, "peer at "),
	"IKMP_BAD_MESSAGE":      fromPeer(evidence.Refused, "from "),
	"ISAKMP_MANUAL_DELETE":  manualDelete,
	"SESSION_STATUS":        session,
	"IKEV2_SESSION_STATUS":  session,
	"IKEV2_AUTH_FAILED":     fromPeer(evidence.Refused, "peer "),
	"EZVPN_CONNECTION_UP":   fromPeer(evidence.ChildUp, "Server_public_addr="),
	"EZVPN_CONNECTION_DOWN": fromPeer(evidence.ChildDown, "Server_public_addr="),
	"RESTART":               bare(evidence.Restart),
	"RELOAD":                bare(evidence.Reload),
	"CLOCKUPDATE":           bare(evidence.ClockSet),
	"SUPPRESSED":            suppressed,
	"STATECHANGE":           becameActive,
	"SWITCHOVER":            bare(evidence.Failover),
	"CFGLOG_LOGGEDCMD":      clearCommand,
	"RECOVERY_STARTED":      recovery(evidence.Recovering),
	"RECOVERY_HEALED":       recovery(evidence.Healed),
}

func iosMessage(d *dressed, ev *evidence.Event) understood {
	facility, name, text, ok := mnemonic(d.msg)
	if !ok || strings.HasPrefix(facility, "ASA") || strings.HasPrefix(facility, "FTD") {
		return foreign
	}
	if facility == "PIX" {
		if name == "402101" {
			return invalidSPI(text, ev)
		}
		return foreign
	}
	read := iosLines[name]
	if read == nil {
		return foreign
	}
	ev.Word = name
	return read(text, ev)
}

// invalidSPI is `… invalid spi for destaddr=D, prot=50, spi=0xHEX(DEC), srcaddr=S[, input interface=IF]`. PIX puts blanks
// behind the signs and prints the SPI as it likes.
func invalidSPI(text string, ev *evidence.Event) understood {
	dst, okDst := addrAfter(text, "destaddr=")
	proto, okProto := numberAfter(text, "prot=")
	spi, rest, okSPI := hexAfter(text, "spi=")
	src, okSrc := addrAfter(text, "srcaddr=")
	if !strings.Contains(text, "invalid spi") && okDst {
		return foreign
	}
	pix := ev.Word == ""
	if !okDst || !okProto || !okSPI || !okSrc && !pix {
		return cut
	}
	if dec, ok := strings.CutPrefix(rest, "("); ok {
		number, _, closed := strings.Cut(dec, ")")
		v, err := strconv.ParseUint(strings.TrimSpace(number), 10, 32)
		if !closed || err != nil || uint32(v) != spi {
			return contradicts
		}
	}
	if proto != 50 && proto != 51 {
		return contradicts
	}
	ev.Kind, ev.Limit = evidence.InvalidSPI, iosLimit
	ev.Flow = evidence.Flow{Src: src, Dst: dst, Proto: uint8(proto), SPI: spi}
	ev.Peer, ev.Local = src, dst
	return taken
}

func plainPacket(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Plain
	ev.Dst, _ = leadingAddr(strings.TrimLeft(wordAfter(text, "dest_addr="), "/"))
	if i := strings.Index(text, "dest_addr= /"); i >= 0 {
		ev.Dst, _ = leadingAddr(text[i+len("dest_addr= /"):])
	}
	ev.Src, _ = addrAfter(text, "src_addr=")
	ev.Peer, ev.Local = ev.Src, ev.Dst
	return taken
}

func localRemote(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Local, _ = addrAfter(text, "local=")
		ev.Peer, _ = addrAfter(text, "remote=")
		ev.SPI, _, _ = hexAfter(text, "spi=")
		return taken
	}
}

func dataPlane(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Src, _ = addrAfter(text, "src_addr ")
		ev.Dst, _ = addrAfter(text, "dest_addr ")
		ev.SPI, _, _ = hexAfter(text, "SPI ")
		ev.Peer, ev.Local = ev.Src, ev.Dst
		return taken
	}
}

func bare(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(_ string, ev *evidence.Event) understood {
		ev.Kind = k
		return taken
	}
}

func fromPeer(k evidence.Kind, key string) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		var ok bool
		if ev.Peer, ok = addrAfter(text, key); !ok {
			return cut
		}
		return taken
	}
}

// session is `Crypto tunnel [v2 ]is UP  .  Peer A:500       Id: X`; spacing differs by release.
func session(text string, ev *evidence.Event) understood {
	peer, ok := addrAfter(text, "Peer ")
	switch {
	case !ok:
		return cut
	case strings.Contains(text, " is UP"):
		ev.Kind = evidence.ChildUp
	case strings.Contains(text, " is DOWN"):
		ev.Kind = evidence.ChildDown
	default:
		return foreign
	}
	ev.Peer = peer
	return taken
}

func manualDelete(text string, ev *evidence.Event) understood {
	ev.Kind, ev.Word = evidence.IKEDown, "IKE SA manually deleted" // its IPsec SAs stay (IKEv1)
	ev.Peer, _ = addrAfter(text, "sa peer ")
	return taken
}

func becameActive(text string, ev *evidence.Event) understood {
	if !strings.HasSuffix(text, "-> Active") && !strings.Contains(text, "-> Master") && !strings.Contains(text, "-> Active ") {
		return foreign
	}
	ev.Kind = evidence.Failover
	return taken
}

// clearCommand is a logged command: `User:ops  logged command:clear crypto sa peer 192.0.2.9`.
func clearCommand(text string, ev *evidence.Event) understood {
	_, command, ok := strings.Cut(text, "command:")
	command = strings.TrimSpace(strings.TrimPrefix(command, "!exec: "))
	if !ok || !isClear(command) {
		return foreign
	}
	ev.Kind, ev.Word = cleared(command), strings.Clone(command)
	ev.Peer = clearedPeer(command)
	return taken
}

// cleared: what removes IKEv1's phase 1 leaves the IPsec SAs.
func cleared(command string) evidence.Kind {
	for _, c := range []string{"clear crypto isakmp", "clear crypto ikev1", "clear isakmp"} {
		if strings.HasPrefix(command, c) {
			return evidence.IKEDown
		}
	}
	return evidence.Cleared
}

func isClear(command string) bool {
	for _, c := range []string{"clear crypto sa", "clear crypto isakmp", "clear crypto ikev2 sa", "clear crypto session", "clear crypto ipsec sa", "clear isakmp sa", "clear ipsec sa", "clear crypto ikev1 sa"} {
		if strings.HasPrefix(command, c) {
			return !strings.HasPrefix(command, "clear crypto sa counters")
		}
	}
	return false
}

func clearedPeer(command string) netip.Addr {
	for _, key := range []string{"peer ", "remote "} {
		if a, ok := addrAfter(command, key); ok {
			return a
		}
	}
	return netip.Addr{}
}

// suppressed is Lockstep's count of lines that were not printed; it follows the line it counts for.
func suppressed(text string, ev *evidence.Event) understood {
	n, ok := numberAfter(text, "")
	if !ok || !strings.Contains(text, "RECVD_PKT_INV_SPI") {
		return foreign
	}
	ev.Kind, ev.Count = evidence.Suppressed, n
	return taken
}

func recovery(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Peer, _ = addrAfter(text, "peer ")
		if k == evidence.Healed {
			ev.Word = wordAfter(text, "healed by ") + " " + wordAfter(text, "cause ")
		}
		return taken
	}
}
