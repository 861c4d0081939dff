package mapping

import (
	"slices"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

// TestBoundOnce looks at which tables are bound anew when the stream describes them: those that are not what the mapping
// was compiled for, and those whose mapping has programs, which may run for one at a time.
func TestBoundOnce(t *testing.T) {
	t.Parallel()
	const plain = `contact: {table: public.contacts, account: account_id, columns: all}`
	for _, c := range []struct {
		name, config string
		change       func(*cdc.Relation)
		once         bool
	}{
		{"as it was", plain, func(*cdc.Relation) {}, true},
		{"types of their own", plain, func(r *cdc.Relation) { x := *r.Columns[0].Type; r.Columns[0].Type = &x }, true},
		{"another type", plain, func(r *cdc.Relation) { r.Columns[2].Type = r.Columns[0].Type }, false},
		{"another order", plain, func(r *cdc.Relation) { r.Columns[2], r.Columns[3] = r.Columns[3], r.Columns[2] }, false},
		{"a column less", plain, func(r *cdc.Relation) { r.Columns = r.Columns[:8] }, false},
		{"another identity", plain, func(r *cdc.Relation) { r.Columns[1].Identity = true }, false},
		{"another key", plain, func(r *cdc.Relation) { r.Key = []int{1} }, true},
		{"a program", `contact: {table: public.contacts, account: account_id, representation: {name: '${first_name + last_name}'}}`, func(*cdc.Relation) {}, false},
		{"a program as its account", `contact: {table: public.contacts, account: account_id + 1, columns: all}`, func(*cdc.Relation) {}, false},
		{"a condition", `contact: {table: public.contacts, account: account_id, columns: all, where: active}`, func(*cdc.Relation) {}, false},
	} {
		d, problems := Parse(loadConfig(t, c.config))
		if problems != nil {
			t.Fatal(c.name, problems)
		}
		tables, relations := loadTables(t, benchTables)
		m, problems := d.Compile(tables, "test")
		if problems != nil {
			t.Fatal(c.name, problems)
		}
		r := *loadChanges(t, benchChanges, relations)[0].Relation
		r.Columns = slices.Clone(r.Columns)
		c.change(&r)
		p := m.planOf(&r)
		if got := p.resources[0].bound == p.resources[0].compiled.bound; got != c.once {
			t.Errorf("%s: bound once is %v", c.name, got)
		}
	}
}
