package read

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// charonLines are what strongSwan's charon says; the first phrase that fits counts.
var charonLines = []debugLine{
	{"inbound ESP packet does not belong to an installed SA", bare(evidence.StrayESP)},
	{"received DELETE for unknown ", charonDelete(evidence.DeleteUnknown)},
	{"received DELETE for ESP CHILD_SA with SPI ", charonDelete(evidence.DeleteGot)},
	{"sending DELETE for ESP CHILD_SA with SPI ", charonDelete(evidence.DeleteSent)},
	{"received DELETE for IKE_SA", bare(evidence.IKEDown)},
	{"closing expired CHILD_SA", charonClosed(evidence.Expired)},
	{"closing CHILD_SA", charonClosed(evidence.ChildDown)},
	{"CHILD_REKEY collision", bare(evidence.Collision)},
	{"IKE_REKEY collision", bare(evidence.Collision)},
	{"established with SPIs ", charonSPIs},
	{"creating rekey job for CHILD_SA", charonRekeyJob},
	{"reauthenticating IKE_SA", bare(evidence.Reauth)},
	{"initiator did not reauthenticate", bare(evidence.Reauth)},
	{"received INITIAL_CONTACT", bare(evidence.InitialContact)},
	{"giving up after ", bare(evidence.DeadPeer)},
	{"peer not responding, trying again", bare(evidence.DeadPeer)},
	{"DPD check timed out", bare(evidence.DeadPeer)},
	{"is initiating an IKE_SA", charonInitiating},
	{"initiating IKE_SA ", charonInitiating},
	{" established between ", charonIKE(evidence.IKEUp)},
	{"deleting IKE_SA ", charonIKE(evidence.IKEDown)},
	{"Starting IKE charon daemon", bare(evidence.Restart)},
	{"received INVALID_SPI", bare(evidence.NotifyGot)},
	{"received INVALID_SYNTAX", bare(evidence.BadSyntax)},
	{"received NO_PROPOSAL_CHOSEN", bare(evidence.Refused)},
	{"received TS_UNACCEPTABLE", bare(evidence.Refused)},
	{"received AUTHENTICATION_FAILED", bare(evidence.Refused)},
}

// charonMessage reads `05[IKE] <conn|3> …`. The connection's name stands for the peer where no address is told.
func charonMessage(d *dressed, ev *evidence.Event) understood {
	if !strings.HasPrefix(d.app, "charon") && d.app != "ipsec" && !thread(d.msg) {
		return foreign
	}
	for _, l := range charonLines {
		if strings.Contains(d.msg, l.phrase) {
			ev.Word = charonConn(d.msg)
			return l.read(d.msg, ev)
		}
	}
	return foreign
}

// thread is the head of charon's lines: `05[IKE] `.
func thread(s string) bool {
	return len(s) > 7 && s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' && s[2] == '[' && s[6] == ']'
}

func charonConn(s string) string {
	_, rest, ok := strings.Cut(s, "<")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, ">")
	if !ok || len(name) > 60 {
		return ""
	}
	name, _, _ = strings.Cut(name, "|")
	return strings.Clone(name)
}

func charonDelete(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		var ok bool
		if ev.SPI, _, ok = hexAfter(text, "with SPI "); !ok {
			return cut
		}
		return taken
	}
}

// charonSPIs is `CHILD_SA net{3} established with SPIs c1d2e3f4_i c5a6b7c8_o and TS …`: _i is what we receive on.
func charonSPIs(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Installed
	spi, rest, ok := hexAfter(text, "with SPIs ")
	if !ok || !strings.HasPrefix(rest, "_i") {
		return cut
	}
	ev.SPI = spi
	return taken
}

func charonClosed(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		spi, rest, ok := hexAfter(text, "with SPIs ")
		if !ok || !strings.HasPrefix(rest, "_i") {
			return cut
		}
		ev.SPI = spi
		return taken
	}
}

// charonRekeyJob is `creating rekey job for CHILD_SA ESP/0xc1d2e3f4/192.0.2.1`.
func charonRekeyJob(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Rekey
	ev.SPI, _, _ = hexAfter(text, "ESP/")
	return taken
}

func charonInitiating(text string, ev *evidence.Event) understood {
	ev.Kind = evidence.Negotiating
	if a, ok := addrAfter(text, " to "); ok {
		ev.Peer = a
		return taken
	}
	i := strings.Index(text, " is initiating")
	if i < 0 {
		return foreign
	}
	ev.Peer, _ = leadingAddr(text[strings.LastIndexByte(text[:i], ' ')+1:])
	return taken
}

// charonIKE is `IKE_SA gw[3] established between LOCAL[id]...REMOTE[id]`.
func charonIKE(k evidence.Kind) func(string, *evidence.Event) understood {
	return func(text string, ev *evidence.Event) understood {
		ev.Kind = k
		ev.Local, _ = addrAfter(text, "between ")
		ev.Peer, _ = addrAfter(text, "...")
		return taken
	}
}
