package report_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/report"
	"lockstep/internal/diagnose/verdict"
)

// TestJSONInPartsIsOneObject: what is written flow by flow reads as if it had been encoded at once, with and without flows.
func TestJSONInPartsIsOneObject(t *testing.T) {
	all := results(t)
	all["nothing"] = &diagnose.Result{}
	for name, r := range all {
		var got, whole bytes.Buffer
		if err := report.JSON(&got, r); err != nil {
			t.Fatal(err)
		}
		if err := json.Indent(&whole, got.Bytes(), "", "  "); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Bytes(), whole.Bytes()) {
			t.Errorf("%s is indented in another way: %s", name, got.Bytes())
		}
		var doc struct{ Flows []json.RawMessage }
		if err := json.Unmarshal(got.Bytes(), &doc); err != nil || doc.Flows == nil || len(doc.Flows) != len(r.Flows) {
			t.Errorf("%s: %v, %d flows, want %d", name, err, len(doc.Flows), len(r.Flows))
		}
	}
}

// TestJSONOfManyFlowsLeavesInParts: an encoder that is given all of it holds all of it, and writes it at once.
func TestJSONOfManyFlowsLeavesInParts(t *testing.T) {
	r := &diagnose.Result{Flows: make([]verdict.Judged, 10_000)}
	for i := range r.Flows {
		r.Flows[i] = verdict.Judged{Why: []string{"a sentence of the usual length, of which a flow has a handful"}, Evidence: make([]evidence.Quote, 4)}
	}
	var w parts
	if err := report.JSON(&w, r); err != nil {
		t.Fatal(err)
	}
	if w.written < 5<<20 || w.largest > 128<<10 {
		t.Errorf("%d octets, at most %d at once", w.written, w.largest)
	}
}

// parts measures what it is given.
type parts struct{ written, largest int }

func (p *parts) Write(b []byte) (int, error) {
	p.written += len(b)
	p.largest = max(p.largest, len(b))
	return len(b), nil
}
