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

// TestWhatIsRememberedIsBounded by the number of instances, and by the size of their data.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	large := []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	m := newMemory()
	take := func(n int, data []byte) {
		m.take(&hook{ID: fmt.Sprint("evt_", m.Seen), Type: "contact.update", Instance: fmt.Sprint("contact/", n), Position: fmt.Sprintf("%040d", m.Seen), Data: data})
	}
	for n := range 100 {
		take(n, large)
		take(n, large)
		take(n, large[:10])
		take(n, large)
	}
	size := 0
	for _, x := range m.last {
		size += len(x.data)
	}
	if size != m.size || size > rememberedBytes || size < rememberedBytes/4 {
		t.Errorf("%d bytes are remembered, and %d counted", size, m.size)
	}
	m = newMemory()
	for n := range remembered {
		take(n, nil)
	}
	take(0, nil)
	if len(m.last) != remembered {
		t.Errorf("%d instances are remembered", len(m.last))
	}
	if take(remembered, nil); len(m.last) != 1 {
		t.Errorf("%d instances are remembered", len(m.last))
	}
}

// TestAnAnswerIsOneLine whatever is in its body.
func TestAnAnswerIsOneLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := &printer{Output: Output{Out: &out}}
	p.answered("http://localhost/", answer{Status: 500, TookMS: 3, Body: "<html>\r\n\t<h1>no\x1b[31m</h1>\n"})
	if want := "  → http://localhost/  500 Internal Server Error in 3ms  <html> <h1>no\ufffd[31m</h1>\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
