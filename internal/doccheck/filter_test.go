package doccheck

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/mapping"
)

var filterRow = regexp.MustCompile("(?m)^\\| `(.+)` \\| (true|false|fails) \\|$")

// TestFilterExamples asks the filters of docs/api.md about the event above them.
func TestFilterExamples(t *testing.T) {
	t.Parallel()
	ev := &mapping.Event{}
	for _, b := range blocks(t, "docs/api.md") {
		if b.under != "Filter" || b.lang != "text" {
			continue
		}
		var body struct {
			Type                    string
			Data, Previous, Context json.RawMessage
		}
		if err := json.Unmarshal([]byte(b.text), &body); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		ev.Type, ev.Data, ev.Previous, ev.Context = body.Type, body.Data, body.Previous, body.Context
	}
	_, section, _ := strings.Cut(read(t, "docs/api.md"), "\n## Filter\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := filterRow.FindAllStringSubmatch(section, -1)
	if len(rows) < 20 || ev.Type == "" {
		t.Fatalf("docs/api.md has %d examples of filters, of %q", len(rows), ev.Type)
	}
	f := mapping.NewFilters()
	for _, row := range rows {
		if p := mapping.CheckFilter(row[1], []*mapping.FilterShape{nil}); p != nil {
			t.Errorf("%s: %v", row[1], p)
			continue
		}
		result, err := f.Ask(row[1], ev)
		got := map[mapping.FilterResult]string{mapping.Wanted: "true", mapping.Refused: "false"}[result]
		if err != nil {
			got = "fails"
		}
		if got != row[2] {
			t.Errorf("%s is %s, and the docs say %s: %v", row[1], got, row[2], err)
		}
	}
}
