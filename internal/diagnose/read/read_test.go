package read

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// collector keeps what a reader finds.
type collector struct{ events []evidence.Event }

func (c *collector) Event(e evidence.Event) { c.events = append(c.events, e) }
func (*collector) Counter(evidence.Counter) {}
func (*collector) SA(evidence.SA)           {}
func (*collector) IKESA(evidence.IKESA)     {}
func (*collector) ESP(evidence.Traffic)     {}
func (*collector) IKE(evidence.IKE)         {}

var ref = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func readText(t testing.TB, text string) (*collector, evidence.Span) {
	t.Helper()
	var c collector
	var clocks Clocks
	span, err := NewLog("test.log", ref, &clocks, &c).Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return &c, span
}

const invalid = "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0xC0FFEE01(3237998081), srcaddr=198.51.100.9"

func TestEveryDressingGivesTheSameFlowAndTheDevicesTime(t *testing.T) {
	for _, c := range []struct {
		dress, at, device string
		grain             time.Duration
	}{
		{"Feb 20 11:39:59.250: %s", "2026-02-20T11:39:59.25Z", "test.log", time.Millisecond},
		{"*Feb  2 11:39:59.250: %s", "2026-02-02T11:39:59.25Z", "test.log", time.Millisecond},
		{".Feb 20 11:39:59: %s", "2026-02-20T11:39:59Z", "test.log", time.Second},
		{"001842: Feb 20 11:39:59.250 CET: %s", "2026-02-20T10:39:59.25Z", "test.log", time.Millisecond},
		{"<188>989474: *Feb  2 11:39:59KST: %s", "2026-02-02T02:39:59Z", "test.log", time.Second},
		{"<188>1842: hub-1: Feb 20 11:39:59.250: %s", "2026-02-20T11:39:59.25Z", "hub-1", time.Millisecond},
		{"Feb 20 11:40:01 198.51.100.1 1842: Feb 20 11:39:59.250: %s", "2026-02-20T11:39:59.25Z", "198.51.100.1", time.Millisecond},
		{"Feb 20 11:40:01 hub-1 39: hub-1: *Feb 20 11:39:59.250: %s", "2026-02-20T11:40:01Z", "hub-1", time.Second},
		{"2026-02-20T11:40:01.123456+01:00 hub-1 1842: Feb 20 11:39:59.250: %s", "2026-02-20T11:39:59.25Z", "hub-1", time.Millisecond},
		{"<188>1 2026-02-20T11:39:59.250Z hub-1 - - - - %s", "2026-02-20T11:39:59.25Z", "hub-1", time.Millisecond},
		{`<188>1 2026-02-20T11:39:59.250Z hub-1 lockstep - CRYPTO-4 [x a="b]\"c"] %s`, "2026-02-20T11:39:59.25Z", "hub-1", time.Millisecond},
		{"Feb 20 2025 11:39:59.250 UTC: %s", "2025-02-20T11:39:59.25Z", "test.log", time.Millisecond},
		{"Nov 20 11:39:59.250: %s", "2025-11-20T11:39:59.25Z", "test.log", time.Millisecond},
		{"Feb 29 2024 11:39:59 hub-1 %s", "2024-02-29T11:39:59Z", "hub-1", time.Second},
		{`{"__REALTIME_TIMESTAMP":"1771587599250000","_HOSTNAME":"hub-1","MESSAGE":"%s"}`, "2026-02-20T11:39:59.25Z", "hub-1", time.Microsecond},
		{"Feb 20 11:39:59.250: %%IOSXE-4-PLATFORM: R0/0: cpp_cp: QFP:0.0 Thread:003 TS:00000000123 %s, input interface=GigabitEthernet0/0/1", "2026-02-20T11:39:59.25Z", "test.log", time.Millisecond},
	} {
		line := fmt.Sprintf(c.dress, invalid)
		got, span := readText(t, line+"\n")
		if len(got.events) != 1 {
			t.Errorf("%s: %d events, %+v", line, len(got.events), span)
			continue
		}
		e := got.events[0]
		want := evidence.Flow{Src: netip.MustParseAddr("198.51.100.9"), Dst: netip.MustParseAddr("192.0.2.2"), Proto: 50, SPI: 0xC0FFEE01}
		at, _ := time.Parse(time.RFC3339Nano, c.at)
		if e.Flow != want || e.Kind != evidence.InvalidSPI || !e.At.Equal(at) || e.Device != c.device || e.Grain != c.grain {
			t.Errorf("%s:\n%v %v at %v by %s, grain %v", line, e.Kind, e.Flow, e.At, e.Device, e.Grain)
		}
	}
}

// TestWhoseTheTimeIsIsKnown: with one time and a host behind it, or in RFC 5424's header, it may be a relay's.
func TestWhoseTheTimeIsIsKnown(t *testing.T) {
	for dress, relayed := range map[string]bool{
		"Feb 20 11:39:59.250: %s":                                       false,
		"<188>1842: hub-1: Feb 20 11:39:59.250: %s":                     false,
		"Feb 20 11:40:01 hub-1 1842: Feb 20 11:39:59.250: %s":           false,
		"<188>1 2026-02-20T11:40:01Z hub-1 - - - - Feb 20 11:39:59: %s": false,
		"Feb 20 11:40:01 hub-1 39: hub-1: *Feb 20 11:39:59.250: %s":     true, // the device does not trust its own
		"Feb 20 11:40:01 hub-1 %s":                                      true,
		"<188>1 2026-02-20T11:40:01Z hub-1 - - - - %s":                  true,
	} {
		c, _ := readText(t, fmt.Sprintf(dress, invalid)+"\n")
		if len(c.events) != 1 || c.events[0].Relayed != relayed {
			t.Errorf("%s: %+v", dress, c.events)
		}
	}
}

func TestUptimeStampsCountButNameNoTime(t *testing.T) {
	got, _ := readText(t, "00:12:34: "+invalid+"\n1w2d: "+invalid+"\n[  123.456789] audit: type=1415 audit(1771587599.250:7): op=SA-notfound src=198.51.100.9 dst=192.0.2.2 spi=3237998081(0xc0ffee01) seqno=9\n")
	if len(got.events) != 3 {
		t.Fatal(got.events)
	}
	for i, want := range []time.Duration{12*time.Minute + 34*time.Second, 9 * 24 * time.Hour} {
		if up, ok := IsUptime(got.events[i].At); !ok || up != want {
			t.Errorf("%v %v", up, ok)
		}
	}
	if e := got.events[2]; !e.At.Equal(time.UnixMilli(1771587599250)) || e.SPI != 0xC0FFEE01 {
		t.Errorf("audit: %v %v", e.At, e.Flow)
	}
}

func TestTheYearWrapsAndAReorderedLineDoesNot(t *testing.T) {
	text := "Dec 31 23:59:58.000: " + invalid + "\nJan  1 00:00:59.000: " + invalid + "\nDec 31 23:59:59.900: " + invalid + "\nJan  1 00:01:59.000: " + invalid + "\n"
	got, span := readText(t, text)
	years := ""
	for _, e := range got.events {
		years += e.At.Format("2006 ")
	}
	if years != "2025 2026 2025 2026 " || len(span.Notes) == 0 {
		t.Errorf("%q, notes %q", years, span.Notes)
	}
}

func TestAClockThatFallsBackIsAnotherClock(t *testing.T) {
	got, span := readText(t, "Feb 20 11:00:00.000: "+invalid+"\nFeb 20 11:00:30.000: "+invalid+"\nFeb 20 10:00:00.000: "+invalid+"\n")
	if e := got.events; e[0].Clock != e[1].Clock || e[1].Clock == e[2].Clock {
		t.Errorf("clocks %d %d %d", e[0].Clock, e[1].Clock, e[2].Clock)
	}
	if !strings.Contains(strings.Join(span.Notes, " "), "a clock went back") {
		t.Errorf("notes %q", span.Notes)
	}
}

// TestAClockThatIsSetIsAnotherClock: forwards too, which no order of the lines shows.
func TestAClockThatIsSetIsAnotherClock(t *testing.T) {
	asa := "%ASA-4-402114: IPSEC: Received an ESP packet (SPI= 0xC0FFEE01, sequence number= 0x1F) from 198.51.100.9 to 192.0.2.2 with an invalid SPI."
	for name, text := range map[string]string{
		"by hand":       "Feb 20 09:00:00.004: " + invalid + "\nFeb 20 10:00:00.000: %SYS-6-CLOCKUPDATE: System clock has been updated from 09:00:00 UTC Fri Feb 20 2026 to 10:00:00 UTC Fri Feb 20 2026, configured from console by ops.\nFeb 20 10:00:00.304: " + invalid + "\n",
		"first by NTP":  "*Feb 20 09:00:00.004: " + invalid + "\nFeb 20 10:00:00.304: " + invalid + "\n",
		"at a firewall": "Feb 20 2026 09:00:00 fw : " + asa + "\nFeb 20 2026 10:00:00 fw : %ASA-5-771002: CLOCK: System clock set, source: NTP, before: 09:00:00.100 UTC, after: 10:00:00.000 UTC\nFeb 20 2026 10:00:00 fw : " + asa + "\n",
	} {
		c, span := readText(t, text)
		if len(c.events) != 2 || c.events[0].Clock == c.events[1].Clock {
			t.Errorf("%s: %+v, notes %q", name, c.events, span.Notes)
		}
	}
}

// TestTheFirstOfMarchOfAColdStartMovesNoYear: a router without a clock of its own starts at 1 March.
func TestTheFirstOfMarchOfAColdStartMovesNoYear(t *testing.T) {
	c, _ := readText(t, "*Mar  1 00:01:10.004: "+invalid+"\nOct 12 09:00:00.004: "+invalid+"\nJan  3 09:00:00.004: "+invalid+"\n")
	if len(c.events) != 3 || c.events[1].At.Year() != 2025 || c.events[2].At.Year() != 2026 {
		t.Errorf("%+v", c.events)
	}
}

func TestAMessageOverTwoLinesIsOne(t *testing.T) {
	head, tail, _ := strings.Cut(invalid, "destaddr")
	got, span := readText(t, "Feb 20 11:00:00.000: "+head+"\n"+"destaddr"+tail+"\nnothing\nFeb 20 11:00:01.000: "+head+"\nFeb 20 11:00:02.000: "+invalid+"\n")
	if len(got.events) != 2 || got.events[0].Line != 1 || got.events[1].Line != 5 {
		t.Errorf("%+v", got.events)
	}
	if len(span.Skipped) != 1 || span.Skipped[0].Count != 1 || span.Skipped[0].First.Line != 4 {
		t.Errorf("skipped %+v", span.Skipped)
	}
}

func TestBadInputIsCountedWithItsFirstExample(t *testing.T) {
	long := strings.Repeat("x", 1<<20) + invalid
	text := "Feb 20 11:00:00.000: " + strings.Replace(invalid, "(3237998081)", "(7)", 1) + "\n" + // hexadecimal and decimal differ
		long + "\n" +
		"Feb 20 11:00:00.000: \x00\x01" + invalid + "\n" +
		"Feb 20 11:00:00.000: r\xe9seau " + invalid + "\n" +
		"Feb 20 11:00:03.000: " + invalid[:120]
	got, span := readText(t, text)
	if len(got.events) != 1 || got.events[0].Line != 4 || strings.Contains(got.events[0].Text, "\xe9") {
		t.Errorf("%+v", got.events)
	}
	want := map[string]int{"the line contradicts itself": 1, "line longer than 64 KiB": 2, "control characters: binary, not text": 3, "message cut off": 5}
	for _, s := range span.Skipped {
		if want[s.Why] != s.First.Line || s.Count != 1 || len(s.First.Text) > 120 {
			t.Errorf("%+v", s)
		}
		delete(want, s.Why)
	}
	if len(want) > 0 || span.Lines != 5 {
		t.Errorf("not reported: %v; %d lines", want, span.Lines)
	}
}

func TestWhatQuotesTheMessageIsNotTheMessage(t *testing.T) {
	for _, line := range []string{
		"Feb 20 11:00:00.000: %HA_EM-6-LOG: CATCH: " + invalid,
		"Feb 20 11:00:00.000: %PARSER-5-CFGLOG_LOGGEDCMD: User:ops  logged command:event syslog pattern \"" + invalid + "\"",
		"Feb 20 11:00:00.000: %SYS-5-CONFIG_I: Configured from console by ops on vty0 (RECVD_PKT_INV_SPI)",
	} {
		if got, _ := readText(t, line+"\n"); len(got.events) != 0 {
			t.Errorf("%s: %+v", line, got.events)
		}
	}
}

func TestLinesAreCountedAcrossBlocks(t *testing.T) {
	noise := "Feb 20 11:00:00.000: %LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down\n"
	n := 3*blockSize/len(noise) + 7
	text := strings.Repeat(noise, n) + "Feb 20 11:30:00.000: " + invalid + "\n" + strings.Repeat(noise, n)
	got, span := readText(t, text)
	if len(got.events) != 1 || got.events[0].Line != n+1 || span.Lines != 2*n+1 || span.Bytes != int64(len(text)) {
		t.Errorf("line %d of %d, %d octets; want line %d", got.events[0].Line, span.Lines, span.Bytes, n+1)
	}
}

func TestSearchFindsWhatASlowSearchFinds(t *testing.T) {
	text := []byte(strings.Repeat("ISAKM IKE_S %CRYPT xxcharoxx", 50))
	for i := range text {
		if i+8 > len(text) {
			break
		}
		b := bytes.Clone(text)
		copy(b[i:], "IKE_SA")
		want := -1
		for _, w := range marks {
			if at := bytes.Index(b, []byte(w)); at >= 0 && (want < 0 || at < want) {
				want = at
			}
		}
		if got := marked.find(b); got != want {
			t.Fatalf("at %d: %d, want %d", i, got, want)
		}
	}
}
