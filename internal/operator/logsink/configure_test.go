package logsink

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/policy"
)

func lineUp(now time.Time, unit int) event.Record {
	return event.LineProtocol(now, fmt.Sprint("Tunnel", unit), true)
}

func TestConfigureKeepsWhatTheSinkHas(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Size: 4096})
	s.Debug(event.TopicRecovery, netip.Addr{}, true)
	m := s.Monitor(8)
	s.Write(lineUp(now, 7))
	s.Write(invSPI(now, 1))
	s.Write(invSPI(now, 1)) // limited
	s.Configure(Options{Hostname: "site-b", Size: 8192})
	s.Write(invSPI(now, 1)) // its minute goes on
	s.Write(event.RecoveryDebug(now, "Tunnel7", peer, 1, "what", "why"))
	if lines := s.Lines(); len(lines) != 3 || !strings.Contains(lines[0], "Tunnel7") || !strings.Contains(lines[2], "RECOVERY:") {
		t.Errorf("ring %q", lines)
	}
	st := s.Status(0)
	if st.Limited != 2 || st.Buffer != 3 || st.Counts.Monitor != 3 || st.Size != 8192 {
		t.Errorf("%+v", st)
	}
	if lost := m.Close(); lost != 0 || len(m.Lines()) != 3 {
		t.Errorf("terminal: %d lines, %d lost", len(m.Lines()), lost)
	}
}

func TestConfigureAShorterRingKeepsTheNewest(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Size: 1 << 16})
	for unit := range 100 {
		s.Write(lineUp(now, unit))
	}
	s.Configure(Options{Size: 500})
	lines, octets := s.Lines(), 0
	for _, l := range lines {
		octets += len(l) + 1
	}
	if octets > 500 || octets < 350 || !strings.Contains(lines[len(lines)-1], "Tunnel99") {
		t.Errorf("%d octets: %q", octets, lines)
	}
	s.Configure(Options{Size: 1 << 16})
	s.Write(lineUp(now, 100))
	if n := len(s.Lines()); n != len(lines)+1 {
		t.Errorf("%d lines after growing, had %d", n, len(lines))
	}
}

func TestConfigureMovesEveryDestination(t *testing.T) {
	now := t0
	var console, oldHost, kept, newHost bytes.Buffer
	s := sinkAt(&now, Options{Hostname: "site-a", Console: &console, Hosts: []Host{{"192.0.2.8", &oldHost}, {"192.0.2.9:5514", &kept}}})
	s.Write(lineUp(now, 1))
	s.Configure(Options{Hostname: "site-b", Buffer: event.Error, Terse: Off, Console: &console, Trap: event.Notification, Session: true,
		Hosts: []Host{{"192.0.2.9:5514", &kept}, {"192.0.2.10", &newHost}}})
	before := console.Len()
	s.Write(event.IKESessionUp(netip.AddrPortFrom(peer, 500), "x")) // severity 5, for sessions
	if console.Len() != before || len(s.Lines()) != 1 {
		t.Errorf("console %q, ring %q", console.String(), s.Lines())
	}
	if strings.Count(oldHost.String(), "lockstep") != 1 || strings.Count(kept.String(), "lockstep") != 2 || !strings.Contains(newHost.String(), " site-b lockstep ") {
		t.Errorf("old %q, kept %q, new %q", oldHost.String(), kept.String(), newHost.String())
	}
	got := s.Status(0).Hosts
	want := []HostStatus{{"192.0.2.9", 5514, true, 2}, {"192.0.2.10", 514, true, 1}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLevelsOfTheConfigurationAdmitWhatTheyName(t *testing.T) {
	for n := policy.Off; n <= 7; n++ {
		for s := event.Alert; s <= event.Debugging; s++ {
			if got, want := admits(Level(n), s), int(s) <= n; got != want {
				t.Errorf("level %d, severity %d: %v", n, s, got)
			}
		}
	}
	for n, want := range map[int]string{policy.Off: "disabled", 0: "level emergencies", 1: "level alerts", 4: "level warnings", 7: "level debugging"} {
		if got := levelText(Level(n)); got != want {
			t.Errorf("level %d shows %q, want %q", n, got, want)
		}
	}
}

func TestTerminalsHaveALevelOfTheirOwn(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Monitor: event.Error})
	m := s.Monitor(4)
	s.Write(lineUp(now, 1))
	s.Write(event.RecoveryGaveUp(now, "Tunnel1", peer, "why"))
	if len(m.Lines()) != 1 || !strings.Contains(<-m.Lines(), "GAVEUP") {
		t.Error("the terminal got something else than the error")
	}
	s.Configure(Options{Monitor: Off})
	s.Write(event.RecoveryGaveUp(now, "Tunnel1", peer, "why"))
	if len(m.Lines()) != 0 || m.Close() != 0 {
		t.Error("a terminal gets lines although monitor logging is off")
	}
	if text := s.Status(0).Text(); !strings.Contains(text, "    Monitor logging: disabled, 1 messages logged,") {
		t.Error(text)
	}
}

func TestAHostThatRefusesIsShownDownUntilItTakesOne(t *testing.T) {
	now := t0
	var taken bytes.Buffer
	s := sinkAt(&now, Options{Hosts: []Host{{"192.0.2.9:5514", broken{}}}})
	s.Write(lineUp(now, 1))
	if text := s.Status(0).Text(); !strings.Contains(text, "        Logging to 192.0.2.9  (udp port 5514, audit disabled,\n              link down),\n              0 message lines logged,\n") {
		t.Error(text)
	}
	s.Configure(Options{Hosts: []Host{{"192.0.2.9:5514", &taken}}})
	s.Write(lineUp(now, 1))
	if got, want := s.Status(0).Hosts[0], (HostStatus{"192.0.2.9", 5514, true, 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConfigureWhileOthersWrite(t *testing.T) {
	s := New(Options{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for unit := range 500 {
			s.Write(event.LineProtocol(time.Time{}, fmt.Sprint("Tunnel", unit), true))
		}
	})
	for n := range 200 {
		s.Configure(Options{Size: 1000 + n, Hosts: []Host{{"192.0.2.9", io.Discard}}})
	}
	writing.Wait()
	if c := s.Status(0).Buffer; c != 500 {
		t.Errorf("%d lines counted", c)
	}
}
