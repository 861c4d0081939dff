package doccheck

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// volatile are texts that differ from run to run; what they are shown as, they have to be.
var volatile = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"time", regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$`)},
	{"subscription", regexp.MustCompile(`^sub_[a-z0-9]{26}$`)},
	{"event", regexp.MustCompile(`^evt_[a-z2-7]{26}$`)},
	{"job", regexp.MustCompile(`^job_[a-z2-7]{26}$`)},
	{"token id", regexp.MustCompile(`^tok_[a-z0-9]{26}$`)},
	{"token", regexp.MustCompile(`^rht_[A-Z2-7]{52}$`)},
	{"secret", regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{43}=$`)},
	{"position", regexp.MustCompile(`^[0-9a-f]{40}$`)},
}

// shown compares what the docs show with what came. Of a list the docs may show a part.
func shown(at string, doc, real any) error {
	switch doc := doc.(type) {
	case map[string]any:
		object, ok := real.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, the docs show an object", at, real)
		}
		for k := range object {
			if _, ok := doc[k]; !ok {
				return fmt.Errorf("%s.%s is not in the docs", at, k)
			}
		}
		for k, v := range doc {
			r, ok := object[k]
			if !ok {
				return fmt.Errorf("%s.%s is in the docs only", at, k)
			}
			if err := shown(at+"."+k, v, r); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := real.([]any)
		if !ok {
			return fmt.Errorf("%s is %v, the docs show a list", at, real)
		}
	next:
		for i, v := range doc {
			var first error
			for _, r := range list {
				err := shown(fmt.Sprintf("%s[%d]", at, i), v, r)
				if err == nil {
					continue next
				}
				if first == nil {
					first = err
				}
			}
			return fmt.Errorf("%s[%d] is in the docs only (%v)", at, i, first)
		}
		return nil
	case string:
		text, ok := real.(string)
		for _, v := range volatile {
			if ok && v.pattern.MatchString(doc) && v.pattern.MatchString(text) {
				return nil
			}
		}
	}
	if doc != real {
		return fmt.Errorf("%s is %v, the docs show %v", at, real, doc)
	}
	return nil
}

// compare compares a json block with an answer.
func compare(t *testing.T, b block, answer string) {
	t.Helper()
	var doc, real any
	if err := json.Unmarshal([]byte(b.text), &doc); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	if err := json.Unmarshal([]byte(answer), &real); err != nil {
		t.Errorf("%s: what came is not JSON: %v\n%s", b, err, answer)
		return
	}
	if err := shown("", doc, real); err != nil {
		t.Errorf("%s: %v\nwhat came: %s", b, err, answer)
	}
}

func TestJSONBlocksAreJSON(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.lang == "json" && !json.Valid([]byte(b.text)) {
				t.Errorf("%s is not JSON", b)
			}
		}
	}
}

var (
	hookLine  = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  (\w+)\.(create|update|delete)\s+(\w+)/\d+\s+\d+\.\d ms  signature ok  \{(…?)"`)
	stampLine = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  `)
)

// lineShape is what stays of a line of the demo from run to run.
func lineShape(l string) string {
	if m := hookLine.FindStringSubmatch(l); m != nil {
		return fmt.Sprintf("hook %s, instance of the event's resource: %t, a part: %t", m[2], m[1] == m[3], m[4] != "")
	}
	return stampLine.ReplaceAllString(strings.TrimRight(l, " "), "")
}

// sameLines checks that every line of an excerpt has its like in the output.
func sameLines(b block, output string) error {
	real := map[string]bool{}
	for l := range strings.Lines(output) {
		real[lineShape(strings.TrimRight(l, "\n"))] = true
	}
	for l := range strings.Lines(b.text) {
		if s := lineShape(strings.TrimRight(l, "\n")); !real[s] {
			return fmt.Errorf("%s: no line of the output is like %q (%s)", b, strings.TrimSpace(l), s)
		}
	}
	return nil
}
