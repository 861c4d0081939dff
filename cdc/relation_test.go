package cdc

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// collector keeps changes whole. Batches belong to their handler, and this one keeps them.
type collector struct {
	mu      sync.Mutex
	changes []Change
}

func (c *collector) Begin(context.Context) error { return nil }
func (c *collector) End()                        {}
func (c *collector) Handle(_ context.Context, b *Batch) (*Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, b.Changes...)
	return NewReceipt(0), nil
}

func (c *collector) wait(t *testing.T, n int) []Change {
	t.Helper()
	var got []Change
	eventually(t, fmt.Sprint(n, " changes"), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		got = append([]Change(nil), c.changes...)
		return len(got) >= n
	})
	return got
}

func keyNames(r *Relation) string {
	var names []string
	for _, k := range r.Key {
		names = append(names, r.Columns[k].Name)
	}
	return strings.Join(names, ",")
}

// TestRelationsFollowTheTable changes the table between and within transactions.
func TestRelationsFollowTheTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	var c collector
	f.run(&c)
	f.exec(`insert into t values (1, 'x')`)
	f.exec(`insert into t values (2, 'x')`)
	f.exec(`truncate t`)
	f.exec(`insert into t values (3, 'x')`)
	f.exec(`begin`)
	f.exec(`insert into t values (4, 'x')`)
	f.exec(`alter table t add column n int default 7`)
	f.exec(`insert into t values (5, 'x')`)
	f.exec(`commit`)
	f.exec(`alter table t replica identity full`)
	f.exec(`update t set a = 'y' where id = 5`)
	f.exec(`alter table t rename column a to b`)
	f.exec(`update t set n = 8 where id = 5`)
	f.exec(`alter table t drop constraint t_pkey, add primary key (id, n)`)
	f.exec(`update t set n = 9 where id = 5`)
	got := c.wait(t, 9)
	if got[0].Relation != got[1].Relation || got[1].Relation != got[3].Relation {
		t.Error("the relation's pointer changes though nothing did")
	}
	if n := len(got[4].Relation.Columns); n != 2 {
		t.Errorf("the row before ADD COLUMN has %d columns", n)
	}
	if r := got[5].Relation; len(r.Columns) != 3 || string(got[5].New[2].Data) != "7" {
		t.Errorf("the row after ADD COLUMN has %d columns", len(r.Columns))
	}
	// Key flags are not the primary key: under FULL every column has one.
	if c := got[6]; keyNames(c.Relation) == "" || !c.OldWhole || string(c.Old[1].Data) != "x" || c.Relation.Identity != IdentityFull {
		t.Errorf("update under FULL: key %s, whole %v", keyNames(c.Relation), c.OldWhole)
	}
	if got[7].Relation.Columns[1].Name != "b" {
		t.Errorf("the renamed column is %q", got[7].Relation.Columns[1].Name)
	}
	if k := keyNames(got[8].Relation); k != "id,n" {
		t.Errorf("the new primary key is %q", k)
	}
}

// TestHostileSettingsChangeNothing gives role and database settings that change what values look like.
func TestHostileSettingsChangeNothing(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, map[string]string{"datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "timezone": "Asia/Kolkata"})
	f := newFixture(t, srv.Database(t))
	f.exec(`create table v (id int primary key, ts timestamptz, d date, i interval, b bytea, f float8, g float4)`)
	f.cfg.Tables = []TableName{{"public", "v"}}
	var name string
	if err := f.conn.QueryRow(t.Context(), `select current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"database " + pgx.Identifier{name}.Sanitize(), "role postgres"} {
		for _, set := range []string{"datestyle = 'German'", "intervalstyle = 'postgres_verbose'", "timezone = 'Asia/Kolkata'", "bytea_output = 'escape'",
			"extra_float_digits = '-10'", "client_encoding = 'LATIN1'", "search_path = 'nowhere'"} {
			f.exec(`alter ` + target + ` set ` + set)
		}
	}
	var c collector
	f.run(&c)
	f.exec(`insert into public.v values (1, '2024-02-29 13:14:15.12+00', '2024-02-29', '1 year 2 mons 3 days 04:05:06.789', '\xdeadbeef00', 0.1, 123456789)`)
	row := c.wait(t, 1)[0].New
	want := []string{"1", "2024-02-29 13:14:15.12+00", "2024-02-29", "P1Y2M3DT4H5M6.789S", `\xdeadbeef00`, "0.1", "1.2345679e+08"}
	for i, w := range want {
		if string(row[i].Data) != w {
			t.Errorf("column %d is %q, want %q", i, row[i].Data, w)
		}
	}
}
