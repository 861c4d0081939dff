package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
)

func TestTables(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, err := store.Open(t.Context(), store.Config{URL: secret.String(url), Schema: "hooks"})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `
		create schema app;
		create type mood as enum ('good', 'bad');
		create domain cents as bigint; create domain price as cents;
		create table app.b (x int, id int, y text, primary key (id, x));
		create table checkpoint (id int primary key);
		create table a (id int primary key, amount price, moods mood[], m mood not null, b_id int, b_x int, other int references a,
			dead int, sum int generated always as (id + 1) stored, foreign key (b_id, b_x) references app.b);
		alter table a drop column dead;
		alter table app.b replica identity full;
		create unique index only_y on app.b (y);
		comment on table a is 'an a'; comment on column a.m is 'how it is';
		create view v as select * from a;
		create temp table gone (id int primary key);
		create unlogged table u (id int);
		create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (1) to (2);
		create table child (p_id int references p);
		create table n (id int primary key); alter table n replica identity nothing`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := Tables(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range tables {
		var columns, foreign []string
		for _, c := range x.Columns {
			columns = append(columns, strings.TrimSpace(fmt.Sprint(c.Name, " ", c.Type, " ", c.Base, " ", strings.Join(c.Labels, "|"), c.NotNull, c.Generated, c.Comment)))
		}
		for _, f := range x.ForeignKeys {
			foreign = append(foreign, fmt.Sprint(f.Columns, f.To(), f.Theirs))
		}
		flags := ""
		for _, f := range []struct {
			name string
			is   bool
		}{{"keyed", x.KeyInIdentity}, {"unlogged", x.Unlogged}, {"partitioned", x.Partitioned}, {"owned", x.Owned}, {"readable", x.Readable}} {
			if f.is {
				flags += " " + f.name
			}
		}
		got = append(got, fmt.Sprintf("%s %v%s %c %q %v %v", x.TableName, x.Key, flags, x.Identity, x.Comment, foreign, columns))
	}
	want := []string{
		`public.a [id] keyed owned readable d "an a" [[b_id b_x] app.b [id x] [other] public.a [id]] [id integer int4 true amount price int8 false ` +
			`moods mood[] _mood good|badfalse m mood mood good|badtruehow it is b_id integer int4 false b_x integer int4 false other integer int4 false sum integer int4 false(id + 1)]`,
		`public.checkpoint [id] keyed owned readable d "" [] [id integer int4 true]`,
		`public.child [] keyed owned readable d "" [[p_id] public.p [id]] [p_id integer int4 false]`,
		`public.n [id] owned readable n "" [] [id integer int4 true]`,
		`public.p [id] keyed partitioned owned readable d "" [] [id integer int4 true]`,
		`public.u [] keyed unlogged owned readable d "" [] [id integer int4 false]`,
		`app.b [id x] keyed owned readable f "" [] [x integer int4 true id integer int4 true y text text false]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
