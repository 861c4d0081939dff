package doccheck

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestComparison: the rows are numbered, each cell is a mark or says what it is, and what rowhook is said to do names the tests
// that show it, which are there.
func TestComparison(t *testing.T) {
	t.Parallel()
	const page, columns, ours = "docs/comparison.md", 15, 2
	known := testNames(t)
	n := 0
	for i, line := range strings.Split(read(t, page), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| # ") {
			continue
		}
		n++
		at := page + ":" + itoa(i+1)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != columns || cells[0] != strconv.Itoa(n) {
			t.Fatalf("%s: row %s with %d columns, want row %d with %d", at, cells[0], len(cells), n, columns)
		}
		for i, cell := range cells[1 : columns-2] {
			if cell == "" {
				t.Errorf("%s: column %d is empty", at, i+2)
			}
		}
		named := testName.FindAllString(cells[columns-1], -1)
		if mark := cells[ours]; len(named) == 0 && slices.Contains([]string{"●", "◐"}, mark) && !strings.Contains(cells[columns-2], "](") {
			t.Errorf("%s: %q is said to be %s, and neither a test nor a page shows it", at, cells[1], mark)
		}
		if cells[ours] == "◐" && cells[columns-2] == "" {
			t.Errorf("%s: %q is there in part, and not said which", at, cells[1])
		}
		for _, name := range named {
			if !known[name] {
				t.Errorf("%s: there is no test %s", at, name)
			}
		}
	}
	if n != 84 {
		t.Errorf("%d rows, want 84", n)
	}
}
