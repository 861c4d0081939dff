package cdc

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// readerFixture is a database with a RowReader on it.
type readerFixture struct {
	*testing.T
	conn *pgx.Conn
	r    *RowReader
	log  lockedLog
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newReader(t *testing.T, schema string) *readerFixture {
	t.Helper()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	f := &readerFixture{T: t, conn: conn}
	f.r = NewRowReader(secret.String(url), 64<<20, slog.New(slog.NewTextHandler(&f.log, nil)))
	t.Cleanup(f.r.Close)
	f.exec(schema)
	return f
}

func (f *readerFixture) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.conn.Exec(f.Context(), sql, args...); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
}

// relation is the table as the stream would describe it.
func (f *readerFixture) relation(name string) *Relation {
	f.Helper()
	table := TableName{"public", name}
	found, err := LoadTables(f.Context(), f.conn, []TableName{table})
	if err != nil || found[table] == nil {
		f.Fatalf("table %s: %v", name, err)
	}
	t := found[table]
	return &Relation{OID: t.OID, Table: table, Columns: t.Columns, Key: t.Key}
}

// request asks for columns by their names.
func (f *readerFixture) request(rel *Relation, columns string, key ...string) RowRequest {
	f.Helper()
	q := RowRequest{Relation: rel}
	for _, k := range key {
		q.Key = append(q.Key, []byte(k))
	}
	for i, c := range rel.Columns {
		if strings.Contains(" "+columns+" ", " "+c.Name+" ") {
			q.Columns = append(q.Columns, i)
		}
	}
	return q
}

// read is what is read, a row each: its values, ~ for null, ? for what is left out, - for a row that is not there.
func (f *readerFixture) read(maxBytes int, requests ...RowRequest) string {
	f.Helper()
	rows, err := f.r.Read(f.Context(), nil, requests, maxBytes)
	if err != nil {
		f.Fatal(err)
	}
	var lines []string
	for _, row := range rows {
		var values []string
		for _, v := range row {
			values = append(values, map[Kind]string{Null: "~", Absent: "?", Text: string(v.Data)}[v.Kind])
		}
		if row == nil {
			values = []string{"-"}
		}
		lines = append(lines, strings.Join(values, " "))
	}
	return strings.Join(lines, "|")
}

func (f *readerFixture) want(want string, requests ...RowRequest) {
	f.Helper()
	if got := f.read(1<<20, requests...); got != want {
		f.Errorf("got %q, want %q", got, want)
	}
}

// TestRowsAreReadByEveryKindOfKey, with values in the stream's text form.
func TestRowsAreReadByEveryKindOfKey(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create schema other; create type other.mood as enum ('so so', 'ok'); create domain other.code as text;
		create table kinds (i int, t text, m other.mood, c other.code, z timestamptz, b char(4), u uuid, y bytea,
			v text, n numeric, w timestamptz, primary key (i, t, m, c, z, b, u, y));
		insert into kinds values (-7, E'a,"\\{}\' b', 'so so', 'x', '2024-02-29 13:14:15+02', 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\xdeadbeef', 'v', 12.30, '2024-01-01 00:00+00')`)
	rel := f.relation("kinds")
	key := []string{"-7", `a,"\{}' b`, "so so", "x", "2024-02-29 11:14:15+00", "ab  ", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `\xdeadbeef`}
	other := append([]string(nil), key...)
	other[0] = "8"
	f.want("v 12.30 2024-01-01 00:00:00+00|-|v", f.request(rel, "v n w", key...), f.request(rel, "v", other...), f.request(rel, "v", key...))
	if n := f.r.Queries(); n != 1 {
		t.Errorf("%d queries", n)
	}
}

// TestRowsOfTablesThatHaveChanged reads by definitions that are older than the table.
func TestRowsOfTablesThatHaveChanged(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table t (id int primary key, a text, b text, c text); insert into t values (1, 'a', 'b', null);
		create table parent (id int primary key, v text); create table child () inherits (parent);
		insert into parent values (1, 'mine'); insert into child values (1, 'not mine');
		create table part (id int primary key, v text) partition by range (id); create table part1 partition of part for values from (0) to (9);
		insert into part values (1, 'in a partition')`)
	rel := f.relation("t")
	q := f.request(rel, "a b c", "1")
	f.want("a b ~|mine|in a partition", q, f.request(f.relation("parent"), "v", "1"), f.request(f.relation("part"), "v", "1"))
	f.exec(`alter table t drop column a`)
	f.want("? b ~", q)
	f.exec(`alter table t alter column c type int using null`)
	f.want("? b ?", q)
	f.exec(`alter table t rename to was`)
	f.want("-", q)
	f.exec(`create table t (id int primary key, a text, b text, c text); insert into t values (1, 'x', 'y', 'z')`)
	clear(f.r.unreadable)
	f.want("-", q)
	f.want("x y z", f.request(f.relation("t"), "a b c", "1"))
	f.exec(`drop table t`)
	f.want("-", q)
	for _, reason := range []string{`column t.a does not exist`, "column c has another type", `relation \"public.t\" does not exist`} {
		if n := strings.Count(f.log.String(), reason); n != 1 {
			t.Errorf("the log says %d times that %s:\n%s", n, reason, f.log.String())
		}
	}
}

// TestReadsDoNotHangOnLocks: what cannot be had soon is left out, and the rest is read.
func TestReadsDoNotHangOnLocks(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table a (id int primary key, v text); create table b (id int primary key, v text); insert into a values (1, 'a'); insert into b values (1, 'b')`)
	a, b := f.request(f.relation("a"), "v", "1"), f.request(f.relation("b"), "v", "1")
	f.exec(`begin; lock table a in access exclusive mode`)
	f.want("-|b", a, b)
	f.exec(`rollback`)
	f.want("-|b", a, b)
	clear(f.r.unreadable)
	f.want("a|b", a, b)
	f.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'rowhook reads'`)
	f.want("a|b", a, b)
}

// TestReadsAreBounded: what is too large together comes in parts, and never less than a row.
func TestReadsAreBounded(t *testing.T) {
	t.Parallel()
	f := newReader(t, `create table t (id int primary key, v text, w text); insert into t select n, repeat('x', 1000), 'w' from generate_series(1, 20) n;
		create table u (id int primary key, v text); insert into u select n, repeat('y', 1000) from generate_series(1, 20) n`)
	t1, u1 := f.relation("t"), f.relation("u")
	var all []RowRequest
	for n := 1; n <= 20; n++ {
		all = append(all, f.request(t1, "v", fmt.Sprint(n)), f.request(u1, "v", fmt.Sprint(n)))
	}
	x, y := strings.Repeat("x", 1000), strings.Repeat("y", 1000)
	// The first table is read first: of the other one nothing fits any more.
	if got := f.read(3500, all...); got != x {
		t.Errorf("got %d bytes", len(got))
	}
	left, parts := all, 0
	for ; len(left) > 0; parts++ {
		rows, err := f.r.Read(t.Context(), nil, left, 4000)
		if err != nil || len(rows) == 0 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for i, row := range rows {
			want := map[*Relation]string{t1: x, u1: y}[left[i].Relation]
			if row == nil || string(row[0].Data) != want {
				t.Fatalf("row %d of part %d is wrong", i, parts)
			}
		}
		left = left[len(rows):]
	}
	if parts < 10 || parts > 30 {
		t.Errorf("%d parts", parts)
	}
	if got := f.read(1, all[0]); got != x {
		t.Error("a row that is too large by itself does not come")
	}
	// Compressed, which the server does not look behind.
	f.exec(`insert into t select n, repeat('z', 100000), 'w' from generate_series(101, 110) n`)
	var blown []RowRequest
	for n := 101; n <= 110; n++ {
		blown = append(blown, f.request(t1, "v", fmt.Sprint(n)))
	}
	for _, want := range []int{2, 2, 2} {
		rows, err := f.r.Read(t.Context(), nil, blown, 250_000)
		if err != nil || len(rows) != want || len(rows[1][0].Data) != 100_000 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		blown = blown[len(rows):]
	}
}

// TestPrivilegesOnColumns leaves out what the role may not read, says so once, and reads it when it may.
func TestPrivilegesOnColumns(t *testing.T) {
	t.Parallel()
	role := pgtest.Name("role")
	f := newReader(t, `create table t (id int primary key, v text, secret text); insert into t values (1, 'v', 'secret')`)
	f.exec(`create role ` + role + `; grant select (id, v) on t to ` + role)
	t.Cleanup(func() {
		if _, err := f.conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	connect := f.r.sql.connect
	f.r.sql.connect = func(ctx context.Context) (*pgx.Conn, error) {
		conn, err := connect(ctx)
		if err == nil {
			_, err = conn.Exec(ctx, `set role `+role)
		}
		return conn, err
	}
	q := f.request(f.relation("t"), "v secret", "1")
	f.want("v ?", q)
	f.want("v ?", q)
	if n := strings.Count(f.log.String(), "permission denied for table t"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, f.log.String())
	}
	f.exec(`grant select on t to ` + role)
	clear(f.r.unreadable)
	f.want("v secret", q)
}
