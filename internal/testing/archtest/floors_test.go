// Package archtest holds the house to its plan: floors, purity and the drop catalogue (ARCHITECTURE.md). It reads source
// text only.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors lists every package prefix with its floor; the longest prefix wins. A package imports lower floors only, or
// the packages that its line names beside it.
var floors = []struct {
	prefix string
	floor  int
	beside []string // prefixes of the same floor that may be imported
}{
	{"cmd/lockstep", 7, nil},
	{"internal/story", 6, []string{"internal/story"}},
	{"internal/gateway", 5, nil},
	{"internal/operator", 4, []string{"internal/operator"}},
	{"internal/diagnose", 4, []string{"internal/diagnose"}},
	{"internal/ike", 3, []string{"internal/ike"}},
	{"internal/recovery", 3, nil},
	{"internal/recovery/runner", 3, []string{"internal/recovery", "internal/ike"}},
	{"internal/datapath", 3, []string{"internal/datapath"}},
	{"internal/steer", 3, nil},
	{"internal/sa", 2, []string{"internal/sa"}},
	{"internal/config", 2, []string{"internal/config"}},
	{"internal/event", 2, nil},
	{"internal/wire", 1, []string{"internal/wire"}},
	{"internal/suite", 1, nil},
	{"internal/policy", 1, nil},
	{"internal/reason", 1, nil},
	{"internal/host", 1, []string{"internal/host"}},
}

// exceptions are imports beside the floors, each with its reason: the healing brain speaks to machines in their own
// contract, never to their insides.
var exceptions = map[[2]string]string{
	{"internal/recovery", "internal/ike"}: "verbs, outcomes and notices of the machine contract",
}

// pure packages have no goroutine, socket, clock, lock, log or environment.
var pure = []string{
	"internal/ike", "internal/ike/ikev2", "internal/ike/peer", "internal/recovery", "internal/sa/replay",
	"internal/wire", "internal/suite", "internal/policy", "internal/reason",
	"internal/diagnose/evidence", "internal/diagnose/verdict", "internal/diagnose/advise",
}

var impure = map[string]string{
	"os": "environment and files", "net": "sockets", "sync": "locks", "log": "logs", "os/exec": "processes",
	"syscall": "the system", "time/tzdata": "environment", "math/rand": "hidden state", "math/rand/v2": "hidden state",
	"runtime": "the scheduler",
}

// A clock call in a pure package would make the same script give another transcript.
var clockCalls = map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true}

type file struct {
	pkg  string // folder below the module
	path string
	ast  *ast.File
	fset *token.FileSet
}

func root(t *testing.T) string {
	t.Helper()
	d, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; d != "/"; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

func sources(t *testing.T, tests bool) []file {
	t.Helper()
	top := root(t)
	var out []file
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") != tests {
			return err
		}
		rel, _ := filepath.Rel(top, p)
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, file{filepath.ToSlash(filepath.Dir(rel)), rel, f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func within(pkg, prefix string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }

func floorOf(pkg string) (int, []string, bool) {
	best, floor, beside := "", 0, []string(nil)
	for _, f := range floors {
		if within(pkg, f.prefix) && len(f.prefix) > len(best) {
			best, floor, beside = f.prefix, f.floor, f.beside
		}
	}
	return floor, beside, best != ""
}

func importsOf(f file) []string {
	var out []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	for _, f := range sources(t, false) {
		if within(f.pkg, "internal/testing") {
			continue
		}
		floor, beside, known := floorOf(f.pkg)
		if !known {
			t.Errorf("%s: package %s stands on no floor: give it a line here and in ARCHITECTURE.md", f.path, f.pkg)
			continue
		}
		for _, imp := range importsOf(f) {
			dep, ours := strings.CutPrefix(imp, "lockstep/")
			if !ours || exceptions[[2]string{f.pkg, dep}] != "" {
				continue
			}
			depFloor, _, _ := floorOf(dep)
			if depFloor < floor {
				continue
			}
			allowed := false
			for _, b := range beside {
				allowed = allowed || depFloor == floor && within(dep, b)
			}
			if !allowed {
				t.Errorf("%s (floor %d) imports %s (floor %d): an upper floor knows the lower one, never the reverse or its neighbour; let the composition root (internal/gateway) wire them", f.path, floor, dep, depFloor)
			}
		}
	}
}

func TestPurePackagesHaveNoClockLockSocketOrLog(t *testing.T) {
	for _, f := range sources(t, false) {
		ok := false
		for _, p := range pure {
			ok = ok || f.pkg == p || p == "internal/wire" && within(f.pkg, p)
		}
		if !ok {
			continue
		}
		for _, imp := range importsOf(f) {
			if why, bad := impure[imp]; bad {
				t.Errorf("%s imports %s (%s): protocol code is pure, effects are data (ARCHITECTURE.md)", f.path, imp, why)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: starts a goroutine in a pure package", f.fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, isID := n.X.(*ast.Ident); isID && x.Name == "time" && clockCalls[n.Sel.Name] {
					t.Errorf("%s: time.%s in a pure package: time is an argument", f.fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestOperatorNeverReadsStoreRecords(t *testing.T) {
	for _, f := range sources(t, false) {
		if !within(f.pkg, "internal/operator") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, isID := s.X.(*ast.Ident); isID && x.Name == "ike" && s.Sel.Name == "Record" {
					t.Errorf("%s: ike.Record holds keys and is for the store alone", f.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

func TestEveryDropReasonHasATest(t *testing.T) {
	var names []string
	for _, f := range sources(t, false) {
		if f.pkg != "internal/reason" || filepath.Base(f.path) != "reason.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok {
				for _, id := range v.Names {
					if id.IsExported() && id.Name != "None" && id.Name != "Count" {
						names = append(names, id.Name)
					}
				}
			}
			return true
		})
	}
	if len(names) < 40 {
		t.Fatalf("found only %d reasons: the test reads the wrong file", len(names))
	}
	provoked := map[string]bool{}
	for _, f := range sources(t, true) {
		if within(f.pkg, "internal/testing/archtest") || f.pkg == "internal/reason" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, isID := s.X.(*ast.Ident); isID && x.Name == "reason" {
					provoked[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	for _, n := range names {
		if !provoked[n] {
			t.Errorf("reason.%s has no test that provokes it", n)
		}
	}
}

func TestEveryDeviationIsDocumentedAndEveryDocumentedOneIsInTheCode(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## Deviations")
	if !found {
		t.Fatal("docs/conformance.md has no section Deviations")
	}
	inCode := 0
	for _, f := range sources(t, false) {
		for _, c := range f.ast.Comments {
			if !strings.Contains(c.Text(), "Deviation:") {
				continue
			}
			inCode++
			if !strings.Contains(table, "`"+filepath.ToSlash(f.path)+"`") {
				t.Errorf("%s has a deviation without a row in docs/conformance.md", f.fset.Position(c.Pos()))
			}
		}
	}
	if rows := strings.Count(table, ".go` |"); rows != inCode {
		t.Errorf("%d rows for %d deviations in the code", rows, inCode)
	}
}
