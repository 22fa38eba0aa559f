package logsink

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/event"
)

var (
	t0   = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)
	ours = netip.MustParseAddr("192.0.2.1")
	peer = netip.MustParseAddr("192.0.2.2")
)

func invSPI(at time.Time, spi uint32) event.Record { return event.RecvdPktInvSPI(at, ours, peer, spi) }

func sinkAt(now *time.Time, o Options) *Sink {
	o.Now = func() time.Time { return *now }
	return New(o)
}

func TestTheLineIsThatOfIOSByteForByte(t *testing.T) {
	want := "*Feb  3 04:05:06.789: %CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, spi=0x0BADCAFE(195939070), srcaddr=192.0.2.2"
	if got := Line(invSPI(t0, 0x0BADCAFE)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	debug := event.IKEDebug(1, netip.AddrPortFrom(peer, 500), "one\ntwo")
	debug.At = t0
	if got := Line(debug); got != "*Feb  3 04:05:06.789: IKEv2:(SESSION ID = 1,SA ID = 1):one\ntwo" {
		t.Errorf("debug: %q", got)
	}
	if got := Stamp(t0.AddDate(0, 0, 10)); got != "Feb 13 04:05:06.789" {
		t.Error(got)
	}
}

func TestOneLineAMinuteAndTheRestIsCountedBehindTheNext(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{})
	for range 120 { // two minutes, a hundred packets a second in hand-overs of a second
		r := invSPI(now, 0x1001)
		r.Packets = 100
		s.Write(r)
		now = now.Add(time.Second)
	}
	lines := s.Lines()
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	if strings.Contains(lines[1], "[") || lines[1][21:] != lines[0][21:] {
		t.Errorf("the second line differs: %s", lines[1])
	}
	if want := "*Feb  3 04:06:06.789: %SYS-6-SUPPRESSED: 5999 more of %CRYPTO-4-RECVD_PKT_INV_SPI for this flow since the last line"; lines[2] != want {
		t.Errorf("got  %s\nwant %s", lines[2], want)
	}
	if c := s.Status(0); c.Limited != 118 {
		t.Errorf("%d limited", c.Limited)
	}
}

func TestAFloodPrintsTenLinesASecond(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Size: 1 << 20})
	for i := range uint32(100000) {
		s.Write(invSPI(now, i))
		now = now.Add(20 * time.Microsecond)
	}
	if n := len(s.Lines()); n != 20 {
		t.Errorf("%d lines in two seconds", n)
	}
}

func TestTheRingKeepsItsSize(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Size: 1000})
	for range 100 {
		s.Write(event.LineProtocol(now, "Tunnel0", true))
	}
	n := 0
	for _, l := range s.Lines() {
		n += len(l) + 1
	}
	if n > 1000 || n < 800 {
		t.Errorf("%d octets", n)
	}
	if s.Clear(); len(s.Lines()) != 0 {
		t.Error("not cleared")
	}
	s.Write(event.Restarted(now, strings.Repeat("x", 2000))) // larger than the ring
	if len(s.Lines()) != 0 {
		t.Error("a line larger than the ring")
	}
}

func TestPeersCannotForgeLinesOrSteerTerminals(t *testing.T) {
	r := event.IKESessionUp(netip.AddrPortFrom(peer, 500), "x\n*Feb  3 04:05:06.789: %SYS-5-CONFIG_I: forged\x1b[2J\u2028")
	if got := Line(r); strings.ContainsAny(got, "\n\x1b\u2028") {
		t.Errorf("%q", got)
	}
	if got := string(Datagram(r, "site a")); strings.ContainsAny(got, "\n\x1b") || !strings.Contains(got, " sitea lockstep ") {
		t.Errorf("%q", got)
	}
}

func TestDebugLinesNeedTheirSwitch(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{})
	other := netip.MustParseAddr("198.51.100.1")
	say := func() { // one of each topic and peer
		for _, p := range []netip.Addr{peer, other} {
			s.Write(event.IKEDebug(1, netip.AddrPortFrom(p, 500), "x"))
			s.Write(event.RecoveryDebug(now, "Tunnel0", p, 1, "what", "why"))
		}
	}
	for _, c := range []struct {
		do   func()
		want int
		on   int
	}{
		{func() {}, 0, 0},
		{func() { s.Debug(event.TopicRecovery, netip.Addr{}, true) }, 2, 1},
		{func() { s.Debug(event.TopicIKEv2, peer, true) }, 3, 2},
		{func() { s.Debug(event.TopicRecovery, netip.Addr{}, false) }, 1, 1},
		{func() { s.Debug(event.TopicIKEv2, peer, false) }, 0, 0},
		{func() { s.Debug(event.TopicIKEv2, other, true); s.Undebug() }, 0, 0},
	} {
		c.do()
		s.Clear()
		say()
		if n := len(s.Lines()); n != c.want || len(s.Debugging()) != c.on {
			t.Errorf("%d lines, want %d; %v", n, c.want, s.Debugging())
		}
	}
}

func TestSeveritiesAndSessionLines(t *testing.T) {
	now := t0
	var console, host bytes.Buffer
	s := sinkAt(&now, Options{Console: &console, Terse: event.Error, Buffer: event.Notification, Trap: event.Warning, Hostname: "site-a",
		Hosts: []Host{{"10.9.8.7", &host}}})
	s.Write(event.RecoveryGaveUp(now, "Tunnel0", peer, "why"))      // 3
	s.Write(event.LineProtocol(now, "Tunnel0", true))               // 5
	s.Write(event.Suppressed(now, invSPI(now, 1), 1))               // 6
	s.Write(event.IKESessionUp(netip.AddrPortFrom(peer, 500), "x")) // not asked for
	if n := strings.Count(console.String(), "\n"); n != 1 || len(s.Lines()) != 2 {
		t.Errorf("console %q, buffer %q", console.String(), s.Lines())
	}
	if want := "<187>1 2026-02-03T04:05:06.789000Z site-a lockstep - CRYPTO-3-RECOVERY_GAVEUP - %CRYPTO-3-RECOVERY_GAVEUP: Tunnel0: peer 192.0.2.2: why"; host.String() != want {
		t.Errorf("got  %s\nwant %s", host.String(), want)
	}
	s.SetSession(true)
	s.Write(event.IKESessionUp(netip.AddrPortFrom(peer, 500), "x"))
	if len(s.Lines()) != 3 {
		t.Error("no session line")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no route") }

func TestShowLogging(t *testing.T) {
	now := t0
	s := sinkAt(&now, Options{Console: broken{}, Hosts: []Host{{"10.9.8.7", broken{}}}, Size: 4096})
	s.Write(event.LineProtocol(now, "Tunnel0", false))
	s.Write(invSPI(now, 1))
	s.Write(invSPI(now, 1))
	got := s.Status(7).Text()
	for _, want := range []string{
		"Syslog logging: enabled (7 messages dropped, 1 messages rate-limited, 0 flushes, 4 overruns, xml disabled, filtering disabled)\n",
		"\n    Console logging: level debugging, 2 messages logged, xml disabled,\n                     filtering disabled\n",
		"\n    Buffer logging:  level debugging, 2 messages logged, xml disabled,\n                    filtering disabled\n",
		"\n    Trap logging: level informational, 2 message lines logged\n        Logging to 10.9.8.7  (udp port 514, audit disabled,\n              link down),\n              0 message lines logged,\n",
		"\nLog Buffer (4096 bytes):\n\n*Feb  3 04:05:06.789: %LINEPROTO-5-UPDOWN: Line protocol on Interface Tunnel0, changed state to down\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestMonitorsAndTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus event.Bus
		s := New(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		sub := bus.Subscribe(16)
		go s.Run(ctx, sub)
		m := s.Monitor(2)
		for range 3 {
			bus.Publish(event.LineProtocol(time.Time{}, "Tunnel0", true))
			synctest.Wait()
		}
		if got := <-m.Lines(); !strings.HasPrefix(got, "*"+Stamp(time.Now())) {
			t.Errorf("stamped by the sink: %s", got)
		}
		if lost := m.Close(); lost != 1 || len(s.Lines()) != 3 {
			t.Errorf("%d lost, %q", lost, s.Lines())
		}
		cancel()
		synctest.Wait()
	})
}

func TestTopicsAreListedInOrder(t *testing.T) {
	s := New(Options{})
	for _, topic := range []event.Topic{event.TopicRecovery, event.TopicIPsec, event.TopicIKEv2} {
		s.Debug(topic, netip.Addr{}, true)
	}
	var got []event.Topic
	for _, d := range s.Debugging() {
		got = append(got, d.Topic)
	}
	if !slices.Equal(got, []event.Topic{event.TopicIKEv2, event.TopicIPsec, event.TopicRecovery}) {
		t.Error(got)
	}
}
