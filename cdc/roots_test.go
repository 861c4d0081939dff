package cdc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// column is a column of a table, written table.column.
func (f *readerFixture) column(name string) Column {
	f.Helper()
	table, name, _ := strings.Cut(name, ".")
	for _, c := range f.relation(table).Columns {
		if c.Name == name {
			return c
		}
	}
	f.Fatalf("no column %s", name)
	return Column{}
}

// roots finds rows of a table by its key, a column or several, and by ascents: steps of pairs such as "a.b_id=b.id c=d",
// the row below first.
func (f *readerFixture) roots(table string, key []string, ascents ...[]string) *Roots {
	f.Helper()
	r := &Roots{Name: "test", Table: f.relation(table).Table}
	for _, k := range key {
		r.Key = append(r.Key, f.column(table+"."+k))
	}
	for _, steps := range ascents {
		a := Ascent{Name: "test." + steps[0]}
		for _, step := range steps {
			var s AscentStep
			for pair := range strings.FieldsSeq(step) {
				theirs, ours, _ := strings.Cut(pair, "=")
				of, _, _ := strings.Cut(ours, ".")
				s.Table = f.relation(of).Table
				s.On = append(s.On, JoinPair{f.column(theirs), f.column(ours)})
			}
			a.Steps = append(a.Steps, s)
		}
		r.Ascents = append(r.Ascents, a)
	}
	return r
}

// asked is written as 0:7 1:8, the number before the values, which are separated by slashes.
func asked(text string) (a RootsAsked) {
	for one := range strings.FieldsSeq(text) {
		n, values, _ := strings.Cut(one, ":")
		a.Numbers = append(a.Numbers, int(n[0]-'0'))
		var row [][]byte
		for v := range strings.SplitSeq(values, "/") {
			row = append(row, []byte(v))
		}
		a.Values = append(a.Values, row)
	}
	return a
}

// all reads all keys, in pages of max.
func (f *readerFixture) all(r *Roots, max int, texts ...string) string {
	f.Helper()
	q := &RootsRequest{Roots: r, Max: max, MaxBytes: 1 << 20}
	for _, t := range texts {
		q.Asked = append(q.Asked, asked(t))
	}
	var out []string
	for {
		keys, more, err := f.r.ReadRoots(f.Context(), nil, q)
		if err != nil {
			f.Fatal(err)
		}
		for _, k := range keys {
			var texts []string
			for _, v := range k.Key {
				texts = append(texts, string(v))
			}
			out = append(out, fmt.Sprint(k.Number, ":", strings.Join(texts, "/")))
		}
		if !more {
			return strings.Join(out, " ")
		}
		if len(keys) > 0 {
			q.After = &keys[len(keys)-1]
		}
	}
}

// TestRoots finds each row once for who asks, in order, whatever the pages: by a key of other types, by several columns,
// two steps up, and by several ways.
func TestRoots(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create extension citext; create domain code as varchar(10);
		create table firms (id smallint primary key, code char(5));
		create table people (tenant int, id bigint, firm_id int, firm_code text, nick citext, primary key (tenant, id));
		create table tags (person_id int, tenant bigint, label_id uuid, nick text);
		create table labels (id uuid primary key, code code);
		insert into people values (1, 10, 7, 'a', 'Ann'), (1, 9, 7, 'b', 'bo'), (2, 9, 7, 'a', 'ann'), (2, 100, 8, 'a', null), (3, 1, null, 'c', 'x');
		insert into labels values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'x');
		insert into tags values (9, 1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ANN'), (9, 2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'n'), (9, 2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'n'), (1, 1, null, 'n')`)
	key := []string{"tenant", "id"}
	person := f.roots("people", key,
		[]string{"firms.id=people.firm_id"},
		[]string{"tags.person_id=people.id tags.tenant=people.tenant"},
		[]string{"labels.id=tags.label_id", "tags.person_id=people.id tags.tenant=people.tenant"},
		[]string{"firms.code=people.firm_code"},
		[]string{"tags.nick=people.nick"})
	for _, c := range []struct {
		want  string
		asked []string
	}{
		{"0:1/9 0:1/10 0:2/9", []string{"0:7"}},
		{"0:1/9 0:1/10 0:2/9 1:2/100 2:1/9 2:1/10 2:2/9", []string{"0:7 1:8 2:7 3:9"}},
		{"0:1/9 0:2/9", []string{"", "0:9/1 0:9/2 0:9/3"}},
		{"0:1/9 0:2/9", []string{"", "", "0:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
		{"0:1/10 0:2/9 0:2/100", []string{"", "", "", "0:a"}},
		{"0:1/10 0:2/9 0:3/1", []string{"", "", "", "", "0:Ann 0:ann 0:x"}},
		{"0:1/9 0:1/10 0:2/9 0:2/100 1:1/9 1:2/9", []string{"0:7 0:8", "0:9/1", "1:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
	} {
		for _, max := range []int{1, 2, 3, 100} {
			if got := f.all(person, max, c.asked...); got != c.want {
				t.Errorf("%s in pages of %d: got %s, want %s", c.asked, max, got, c.want)
			}
		}
	}
	// One way alone may lead to a row twice, where texts that differ are equal: who asks looks for that.
	nick := f.roots("people", key, []string{"people.nick=people.nick"})
	if got := f.all(nick, 100, "0:ANN"); got != "0:1/10 0:2/9" {
		t.Errorf("citext: got %s", got)
	}
	// Pages end by size too.
	q := &RootsRequest{Roots: person, Asked: []RootsAsked{asked("0:7")}, Max: 100, MaxBytes: 100}
	keys, more, err := f.r.ReadRoots(t.Context(), nil, q)
	if err != nil || !more || len(keys) != 1 {
		t.Errorf("%d keys of 100 bytes, more %v, %v", len(keys), more, err)
	}
}

// TestRootsInTheOrderOfTheirType pages through keys whose order is not that of their texts, nor of another type's.
func TestRootsInTheOrderOfTheirType(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create extension citext; create table r (k citext primary key, n int, at timestamptz);
		create table s (k numeric primary key, n int)`)
	f.exec(`insert into r select chr(65 + i % 2 * 32 + i / 2) || i, 1 from generate_series(0, 50) i; insert into s select i / 4.0, 1 from generate_series(-30, 30) i`)
	for _, c := range []struct {
		table string
		n     int
	}{{"r", 51}, {"s", 61}} {
		roots := f.roots(c.table, []string{"k"}, []string{c.table + ".n=" + c.table + ".n"})
		want := strings.Fields(f.all(roots, 1000, "0:1"))
		got := strings.Fields(f.all(roots, 7, "0:1"))
		if len(want) != c.n || !slices.Equal(got, want) {
			t.Errorf("%s: %d in pages, %d at once, want %d", c.table, len(got), len(want), c.n)
		}
	}
}

// TestRefusedRoots says what cannot be read, and goes on when it can.
func TestRefusedRoots(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table r (id int primary key, n int); insert into r values (1, 1)`)
	r := f.roots("r", []string{"id"}, []string{"r.n=r.n"})
	if got := f.all(r, 10, "0:1"); got != "0:1" {
		t.Fatal(got)
	}
	f.exec(`alter table r rename n to m`)
	_, _, err := f.r.ReadRoots(t.Context(), nil, &RootsRequest{Roots: r, Asked: []RootsAsked{asked("0:1")}, Max: 1, MaxBytes: 1})
	var e *LookupError
	if !errors.As(err, &e) || !strings.Contains(e.Reason, `rows of public.r cannot be read: column s0.n does not exist`) || e.TooMuch {
		t.Errorf("got %v", err)
	}
	f.exec(`alter table r rename m to n`)
	if got := f.all(r, 10, "0:1"); got != "0:1" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestRootsWaitForTheirTransaction: what is read before it is visible does not count.
func TestRootsWaitForTheirTransaction(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table r (id int primary key, n int); insert into r values (1, 1)`)
	r := f.roots("r", []string{"id"}, []string{"r.n=r.n"})
	f.exec(`begin`)
	f.exec(`insert into r values (2, 1)`)
	var xid uint32
	if err := f.conn.QueryRow(t.Context(), `select pg_current_xact_id()::xid::text::bigint`).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		keys []RootKey
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		keys, _, err := f.r.ReadRoots(t.Context(), []*Tx{{XID: xid}}, &RootsRequest{Roots: r, Asked: []RootsAsked{asked("0:1")}, Max: 10, MaxBytes: 1 << 20})
		got <- answer{keys, err}
	}()
	for tick := time.Tick(time.Millisecond); f.r.Queries() == 0; {
		select {
		case a := <-got:
			t.Fatalf("%d keys before the transaction is visible, %v", len(a.keys), a.err)
		case <-tick:
		}
	}
	f.exec(`commit`)
	if a := <-got; a.err != nil || len(a.keys) != 2 {
		t.Errorf("%d keys, want 2, %v", len(a.keys), a.err)
	}
}
