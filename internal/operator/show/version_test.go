package show

import (
	"net/netip"
	"testing"
	"time"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/event"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/reason"
)

func TestVersionTellsOfRestartAndIdentity(t *testing.T) {
	v := &Version{Version: "1.4.2", Go: "go1.26", Platform: "linux/arm64", Hostname: "hub", Started: now.Add(-26 * time.Hour), Uptime: 26 * 3600,
		Identity: Identity{Generation: 9, Created: now.Add(-26 * time.Hour), Fresh: true}}
	same(t, v, `Lockstep IPsec gateway, Version 1.4.2
Compiled with go1.26 for linux/arm64

hub uptime is 1 day, 2 hours, 0 minutes
System restarted at 05:08:09 UTC Tue May 5 2026
SPI identity: generation 9, made May  5 2026 05:08:09.250 UTC by this start
`)
}

func TestClock(t *testing.T) {
	same(t, &Clock{now}, "*07:08:09.250 UTC Wed May 6 2026\n")
}

func TestRunningConfigHasIOSsHead(t *testing.T) {
	v := NewRunning("hub", "hostname hub\n!\nend\n")
	same(t, v, "Building configuration...\n\nCurrent configuration : 19 bytes\nhostname hub\n!\nend\n")
	if lines := data(t, v)["lines"].([]any); len(lines) != 3 || lines[2] != "end" {
		t.Errorf("%v", lines)
	}
}

func TestLoggingAsDataHasTheLines(t *testing.T) {
	sink := logsink.New(logsink.Options{Now: func() time.Time { return now }})
	sink.Write(event.LineProtocol(now, "Tunnel3", true))
	v := NewLogging(sink.Status(4))
	if got := text(t, v); got != sink.Status(4).Text() {
		t.Errorf("%s", got)
	}
	d := data(t, v)
	if lines := d["lines"].([]any); len(lines) != 1 || d["dropped"] != 4.0 || d["buffer_messages"] != 1.0 {
		t.Errorf("%v", d)
	}
}

func TestDebuggingListsSwitchesBySubsystem(t *testing.T) {
	list := []logsink.Switch{{Topic: event.TopicIKEv2}, {Topic: event.TopicIPsec, Peers: []netip.Addr{east, west}}, {Topic: event.TopicRecovery}}
	same(t, NewDebugging(list), `IKEV2:
  IKEv2 default debugging is on
Cryptographic Subsystem:
  Crypto IPSEC debugging is on for peer 203.0.113.20, 2001:db8:77::20
  Crypto RECOVERY debugging is on
`)
	same(t, NewDebugging(nil), "")
	if got := DebugState(event.TopicIPsec, nil); got != "Crypto IPSEC debugging is off" {
		t.Error(got)
	}
	if d := data(t, NewDebugging(list)); d["switches"].([]any)[1].(map[string]any)["peers"].([]any)[0] != "203.0.113.20" {
		t.Errorf("%v", d)
	}
}

func TestDropsAsDataHaveOurReasonsToo(t *testing.T) {
	var d counters.Totals
	d.Packets[reason.ReplayDuplicate], d.Octets[reason.ReplayDuplicate] = 5, 500
	v := data(t, NewStatisticsDrop(&d, true))
	if n := len(v["counters"].([]any)); n != len(reason.GlobalNames()) {
		t.Errorf("%d counters", n)
	}
	if r := v["reasons"].([]any); len(r) != 1 || r[0].(map[string]any)["reason"] != "replay_duplicate" || r[0].(map[string]any)["octets"] != 500.0 {
		t.Errorf("%v", r)
	}
	rows := data(t, NewDatapathDrops(&d, false))["counters"].([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["row"] != 21.0 || rows[0].(map[string]any)["packets"] != 5.0 {
		t.Errorf("%v", rows)
	}
	if got := text(t, NewDatapathDrops(&d, true)); got == text(t, NewDatapathDrops(&d, false)) {
		t.Error("all shows no more")
	}
}
