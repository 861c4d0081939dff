package mapping

import (
	"sync"
	"testing"
)

// TestLocator: an instance is found by its key alone, as its row would be, or not at all.
func TestLocator(t *testing.T) {
	t.Parallel()
	d, problems := Parse(loadConfig(t, `
contact: {table: public.contacts, path: "/contacts/${id}", columns: [id]}
named: {table: public.contacts, key: [name], path: "/named/${name}.json", columns: [id]}
both: {table: public.pairs, path: "/of/${name}/${id % 10}", columns: [id]}
slug: {table: public.contacts, path: "/contacts/${id}-${name}", columns: [id]}
all: {table: public.contacts, path: /me, columns: [id]}
none: {table: public.contacts, columns: [id]}
`))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	tables, _ := loadTables(t, `public.contacts: {key: [id], columns: {id: int8 not null, name: text not null}, identity: full, unique: name}
public.pairs: {key: [name, id], columns: {id: int8 not null, name: text not null}}`)
	m, problems := d.Compile(tables, "test")
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	l := m.Locator()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, c := range [][3]string{
				{"contact", "7", "/contacts/7"},
				{"contact", "", ""},
				{"named", "a/b é?", "/named/a%2Fb%20%C3%A9%3F.json"},
				{"named", "a,b", "/named/a%2Cb.json"},
				{"both", `a\,b,17`, "/of/a%2Cb/7"},
				{"both", "..,17", ""},
				{"both", "a", ""},
				{"both", "a,x", ""},
				{"slug", "7", ""},
				{"all", "7", "/me"},
				{"none", "7", ""},
				{"nothing", "7", ""},
			} {
				if got := l.Path(c[0], c[1]); got != c[2] {
					t.Errorf("%s %s: got %q, want %q", c[0], c[1], got, c[2])
				}
			}
		})
	}
	wg.Wait()
	if got := (*Locator)(nil).Path("contact", "7"); got != "" {
		t.Errorf("without a mapper: %q", got)
	}
}
