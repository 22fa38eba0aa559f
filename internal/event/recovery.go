package event

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// RecoveryRecurring tells that a peer is healed again and again. what is how often, causes the D-codes with their counts,
// here and there what to look at for the most frequent, at this end and at the peer's.
func RecoveryRecurring(at time.Time, tunnel string, peer netip.Addr, what, causes, here, there string) Record {
	r := recoveryRecurring.record(at, fmt.Sprintf("%s: peer %v %s (%s): recovery does not remove the cause. Here: %s. At the peer: %s. See show crypto recovery trend",
		tunnel, peer, what, causes, here, there), slog.String("tunnel", tunnel), slog.String("causes", causes))
	r.Peer = peer
	return r
}

// PeerFault tells of a fault of the peer's implementation that was met: by which published defect it is known, how it
// showed, and what we do about it from now on.
func PeerFault(tunnel string, peer netip.AddrPort, defect, what, remedy string) Record {
	r := peerFault.record(time.Time{}, fmt.Sprintf("%s: peer %v %s (%s): %s. Update the peer's software", tunnel, peer.Addr(), what, defect, remedy),
		slog.String("tunnel", tunnel), slog.String("defect", defect))
	r.Peer, r.RateKey = peer.Addr(), defect+" "+peer.Addr().String()
	return r
}

// RecoveryOneWay tells that nothing comes back from a peer that is alive and has the SA: traffic of that tunnel goes one way.
// It is looked at again at next.
func RecoveryOneWay(at time.Time, tunnel string, peer netip.Addr, what string, next time.Time) Record {
	r := recoveryOneWay.record(at, fmt.Sprintf("%s: peer %v: %s; looked at again at %s", tunnel, peer, what, next.Format(time.DateTime)),
		slog.String("tunnel", tunnel), slog.Time("next", next))
	r.Peer = peer
	return r
}

// RecoveryDebug is one line of `debug crypto recovery`. incident 0: it belongs to none.
func RecoveryDebug(at time.Time, tunnel string, peer netip.Addr, incident uint64, what, why string) Record {
	text := fmt.Sprintf("RECOVERY:(%s, peer %v): %s (%s)", tunnel, peer, what, why)
	if incident != 0 {
		text = fmt.Sprintf("RECOVERY:(%s, peer %v, incident %d): %s (%s)", tunnel, peer, incident, what, why)
	}
	return Record{At: at, Facility: "CRYPTO", Severity: Debugging, Topic: TopicRecovery, Peer: peer, Text: text,
		Attrs: []slog.Attr{slog.Uint64("incident", incident), slog.String("what", what)}}
}

// Restarted tells that the gateway has started.
func Restarted(at time.Time, version string) Record {
	return restarted.record(at, "System restarted -- Lockstep, version "+version, slog.String("version", version))
}

// Configured tells that another configuration runs. from is "console", "file", who the user or the signal.
func Configured(at time.Time, from, who string) Record {
	return configured.record(at, fmt.Sprintf("Configured from %s by %s", from, who), slog.String("from", from), slog.String("user", who))
}

// Suppressed follows a rate-limited line whose flow had n more occurrences since the last line. It is a line of its own, so
// that the limited one stays what parsers of IOS messages expect.
func Suppressed(at time.Time, of Record, n uint64) Record {
	name := Entry{Facility: of.Facility, Severity: of.Severity, Mnemonic: of.Mnemonic}.Name()
	r := suppressed.record(at, fmt.Sprintf("%d more of %s for this flow since the last line", n, name), slog.Uint64("suppressed", n), slog.String("message", name))
	r.Peer = of.Peer
	return r
}
