package doccheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRequirements: each requirement has its status, what is said to be done names the tests that show it, and these are there.
func TestRequirements(t *testing.T) {
	t.Parallel()
	const page = "docs/requirements.md"
	known := testNames(t)
	numbers := map[string]int{}
	for i, line := range strings.Split(read(t, page), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| |") {
			continue
		}
		at := page + ":" + itoa(i+1)
		if len(cells) != 5 {
			t.Errorf("%s: %d columns", at, len(cells))
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		source, number, ok := strings.Cut(cells[0], "-")
		numbers[source]++
		if n, err := strconv.Atoi(number); !ok || err != nil || n != numbers[source] {
			t.Errorf("%s: %q stands where %s-%d should", at, cells[0], source, numbers[source])
		}
		status, note := cells[2], cells[3]
		if !slices.Contains([]string{"yes", "no, later", "not by design", "does not apply"}, status) {
			t.Errorf("%s: the status %q", at, status)
		}
		if (status == "not by design" || status == "does not apply") && note == "" {
			t.Errorf("%s: %s is %s, without a reason", at, cells[0], status)
		}
		named := testName.FindAllString(cells[4], -1)
		if status == "yes" && len(named) == 0 {
			t.Errorf("%s: %s is done, and no test shows it", at, cells[0])
		}
		for _, name := range named {
			if !known[name] {
				t.Errorf("%s: there is no test %s", at, name)
			}
		}
	}
	for source, want := range map[string]int{"RH": 17, "RA": 5, "ZP": 6, "23": 4, "KZ": 17, "SW": 21} {
		if numbers[source] != want {
			t.Errorf("%d of %d requirements %s-… are there", numbers[source], want, source)
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(\w+ \*testing\.[TF]\)`)
)

// testNames are all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
