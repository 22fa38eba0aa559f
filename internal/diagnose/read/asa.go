package read

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// asaMessage reads ASA's and FTD's numbered messages: `%ASA-4-402114: IPSEC: …`.
func asaMessage(d *dressed, ev *evidence.Event) understood {
	_, rest, ok := strings.Cut(d.msg, "%")
	if !ok || !strings.HasPrefix(rest, "ASA-") && !strings.HasPrefix(rest, "FTD-") {
		return foreign
	}
	head, text, _ := strings.Cut(rest, ":")
	number := head[strings.LastIndexByte(head, '-')+1:]
	text = strings.TrimSpace(text)
	ev.Word = strings.Clone(number)
	switch number {
	case "402114":
		return asaInvalidSPI(text, ev)
	case "402116":
		return asaPacket(evidence.BadSelector, text, ev)
	case "402119":
		return asaPacket(evidence.Replay, text, ev)
	case "402120":
		return asaPacket(evidence.BadICV, text, ev)
	case "602303":
		return asaSA(evidence.Installed, text, ev)
	case "602304":
		return asaSA(evidence.ChildDown, text, ev)
	case "713120":
		return asaPeer(evidence.ChildUp, text, ev)
	case "713119", "750006":
		return asaPeer(evidence.IKEUp, text, ev)
	case "713123":
		return asaPeer(evidence.DeadPeer, text, ev)
	case "713259", "113019", "750007":
		return asaEnded(text, ev)
	case "750002":
		return asaPeer(evidence.Negotiating, text, ev)
	case "750003", "713902", "713903":
		return asaPeer(evidence.Refused, text, ev)
	case "199002":
		ev.Kind = evidence.Restart
		return taken
	case "199001":
		ev.Kind = evidence.Reload
		return taken
	case "771001", "771002":
		ev.Kind = evidence.ClockSet
		return taken
	case "104001":
		ev.Kind = evidence.Failover
		return taken
	case "111008", "111010":
		return asaCommand(text, ev)
	}
	return foreign
}

// asaInvalidSPI is `IPSEC: Received an ESP packet (SPI= 0xHEX, sequence number= 0xHEX) from S to D with an invalid SPI.`
// ASA prints it at most once in five seconds.
func asaInvalidSPI(text string, ev *evidence.Event) understood {
	u := asaPacket(evidence.InvalidSPI, text, ev)
	ev.Limit = asaLimit
	if u == taken && !strings.Contains(text, "invalid SPI") {
		return cut
	}
	return u
}

func asaPacket(k evidence.Kind, text string, ev *evidence.Event) understood {
	spi, _, okSPI := hexAfter(text, "SPI=")
	src, okSrc := addrAfter(text, ") from ")
	dst, okDst := addrAfter(text, " to ")
	if !okSPI || !okSrc || !okDst {
		return cut
	}
	ev.Kind = k
	ev.Flow = evidence.Flow{Src: src, Dst: dst, Proto: 50, SPI: spi}
	if strings.Contains(text, "AH packet") {
		ev.Proto = 51
	}
	ev.Peer, ev.Local = src, dst
	return taken
}

// asaSA is `IPSEC: An inbound LAN-to-LAN SA (SPI= 0xHEX) between L and R (user= U) has been created.`
func asaSA(k evidence.Kind, text string, ev *evidence.Event) understood {
	spi, _, ok := hexAfter(text, "SPI=")
	if !ok {
		return cut
	}
	if !strings.Contains(text, "inbound") {
		return foreign
	}
	ev.Kind, ev.SPI = k, spi
	a, _ := addrAfter(text, "between ")
	b, _ := addrAfter(text, " and ")
	// The order of the two addresses is not the same in all versions: both are told, none is called ours.
	ev.Local, ev.Peer = a, b
	return taken
}

func asaPeer(k evidence.Kind, text string, ev *evidence.Event) understood {
	ev.Kind = k
	for _, key := range []string{"IP = ", "Remote:"} {
		if a, ok := addrAfter(text, key); ok {
			ev.Peer = a
			return taken
		}
	}
	return foreign
}

// asaEnded is the end of a session, with its reason.
func asaEnded(text string, ev *evidence.Event) understood {
	u := asaPeer(evidence.ChildDown, text, ev)
	if r, ok := after(text, "eason:"); ok {
		ev.Word = strings.Clone(strings.TrimRight(r, "."))
	}
	switch {
	case strings.Contains(ev.Word, "Lost Service"), strings.Contains(ev.Word, "Peer Not Responding"):
		ev.Kind = evidence.DeadPeer
	case strings.Contains(ev.Word, "Administrator Reset"), strings.Contains(ev.Word, "User Requested"):
		ev.Kind = evidence.Cleared
	case strings.Contains(ev.Word, "Peer Reconnected"):
		ev.Kind = evidence.InitialContact
	}
	return u
}

// asaCommand is `User 'U' executed the 'clear crypto ipsec sa peer A' command.`
func asaCommand(text string, ev *evidence.Event) understood {
	_, command, ok := strings.Cut(text, "executed the '")
	if !ok {
		_, command, ok = strings.Cut(text, "executed '")
	}
	command, _, _ = strings.Cut(command, "'")
	if !ok || !isClear(command) {
		return foreign
	}
	ev.Kind, ev.Word, ev.Peer = cleared(command), strings.Clone(command), clearedPeer(command)
	return taken
}
