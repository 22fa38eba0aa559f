// Package report prints a diagnose.Result: for a terminal within 100 columns, as JSON in a documented schema
// (docs/diagnose.md), and as one self-contained HTML page. It judges nothing. Texts quote what devices wrote, so every
// output escapes them.
package report
