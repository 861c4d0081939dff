package cdctest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// TestRoots looks for rows from below in Postgres and in memory: by one column and by several, through a table in between,
// by several ways at once, with nulls, and with keys of two columns.
func TestRoots(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `
		create table people (id int, tenant text collate "C", firm_id bigint, name text, primary key (tenant, id));
		create table person_tags (person_id int, tenant text, tag_id bigint, id int primary key);
		create table tags (id bigint primary key);
		insert into people select n, 't' || n % 3, nullif(n % 5, 0), 'n' || n % 4 from generate_series(1, 60) n;
		insert into person_tags select nullif(n * 7 % 61, 3), nullif('t' || n % 4, 't3'), n % 9, n from generate_series(1, 300) n`); err != nil {
		t.Fatal(err)
	}
	names := []cdc.TableName{cdctest.Name("people"), cdctest.Name("person_tags"), cdctest.Name("tags")}
	tables, err := cdc.LoadTables(t.Context(), conn, names)
	if err != nil {
		t.Fatal(err)
	}
	rows := cdctest.Rows{}
	for _, n := range names {
		list, err := conn.Query(t.Context(), "select * from "+n.Quote(), pgx.QueryResultFormats{pgx.TextFormatCode})
		if err != nil {
			t.Fatal(err)
		}
		for list.Next() {
			var row cdc.Row
			for _, v := range list.RawValues() {
				if v == nil {
					row = append(row, cdc.Value{Kind: cdc.Null})
					continue
				}
				row = append(row, cdc.Value{Kind: cdc.Text, Data: slices.Clone(v)})
			}
			rows[n] = append(rows[n], row)
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
	}
	column := func(table, name string) cdc.Column {
		tab := tables[cdctest.Name(table)]
		return tab.Columns[tab.Column(name)]
	}
	// A step is written as table: theirs=ours theirs=ours, theirs being of the table below.
	ascent := func(from string, steps ...string) (a cdc.Ascent) {
		a.Name = "people." + from
		for _, s := range steps {
			table, pairs, _ := strings.Cut(s, ": ")
			step := cdc.AscentStep{Table: cdctest.Name(table)}
			for pair := range strings.FieldsSeq(pairs) {
				theirs, ours, _ := strings.Cut(pair, "=")
				step.On = append(step.On, cdc.JoinPair{Theirs: column(from, theirs), Ours: column(table, ours)})
			}
			a.Steps, from = append(a.Steps, step), table
		}
		return a
	}
	roots := &cdc.Roots{Name: "people", Table: names[0], Key: []cdc.Column{column("people", "tenant"), column("people", "id")}, Ascents: []cdc.Ascent{
		ascent("tags", "person_tags: id=tag_id", "people: person_id=id tenant=tenant"),
		ascent("person_tags", "people: person_id=id"),
		ascent("people", "people: name=name firm_id=firm_id"),
	}}
	asked := func(values ...string) (a cdc.RootsAsked) {
		for i, v := range values {
			var key [][]byte
			for v := range strings.SplitSeq(v, "/") {
				key = append(key, []byte(v))
			}
			a.Numbers, a.Values = append(a.Numbers, i), append(a.Values, key)
		}
		return a
	}
	reader := cdc.NewRowReader(secret.String(url), 0, slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer reader.Close()
	for what, q := range map[string][]cdc.RootsAsked{
		"through a join table":  {asked("1", "8", "100")},
		"by one column":         {{}, asked("5", "12", "13", "7", "77")},
		"by two columns":        {{}, {}, asked("n1/1", "n3/2", "n1/9")},
		"by all ways":           {asked("1", "2"), asked("5", "6"), asked("n1/1", "n3/2")},
		"nothing that is there": {asked("50"), asked("99")},
	} {
		request := &cdc.RootsRequest{Roots: roots, Asked: q, Max: 10_000, MaxBytes: 1 << 20}
		want, _, err := reader.ReadRoots(t.Context(), nil, request)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := cdctest.Roots(request, tables, rows); keysOf(got) != keysOf(want) {
			t.Errorf("%s\nPostgres finds %s\nwe find        %s", what, keysOf(want), keysOf(got))
		}
		if len(want) == 0 && !strings.HasPrefix(what, "nothing") {
			t.Errorf("%s: there are none", what)
		}
	}
}

func keysOf(keys []cdc.RootKey) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, " %d:%s", k.Number, k.Key)
	}
	return b.String()
}
