package doccheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTroubleshootingTexts finds each text that docs/troubleshooting.md explains, and each metric that it names, in the sources.
func TestTroubleshootingTexts(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, dir := range []string{"cdc", "mapping", "sender", "internal", "cmd/rowhook"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil {
						texts = append(texts, text)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	said := func(want string) bool {
		return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, want) })
	}
	page := read(t, "docs/troubleshooting.md")
	_, byText, ok := strings.Cut(page, "\n## By text\n")
	if !ok {
		t.Fatal("the texts are gone")
	}
	checked := 0
	_, byFault, ok := strings.Cut(page, "\n## By fault\n")
	byFault, _, _ = strings.Cut(byFault, "\n## ")
	faults := regexp.MustCompile("(?m)^\\| [^|`]+ \\| ([^|]+) \\| ([^|]+) \\|").FindAllStringSubmatch(byFault, -1)
	if !ok || len(faults) < 14 { // twelve, one of them told in two ways, and the head
		t.Fatalf("%d faults are told", len(faults))
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range faults[1:] {
		if code := quoted.FindStringSubmatch(row[1]); !strings.HasPrefix(row[1], "none") && (code == nil || !slices.Contains(texts, code[1])) {
			t.Errorf("there is no finding %s", row[1])
		}
		says := quoted.FindAllStringSubmatch(row[2], -1)
		if len(says) == 0 {
			t.Errorf("%s: it does not tell what status says", row[0])
		}
		for _, m := range says {
			if !said(m[1]) {
				t.Errorf("%q is said nowhere", m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(byText, -1) {
		if checked++; !said(m[1]) {
			t.Errorf("%q is said nowhere", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`rowhook_([a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if checked++; !said(m[1]) {
			t.Errorf("there is no metric rowhook_%s", m[1])
		}
	}
	if checked < 14 {
		t.Errorf("%d texts: some were missed", checked)
	}
}

// TestStatusCodes: docs/operations.md tells each code that a finding of the status can have.
func TestStatusCodes(t *testing.T) {
	t.Parallel()
	_, told, _ := strings.Cut(read(t, "docs/operations.md"), "\n## Status\n")
	told, _, _ = strings.Cut(told, "\n## ")
	codes := 0
	for _, source := range []struct{ path, names string }{{"internal/app/findings.go", `\bcode[A-Z]\w*\s*= "(\w+)"`}, {"cdc/incident.go", `IncidentKind = "(\w+)"`}} {
		for _, m := range regexp.MustCompile(source.names).FindAllStringSubmatch(read(t, source.path), -1) {
			if codes++; !strings.Contains(told, "`"+m[1]+"`") {
				t.Errorf("docs/operations.md does not tell %s", m[1])
			}
		}
	}
	if codes < 30 {
		t.Errorf("%d codes: some were missed", codes)
	}
}
