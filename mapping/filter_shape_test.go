package mapping

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

// fits says what does not fit the shape of a value.
func (s jsonType) fits(path string, v any) string {
	ok := true
	switch v := v.(type) {
	case nil:
	case string:
		ok = s.kind == jsonText
	case bool:
		ok = s.kind == jsonBool
	case int64:
		ok = s.number()
	case decimal.Decimal, float64:
		ok = s.kind == jsonNumber
	case []any:
		if ok = s.kind == jsonList; ok {
			for i, item := range v {
				if told := s.element.fits(fmt.Sprintf("%s[%d]", path, i), item); told != "" {
					return told
				}
			}
		}
	case map[string]any:
		if ok = s.kind == jsonObject; ok {
			for name, member := range v {
				if !has(s.members, name) {
					return path + "." + name + " is not in the shape"
				}
				if told := s.members[name].fits(path+"."+name, member); told != "" {
					return told
				}
			}
		}
	}
	if !ok && s.kind != jsonAny {
		return fmt.Sprintf("%s is %s, and kind %d in the shape", path, kindOf(v), s.kind)
	}
	return ""
}

// checkFilterShape holds the data of a complete event to the shape of its resource.
func checkFilterShape(t testing.TB, m *Mapper, e *Event) {
	t.Helper()
	v, err := readFilterValue(e.Data)
	if err != nil {
		t.Errorf("%s: %v: %s", e.Type, err, e.Data)
		return
	}
	if shape := m.FilterShape(e.Resource); shape != nil {
		if told := shape.root().fits("data", v); told != "" {
			t.Errorf("%s: %s", e.Type, told)
		}
	}
}

// ownMembers are what filters know of events before they are complete.
func ownMembers(events []*Event) map[*Event]map[string]any {
	all := map[*Event]map[string]any{}
	for _, e := range events {
		if e.pending == nil {
			continue
		}
		own := map[string]any{}
		for _, name := range e.pending.planned.root.names {
			if json, k, ok := e.ownMember(name); ok {
				var v any = nowhere
				if k == known {
					v, _ = readFilterValue(json)
				}
				own[name] = v
			}
		}
		all[e] = own
	}
	return all
}

const nowhere = "not in the data"

// checkOwn compares them with what the event is when it is complete.
func checkOwn(t testing.TB, e *Event, own map[string]any) {
	t.Helper()
	whole, _ := readFilterValue(e.Data)
	members, _ := whole.(map[string]any)
	for name, v := range own {
		var now any = nowhere
		if member, ok := members[name]; ok {
			now = member
		}
		if !reflect.DeepEqual(v, now) {
			t.Errorf("%s: %s was %v, and is %v", e.Type, name, v, now)
		}
	}
}

// TestShapesOfSeveralResources: a member of one of them is known, with what it is in all that have it.
func TestShapesOfSeveralResources(t *testing.T) {
	t.Parallel()
	shapes := filterShapes()
	both := dataType(shapes)
	if both.members["id"].kind != jsonAny || both.members["name"].kind != jsonText || !has(both.members, "status") || !has(both.members, "vip") {
		t.Errorf("%+v", both)
	}
	if got := dataType([]*FilterShape{shapes[0], nil}); got.kind != jsonAny {
		t.Errorf("with one of which nothing is known: %+v", got)
	}
	if p := CheckFilter(`data.vip && data.status == "won"`, shapes[:1]); p == nil || !strings.Contains(p.Message, `no member "status"`) {
		t.Errorf("of one resource: %v", p)
	}
}
