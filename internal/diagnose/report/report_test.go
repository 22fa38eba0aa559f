package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
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

// results are those of the whole corpus.
func results(t *testing.T) map[string]*diagnose.Result {
	t.Helper()
	cases, err := filepath.Glob("../../../testdata/diagnose/cases/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	out := map[string]*diagnose.Result{}
	for _, c := range cases {
		text, err := os.ReadFile(c)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		var files []string
		for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
			name, body, _ := strings.Cut(part, " --\n")
			files = append(files, filepath.Join(dir, name))
			if err := os.WriteFile(files[len(files)-1], []byte(body+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out[filepath.Base(c)] = diagnose.Run(diagnose.Options{Files: files, Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
	}
	return out
}

func TestTheReportFitsAHundredColumns(t *testing.T) {
	for name, r := range results(t) {
		var b bytes.Buffer
		if err := report.Text(&b, r); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(b.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > 100 {
				t.Errorf("%s, line %d has %d columns: %s", name, i+1, n, line)
			}
		}
		for _, f := range r.Flows {
			if !strings.Contains(b.String(), strings.ToUpper(f.Verdict.String())) {
				t.Errorf("%s: the verdict %v is not in the report", name, f.Verdict)
			}
		}
	}
}

func TestJSONHasTheDocumentedKeysAndNoNull(t *testing.T) {
	keys := func(v any) string {
		var names []string
		m := v.(map[string]any)
		for k := range m {
			names = append(names, k)
		}
		return strings.Join(names, " ")
	}
	for name, r := range results(t) {
		var b bytes.Buffer
		if err := report.JSON(&b, r); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "null") {
			t.Errorf("%s has null", name)
		}
		var doc map[string]any
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"flows", "counters", "configs", "findings"} {
			if _, ok := doc[k].([]any); !ok {
				t.Errorf("%s: %s is no array, of %s", name, k, keys(doc))
			}
		}
		for _, f := range doc["flows"].([]any) {
			f := f.(map[string]any)
			for _, k := range []string{"src", "dst", "proto", "spi", "verdict", "count", "first", "last", "cause", "confidence", "evidence"} {
				if f[k] == nil {
					t.Errorf("%s: a flow without %s: %s", name, k, keys(f))
				}
			}
			if spi := f["spi"].(string); len(spi) != 10 || spi != "0x"+strings.ToUpper(spi[2:]) {
				t.Errorf("%s: SPI %q", name, spi)
			}
			for _, e := range f["evidence"].([]any) {
				e := e.(map[string]any)
				if e["file"] == "" || e["line"].(float64) < 1 || e["text"] == "" {
					t.Errorf("%s: evidence %v", name, e)
				}
			}
		}
		for _, c := range doc["configs"].([]any) {
			for _, e := range c.(map[string]any)["entries"].([]any) {
				if got := e.(map[string]any); len(got) != 5 || got["why"] == "" || !strings.Contains("yes no n/a", got["recovery"].(string)) {
					t.Errorf("%s: entry %v", name, got)
				}
			}
		}
	}
}

func TestWhatDevicesWriteCannotSteerThePage(t *testing.T) {
	bad := `<script>alert(1)</script>" onload="x`
	r := &diagnose.Result{Flows: []verdict.Judged{{Device: bad, Verdict: verdict.Persistent, Why: []string{bad}, Cause: "unknown", Ended: bad,
		First: evidence.Stamp{At: time.Unix(1e9, 0)}, Last: evidence.Stamp{At: time.Unix(1e9+90, 0)}, EndedAt: time.Unix(1e9+200, 0),
		Flow:     evidence.Flow{Src: netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), Dst: netip.MustParseAddr("192.0.2.2"), SPI: 7},
		Evidence: []evidence.Quote{{Source: evidence.Source{File: bad, Line: 1}, Text: bad}}}}, Bad: []error{errors.New(bad)}}
	var b bytes.Buffer
	if err := report.HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if strings.Contains(page, "<script") || strings.Contains(page, `" onload="x`) {
		t.Error("the page carries the device's markup")
	}
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(page, outside) {
			t.Errorf("the page is not self-contained: %s", outside)
		}
	}
	if !strings.Contains(page, "<svg") || !strings.Contains(page, `class="bar persistent"`) {
		t.Error("no timeline")
	}
}

// TestNothingSteersTheTerminal: hosts, entries and names of files come from outside as quotes do.
func TestNothingSteersTheTerminal(t *testing.T) {
	dir, steer := t.TempDir(), "\x1b]0;mine\x07\u202e"
	log, cfg := filepath.Join(dir, "a"+steer+".log"), filepath.Join(dir, "b"+steer+".cfg")
	line := "Feb 20 11:39:%d.250 h" + steer + ": %%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0xC0FFEE01(3237998081), srcaddr=198.51.100.9\n"
	conf := "hostname e" + steer + "\ncrypto map M" + steer + " 10 ipsec-isakmp\n set peer 198.51.100.9\ninterface Gi0" + steer + "\n ip address 192.0.2.2 255.255.255.0\n crypto map M" + steer + "\n"
	for name, text := range map[string]string{log: fmt.Sprintf(line+line, 10, 50), cfg: conf} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := diagnose.Run(diagnose.Options{Files: []string{log, cfg, log + "none"}, Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
	if len(r.Flows) != 1 || len(r.Configs) != 1 || len(r.Bad) != 1 {
		t.Fatalf("%d flows, %d configurations, %v", len(r.Flows), len(r.Configs), r.Bad)
	}
	var b bytes.Buffer
	if err := report.Text(&b, r); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexAny(b.String(), "\x1b\x07\u202e"); i >= 0 {
		t.Errorf("%q", b.String()[max(0, i-60):min(b.Len(), i+60)])
	}
}

// TestACaptureAloneGivesNoVerdict: that no packet is called invalid must not read as if none were.
func TestACaptureAloneGivesNoVerdict(t *testing.T) {
	r := &diagnose.Result{Covers: 3, Spans: []evidence.Span{{File: "t.pcap", Format: capture.Format, Lines: 3}},
		Traffic: []evidence.Traffic{{Source: evidence.Source{File: "t.pcap", Line: 1}, Packets: 3, Longest: 22 * time.Second,
			Flow: evidence.Flow{Src: netip.MustParseAddr("198.51.100.9"), Dst: netip.MustParseAddr("192.0.2.2"), Proto: 50, SPI: 0xC0FFEE01}}}}
	if got := report.Summary(r); !strings.HasPrefix(got, "3 packets read.") || !strings.Contains(got, "no verdict") {
		t.Errorf("%q", got)
	}
	var b bytes.Buffer
	if err := report.JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Traffic []struct {
			SPI     string
			Packets int
			Pause   float64 `json:"longest_pause_s"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil || len(doc.Traffic) != 1 || doc.Traffic[0].SPI != "0xC0FFEE01" || doc.Traffic[0].Packets != 3 || doc.Traffic[0].Pause != 22 {
		t.Errorf("%v %+v", err, doc)
	}
}

func TestTheReportNamesTheKnownBug(t *testing.T) {
	var b bytes.Buffer
	if err := report.Text(&b, results(t)["early-0xff.txtar"]); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "CSCvp16730") {
		t.Error(b.String())
	}
}

func TestEveryPageOfTheCorpusRenders(t *testing.T) {
	for name, r := range results(t) {
		var b bytes.Buffer
		if err := report.HTML(&b, r); err != nil || !strings.HasSuffix(b.String(), "</html>\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSameEvidenceGivesTheSameReport(t *testing.T) {
	a, b := results(t), results(t)
	for name := range a {
		for _, r := range []*diagnose.Result{a[name], b[name]} {
			for i := range r.Spans {
				r.Spans[i].File = ""
			}
		}
		if len(a[name].Flows) != len(b[name].Flows) {
			t.Fatalf("%s: %d and %d flows", name, len(a[name].Flows), len(b[name].Flows))
		}
		for i := range a[name].Flows {
			x, y := a[name].Flows[i], b[name].Flows[i]
			if x.Flow != y.Flow || x.Cause != y.Cause || len(x.Why) != len(y.Why) || !reflect.DeepEqual(x.First, y.First) {
				t.Errorf("%s: %v and %v", name, x, y)
			}
		}
	}
}
