package cdctest_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func parse(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	return root.Content[0]
}

const large = "repeat('x', 3000) || repeat('y', 3000)"

// streamed are a change as SQL, and as a case says it.
var streamed = []struct{ sql, change string }{
	{"insert into %s values (1, 7, 'Ada', true, '{vip,\"a b\"}', '{\"a\": [1, 2.50]}', '2026-11-22 01:02:03.5+00', 1.50, default)",
		`{insert: %s, new: {id: 1, account_id: 7, name: Ada, vip: true, tags: [vip, a b], meta: {a: [1, 2.50]}, at: "2026-11-22T01:02:03.5Z", amount: 1.50}}`},
	{"insert into %s (id, account_id) values (2, 8)", `{insert: %s, new: {id: 2, account_id: 8}}`},
	{"update %s set name = 'Bea' where id = 1", `{update: %s, new: {id: 1, name: Bea}}`},
	{"update %s set account_id = 9 where id = 1", `{update: %s, new: {id: 1, account_id: 9}}`},
	{"update %s set account_id = 9 where id = 1", `{update: %s, old: {id: 1}, new: {}}`},
	{"update %s set id = 3, tags = null where id = 1", `{update: %s, old: {id: 1}, new: {id: 3, tags: null}}`},
	{"delete from %s where id = 3", `{delete: %s, old: {id: 3}}`},
	{"truncate %s", `{truncate: %s}`},
	{"insert into %s (id, account_id) values (2, 8)", `{insert: %s, new: {id: 2, account_id: 8}}`},
}

var identities = []struct{ table, sql, identity string }{
	{"plain", "", "default"},
	{"whole", "alter table whole replica identity full", "full"},
	{"indexed", "create unique index indexed_i on indexed (id, account_id); alter table indexed replica identity using index indexed_i", "[id, account_id]"},
}

var newID = regexp.MustCompile(`new: \{id: \d+`)

// TestAsTheStreamTells makes the same changes in Postgres, and compares what its stream tells with what State does.
func TestAsTheStreamTells(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	// Since 18 stored generated columns are in the stream: there a case says the column, too.
	var streams bool
	if err := conn.QueryRow(t.Context(), `select current_setting('server_version_num')::int >= 180000`).Scan(&streams); err != nil {
		t.Fatal(err)
	}
	twice, said := "bigint generated", func(change string) string { return change }
	if streams {
		twice = "bigint"
		said = func(change string) string {
			return newID.ReplaceAllStringFunc(change, func(id string) string {
				n, _ := strconv.Atoi(id[len("new: {id: "):])
				return fmt.Sprintf("%s, twice: %d", id, 2*n)
			})
		}
	}
	tables := cdctest.NewTables()
	var names []cdc.TableName
	var want []string
	var sql []string
	for _, i := range identities {
		exec(fmt.Sprintf(`create table %s (id bigint primary key, account_id bigint not null, name text, vip boolean, tags text[], meta json,
			at timestamptz, amount numeric, twice bigint generated always as (id * 2) stored)`, i.table))
		if i.sql != "" {
			exec(i.sql)
		}
		problems := tables.Add("tables", parse(t, fmt.Sprintf(`%s: {identity: %s, columns: {id: bigint, account_id: bigint, name: text, vip: boolean, tags: "text[]",
			meta: json, at: timestamp with time zone, amount: "numeric(12,2)", twice: %s}}`, i.table, i.identity, twice)))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		names = append(names, cdctest.Name(i.table))
		state := cdctest.NewState(tables)
		for _, c := range streamed {
			changes, problems := state.Apply("case", parse(t, "["+said(fmt.Sprintf(c.change, i.table))+"]").Content, &cdc.Tx{})
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			want, sql = append(want, tell(changes[0])), append(sql, fmt.Sprintf(c.sql, i.table))
		}
	}
	// A large value that an update does not touch.
	sql = append(sql, "alter table plain alter column name set storage external", "insert into plain (id, account_id, name) values (4, 1, "+large+")", "update plain set vip = false where id = 4")
	state := cdctest.NewState(tables)
	untouched := "[{update: plain, old: {id: 4, account_id: 1}, new: {vip: false, name: !unchanged }}]"
	if streams {
		untouched = strings.Replace(untouched, "vip: false", "vip: false, twice: 8", 1)
	}
	changes, problems := state.Apply("case", parse(t, untouched).Content, &cdc.Tx{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	want = append(want, "", tell(changes[0]))

	k := &keeper{news: make(chan struct{}, 1)}
	src, err := cdc.New(cdc.Config{URL: secret.String(url), Slot: pgtest.Name("slot"), Publication: "p", Tables: names, Temporary: true}, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	defer func() { cancel(); <-done }()
	k.wait(t, func([]string) bool { return src.Status().Phase == cdc.Streaming })
	for _, s := range sql {
		exec(s)
	}
	got := k.wait(t, func(got []string) bool { return len(got) >= len(want) })
	for i := range want {
		if want[i] != "" && got[i] != want[i] {
			t.Errorf("change %d\nPostgres tells %s\nwe say        %s", i, got[i], want[i])
		}
	}
}

// tell is all that a mapping reads of a change.
func tell(c *cdc.Change) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s whole=%v unchanged=%v", c.Op, c.Relation.Table, c.OldWhole, c.Unchanged)
	for _, image := range []cdc.Row{c.Old, c.New} {
		b.WriteString(" |")
		for i, v := range image {
			fmt.Fprintf(&b, " %s=%s", c.Relation.Columns[i].Name, map[cdc.Kind]string{cdc.Absent: "absent", cdc.Null: "null", cdc.Unchanged: "unchanged", cdc.Text: string(v.Data)}[v.Kind])
		}
	}
	for _, col := range c.Relation.Columns {
		fmt.Fprintf(&b, " %s:%s:%v", col.Name, col.Type.Name, col.Identity)
	}
	return b.String()
}

// keeper is a handler that keeps what it is told.
type keeper struct {
	mu   sync.Mutex
	got  []string
	news chan struct{}
}

func (k *keeper) Begin(context.Context) error { return nil }
func (k *keeper) End()                        {}
func (k *keeper) Handle(_ context.Context, b *cdc.Batch) (*cdc.Receipt, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range b.Changes {
		k.got = append(k.got, tell(&b.Changes[i]))
	}
	select {
	case k.news <- struct{}{}:
	default:
	}
	return cdc.NewReceipt(0), nil
}

func (k *keeper) wait(t *testing.T, ok func([]string) bool) []string {
	t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		k.mu.Lock()
		got := append([]string(nil), k.got...)
		k.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-k.news:
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never; there are %d changes: %s", len(got), strings.Join(got, "\n"))
		}
	}
}

// TestDescribe reads tables of a database, writes them down, and reads that.
func TestDescribe(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `create type mood as enum ('sad', 'so so', 'it''s, ok'); create domain cents as numeric(12,2); create schema "My";
		create table "My"."T" (a int not null, b mood, bs mood[], c cents[], d text[], e varchar(3), f int generated always as (a) stored, primary key (b, a));
		create table plain (id int primary key, t timestamp);
		create table bare (id int, x int); alter table bare replica identity full;
		create table posts (slug text not null, tenant int not null, number int not null, unique (number, tenant), id int unique);
		create unique index posts_slug on posts (slug); create unique index posts_some on posts (tenant) where number > 1;
		alter table posts replica identity using index posts_slug`)
	if err != nil {
		t.Fatal(err)
	}
	names := []cdc.TableName{{Schema: "My", Name: "T"}, cdctest.Name("plain"), cdctest.Name("bare"), cdctest.Name("posts")}
	found, err := cdc.LoadTables(t.Context(), conn, names)
	if err != nil {
		t.Fatal(err)
	}
	if err := cdc.LoadLabels(t.Context(), conn, found); err != nil {
		t.Fatal(err)
	}
	if got := found[names[0]].Columns[1].Type.Labels; len(got) != 3 || got[2] != "it's, ok" {
		t.Errorf("the labels are %q", got)
	}
	text, err := cdctest.Describe(found)
	if err != nil {
		t.Fatal(err)
	}
	again := cdctest.NewTables()
	if err := again.Add("tables", parse(t, string(text)).Content[1]).Err(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, n := range names {
		a, b := found[n], again.ByName[n]
		if b == nil || a.Identity != b.Identity || fmt.Sprint(a.Key) != fmt.Sprint(b.Key) || fmt.Sprint(a.Unique) != fmt.Sprint(b.Unique) || len(a.Columns) != len(b.Columns) {
			t.Errorf("%s is another table:\n%s", n, text)
			continue
		}
		for i := range a.Columns {
			x, y := a.Columns[i], b.Columns[i]
			if x.Name != y.Name || x.NotNull != y.NotNull || x.Generated != y.Generated || x.Identity != y.Identity || x.Type.Name != y.Type.Name || x.Type.Kind != y.Type.Kind || fmt.Sprintf("%q", labelsOf(x)) != fmt.Sprintf("%q", labelsOf(y)) {
				t.Errorf("%s.%s is %+v of %+v, was %+v of %+v", n, x.Name, y, y.Type, x, x.Type)
			}
		}
	}
}

func labelsOf(c cdc.Column) []string {
	if c.Type.Elem != nil {
		return c.Type.Elem.Labels
	}
	return c.Type.Labels
}
