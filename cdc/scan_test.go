package cdc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scanAll reads a table page by page and returns the rows, values joined, in the order in which they came.
func scanAll(t *testing.T, f *readerFixture, s *Scan, since string, rows, maxBytes int) (got []string, pages int) {
	t.Helper()
	q := &ScanRequest{Scan: s, Since: since, Rows: rows, MaxBytes: maxBytes}
	for {
		page, err := f.r.ReadScan(t.Context(), nil, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Rows {
			var values []string
			for _, v := range row {
				values = append(values, map[Kind]string{Null: "~", Text: string(v.Data)}[v.Kind])
			}
			got = append(got, strings.Join(values, " "))
		}
		if page.Read > rows || page.Read == 0 && page.More {
			t.Fatalf("a page of %d: %+v", rows, page)
		}
		if pages++; !page.More {
			return got, pages
		}
		q.After = page.Last
	}
}

func (f *readerFixture) scan(table string, key ...string) *Scan {
	f.Helper()
	rel := f.relation(table)
	s := &Scan{Name: table, Table: rel.Table, Columns: rel.Columns}
	for _, k := range key {
		s.Key = append(s.Key, rel.Columns[slices.IndexFunc(rel.Columns, func(c Column) bool { return c.Name == k })])
	}
	return s
}

// TestScan: every row comes once, in the order of the key, whatever the key is of and however small the pages are; of a table that is
// inherited from its own rows alone; and by its time.
func TestScan(t *testing.T) {
	t.Parallel()
	f := newReader(t, `
		create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		create table one (id int primary key, at timestamptz);
		insert into one select i, case when i % 3 = 0 then null else timestamptz '2026-11-22 00:00+00' + i * interval '1 hour' end from generate_series(-5, 40) i;
		create table two (a text collate "de-x-icu", b date, n numeric(6,2), primary key (a, b, n));
		insert into two select x, date '2026-11-01' + i, i / 4.0 from unnest(array['Ä', 'a', 'B', 'z', '"{},\', '', ' ', 'null']) x, generate_series(0, 5) i;
		create table folds (k text collate folded primary key);
		insert into folds values ('b'), ('A'), ('c'), ('D');
		create table parent (id int primary key);
		create table child (primary key (id)) inherits (parent);
		insert into parent values (1), (2); insert into child values (2), (3);
		create table parted (id int, part int, primary key (part, id)) partition by list (part);
		create table parted_1 partition of parted for values in (1);
		create table parted_2 partition of parted for values in (2);
		insert into parted select i, i % 2 + 1 from generate_series(1, 30) i;
		create table nothing (id int primary key)`)
	for _, c := range []struct {
		table string
		key   []string
		rows  int
	}{{"one", []string{"id"}, 46}, {"two", []string{"a", "b", "n"}, 48}, {"folds", []string{"k"}, 4}, {"parent", []string{"id"}, 2},
		{"parted", []string{"part", "id"}, 30}, {"nothing", []string{"id"}, 0}} {
		whole, _ := scanAll(t, f, f.scan(c.table, c.key...), "", 512, 1<<20)
		if len(whole) != c.rows {
			t.Errorf("%s: %d rows, want %d", c.table, len(whole), c.rows)
		}
		for _, size := range []int{1, 4} {
			paged, pages := scanAll(t, f, f.scan(c.table, c.key...), "", size, 1<<20)
			if !slices.Equal(paged, whole) || pages < c.rows/size {
				t.Errorf("%s by %d: %d pages, %q, want %q", c.table, size, pages, paged, whole)
			}
		}
		if tight, _ := scanAll(t, f, f.scan(c.table, c.key...), "", 16, 1); !slices.Equal(tight, whole) {
			t.Errorf("%s a row at a time: %q", c.table, tight)
		}
	}
	since := f.scan("one", "id")
	at := f.relation("one").Columns[1]
	since.Since = &at
	got, _ := scanAll(t, f, since, "2026-11-22T20:00:00Z", 4, 1<<20)
	var ids []string
	for _, row := range got {
		ids = append(ids, strings.Fields(row)[0])
	}
	// 20 and later, and those without a time.
	if want := "-3 0 3 6 9 12 15 18 20 21 22 23 24 25"; !strings.HasPrefix(strings.Join(ids, " "), want) || len(ids) != 8+21 {
		t.Errorf("since: %d %v", len(ids), ids)
	}
	for table, want := range map[string]string{"one": "46 true", "parted": "30 true", "nothing": "0 true"} {
		n, exact, err := f.r.Size(t.Context(), f.relation(table).Table, 100)
		if got := fmt.Sprint(n, " ", exact); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", table, got, err, want)
		}
	}
	if n, exact, err := f.r.Size(t.Context(), f.relation("one").Table, 10); err != nil || exact || n < 11 {
		t.Errorf("more than are counted: %d %v %v", n, exact, err)
	}
	if n, exact, err := f.r.Count(t.Context(), f.relation("parted").Table, "part", "2", 100); err != nil || !exact || n != 15 {
		t.Errorf("counted %d %v %v", n, exact, err)
	}
	var refused *LookupError
	if _, err := f.r.ReadScan(t.Context(), nil, &ScanRequest{Scan: f.scan("one", "id"), After: [][]byte{[]byte("secret")}, Rows: 1, MaxBytes: 1}); !errors.As(err, &refused) ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("a key that is none: %v", err)
	}
}
