package cdc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// levels are Lookups that are given: a request for each level.
type levels struct {
	requests []LookupRequest
	// between is done before the next level is asked for.
	between func()
	at      int
	got     []string
}

func (l *levels) Start() []LookupRequest {
	l.at, l.got = 0, nil
	return l.requests[:1]
}

func (l *levels) Next() []LookupRequest {
	if l.between != nil {
		l.between()
	}
	if l.at++; l.at >= len(l.requests) {
		return nil
	}
	return l.requests[l.at : l.at+1]
}

func (l *levels) Row(_, key int, row Row) {
	values := []string{fmt.Sprint(key)}
	for _, v := range row {
		values = append(values, map[Kind]string{Null: "~", Text: string(v.Data)}[v.Kind])
	}
	l.got = append(l.got, strings.Join(values, " "))
}

// lookup finds rows of a table by a column that is compared with values of another column's type.
func (f *readerFixture) lookup(table, by, ours string, columns ...string) *Lookup {
	f.Helper()
	rel := f.relation(table)
	column := func(name string) Column {
		for _, c := range rel.Columns {
			if c.Name == name {
				return c
			}
		}
		f.Fatalf("no column %s", name)
		return Column{}
	}
	l := &Lookup{Name: "test." + table, Table: rel.Table, Max: 2, Match: []LookupColumn{{column(by), column(ours).Type}}}
	for _, c := range columns {
		l.Columns = append(l.Columns, column(c))
	}
	l.Order = []LookupOrder{{Column: columns[0], Descending: true}}
	return l
}

func keys(texts ...string) (keys [][][]byte) {
	for _, s := range texts {
		keys = append(keys, [][]byte{[]byte(s)})
	}
	return keys
}

// TestRelatedRows come in order, one more than are wanted, by keys of any text and of other types of integers.
func TestRelatedRows(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table r (id int primary key, big bigint, code text, n int);
		insert into r values (1, 1, 'a"\,b', 1), (2, 1, 'a"\,b', null), (3, 1, '{}', 3), (4, 2, '', 4)`)
	read := func(want string, l *Lookup, texts ...string) {
		t.Helper()
		at := &levels{requests: []LookupRequest{{l, keys(texts...)}}}
		if err := f.r.ReadRelated(t.Context(), nil, at, 1<<20); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(at.got, "|"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	read("1 2 ~|1 1 1", f.lookup("r", "code", "code", "id", "n"), "none", `a"\,b`)
	read("0 4|1 3", f.lookup("r", "code", "code", "id"), "", "{}")
	read("0 1", f.lookup("r", "id", "big", "id"), "1", "3000000000")
	byBig := f.lookup("r", "big", "id", "id")
	f.exec(`insert into r select n, 7, 'x', n from generate_series(10, 99) n`)
	read("0 99|0 98|0 97", byBig, "7")
	first := *byBig
	first.First = true
	read("0 99|0 98", &first, "7")
	// Statements are of a connection, and it may be lost.
	f.exec(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowhook reads' and datname = current_database()`)
	read("0 99|0 98|0 97", byBig, "7")
}

// TestLevelsHaveOneSnapshot: what is committed between them is not seen.
func TestLevelsHaveOneSnapshot(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table r (id int primary key, n int); insert into r values (1, 1)`)
	l := f.lookup("r", "id", "id", "n")
	l.More = true
	at := &levels{requests: []LookupRequest{{l, keys("1")}, {l, keys("1")}}, between: func() { f.exec(`update r set n = n + 1`) }}
	if err := f.r.ReadRelated(t.Context(), nil, at, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(at.got, "|"); got != "0 1|0 1" {
		t.Errorf("got %s", got)
	}
	// No transaction is left open.
	if err := f.r.ReadRelated(t.Context(), nil, &levels{requests: at.requests[:1]}, 1<<20); err != nil {
		t.Fatal(err)
	}
	var open int
	if err := f.conn.QueryRow(t.Context(), `select count(*) from pg_stat_activity where application_name = 'rowhook reads' and datname = current_database() and state like '%in transaction%'`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d transactions are open, %v", open, err)
	}
}

// TestRefusedLookups names the lookup and never a value; the reader goes on.
func TestRefusedLookups(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table r (id int primary key, n int, body text); insert into r values (1, 1, repeat('x', 5000));
		create table s (id int primary key, n int);
		create view v as select id, ('secret' || id)::int as n from r`)
	good := f.lookup("s", "id", "id", "n")
	refused := func(l *Lookup, maxBytes int, want string) *LookupError {
		t.Helper()
		err := f.r.ReadRelated(t.Context(), nil, &levels{requests: []LookupRequest{{l, keys("1")}}}, maxBytes)
		var e *LookupError
		if !errors.As(err, &e) || e.Lookup != l || !strings.Contains(e.Error(), want) || strings.Contains(e.Error(), "secret") {
			t.Errorf("got %v, want %s", err, want)
			return &LookupError{}
		}
		if err := f.r.ReadRelated(t.Context(), nil, &levels{requests: []LookupRequest{{good, keys("1")}}}, 1<<20); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		return e
	}
	l := f.lookup("r", "id", "id", "n", "body")
	if e := refused(l, 5000, "larger than limits.max_row"); !e.TooMuch {
		t.Error("less at once is not tried")
	}
	refused(f.lookup("v", "id", "id", "n"), 1<<20, "relation test.v: rows of public.v cannot be read: SQLSTATE 22P02")
	if err := f.r.ReadRelated(t.Context(), nil, &levels{requests: []LookupRequest{{l, keys("1")}}}, 1<<20); err != nil {
		t.Fatal(err)
	}
	f.exec(`drop view v; alter table r alter n type bigint`)
	refused(l, 1<<20, "SQLSTATE 0A000")
	refused(l, 1<<20, "column n of public.r has another type by now: reload the config")
	f.exec(`alter table r drop column n`)
	refused(l, 1<<20, "column t.n does not exist")
	f.exec(`drop table r`)
	if e := refused(l, 1<<20, `relation "public.r" does not exist`); e.TooMuch {
		t.Error("it is tried again")
	}
}
