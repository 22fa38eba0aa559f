package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"lockstep/internal/diagnose"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

//go:embed page.html
var pageText string

// The template escapes whatever devices wrote; the page has no script and loads nothing.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"hex": func(spi uint32) string { return fmt.Sprintf("0x%08X", spi) }, "clock": clock, "protocol": protocol, "packets": packets,
	"outage": outage, "cause": func(code string) string { return verdict.Causes[code] }, "orNone": orNone, "named": named, "sender": sender, "extent": extent,
	"place":      func(q evidence.Quote) string { return q.Source.String() },
	"persistent": func(j verdict.Judged) bool { return j.Verdict == verdict.Persistent },
}).Parse(pageText))

// maxPageFlows are shown in full; -json has all.
const maxPageFlows = 500

type page struct {
	*diagnose.Result
	Summary string
	Chart   chart
	Shown   []verdict.Judged
	Hidden  int
	Live    bool
}

// HTML writes r as one page that needs nothing else.
func HTML(w io.Writer, r *diagnose.Result) error { return writeHTML(w, r, false) }

// LivePage is the same, and reloads itself.
func LivePage(w io.Writer, r *diagnose.Result) error { return writeHTML(w, r, true) }

func writeHTML(w io.Writer, r *diagnose.Result, live bool) error {
	p := page{Result: r, Summary: Summary(r), Chart: newChart(r.Flows), Shown: r.Flows, Live: live}
	if len(p.Shown) > maxPageFlows {
		p.Shown, p.Hidden = p.Shown[:maxPageFlows], len(p.Shown)-maxPageFlows
	}
	return pageTemplate.Execute(w, p)
}
