package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/comparison"
)

// TestCompareIsPlain: keys and values are customers' texts, and the terminal is the operator's.
func TestCompareIsPlain(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b]0;title\x07\u009b2J\x7f"
	for _, inJSON := range []bool{false, true} {
		var out, told bytes.Buffer
		r := report{output: &out, told: &told, json: inJSON}
		x := &comparison.Result{Resource: "contact", NotFound: []string{evil}, NotInstances: []string{evil}, Sampled: true}
		value, _ := json.Marshal(evil)
		x.Add(evil, []compare.Difference{{Path: "name", Ours: value, Theirs: []byte(`1`)}})
		x.Failed = append(x.Failed, comparison.Failure{Key: evil, Error: "GET " + evil})
		r.add(x)
		if err := r.end(); err != errDifferent {
			t.Fatal(err)
		}
		if inJSON {
			if !json.Valid(out.Bytes()) {
				t.Errorf("no JSON: %s", &out)
			}
			continue
		}
		if i := strings.IndexFunc(out.String(), func(c rune) bool { return unicode.IsControl(c) && c != '\n' }); i >= 0 {
			t.Errorf("a control character at %d: %q", i, &out)
		}
	}
}
