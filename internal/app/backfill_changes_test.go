package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// person is a row of the table, and what is told of it.
type person struct {
	ID      int    `json:"id"`
	Version int    `json:"version"`
	Firm    string `json:"firm"`
	Rank    string `json:"rank,omitempty"`
	Also    string `json:"also,omitempty"`
}

// told is a body of a person.
type told struct {
	Type     string `json:"type"`
	Position string `json:"position"`
	Backfill bool   `json:"backfill"`
	Data     person `json:"data"`
}

// TestBackfillWhileOtherThingsChange does once, between a read of a backfill and the mark behind it, what changes more than rows. The store
// is elsewhere, rows are read by a role that may do nothing else, and the application is asked.
func TestBackfillWhileOtherThingsChange(t *testing.T) {
	t.Parallel()
	const rows = 12
	application := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
		return hooktest.Answer{Body: fmt.Sprintf(`{"rank": "rank of %s"}`, q.Path)}
	})
	r := newRig(t)
	own, role := pgtest.Database(t), strings.ReplaceAll(r.slot, "slot", "reader")
	r.exec(`create table firms (id int primary key, name text not null);
		create table people (id int primary key, other int not null, firm_id int not null, version int not null, note text);
		create index on people (firm_id);
		create table things (id int primary key, name text, more text);
		create role ` + role + ` login password 'pw'; grant select on firms, people, things, contacts, notes to ` + role)
	t.Cleanup(func() { _, _ = r.conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role) })
	r.replace("  slot: ", "  read_url: '"+withUser(t, r.url, role, "pw")+"'\n  slot: ")
	r.replace("api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n")
	r.replace("resources:", "app: {url: "+application.URL("/v1")+"}\nresources:")
	r.text += `
  person:
    table: people
    path: /people/${id}
    representation: {id: "${id}", version: "${version}", firm: "${firm}", rank: "${api.rank}"}
    relations: {firm: {table: firms, foreign_key: firm_id, representation: "${name}", touch: true}}
  thing: {table: things, columns: all}
`
	stop := r.start()
	all := r.subscribe("/all", "*")
	creates := r.subscribe("/creates", "person.create")
	stored, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stored.Close(context.Background()) }()
	fill := `insert into firms values (0, 'firm 1'), (1, 'firm 1') on conflict (id) do update set name = excluded.name;
		insert into people (id, other, firm_id, version) select i, i + 1000, i % 2, 1 from generate_series(1, 12) i on conflict (id) do update set version = 1;
		insert into things (id, name) select i, 'name' from generate_series(1, 12) i on conflict do nothing`
	ends := 0
	// settled waits until all that was committed has arrived.
	settled := func() {
		t.Helper()
		ends++
		r.exec(`insert into notes values ($1, 'the end')`, ends)
		r.recv.WaitFor(t, arrived("/all", fmt.Sprint("note/", ends), 1))
		eventually(t, "nothing waits", func() bool {
			var due int
			return stored.QueryRow(context.Background(), `select count(*) from hooks.due`).Scan(&due) == nil && due == 0 && r.metric("rowhook_replication_unsettled_batches") == 0
		})
	}
	// backfilled does a thing in a window, after some chunks, and returns what arrives, in the order of positions.
	backfilled := func(s *client.Subscription, path, resource string, after int, do func()) (got []told, d client.BackfillResource) {
		t.Helper()
		r.exec(fill)
		settled()
		r.recv.Forget()
		r.app.ReadRows(4)
		chunks, once := 0, sync.Once{}
		r.app.OnBackfillRead(func() {
			if chunks++; chunks > after {
				once.Do(do)
			}
		})
		j, err := r.admin().Backfill(t.Context(), s.ID, client.Backfill{Resources: []string{resource}})
		if err != nil {
			t.Fatal(err)
		}
		j = r.jobEnds(j.ID)
		once.Do(func() { t.Error("nothing was done") })
		if d = j.Resources[0]; j.State != client.JobDone || d.Failed != 0 {
			t.Errorf("the job is %s %s: %+v", j.State, j.Error, j.Resources)
		}
		settled()
		for _, q := range r.recv.Requests() {
			var b told
			if q.Path != path || !strings.HasPrefix(q.Type, resource+".") {
				continue
			}
			if err := json.Unmarshal(q.Body, &b); err != nil {
				t.Fatalf("%s: %v", q.Body, err)
			}
			got = append(got, b)
		}
		slices.SortFunc(got, func(a, b told) int { return strings.Compare(a.Position, b.Position) })
		return got, d
	}
	// is compares what was told last with the table, and sees that nothing older stands behind something newer.
	is := func(t *testing.T, got []told) {
		t.Helper()
		last := map[int]person{}
		for _, b := range got {
			if x := last[b.Data.ID]; b.Data.Version < x.Version || b.Data.Firm < x.Firm {
				t.Errorf("%+v stands behind %+v", b, x)
			}
			if last[b.Data.ID] = b.Data; b.Data.Rank != fmt.Sprint("rank of /v1/people/", b.Data.ID) {
				t.Errorf("the application is not asked: %+v", b)
			}
		}
		table, err := r.conn.Query(t.Context(), `select p.id, p.version, f.name from people p join firms f on f.id = p.firm_id`)
		if err != nil {
			t.Fatal(err)
		}
		var want person
		n := 0
		_, err = pgx.ForEachRow(table, []any{&want.ID, &want.Version, &want.Firm}, func() error {
			n++
			if x := last[want.ID]; x.Version != want.Version || x.Firm != want.Firm {
				t.Errorf("the table has %+v, the receiver %+v", want, x)
			}
			return nil
		})
		if err != nil || len(last) != n {
			t.Errorf("%d have come, the table has %d; %v", len(last), n, err)
		}
	}
	again := func(got []told) (n int) { // how many are of the backfill
		for _, b := range got {
			if b.Backfill {
				n++
			}
		}
		return n
	}

	t.Run("Nothing", func(t *testing.T) {
		got, d := backfilled(all, "/all", "person", 0, func() {})
		if is(t, got); again(got) != rows || d.Sent != rows || d.Done != rows {
			t.Errorf("%d have come: %+v", again(got), d)
		}
	})
	t.Run("Reload", func(t *testing.T) {
		got, d := backfilled(all, "/all", "person", 1, func() {
			r.replace(`rank: "${api.rank}"`, `rank: "${api.rank}", also: new`)
			r.mustReload()
		})
		if is(t, got); again(got) != rows || d.Sent != rows || d.Done != rows {
			t.Errorf("%d have come: %+v", again(got), d)
		}
		for i, b := range got {
			if old := i < 4; old != (b.Data.Also == "") {
				t.Errorf("number %d is %+v", i, b)
			}
		}
	})
	t.Run("AddAndDropColumns", func(t *testing.T) {
		got, d := backfilled(all, "/all", "person", 1, func() {
			r.exec(`alter table people add another int default 5; alter table people drop note; update people set version = 2 where id in (2, 6, 11)`)
		})
		if is(t, got); d.Done != rows {
			t.Errorf("it is %+v", d)
		}
	})
	t.Run("ColumnOfAllIsGone", func(t *testing.T) {
		r.exec(fill)
		settled()
		drop := sync.OnceFunc(func() { r.exec(`alter table things drop more; alter table things add later text default 'x'`) })
		r.app.ReadRows(4)
		r.app.OnBackfillRead(drop)
		for i, want := range []string{client.JobFailed, client.JobDone} {
			j, err := r.admin().Backfill(t.Context(), all.ID, client.Backfill{Resources: []string{"thing"}})
			if err != nil {
				t.Fatal(err)
			}
			if j = r.jobEnds(j.ID); j.State != want || i == 0 && !strings.Contains(j.Error, `column t.more does not exist (SQLSTATE 42703): reload the config`) || i == 1 && j.Done != rows {
				t.Errorf("the job is %s %q: %+v", j.State, j.Error, j.Resources)
			}
			r.mustReload()
		}
	})
	t.Run("Touch", func(t *testing.T) {
		got, d := backfilled(all, "/all", "person", 1, func() { r.exec(`update firms set name = 'firm 2' where id = 1`) })
		if is(t, got); d.Done != rows {
			t.Errorf("it is %+v", d)
		}
	})
	t.Run("TouchOfWhatIsNotAskedFor", func(t *testing.T) {
		got, d := backfilled(creates, "/creates", "person", 0, func() { r.exec(`update firms set name = 'firm 2' where id = 1`) })
		if is(t, got); d.Done != rows || d.Sent != rows {
			t.Errorf("it is %+v", d)
		}
	})
	t.Run("Truncate", func(t *testing.T) {
		got, _ := backfilled(all, "/all", "person", 1, func() { r.exec(`truncate people`) })
		if len(got) == 0 || got[len(got)-1].Type != "person.truncate" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("Key", func(t *testing.T) {
		r.exec(fill)
		settled()
		saved := make(chan struct{}, rows)
		r.app.ReadRows(4)
		r.app.OnBackfillStep(func(step string) {
			if step == "saved" {
				saved <- struct{}{}
			}
		})
		j, err := r.admin().Backfill(t.Context(), all.ID, client.Backfill{Resources: []string{"person"}, Rate: 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			<-saved
		}
		r.jobHas(j.ID)
		stop()
		r.replace("    table: people\n", "    table: people\n    key: [other]\n")
		r.exec(`create unique index on people (other); alter table people replica identity full`)
		stop = r.start()
		if j = r.jobEnds(j.ID); j.State != client.JobFailed || !strings.Contains(j.Error, "the key of resource person is another one by now") {
			t.Errorf("the job is %s %q", j.State, j.Error)
		}
	})
	stop()
}

// jobHas waits until something of a job is written down.
func (r *rig) jobHas(id string) {
	r.t.Helper()
	eventually(r.t, "something is done", func() bool {
		j, err := r.admin().Job(context.Background(), id)
		return err == nil && j.Done > 0
	})
}
