package mapping

import (
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

// TestWhatComesOfTheApplication: each leaf once, wherever in it the answer is used. A row's address and whether it is an
// instance can be asked beside.
func TestWhatComesOfTheApplication(t *testing.T) {
	t.Parallel()
	d, problems := Parse(loadConfig(t, `
application: true
contact:
  table: public.contacts
  path: /contacts/${id}
  delete_when: gone
  representation:
    id: ${id}
    a: ${api.a}
    b: {c: "${upper(api.c)}", d: ["${id}", "${api.d}"]}
    e: ${api.e} and ${api.f} of ${id}
    g: ${id} of ${api.g}
    h: ${id}
whole: {table: public.contacts, path: /me, representation: "${api}"}
nothing: {table: public.contacts, path: /me, columns: [id]}
`))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	tables, _ := loadTables(t, `public.contacts: {key: [id], columns: {id: int8, gone: bool}}`)
	m, problems := d.Compile(tables, "test")
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[string]string{"contact": "a b.c b.d[1] e g", "whole": "$", "nothing": ""} {
		info, ok := m.Resource(resource)
		if got := strings.Join(info.FromAPI, " "); !ok || got != want {
			t.Errorf("of %s come %q, want %q", resource, got, want)
		}
	}
	text := func(s string) cdc.Value { return cdc.Value{Kind: cdc.Text, Data: []byte(s)} }
	row := cdc.Row{text("7"), text("f")}
	for resource, want := range map[string]string{"contact": "/contacts/7", "nothing": "/me"} {
		if path, err := m.Path(resource, row); err != nil || path != want {
			t.Errorf("the path of %s is %q, %v", resource, path, err)
		}
	}
	if path, err := m.Path("contact", cdc.Row{{Kind: cdc.Null}, text("f")}); err != nil || path != "" {
		t.Errorf("the path without a key is %q, %v", path, err)
	}
	for gone, want := range map[string]bool{"f": true, "t": false} {
		if is, err := m.IsInstance("contact", cdc.Row{text("7"), text(gone)}); err != nil || is != want {
			t.Errorf("gone %s: %v, %v", gone, is, err)
		}
	}
	e, err := m.Preview("contact", cdc.Delete, row)
	if err != nil || e.Incomplete() || string(e.Data) != `{"id":7,"b":{"d":[7]},"h":7}` {
		t.Errorf("the delete is %+v, %v", e, err)
	}
	e, err = m.Preview("contact", cdc.Update, row)
	if err != nil || !e.Incomplete() {
		t.Fatalf("the update is %+v, %v", e, err)
	}
	c := NewCompletion([]*Event{e})
	documents := c.Documents()
	if len(documents) != 1 || documents[0] != (Document{"/contacts/7", "contact", "/contacts/${id}"}) || !c.Lacks(e) {
		t.Errorf("wants %v", documents)
	}
	c.Answer("/contacts/7", []byte(` {"a": [1.0, {"z": 1, "y": 2}], "c": "x", "e": "E", "f": 6} `))
	if _, dead := c.Complete(e); dead || c.Lacks(e) ||
		string(e.Data) != `{"id":7,"a":[1.0,{"z":1,"y":2}],"b":{"c":"X","d":[7]},"e":"E and 6 of 7","h":7}` || !slices.Equal(e.Partial, []string{"b.d[1]", "g"}) {
		t.Errorf("the data is %s, partial %v", e.Data, e.Partial)
	}
}
