package listen

import (
	"fmt"
	"strings"
	"testing"
)

// TestChanges are those that previous tells, or that were seen.
func TestChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ now, before, previous, want string }{
		{`{"id":1,"name":"b"}`, `{"id":1,"name":"a"}`, ``, `name "a" "b"`},
		{`{"id":1,"name":"b","same":2}`, ``, `{"name":"a"}`, `name "a" "b"`},
		{`{"id":1,"address":{"city":"B","zip":"1"}}`, ``, `{"address":{"city":"A"}}`, `address.city "A" "B"`},
		{`{"id":1,"lines":[{"n":1},{"n":2}]}`, ``, `{"lines":[{"n":1}]}`, `lines [{"n":1}] [{"n":1},{"n":2}]`},
		{`{"id":1,"lines":[{"n":1,"m":2}]}`, ``, `{"lines":[{"n":1}]}`, `lines[0].m  2`},
		{`{"id":1,"tags":["a","b"]}`, ``, `{"tags":["a"]}`, `tags ["a"] ["a","b"]`},
		{`{"id":1,"odd":{"a b":1}}`, ``, `{"odd":{}}`, ``},
		{`{"id":1}`, `{"id":1,"name":"a"}`, ``, `name "a" `},
		{`{"id":1}`, ``, ``, ``},
		{`null`, `{"id":1}`, ``, `$ {"id":1} null`},
	} {
		m := newMemory()
		if c.before != "" {
			m.take(&hook{ID: "1", Type: "contact.create", Instance: "contact/1", Position: "1", Data: []byte(c.before)})
		}
		h := &hook{ID: "2", Type: "contact.update", Instance: "contact/1", Position: "2", Data: []byte(c.now), previous: []byte(c.previous)}
		m.take(h)
		var all []string
		for _, x := range h.Changes {
			all = append(all, fmt.Sprintf("%s %s %s", x.Path, x.From, x.To))
		}
		if got := strings.Join(all, ", "); got != c.want {
			t.Errorf("%s after %s %s: %s, want %s", c.now, c.before, c.previous, got, c.want)
		}
	}
}
