package cdc

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestPublishingHindersNoWrite publishes tables of every kind that has made writes fail, and writes. What cannot be published without
// harm is refused, and is published once the table is mended as the refusal says.
func TestPublishingHindersNoWrite(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	f := newFixture(t, url)
	var version int
	if err := f.conn.QueryRow(t.Context(), `select current_setting('server_version_num')::int / 10000`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, make, write string
		since             int
		// refused is what a refusal has; empty: there is none.
		refused []string
		mend    string
	}{
		{name: "heir", make: `create table heir (id int primary key, v text); create table heir_child () inherits (heir); insert into heir_child values (1, 'x')`,
			write: `update heir_child set v = 'y'`},
		{name: "parts", make: `create table parts (id int primary key, v text) partition by range (id); create table parts_1 partition of parts for values from (0) to (10);
			create table parts_2 partition of parts for values from (10) to (20) partition by range (id); create table parts_3 partition of parts_2 for values from (10) to (15);
			alter table parts_3 replica identity nothing; insert into parts values (1, 'x'), (11, 'x')`,
			write: `update parts set v = 'y'`, refused: []string{"public.parts_3", "no usable replica identity"}, mend: `alter table parts_3 replica identity default`},
		{name: "whole", make: `create table whole (id int primary key, v text, twice int generated always as (id * 2) stored); alter table whole replica identity full;
			insert into whole values (1, 'x')`, write: `update whole set v = 'y'`},
		{name: "named", make: `create table named (id int, twice int generated always as (id * 2) stored primary key); insert into named values (1)`,
			write: `update named set id = 2`},
		{name: "shown", since: 18, make: `create table shown (id int primary key, v text, twice int generated always as (id * 2)); alter table shown replica identity full;
			insert into shown values (1, 'x')`, write: `update shown set v = 'y'`,
			refused: []string{"public.shown", "virtual generated columns"}, mend: `alter table shown replica identity default`},
		{name: "shownparts", since: 18, make: `create table shownparts (id int primary key, v text, twice int generated always as (id * 2)) partition by range (id);
			create table shownparts_1 partition of shownparts for values from (0) to (10); create table shownparts_2 partition of shownparts for values from (10) to (20);
			alter table shownparts_2 replica identity full; insert into shownparts values (1, 'x'), (11, 'x')`, write: `update shownparts set v = 'y'`,
			refused: []string{"public.shownparts_2", "virtual generated columns"}, mend: `alter table shownparts_2 replica identity default`},
	} {
		if c.since > version {
			continue
		}
		f.exec(c.make)
		cfg := f.cfg
		cfg.Publication, cfg.Temporary, cfg.Tables = pgtest.Name("p"), true, []TableName{{"public", c.name}}
		s, err := New(cfg, newRecorder(), f.mem)
		if err != nil {
			t.Fatal(err)
		}
		// The script of a database that nobody could look at.
		for _, x := range s.Script() {
			if x.Phase == finding.Publication {
				f.exec(`do $$ begin if not ` + x.Unless + ` then ` + x.SQL + ` end if; end $$`)
			}
		}
		f.exec(c.write)
		f.exec(`drop publication if exists ` + QuoteIdent(cfg.Publication))
		_, err = s.Prepare(t.Context())
		if c.refused != nil {
			for _, part := range c.refused {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s is refused with %v, without %s", c.name, err, part)
				}
			}
			f.exec(c.write) // nothing was published
			f.exec(c.mend)
			_, err = s.Prepare(t.Context())
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := f.conn.Exec(t.Context(), c.write); err != nil {
			t.Errorf("%s: %s: %v", c.name, c.write, err)
		}
	}
}

// TestGeneratedColumnsOfAnotherPublication: somebody else made it, or it was made before 18, and leaves them out.
func TestGeneratedColumnsOfAnotherPublication(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Needs(t, url, publishesGenerated/10000, "publication of generated columns")
	f := newFixture(t, url)
	f.exec(`alter table t add twice int generated always as (id * 2) stored; alter table t replica identity full`)
	p := QuoteIdent(f.cfg.Publication)
	f.exec(`create publication ` + p + ` for table t`)
	f.exec(`insert into t values (1, 'x')`)
	if _, err := f.conn.Exec(t.Context(), `update t set a = 'y'`); SQLState(err) != "42P10" {
		t.Fatalf("Postgres takes the update: %v", err)
	}
	s, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Prepare(t.Context())
	sql := `ALTER PUBLICATION ` + p + ` SET (publish_generated_columns = stored);`
	if err == nil || !strings.Contains(err.Error(), "leaves out stored generated columns") || !strings.Contains(err.Error(), sql) {
		t.Fatalf("it is refused with %v", err)
	}
	f.exec(sql)
	f.exec(`update t set a = 'y'`)
	rec := newRecorder()
	f.run(rec)
	f.exec(`insert into t values (2, 'x')`)
	f.exec(`delete from t where id = 1`)
	got := rec.wait(t, 2)
	if got[0] != "insert t 2 x 4" || got[1] != "delete t 1 y 2" {
		t.Errorf("the stream has %q", got)
	}
}
