package doccheck

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository.
const root = "../.."

// pages are the documents that users read, by their paths from the root.
func pages(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	all := []string{"README.md", "examples/django/README.md"}
	for _, d := range docs {
		all = append(all, "docs/"+filepath.Base(d))
	}
	return all
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is a fenced block of a page.
type block struct {
	page string
	line int // of the opening fence, from 1
	lang string
	text string
	// under is the heading that it stands under, from ## on.
	under string
}

func (b block) String() string { return b.page + ":" + itoa(b.line) }

// first and last are the first and last line of the block.
func (b block) first() string { l, _, _ := strings.Cut(b.text, "\n"); return l }
func (b block) last() string {
	lines := strings.Split(strings.TrimRight(b.text, "\n"), "\n")
	return lines[len(lines)-1]
}

func blocks(t testing.TB, page string) []block {
	t.Helper()
	var all []block
	var open *block
	under := ""
	for i, l := range strings.Split(read(t, page), "\n") {
		switch {
		case open == nil && strings.HasPrefix(l, "```"):
			open = &block{page: page, line: i + 1, lang: strings.TrimPrefix(l, "```"), under: under}
			if !slices.Contains(languages, open.lang) {
				t.Errorf("%s: a block of the language %q, which no check knows: %v", open, open.lang, languages)
			}
		case open != nil && l == "```":
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += l + "\n"
		case strings.HasPrefix(l, "## ") || strings.HasPrefix(l, "### "):
			under = strings.TrimLeft(l, "# ")
		}
	}
	if open != nil {
		t.Errorf("%s: the block is never closed", open)
	}
	return all
}

// languages are those that some check looks at: a block that nothing looks at would go stale.
var languages = []string{"sh", "sql", "yaml", "json", "text", "http", "go", "python", "javascript", "ruby", "php"}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fencePattern   = regexp.MustCompile("(?ms)^```.*?^```$")
	anchorDrop     = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the fragments of a page, as GitHub makes them of headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headingPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
		all[strings.ReplaceAll(anchorDrop.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

func TestLinksLead(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, page := range pages(t) {
		text := fencePattern.ReplaceAllString(read(t, page), "")
		for _, m := range linkPattern.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			seen++
			path, fragment, hasFragment := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
			}
			if strings.HasPrefix(target, "..") {
				t.Errorf("%s: %s leads out of the repository", page, m[1])
				continue
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if hasFragment && !anchors(read(t, target))[fragment] {
				t.Errorf("%s: %s has no heading for its anchor", page, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d links: the pattern misses some", seen)
	}
}

// TestEveryPageIsLinked finds pages that nobody is led to.
func TestEveryPageIsLinked(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	for _, page := range pages(t)[1:] {
		if !strings.Contains(readme, "]("+page) {
			t.Errorf("README.md does not link %s", page)
		}
	}
}
