package recovery

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestNothingHereKnowsOfLarvalOrInstalledSPIs holds the type-level rule (protocol.md §1.4, CSCvn31824): evidence has
// unexported content, five constructors, and the package never names the states of an SPI that is in use.
func TestNothingHereKnowsOfLarvalOrInstalledSPIs(t *testing.T) {
	var constructors []string
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch v := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := v.X.(*ast.Ident); ok && x.Name == "sa" && slices.Contains([]string{"Larval", "Installing", "Installed", "State"}, v.Sel.Name) {
					t.Errorf("%s names sa.%s", f.Name(), v.Sel.Name)
				}
			case *ast.FuncDecl:
				if v.Recv == nil && v.Type.Results != nil && len(v.Type.Results.List) == 1 {
					if r, ok := v.Type.Results.List[0].Type.(*ast.Ident); ok && r.Name == "Evidence" {
						constructors = append(constructors, v.Name.Name)
					}
				}
			case *ast.TypeSpec:
				if s, ok := v.Type.(*ast.StructType); ok && v.Name.Name == "Evidence" {
					for _, field := range s.Fields.List {
						if len(field.Names) == 0 || field.Names[0].IsExported() {
							t.Error("Evidence can be made without a constructor")
						}
					}
				}
			}
			return true
		})
	}
	slices.Sort(constructors)
	want := []string{"FromForeignOwner", "FromLost", "FromNeverOurs", "FromTombstone", "FromUnknown"}
	if !slices.Equal(constructors, want) {
		t.Errorf("constructors %v, want %v", constructors, want)
	}
}
