package event

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestLinesOfRecoveryAndSystem(t *testing.T) {
	for want, r := range map[string]Record{
		"%CRYPTO-3-RECOVERY_RECURRING: Tunnel0: peer 192.0.2.2 healed 3 times in 24 hours (D01 twice, unknown once): recovery does not remove the cause. " +
			"Here: why it restarts. At the peer: its DPD. See show crypto recovery trend": RecoveryRecurring(t0, "Tunnel0", b, "healed 3 times in 24 hours", "D01 twice, unknown once", "why it restarts", "its DPD"),
		"%CRYPTO-5-RECOVERY_ONE_WAY: Tunnel0: peer 192.0.2.2: nothing comes back; looked at again at " + t0.Format(time.DateTime): RecoveryOneWay(t0, "Tunnel0", b, "nothing comes back", t0),
		"%CRYPTO-4-PEER_FAULT: Tunnel0: peer 192.0.2.2 drops it (CSCvp16730): it gets another. Update the peer's software":        PeerFault("Tunnel0", netip.AddrPortFrom(b, 500), "CSCvp16730", "drops it", "it gets another"),
		"%SYS-5-RESTART: System restarted -- Lockstep, version 0.1":                                                               Restarted(t0, "0.1"),
		"%SYS-5-CONFIG_I: Configured from console by op":                                                                          Configured(t0, "console", "op"),
		"%SYS-6-SUPPRESSED: 59 more of %CRYPTO-4-RECVD_PKT_INV_SPI for this flow since the last line":                             Suppressed(t0, RecvdPktInvSPI(t0, a, b, 1), 59),
	} {
		if got := line(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if e, ok := Lookup(r.Facility, r.Mnemonic); !ok || e.Severity != r.Severity {
			t.Errorf("%s is not in the catalogue", r.Mnemonic)
		}
	}
	r := RecoveryDebug(t0, "Tunnel0", b, 7, "new IKE SA", "no IKE SA")
	if r.Text != "RECOVERY:(Tunnel0, peer 192.0.2.2, incident 7): new IKE SA (no IKE SA)" || r.Topic != TopicRecovery || r.Severity != Debugging {
		t.Errorf("%+v", r)
	}
}

func TestTheLimitCountsPacketsNotHandOvers(t *testing.T) {
	var l Limiter
	r := RecvdPktInvSPI(t0, a, b, 0x1001)
	r.Packets = 10
	if ok, n := l.Allow(r, t0); !ok || n != 0 {
		t.Errorf("first: %v, %d", ok, n)
	}
	r.Packets = 5
	if ok, _ := l.Allow(r, t0.Add(time.Second)); ok {
		t.Error("second line within a minute")
	}
	if ok, n := l.Allow(r, t0.Add(time.Minute)); !ok || n != 9+5 {
		t.Errorf("a minute later: %v, %d suppressed, want 14", ok, n)
	}
}

func TestASlowSubscriberLosesItsOwnRecordsOnly(t *testing.T) {
	var bus Bus
	bus.Publish(LineProtocol(t0, "Tunnel0", true)) // nobody listens
	slow, quick := bus.Subscribe(2), bus.Subscribe(10)
	for range 5 {
		bus.Publish(LineProtocol(t0, "Tunnel0", true))
	}
	if len(slow.Records()) != 2 || slow.Lost() != 3 || len(quick.Records()) != 5 || quick.Lost() != 0 {
		t.Errorf("slow %d lost %d, quick %d lost %d", len(slow.Records()), slow.Lost(), len(quick.Records()), quick.Lost())
	}
	slow.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			bus.Publish(Restarted(t0, "x"))
			bus.Subscribe(1).Close()
		})
	}
	wg.Wait()
	if slow.Lost() != 3 || len(quick.Records()) != 9 {
		t.Errorf("after close: lost %d, quick %d", slow.Lost(), len(quick.Records()))
	}
}
