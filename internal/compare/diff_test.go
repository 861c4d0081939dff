package compare

import (
	"fmt"
	"strings"
	"testing"
)

// TestDiff has a line for each difference: path, ours, theirs, and what the hint says.
func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, ours, theirs, want string }{
		{"Equal", `{"a":1,"b":[1,{"c":null}]}`, `{"b":[1.0,{"c":null}],"a":1e0}`, ``},
		{"LongDigits", `{"a":12345678901234567890.10}`, `{"a":12345678901234567890.1}`, ``},
		{"OneDigit", `{"a":12345678901234567890}`, `{"a":12345678901234567891}`, `a: 12345678901234567890 | 12345678901234567891 | `},
		{"HugeExponents", `{"a":1e999999999}`, `{"a":1e999999998}`, `a: 1e999999999 | 1e999999998 | `},
		{"Nested", `{"address":{"city":"x","zip":1}}`, `{"address":{"city":"y","zip":1}}`, `address.city: "x" | "y" | `},
		{"NullIsNotMissing", `{"a":null}`, `{}`, `a: null |  | `},
		{"NullIsNotEmpty", `{"a":null}`, `{"a":""}`, `a: null | "" | `},
		{"Missing", `{}`, `{"x":{"y":"<b>"}}`, `x:  | {"y":"<b>"} | add it to the representation; what only the application can compute is ${api.x}`},
		{"OddNames", `{"a.b":1,"":{" ":1}}`, `{"a.b":2,"":{" ":2}}`, "[\"\"][\" \"]: 1 | 2 | \n[\"a.b\"]: 1 | 2 | "},
		{"NoEscapes", `{"a\u001b[31m":"\u001b"}`, `{"a\u001b[31m":"x"}`, `["a\x1b[31m"]: "\u001b" | "x" | `},
		{"Types", `{"a":{},"b":[],"c":true,"d":"true"}`, `{"a":[],"b":{},"c":1,"d":true}`, "a: {} | [] | \nb: [] | {} | \nc: true | 1 | \nd: \"true\" | true | "},
		{"Items", `{"tags":[1,{"n":"a"}]}`, `{"tags":[1,{"n":"b"}]}`, `tags[1].n: "a" | "b" | `},
		{"Length", `{"tags":["a"]}`, `{"tags":["a","b"]}`, `tags: ["a"] | ["a","b"] | ours has 1 item, the API's 2`},
		{"Order", `{"tags":["a","b"]}`, `{"tags":["b","a"]}`, `tags: ["a","b"] | ["b","a"] | the same items in another order: order_by of the relation`},
		{"Root", `[1]`, `"x"`, `$: [1] | "x" | `},

		{"NumericNumber", `{"a":"12.50"}`, `{"a":12.5}`, `a: "12.50" | 12.5 | json: {numeric: number}`},
		{"BigintNumber", `{"a":"42"}`, `{"a":42}`, `json: {bigint: number} for a bigint`},
		{"AnotherNumber", `{"a":"12.50"}`, `{"a":12.6}`, `a: "12.50" | 12.6 | `},
		{"NumericString", `{"a":12.50}`, `{"a":"12.50"}`, `json: {numeric: string}`},
		{"BigintString", `{"a":42}`, `{"a":"42"}`, `json: {bigint: string}`},
		{"Trimmed", `{"a":"12.3000"}`, `{"a":"12.3"}`, `json: {numeric: trimmed}`},
		{"Zeros", `{"a":"12.3"}`, `{"a":"12.30"}`, `json: {numeric: string}, or ${fixed(…, 2)}`},
		{"Milliseconds", `{"a":"2026-01-01T00:00:00.123456Z"}`, `{"a":"2026-01-01T00:00:00.123Z"}`, `| json: {timestamp: milliseconds}`},
		{"Microseconds", `{"a":"2026-01-01T00:00:00Z"}`, `{"a":"2026-01-01T00:00:00.000000Z"}`, `| json: {timestamp: microseconds}`},
		{"Isoformat", `{"a":"2026-01-01T00:00:00.000000Z"}`, `{"a":"2026-01-01T00:00:00Z"}`, `| json: {timestamp: isoformat}, as Django`},
		{"Seconds", `{"a":"2026-01-01T00:00:00.100000Z"}`, `{"a":"2026-01-01T00:00:00Z"}`, `| json: {timestamp: seconds}`},
		{"LocalUTC", `{"a":"2026-01-01T00:00:00"}`, `{"a":"2026-01-01T00:00:00Z"}`, `| json: {timestamp_zone: utc}`},
		{"FastAPI", `{"a":"2026-01-01T00:00:00.000000Z"}`, `{"a":"2026-01-01T00:00:00+00:00"}`, `the preset fastapi writes +00:00 for Z`},
		{"OtherZone", `{"a":"2026-01-01T00:00:00Z"}`, `{"a":"2026-01-01T01:00:00+01:00"}`, `the same moment in another zone`},
		{"OtherTime", `{"a":"2026-01-01T00:00:00Z"}`, `{"a":"2026-01-01T00:00:01Z"}`, `a: "2026-01-01T00:00:00Z" | "2026-01-01T00:00:01Z" | `},
		{"DateTime", `{"a":"2026-01-01"}`, `{"a":"2026-01-01T00:00:00.000Z"}`, `| json: {date: timestamp}`},
		{"UUID", `{"a":"6e1d0000-0000-0000-0000-000000000001"}`, `{"a":"6e1d0000000000000000000000000001"}`, `| json: {uuid: plain}`},
		{"Interval", `{"a":"P3DT4H"}`, `{"a":"3 04:00:00"}`, `| json: {interval: clock}`},
		{"Padding", `{"a":"ab   "}`, `{"a":"ab"}`, `${trim(…)}`},
		{"Camel", `{"first_name":"a"}`, `{"firstName":"a"}`, `first_name: "a" |  | the API calls it firstName: json: {keys: camel}`},
		{"Envelope", `{"id":1,"name":"a"}`, `{"data":{"id":1,"name":"a"}}`, `$: {"id":1,"name":"a"} | {"data":{"id":1,"name":"a"}} | the answer is in an envelope: compare with what is at data (--at data)`},
		{"EnvelopeBesides", `{"id":1,"name":"a"}`, `{"id":7,"contact":{"id":1,"name":"a"}}`, `name: "a" |  | the answer is in an envelope: compare with what is at contact (--at contact)`},
		{"JSONAPI", `{"id":1,"name":"a"}`, `{"data":{"id":1,"attributes":{"id":1,"name":"a"}}}`, `--at data.attributes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := told(t, tt.ours, tt.theirs)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.HasSuffix(tt.want, "| ") && got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func told(t *testing.T, ours, theirs string, ignore ...string) string {
	t.Helper()
	found, err := Diff([]byte(ours), []byte(theirs), ignore)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range found {
		lines = append(lines, fmt.Sprintf("%s: %s | %s | %s", d.Path, d.Ours, d.Theirs, d.Hint))
	}
	return strings.Join(lines, "\n")
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	const ours, theirs = `{"a":1,"ab":1,"links":{"self":1,"next":1},"tags":[{"x":1,"y":1},{"x":1,"y":1}]}`, `{"a":2,"ab":2,"links":{"self":2},"tags":[{"x":2,"y":2},{"x":2,"y":2}],"new":1}`
	for ignore, want := range map[string]string{
		"a,links.self,tags":           "ab links.next new",
		"ab,links,tags[].x,a":         "new tags[0].y tags[1].y",
		"new,links,tags[1],tags[0].x": "a ab tags[0].y",
	} {
		var paths []string
		for _, line := range strings.Split(told(t, ours, theirs, strings.Split(ignore, ",")...), "\n") {
			path, _, _ := strings.Cut(line, ":")
			paths = append(paths, path)
		}
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("without %s: %s, want %s", ignore, got, want)
		}
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"a": "a", "tags[12].x[0]": "tags[].x[]", "$": "$"} {
		if got := (&Difference{Path: path}).Field(); got != want {
			t.Errorf("the field of %s is %s", path, got)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	got, ok := At([]byte(`{"data": {"contact": {"a": 1.10}}}`), "data.contact")
	if !ok || string(got) != `{"a": 1.10}` {
		t.Errorf("got %s, %v", got, ok)
	}
	for _, path := range []string{"dota", "data.contact.a.b", "data.x"} {
		if _, ok := At([]byte(`{"data": {"contact": {"a": 1.10}}}`), path); ok {
			t.Errorf("there is something at %s", path)
		}
	}
}
