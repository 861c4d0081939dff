package mapping

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// filterShapes are those of contacts and deals.
func filterShapes() []*FilterShape {
	text, number := jsonType{kind: jsonText}, jsonType{kind: jsonNumber}
	integer, anything := jsonType{kind: jsonInteger}, jsonType{}
	company := jsonType{kind: jsonObject, members: map[string]jsonType{"id": integer, "name": text}}
	return []*FilterShape{
		shapeOf(jsonType{kind: jsonObject, members: map[string]jsonType{
			"id": integer, "name": text, "vip": {kind: jsonBool}, "tags": {kind: jsonList, element: &text}, "prefs": anything,
			"company": company, "created_at": text, "companies": {kind: jsonList, element: &company},
		}}),
		shapeOf(jsonType{kind: jsonObject, members: map[string]jsonType{
			"id": text, "status": text, "amount": text, "score": number, "name": text,
		}}),
	}
}

func shapeOf(t jsonType) *FilterShape { return &FilterShape{func() jsonType { return t }} }

func TestCheckFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{`data.status == "won"`, ""},
		{`data.status == "won" && "status" in previous`, ""},
		{`type == "deal.update" and context?.source != "zapier"`, ""},
		{`data.company.name startsWith "A" || any(data.companies, .id in [1, 2])`, ""},
		{`date(data.created_at) > date("2026-01-01")`, ""},
		{`data.prefs.colour.depth > 3`, ""},
		{`float(data.amount) > 100`, ""},
		{`data.id == "7" || data.id == 7`, ""},
		{`data.name matches "^[A-M]"`, ""},
		{`data.vip`, ""},
		{`data.prefs`, ""},
		{`"vip" in data.tags`, ""},
		{`let a = data.status; a != null && a != "lost"`, ""},
		{`data.stauts == "won"`, `1:6: the event's data has no member "stauts" (did you mean "status"?)`},
		{"data.vip &&\n  data.company.nam == \"x\"", `2:16: the event's data has no member "nam" (did you mean "name"?)`},
		{`"stauts" in previous`, `1:1: the event's data has no member "stauts" (did you mean "status"?)`},
		{`status == "won"`, `1:1: there is no "status": a filter sees data, previous, type and context (did you mean data.status?)`},
		{`dta.status == "won"`, `1:1: there is no "dta": a filter sees data, previous, type and context (did you mean "data"?)`},
		{`data.amount > 100`, `1:13: > does not work on text and integer (make a number of the text: int(…) or float(…))`},
		{`data.name`, `1:1: it is text, and neither true nor false (compare it with something: data.status == "won")`},
		{`data.name = "x"`, `1:11: unexpected = (compare with ==)`},
		{`data.name LIKE "x%"`, `1:11: unexpected LIKE (use startsWith, endsWith, contains or matches)`},
		{`data.vip AND data.vip`, `1:10: unexpected AND (write and in small letters)`},
		{`NOT (data.vip)`, `1:1: there is no function "NOT" (write not in small letters)`},
		{`data.name in ("a", "b")`, `1:18: unexpected , (a list stands in square brackets: in ["a", "b"])`},
		{`${data.vip}`, `1:2: unexpected { (leave out ${ and }: all of it is an expression)`},
		{`data.vip &&`, `1:11: expression ends too early`},
		{`lenn(data.tags) > 1`, `1:1: there is no function "lenn" (did you mean "len"?)`},
		{`now() > date(data.created_at)`, `1:1: now() is not available: the same event must always match the same (compare with a time of the data)`},
		{`timezone("UTC") == null`, `1:1: timezone() is not available in filters (times are UTC)`},
		{`data.name matches data.status`, `1:24: the pattern of matches has to be a text in quotes (data.name matches "^A")`},
		{`data.name matches "("`, `1:19: the pattern of matches is no regular expression: missing closing )`},
		{`data.name matches "(.{500}){500}"`, `1:19: the pattern of matches is no regular expression: invalid repeat count`},
		{`data.name matches "(.{30}){30}(.{30}){20}"`, `1:19: the patterns of matches are too large (repeat less: {1,20} stands for 20 copies)`},
		{`$env == 1`, `1:1: there is no "$env": a filter sees data, previous, type and context`},
		{strings.Repeat("(", 2000) + "data.vip" + strings.Repeat(")", 2000), ""},
		{strings.Repeat("!", 4000) + "data.vip", `it has more than 1000 parts`},
		{strings.Repeat("(", 300) + "data.vip" + strings.Repeat("?: true)", 300), `it has more than 1000 parts`},
		{`data.name == "` + strings.Repeat("x", MaxFilter) + `"`, `1:1: it has 4111 bytes, and 4096 are the most`},
		{"", `1:1: expression ends too early`},
	} {
		got := ""
		if p := CheckFilter(c.text, filterShapes()); p != nil {
			if got = strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": " + p.Message; p.Hint != "" {
				got += " (" + p.Hint + ")"
			}
		}
		if got != c.want && (len(c.text) < 200 || c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%.80q: %q, want %q", c.text, got, c.want)
		}
	}
	// Where nothing is known of the data, everything may be in it.
	if p := CheckFilter(`data.whatever.there == 1`, []*FilterShape{nil}); p != nil {
		t.Error(p)
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	ev := &Event{
		Type: "deal.update",
		Data: []byte(`{"id":9007199254740993,"status":"won","amount":"12.50","price":0.1,"large":123456789012345678901234567890.10,"tags":["vip","ö"],` +
			`"company":{"name":"A\"c\u00e9","size":null},"items":[{"n":1},{"n":20}],"created_at":"2026-11-22T01:02:03.5Z","f":1e3,"none":null,"on":true}`),
		Previous: []byte(`{"status":"lead","company":{"name":null}}`),
		Context:  []byte(`{"source":"zapier","actor":{"id":7}}`),
	}
	f := NewFilters()
	for text, want := range map[string]string{
		`data.status == "won" && "status" in previous`:                      "true",
		`"amount" in previous`:                                              "false",
		`previous.status == "lead" && previous.amount == null`:              "true",
		`"name" in previous.company && previous.company.name == null`:       "true",
		`type == "deal.update"`:                                             "true",
		`type startsWith "contact."`:                                        "false",
		`context.source == "zapier" && context.actor.id == 7`:               "true",
		`data.id == 9007199254740993`:                                       "true",
		`data.id == 9007199254740992`:                                       "false",
		`data.price == 0.1 && data.price * 3 == 0.3`:                        "true",
		`data.large > 123456789012345678 && data.large != data.large + 0.1`: "true",
		`data.large == data.large`:                                          "true",
		`data.amount == "12.50" && float(data.amount) > 12.4`:               "true",
		`data.f == 1000`:                                                    "true",
		`data.tags[1] == "ö" && len(data.tags[1]) == 1`:                     "true",
		`"vip" in data.tags && !("x" in data.tags)`:                         "true",
		`data.company.name == "A\"cé"`:                                      "true",
		`data.company.size > 3`:                                             "false",
		`data.company.missing.deeper == null`:                               "true",
		`data.missing == 1`:                                                 "false",
		`data.none != 1`:                                                    "true",
		`data.missing ?? "x" == "x"`:                                        "failed: the filter does not compile",
		`(data.missing ?? "x") == "x"`:                                      "true",
		`any(data.items, .n > 10) && all(data.items, .n > 0)`:               "true",
		`sum(data.items, .n) == 21`:                                         "true",
		`len(filter(data.items, .n > 10)) == 1`:                             "true",
		`date(data.created_at) > date("2026-11-22") && date(data.created_at).Year() == 2026`: "true",
		`data.status matches "^w.n$"`:        "true",
		`data.status in ["won", "lost"]`:     "true",
		`lower(upper(data.status)) == "won"`: "true",
		`data.on`:                            "true",
		`data.none`:                          "false",
		`data.missing && true`:               "false",
		`len(keys(data)) == 12`:              "true",
		`"price" in data`:                    "true",
		`data == null`:                       "false",
		`data["status"] == "won"`:            "true",
		`let k = "status"; data[k] == "won"`: "true",
		`data.status`:                        "failed: the filter is text, and neither true nor false",
		`data.status > 3`:                    "failed: text and integer have no order",
		`data.status + 1 == 2`:               "failed: + does not work on text and integer",
		`int(data.status) == 1`:              "failed: int failed on text",
		`date(data.status) == null`:          "failed: date failed on a text that is none",
		`data.items % 2 == 0`:                "failed: % does not work on list and integer",
	} {
		result, err := f.Ask(text, ev)
		got := map[FilterResult]string{Wanted: "true", Refused: "false", Undecided: "undecided"}[result]
		if err != nil {
			got = "failed: " + err.Error()
		}
		if got != want && !(strings.HasPrefix(want, "failed: the filter does not compile") && strings.HasPrefix(got, want)) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if strings.Contains(got, "won") || strings.Contains(got, "12.50") {
			t.Errorf("%s: the message holds a value: %s", text, got)
		}
	}
	// Of a truncate there is no data, and of most events no context.
	empty := &Event{Type: "deal.truncate", Data: []byte("null")}
	for text, want := range map[string]FilterResult{
		`data.status == null && previous == null && context == null`: Wanted,
		`data.status == "won"`: Refused, `"status" in data`: Refused, `data == null`: Wanted, `context.source == "zapier"`: Refused,
	} {
		if got, err := f.Ask(text, empty); got != want || err != nil {
			t.Errorf("%s of a truncate: %v %v", text, got, err)
		}
	}
}

// hostileFilters take as much as they can.
var hostileFilters = []string{
	`all(data.list, all(data.list, all(data.list, all(data.list, true))))`,
	`any(data.list, # in data.list && false)`,
	`any(data.list[:200], 2.5 in data.list)`,
	`any(data.list[:20], data.text matches "(a|aa|aaa)*(a|aa|aaa)*$b")`,
	`any(data.list[:1000], data.text contains "b")`,
	`any(data.list, data.list == data.list && false)`,
	`any(data.list, len(sort(data.list)) < 0)`,
	`len(uniq(data.list)) > 0 && any(data.list, len(uniq(data.list)) < 0)`,
	`len(reduce(data.list, concat(#acc, #acc), data.list)) > 0`,
	`len(reduce(data.list, #acc + #acc, "xxxxxxxxxxxxxxxx")) > 0`,
	`reduce(data.list, [#acc, #acc], [1]) == reduce(data.list, [#acc, #acc], [2])`,
	`len(toJSON(reduce(data.list, [#acc, #acc], [1]))) > 0`,
	`len(repeat("x", 1000000000)) > 0`,
	`len(repeat(repeat("x", 100000), 100000)) > 0`,
	`any(data.list, len(repeat("x", 500000)) < 0)`,
	`len(1..1000000000) > 0`,
	`any(1..40000, any(1..40000, false))`,
	`len(replace(data.text, "", data.text)) > 0`,
	`len(split(data.text, "")) < 0 || any(data.list, len(split(data.text, "")) < 0)`,
	`any(data.list, data.text matches "(a|aa|aaa)*(a|aa|aaa)*$b")`,
	`any(data.list, data.text contains "aaaaaaaaaaaaaaaab")`,
	`any(data.list, lower(upper(data.text)) == "")`,
	`reduce(1..1000, #acc * #acc, data.number) > 0`,
	`reduce(1..1000, #acc * #acc + 0.1, data.number) > 0`,
	`any(data.list, fixed(data.number, 100, data.text, data.text) == "")`,
	`len(map(data.list, data.list)) > 0 && len(flatten(map(data.list, data.list))) > 0`,
	`any(data.list, len(fromJSON(data.json)) < 0)`,
	`any(data.list, (true;` + strings.Repeat("1;", 400) + `false))`,
	`any(data.list, len([` + strings.Repeat("1,", 400) + `1]) < 0)`,
	`len(join(map(data.list, data.text), "x")) > 0`,
	`len(groupBy(data.list, data.text)) > 0`,
	`any(data.list, date("2026-11-22 01:02:03") == null)`,
}

// hostileEvent is one that makes them expensive.
func hostileEvent() *Event {
	list := strings.TrimSuffix(strings.Repeat("1.5,", 20_000), ",")
	number := strings.Repeat("9", 900)
	return &Event{Type: "x.update", Data: []byte(`{"list":[` + list + `],"text":"` + strings.Repeat("a", 100_000) + `","number":` + number +
		`,"json":"[` + strings.TrimSuffix(strings.Repeat("0,", 20_000), ",") + `]"}`)}
}

// TestFilterIsBounded looks at steps and bytes, not at time.
func TestFilterIsBounded(t *testing.T) {
	ev := hostileEvent()
	f := NewFilters()
	var before, after runtime.MemStats
	for _, text := range hostileFilters {
		if p := CheckFilter(text, []*FilterShape{nil}); p != nil {
			t.Errorf("%s: %v", text, p)
			continue
		}
		f.Done()
		runtime.ReadMemStats(&before)
		_, err := f.Ask(text, ev)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "filter") && !strings.Contains(err.Error(), "digits") {
			t.Errorf("%.80s: %v", text, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%.80s: %d MiB were allocated", text, used>>20)
		}
	}
	// What is reasonable goes through.
	for _, text := range []string{`all(data.list[:10000], # > 1)`, `1.5 in data.list`, `len(data.text) == 100000`, `sum(data.list) == 30000.0`, `data.text matches "^a+$"`} {
		if got, err := f.Ask(text, ev); got != Wanted || err != nil {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	if _, err := f.Ask(`data.whole != null`, &Event{Data: []byte(`{"whole":"` + strings.Repeat("x", MaxFilterData) + `"}`)}); !errors.Is(err, errFilterData) {
		t.Error(err)
	}
	if got, err := f.Ask(`data.id == 1`, &Event{Data: []byte(`{"id":1,"whole":"` + strings.Repeat("x", MaxFilterData) + `"}`)}); got != Wanted {
		t.Error("what is not looked at does not count", err)
	}
}
