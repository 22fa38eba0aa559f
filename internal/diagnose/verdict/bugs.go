package verdict

import (
	"time"

	"lockstep/internal/diagnose/evidence"
)

// Bug is a known defect that the evidence fits. It is never the verdict: others look the same.
type Bug struct {
	ID     string
	Title  string
	Why    string
	Quotes []evidence.Quote
}

// bugs are those that the tech note lists.
func bugs(j Judged, s scene) []Bug {
	var out []Bug
	if j.SPI>>24 == 0xFF && j.Verdict == Persistent {
		out = append(out, Bug{"CSCvp16730", "inbound ESP whose SPI begins with 0xFF is dropped as invalid",
			"the SPI of this flow begins with 0xFF; if `show crypto ipsec sa` lists it as inbound, this is the bug", []evidence.Quote{s.f.first.Quote}})
	}
	if b, ok := deletedWhileInstalling(s); ok {
		out = append(out, b)
	}
	for _, e := range append(s.atReceiver(), s.c.nameless...) {
		if e.Kind != evidence.BadSyntax {
			continue
		}
		for _, n := range append(s.atReceiver(), s.atSender()...) {
			if (n.Kind == evidence.NotifySent || n.Kind == evidence.NotifyGot) && near(n, e, maxSkew) {
				return append(out, Bug{"CSCvd40554", "an INVALID_SPI notify with SPI size 0 is answered with INVALID_SYNTAX",
					"INVALID_SPI was notified and INVALID_SYNTAX answered within seconds (the tech note prints the number as CSC40554)", []evidence.Quote{n.Quote, e.Quote}})
			}
		}
	}
	return out
}

func near(a, b *evidence.Event, within time.Duration) bool {
	return !a.At.IsZero() && !b.At.IsZero() && a.At.Sub(b.At).Abs() <= within
}

// deletedWhileInstalling: a packet came on a new SPI, and the device deleted that SPI instead of finishing it.
func deletedWhileInstalling(s scene) (Bug, bool) {
	var made, gone *evidence.Event
	for _, e := range s.ofSPI(true) {
		since, ok := s.since(e)
		if !ok || since > 0 || -since > around {
			continue
		}
		switch e.Kind {
		case evidence.Installed:
			made = e
		case evidence.DeleteSent, evidence.ChildDown:
			gone = e
		}
	}
	if made == nil || gone == nil {
		return Bug{}, false
	}
	return Bug{"CSCvn31824", "ISAKMP deletes the new SPI if a packet on it arrives before its installation is finished",
		"the packet came before the SPI was installed, and the SPI was deleted at once", []evidence.Quote{s.f.first.Quote, made.Quote, gone.Quote}}, true
}
