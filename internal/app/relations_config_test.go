package app_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// refused runs rowhook and returns why it ended.
func (r *rig) refused() string {
	r.t.Helper()
	_, done, _ := r.begin()
	select {
	case err := <-done:
		return err.Error()
	case <-time.After(60 * time.Second):
		r.t.Fatal("rowhook goes on")
	}
	return ""
}

// TestRelationsAreCheckedAgainstTheTables: what does not fit is refused at the start with all places, a missing index is
// told with its mend.
func TestRelationsAreCheckedAgainstTheTables(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	right := r.text
	r.replace("foreign_key: firm_id", "foreign_key: frim_id")
	r.replace("order_by: position desc", "order_by: name")
	r.replace("join: {tenant: account_id, code: code}", "join: {tenant: name}")
	why := r.refused()
	for _, want := range []string{
		`table public.people has no column "frim_id"`, `did you mean "firm_id"?`, `table public.person_tags has no column "name"`,
		`relation person.lines compares tenant of public.lines, which is int4, with name of public.people, which is text`,
	} {
		if !strings.Contains(why, want) {
			t.Errorf("%q is not in\n%s", want, why)
		}
	}
	r.text = right
	r.exec(`drop index person_tags_person_id_idx; alter table person_tags drop constraint person_tags_pkey; create index on person_tags (person_id) where position > 3`)
	r.start()
	if want := `CREATE INDEX CONCURRENTLY ON \"public\".\"person_tags\" (\"person_id\");`; strings.Count(r.log.String(), want) != 1 {
		t.Errorf("the log does not have %s once", want)
	}
	if strings.Contains(r.log.String(), "public.firms, which no index") {
		t.Error("the log misses an index that is there")
	}
}

// TestARelationIsAddedByAReload, which reads the tables anew.
func TestARelationIsAddedByAReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(personSchema)
	r.text += "  person:\n    table: people\n    representation: {id: '${id}'}\n"
	r.start()
	r.subscribe("/", "person.*")
	r.exec(`insert into people values (1, 1, 'Ada', 8)`)
	r.wantData(map[string]string{"person/1": `{"id":1}`})
	r.replace("representation: {id: '${id}'}\n", "representation: {id: '${id}', firm: '${firm}'}\n    relations: {firm: {table: firms, foreign_key: firm_id, columns: [nmae]}}\n")
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), `did you mean "name"?`) {
		t.Errorf("got %v", err)
	}
	r.replace("[nmae]", "[name]")
	r.mustReload()
	r.recv.Forget()
	r.exec(`update people set name = 'Bo'`)
	r.wantData(map[string]string{"person/1": `{"id":1,"firm":{"name":"Kite"}}`})
}

// TestReadURL is where rows are read, by a role of its own; another database is refused.
func TestReadURL(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	other := pgtest.Database(t)
	r.replace("  slot: ${env:SLOT}", "  read_url: "+other+"\n  slot: ${env:SLOT}")
	if why := r.refused(); !strings.Contains(why, "database.read_url is not the database of database.url") {
		t.Errorf("got %s", why)
	}
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	role := pgtest.Name("reader")
	r.exec(`create role ` + role + ` login password 'secret'`)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), r.url)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	r.exec(`grant select on people, firms, countries, lines, tags to ` + role)
	u.User = url.UserPassword(role, "secret")
	r.replace("read_url: "+other, "read_url: "+u.String())
	stop := r.start()
	t.Cleanup(stop)
	r.subscribe("/", "person.*")
	r.exec(`insert into people values (1, 1, 'Ada', 8)`)
	if reason := r.deadLetter(1); !strings.Contains(reason, "permission denied for table person_tags") || strings.Contains(r.log.String(), "secret@") {
		t.Errorf("the reason is %s", reason)
	}
	r.exec(`grant select on person_tags to ` + role)
	r.exec(`update people set name = 'Bo'`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == 1 })
}
