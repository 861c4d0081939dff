package mappingtest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/mappingtest"
)

var update = flag.Bool("update", false, "write what came out into the golden files")

func run(t *testing.T, dir string) []*mappingtest.Outcome {
	t.Helper()
	cases, err := mappingtest.Find(dir, "testdata/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []*mappingtest.Outcome
	for _, c := range cases {
		outcomes = append(outcomes, c.Run())
	}
	return outcomes
}

func text(t *testing.T, outcomes []*mappingtest.Outcome) string {
	t.Helper()
	var b bytes.Buffer
	if err := mappingtest.Text(&b, outcomes); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// TestGood runs cases that say what comes out: a new case is a new file.
func TestGood(t *testing.T) {
	t.Parallel()
	outcomes := run(t, "testdata/good")
	if n := mappingtest.Failed(outcomes); n > 0 || len(outcomes) < 4 {
		t.Errorf("%d failed\n%s", n, text(t, outcomes))
	}
}

// TestWrong runs cases that are wrong, each in its own way.
func TestWrong(t *testing.T) {
	t.Parallel()
	outcomes := run(t, "testdata/wrong")
	golden(t, "testdata/wrong.txt", text(t, outcomes))
	var b bytes.Buffer
	if err := mappingtest.JSON(&b, outcomes); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Failed int
		Cases  []struct {
			Line     int
			OK       bool
			Failures []struct{ Place, Want, Got string }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Failed != len(outcomes) || got.Cases[0].Failures[0].Want != `"2"` {
		t.Errorf("%v\n%s", err, &b)
	}
}

// TestUpdate writes what comes out, and changes nothing else of the file.
func TestUpdate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, from string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("tables.yaml", "testdata/good/tables.yaml")
	put("case.yaml", "testdata/before-update.yaml")
	outcomes := run(t, dir)
	if n := mappingtest.Failed(outcomes); n != 3 {
		t.Errorf("%d failed:\n%s", n, text(t, outcomes))
	}
	n, err := mappingtest.Update(outcomes)
	if err != nil || n != 3 {
		t.Fatalf("%d are written, %v", n, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "case.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/after-update.yaml", string(got))
	if again := run(t, dir); mappingtest.Failed(again) != 0 {
		t.Errorf("what was written is not what comes out:\n%s", text(t, again))
	}
	if n, err := mappingtest.Update(run(t, dir)); n != 0 || err != nil {
		t.Errorf("%d are written again, %v", n, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		"testdata/nowhere":     "the directory testdata/nowhere does not exist",
		"testdata/config.yaml": "is a file",
		t.TempDir():            "there is no case in",
	} {
		if _, err := mappingtest.Find(dir, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
