package mapping

import (
	"runtime"
	"testing"
)

// FuzzFilter compiles and runs what comes: it never panics, and a run makes no more than it may.
func FuzzFilter(f *testing.F) {
	for _, text := range hostileFilters {
		f.Add(text, `{"list":[1,2.5,"x",null],"text":"abc","json":"[1]"}`)
	}
	for _, text := range []string{
		`data.status == "won" && "status" in previous`, `type matches "^a" || context?.source == null`, `1 < data.a < 3`, `data.a ?: true`,
		`let x = data.list; x[0] == 1`, `sum(data.list) > 1`, `date(data.text) > date("2026-01-01")`, `data.a?.b[1:2] == data["c"]`,
		`if data.a { true } else { false }`, `data | keys() | len() > 1`, `$env["data"] == null`, `{"a": 1}[data.text] == 1`, `-data.a ** 2 > 0`,
	} {
		f.Add(text, `{"status":"won","a":{"b":[1,2]},"list":[1],"text":"2026-11-22"}`)
	}
	shapes := filterShapes()
	filters := NewFilters()
	f.Fuzz(func(t *testing.T, text, data string) {
		typed := CheckFilter(text, shapes)
		if untyped := CheckFilter(text, []*FilterShape{nil}); typed == nil && untyped != nil {
			t.Errorf("it fits the shapes, and not everything: %v", untyped)
		}
		ev := &Event{Type: "x.update", Data: []byte(data), Previous: []byte(data)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := filters.Ask(text, ev)
		runtime.ReadMemStats(&after)
		if err != nil && got != Refused {
			t.Errorf("%v with %v", got, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
			t.Errorf("%d MiB were allocated", used>>20)
		}
		again, err2 := NewFilters().Ask(text, ev)
		if again != got || (err == nil) != (err2 == nil) {
			t.Errorf("%v %v, then %v %v", got, err, again, err2)
		}
		filters.Done()
	})
}
