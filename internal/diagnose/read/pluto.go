package read

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// plutoLines are what libreswan's pluto says, of versions 3.3x to 5.x.
var plutoLines = []debugLine{
	{"not found (maybe expired)", plutoDelete(evidence.DeleteUnknown)},
	{"received Delete SA", plutoDelete(evidence.DeleteGot)},
	{"initiator established Child SA", plutoChild},
	{"responder established Child SA", plutoChild},
	{"IPsec SA established", plutoChild},
	{"rekeyed Child SA", bare(evidence.Rekey)},
	{"EVENT_v1_REPLACE", bare(evidence.Rekey)},
	{"liveness: action", bare(evidence.DeadPeer)},
	{"DPD: action", bare(evidence.DeadPeer)},
	{"terminating SAs using this connection", bare(evidence.Cleared)},
	{"Starting Pluto", bare(evidence.Restart)},
	{"ignoring informational payload INVALID_SPI", bare(evidence.NotifyGot)},
	{"NO_PROPOSAL_CHOSEN", bare(evidence.Refused)},
	{"TS_UNACCEPTABLE", bare(evidence.Refused)},
	{"deleting state (STATE_V2_IPSEC", bare(evidence.ChildDown)},
	{"deleting IPsec SA", bare(evidence.ChildDown)},
}

// plutoMessage reads `"conn"[2] 192.0.2.9 #5: …`.
func plutoMessage(d *dressed, ev *evidence.Event) understood {
	if d.app != "pluto" && !(strings.HasPrefix(d.msg, `"`) && strings.Contains(d.msg, "#")) {
		return foreign
	}
	for _, l := range plutoLines {
		if !strings.Contains(d.msg, l.phrase) {
			continue
		}
		if name, ok := strings.CutPrefix(d.msg, `"`); ok {
			name, rest, _ := strings.Cut(name, `"`)
			ev.Word = printable(name, 60)
			if _, instance, ok := strings.Cut(rest, "] "); ok {
				ev.Peer, _ = leadingAddr(instance)
			}
		}
		return l.read(d.msg, ev)
	}
	return foreign
}

// plutoDelete is `received Delete SA(0xHEX) payload` or `… PROTO_IPSEC_ESP SA(0xHEX) not found (maybe expired)`.
func plutoDelete(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.SPI, _, _ = hexAfter(text, "SA(0x")
		return taken
	}
}

// plutoChild is `… {ESP=>0xOUT <0xIN xfrm=…}`.
func plutoChild(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Installed
	spi, _, ok := hexAfter(text, " <")
	if !ok {
		return cut
	}
	ev.SPI = spi
	if a, ok := addrAfter(text, "DPD=passive NATD="); ok {
		ev.Peer = a
	}
	return taken
}
