package report_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/capture"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/report"
	"lockstep/internal/diagnose/verdict"
)

// ikeOnly is what a capture of one new IKE SA gives.
func ikeOnly() *diagnose.Result {
	at := time.Date(2026, 2, 20, 13, 0, 0, 0, time.UTC)
	return &diagnose.Result{Covers: 9, Spans: []evidence.Span{{File: "t.pcap", Format: capture.Format, Lines: 9}},
		IKE: []evidence.IKE{{Source: evidence.Source{File: "t.pcap", Line: 2}, Initiator: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:1"), Responder: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:2"),
			SPIi: 0xA1, SPIr: 0xB2, Version: 2, Began: "IKE_SA_INIT", First: at, Last: at.Add(time.Minute), Made: at.Add(time.Second), Messages: 9, Repeated: 2, Unanswered: 1,
			Exchanges: []evidence.Exchanges{{Type: "IKE_SA_INIT", Count: 1}, {Type: "IKE_AUTH", Count: 1}, {Type: "CREATE_CHILD_SA", Count: 1}, {Type: "INFORMATIONAL", Count: 2}}}}}
}

func TestIKEExchangesAreListed(t *testing.T) {
	var text, doc bytes.Buffer
	if err := report.Text(&text, ikeOnly()); err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{"IKE in captures", "SPIs 00000000000000A1 00000000000000B2", "a new IKE SA began here (IKE_SA_INIT)", "INFORMATIONAL 2; 9 messages: 2 repeated, 1 exchange without answer"} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	for line := range strings.Lines(text.String()) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("too wide: %s", line)
		}
	}
	if err := report.JSON(&doc, ikeOnly()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		IKE []struct {
			SPIi       string `json:"spi_i"`
			Began      string
			Repeated   int
			Unanswered int
			Exchanges  []struct {
				Type  string
				Count int
			}
		}
	}
	if err := json.Unmarshal(doc.Bytes(), &got); err != nil || len(got.IKE) != 1 {
		t.Fatalf("%v %s", err, doc.String())
	}
	if i := got.IKE[0]; i.SPIi != "0x00000000000000A1" || i.Began != "IKE_SA_INIT" || i.Repeated != 2 || i.Unanswered != 1 || len(i.Exchanges) != 4 || i.Exchanges[3].Count != 2 {
		t.Errorf("%+v", i)
	}
}

func TestAnEndThatIsOnlyPossibleIsSaidSo(t *testing.T) {
	r := ikeOnly()
	r.Flows = []verdict.Judged{{Verdict: verdict.Persistent, Ended: "recovery", EndedSure: verdict.Possible, Outage: time.Minute, Cause: verdict.UnknownCause}}
	var text, doc bytes.Buffer
	if err := report.Text(&text, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "at least 1m0s; possibly ended by recovery: the receiver began a new IKE SA") {
		t.Error(text.String())
	}
	if err := report.JSON(&doc, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(doc.String(), `"ended_by": "recovery"`) || !strings.Contains(doc.String(), `"ended_confidence": "possible"`) {
		t.Error(doc.String())
	}
}

// TestPacketsAreNotCalledLines in the list of inputs, in the summary and on the page.
func TestPacketsAreNotCalledLines(t *testing.T) {
	r := ikeOnly()
	r.IKE = nil
	r.Covers = 12
	r.Spans = append(r.Spans, evidence.Span{File: "hub.log", Format: "log", Lines: 3})
	var text, page bytes.Buffer
	if err := report.Text(&text, r); err != nil {
		t.Fatal(err)
	}
	if err := report.HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"t.pcap: capture, 9 packets", "hub.log: log, 3 lines", "invalid SPI in 3 lines and 9 packets."} {
		if !strings.Contains(text.String(), want) || !strings.Contains(page.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}
