package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rowhook/rowhook/"

// stages are the packages from the top of the way of the data to its bottom: an import goes down the list, never up.
var stages = []string{
	"bench",
	"internal/chaos",
	"cmd/rowhook",
	"internal/listen",
	"internal/verify",
	"internal/demo",
	"internal/dev",
	"internal/dev/watch",
	"internal/scaffold",
	"internal/openapi",
	"internal/discover",
	"internal/app",
	"internal/uninstall",
	"internal/check",
	"internal/comparison",
	"internal/preview",
	"internal/mappingtest",
	"internal/config",
	"internal/proxy",
	"internal/api",
	"internal/console",
	"internal/apidoc",
	"internal/store",
	"internal/tracing",
	"internal/sample",
	"internal/application",
	"internal/identity",
	"internal/compare",
	"sender",
	"sender/internal/http1",
	"subscriptions",
	"mapping",
	"coalesce",
	"cdc/cdctest",
	"cdc",
	"client",
	"internal/pgtest",
	"internal/hooktest",
	"internal/schema",
	"internal/problem",
	"internal/seal",
	"internal/retention",
	"internal/finding",
	"internal/secret",
}

// outsiders import nothing of ours: they could live elsewhere.
var outsiders = []string{"sender/internal/http1", "client", "internal/apidoc", "internal/compare", "internal/console", "internal/proxy", "internal/pgtest", "internal/hooktest", "internal/schema", "internal/problem", "internal/finding", "internal/retention", "internal/secret"}

// TestImportsGoDown reads the imports of every package. Tests may import upwards: they are not part of the product.
func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if pkg == "internal/layout" || pkg == "internal/doccheck" || strings.HasPrefix(pkg, "examples/") {
			return nil
		}
		from := slices.Index(stages, pkg)
		if from < 0 {
			t.Errorf("package %s has no place in the layout: give it one in this test and in ARCHITECTURE.md", pkg)
			return nil
		}
		seen++
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			ours, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			if to := slices.Index(stages, ours); to <= from {
				t.Errorf("%s imports %s, which stands above it", pkg, ours)
			}
			if slices.Contains(outsiders, pkg) {
				t.Errorf("%s imports %s, but imports nothing of ours", pkg, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no package was read")
	}
}
