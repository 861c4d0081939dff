package mapping

import "testing"

// TestMembers: what is mapped member by member is known, and whether updates tell all that they change.
func TestMembers(t *testing.T) {
	t.Parallel()
	m, _ := newMapper(t, `
contact: {table: public.contacts, representation: {id: "${id}", address: {city: "${name}", geo: {lat: "${id}"}}, tags: ["${name}"], json: "${name}"}}
pair: {table: public.pairs, columns: [id, name]}
changed: {table: public.contacts, representation: {id: "${id}", was: "${old.name}"}}
linked:
  table: public.contacts
  representation: {id: "${id}", pairs: "${pairs}"}
  relations: {pairs: {table: public.pairs, foreign_key: id, many: true, columns: [name]}}
`, `public.contacts: {key: [id], columns: {id: int8 not null, name: text not null}, identity: full}
public.pairs: {key: [id], columns: {id: int8 not null, name: text not null}}`)
	x := m.Members()
	for _, c := range []struct {
		path   []string
		nested bool
	}{
		{nil, true}, {[]string{"id"}, false}, {[]string{"address"}, true}, {[]string{"address", "city"}, false}, {[]string{"address", "geo"}, true},
		{[]string{"address", "geo", "lat"}, false}, {[]string{"address", "city", "x"}, false}, {[]string{"tags"}, false}, {[]string{"nothing", "x"}, false},
	} {
		if got := x.Nested("contact", c.path); got != c.nested {
			t.Errorf("%v: nested is %v", c.path, got)
		}
	}
	if x.Nested("nothing", nil) {
		t.Error("a resource that is not there has members")
	}
	for resource, want := range map[string]bool{"contact": true, "pair": false, "changed": false, "linked": false, "nothing": false} {
		if got := x.Told(resource); got != want {
			t.Errorf("%s: told is %v", resource, got)
		}
	}
}
