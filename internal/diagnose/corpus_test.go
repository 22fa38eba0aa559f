package diagnose

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose/verdict"
)

const corpus = "../../testdata/diagnose"

// label is the right answer of a case.
type label struct {
	name, kind string
	flows      map[string][2]string // "SRC DST SPI" → verdict, cause
	rest       [][]string           // the other lines
}

func labels(t *testing.T) []label {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, "labels", "*.label"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d labels (%v), at least 40 are promised", len(files), err)
	}
	var out []label
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		l := label{name: strings.TrimSuffix(filepath.Base(f), ".label"), flows: map[string][2]string{}}
		for line := range strings.Lines(string(text)) {
			w := strings.Fields(line)
			switch {
			case len(w) == 0 || w[0] == "#":
			case w[0] == "kind":
				l.kind = w[1]
			case w[0] == "flow":
				l.flows[strings.Join(w[1:4], " ")] = [2]string{w[4], w[5]}
			default:
				l.rest = append(l.rest, w)
			}
		}
		out = append(out, l)
	}
	return out
}

// caseFiles writes the files of a case, and gives their names in order.
func caseFiles(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, "cases", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		file, body, _ := strings.Cut(part, " --\n")
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(body+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	return files
}

// score counts claims of one kind.
type score struct{ right, wrong, missed int }

func (s score) String() string {
	return fmt.Sprintf("precision %s, recall %s (%d right, %d wrong, %d missed)", share(s.right, s.right+s.wrong), share(s.right, s.right+s.missed), s.right, s.wrong, s.missed)
}

func share(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(n)/float64(of))
}

// asOf is when the corpus is read: no line of it is younger.
var asOf = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func TestCorpus(t *testing.T) {
	var persistent, stranger, cause score
	kinds := map[string]int{}
	for _, l := range labels(t) {
		t.Run(l.name, func(t *testing.T) {
			kinds[l.kind]++
			r := Run(Options{Files: caseFiles(t, l.name), Now: asOf})
			if len(r.Bad) > 0 {
				t.Fatal(r.Bad)
			}
			seen := map[string]bool{}
			for _, j := range r.Flows {
				key := fmt.Sprintf("%v %v 0x%08X", j.Src, j.Dst, j.SPI)
				seen[key] = true
				want, ok := l.flows[key]
				if !ok {
					t.Errorf("a flow that is none: %s", key)
					continue
				}
				persistent.add(j.Verdict == verdict.Persistent, want[0] == "persistent")
				stranger.add(j.Verdict == verdict.Stranger, want[0] == "stranger")
				cause.add(j.Cause != "unknown", want[1] != "unknown" && j.Cause == want[1])
				if want[1] != "unknown" && j.Cause != want[1] && j.Cause != "unknown" {
					cause.missed++
				}
				check(t, j, want)
			}
			for key := range l.flows {
				if !seen[key] {
					t.Errorf("not found: %s", key)
				}
			}
			for _, w := range l.rest {
				checkRest(t, r, w)
			}
		})
	}
	t.Logf("%d plain, %d unknown, %d misleading", kinds["plain"], kinds["unknown"], kinds["misleading"])
	t.Logf("persistent: %v", persistent)
	t.Logf("stranger:   %v", stranger)
	t.Logf("cause:      %v", cause)
	if kinds["unknown"] < 10 || kinds["misleading"] < 10 {
		t.Errorf("ten of each are promised: %v", kinds)
	}
}

// add counts a claim against the truth.
func (s *score) add(claimed, truth bool) {
	switch {
	case claimed && truth:
		s.right++
	case claimed:
		s.wrong++
	case truth:
		s.missed++
	}
}

// check fails on what is wrong and stated as fact, and on any wrong verdict; a cause that was not found is a matter of
// recall, and a wrong one of precision, unless it was called certain.
func check(t *testing.T, j verdict.Judged, want [2]string) {
	t.Helper()
	if got := j.Verdict.String(); got != want[0] {
		t.Errorf("%v: %s (%v), it is %s: %s", j.Flow, got, j.Sure, want[0], strings.Join(j.Why, "; "))
	}
	if j.Cause != want[1] {
		t.Errorf("%v: cause %s (%v), it is %s: %s", j.Flow, j.Cause, j.Confidence, want[1], strings.Join(j.Why, "; "))
	}
	if j.Cause == "unknown" && j.Confidence != verdict.Unknown {
		t.Errorf("%v: an unknown cause with confidence %v", j.Flow, j.Confidence)
	}
	if len(j.Evidence) == 0 || j.Evidence[0].Line == 0 || j.Evidence[0].Text == "" {
		t.Errorf("%v: no evidence is quoted", j.Flow)
	}
	if j.Cause != "unknown" && len(j.Evidence) < 2 {
		t.Errorf("%v: cause %s without a line that it rests on", j.Flow, j.Cause)
	}
}

func checkRest(t *testing.T, r *Result, w []string) {
	t.Helper()
	last := verdict.Judged{}
	if len(r.Flows) > 0 {
		last = r.Flows[len(r.Flows)-1]
	}
	ok, got := true, ""
	switch w[0] {
	case "exit":
		ok = (w[1] == "3") == r.Persistent()
	case "flows":
		ok, got = strconv.Itoa(len(r.Flows)) == w[1], fmt.Sprint(r.Flows)
	case "finding":
		ok, got = slices.Contains(codes(r), w[1]), fmt.Sprint(codes(r))
	case "absent":
		ok, got = !slices.Contains(codes(r), w[1]), fmt.Sprint(codes(r))
	case "class":
		ok, got = strings.ReplaceAll(string(last.Class), " ", "_") == w[1], string(last.Class)
	case "ended":
		ok, got = strings.Contains(last.Ended, w[1]), last.Ended
	case "least":
		ok, got = strconv.FormatUint(last.Least, 10) == w[1], fmt.Sprint(last.Least)
	case "sure":
		ok, got = last.Sure.String() == w[1], last.Sure.String()
	case "confidence":
		ok, got = last.Confidence.String() == w[1], last.Confidence.String()
	case "recovery":
		ok = false
		for _, c := range r.Configs {
			for _, e := range c.Entries {
				got += fmt.Sprintf("%s=%s ", e.Name, e.Recovery)
				ok = ok || strings.ReplaceAll(e.Name, " ", "_") == w[1] && e.Recovery == w[2]
			}
		}
	default:
		t.Fatalf("label line %q", w)
	}
	if !ok {
		t.Errorf("%q does not hold: %s", w, got)
	}
}

func codes(r *Result) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Code)
	}
	for _, c := range r.Configs {
		for _, f := range c.Findings {
			out = append(out, f.Code)
		}
	}
	return out
}
