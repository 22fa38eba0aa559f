package read

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// debugLine is a phrase of a debug and what it says.
type debugLine struct {
	phrase string
	read   func(text string, ev *evidence.Event) understood
}

// iosDebugLines are phrases of `debug crypto isakmp|ipsec|ikev2` and of the event traces, old and new; the first counts.
var iosDebugLines = []debugLine{
	{"ignoring request to send delete notify (no ISAKMP sa)", noDelete},
	{"Process initial contact", initialContact},
	{"bring down existing phase 1 and 2 SA", initialContact},
	{"Sending DELETE INFO message for IPsec SA", deleteInfo(evidence.DeleteSent)},
	{"Processing DELETE INFO message for IPsec SA", deleteInfo(evidence.DeleteGot)},
	{"Sending DELETE INFO message for IKEv2 SA", deleteInfo(evidence.IKEDown)},
	{"Processing DELETE INFO message for IKEv2 SA", deleteInfo(evidence.IKEDown)},
	{"Successfully installed IPSEC SA (SPI:", installedSA},
	{"updated peer ", outboundSA},
	{"IKE_QM_PHASE2_COMPLETE", bare(evidence.Rekey)},
	{" NEW SA", newSA},
	{"Sending INVALID_SPI", invalidSPINotify(evidence.NotifySent)},
	{"EV_SEND_INVALID_SPI", invalidSPINotify(evidence.NotifySent)},
	{"NOTIFY(INVALID_SPI)", invalidSPINotify(evidence.NotifyGot)},
	{"INVALID_SYNTAX", bare(evidence.BadSyntax)},
	{"sa delete :", tracedDelete},
	{"deleting SA,", bare(evidence.Other)},
	{"Session with IKE ID PAIR", sessionPair},
}

func iosDebug(d *dressed, ev *evidence.Event) understood {
	m := d.msg
	if !strings.HasPrefix(m, "ISAKMP") && !strings.HasPrefix(m, "IPSEC(") && !strings.HasPrefix(m, "IPSEC-EVENT") && !strings.HasPrefix(m, "IKEv2") && !strings.HasPrefix(m, "SA ID:") {
		return foreign
	}
	for _, l := range iosDebugLines {
		if !strings.Contains(m, l.phrase) {
			continue
		}
		u := l.read(m, ev)
		if u == taken && ev.Kind == evidence.Other {
			return foreign
		}
		return u
	}
	return foreign
}

// noDelete is printed for each packet, unlike the syslog message: `… src LOCAL dst PEER for SPI 0xHEX`.
func noDelete(text string, ev *evidence.Event) understood {
	local, okLocal := addrAfter(text, " src ")
	peer, okPeer := addrAfter(text, " dst ")
	spi, _, okSPI := hexAfter(text, "for SPI ")
	if !okLocal || !okPeer || !okSPI {
		return cut
	}
	ev.Kind = evidence.NoDelete
	ev.Flow = evidence.Flow{Src: peer, Dst: local, Proto: 50, SPI: spi}
	ev.Peer, ev.Local = peer, local
	return taken
}

func initialContact(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.InitialContact
	ev.Local, _ = addrAfter(text, "with local ")
	var ok bool
	if ev.Peer, ok = addrAfter(text, "remote "); !ok {
		return cut
	}
	return taken
}

func deleteInfo(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Peer, _ = addrAfter(text, "Remote: ")
		ev.Local, _ = addrAfter(text, "Local: ")
		ev.SPI, _, _ = hexAfter(text, "[SPI:")
		return taken
	}
}

func installedSA(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Installed
	var ok bool
	if ev.SPI, _, ok = hexAfter(text, "(SPI:"); !ok {
		return cut
	}
	return taken
}

// outboundSA is `updated peer A current outbound sa to SPI HEX`: what the device sends on from now.
func outboundSA(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.ChildUp
	ev.Peer, _ = addrAfter(text, "updated peer ")
	return taken
}

func newSA(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Negotiating
	var ok bool
	if ev.Peer, ok = addrAfter(text, "packet from "); !ok {
		return foreign
	}
	return taken
}

func invalidSPINotify(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Peer, _ = addrAfter(text, "Remote: ")
		return taken
	}
}

// tracedDelete is `sa delete : (sa) sa_dest = A, sa_proto = 50, sa_spi = 0xHEX(…)`. Both SAs of a pair have one; the one
// to our own address is the inbound one, which only its owner can know.
func tracedDelete(text string, ev *evidence.Event) understood {
	spi, _, ok := hexAfter(text, "sa_spi = ")
	if !ok {
		return foreign
	}
	ev.Kind, ev.SPI = evidence.ChildDown, spi
	ev.Dst, _ = addrAfter(text, "sa_dest = ")
	return taken
}

func sessionPair(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.IKEUp
	if strings.Contains(text, "DOWN") {
		ev.Kind = evidence.IKEDown
	}
	ev.Peer, _ = addrAfter(text, "Remote: ")
	return taken
}
