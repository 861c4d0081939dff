package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// backfillBody is what a receiver sees.
type backfillBody struct {
	Type     string `json:"type"`
	Position string `json:"position"`
	Backfill bool   `json:"backfill"`
	Data     struct {
		ID    int    `json:"id"`
		Score string `json:"score"`
	} `json:"data"`
}

func (b *backfillBody) version() int {
	v, _ := strconv.ParseFloat(b.Data.Score, 64)
	return int(v)
}

// sentTo are the bodies that were sent to a path, in the order of their positions, each once.
func (r *rig) sentTo(path string) []backfillBody {
	r.t.Helper()
	byPosition := map[string]backfillBody{}
	for _, q := range r.recv.Requests() {
		if q.Path != path {
			continue
		}
		var b backfillBody
		if err := json.Unmarshal(q.Body, &b); err != nil {
			r.t.Fatalf("%s: %v", q.Body, err)
		}
		if header := q.Header.Get("Webhook-Backfill") == "1"; header != b.Backfill {
			r.t.Errorf("header and body differ: %v %s", q.Header, q.Body)
		}
		byPosition[b.Position] = b
	}
	return slices.SortedFunc(maps.Values(byPosition), func(a, b backfillBody) int {
		if a.Position < b.Position {
			return -1
		}
		return 1
	})
}

// writer changes rows whose id is its own number modulo writers, so that the versions of a row grow as it is committed.
type writer struct {
	conn    *pgx.Conn
	number  int
	random  *rand.Rand
	version *atomic.Int64
	// touched are the rows that were changed, muted those that were last changed so that nothing is told of it.
	// gone are those that were not there for a while.
	touched, muted, gone map[int]bool
}

const writers, modelRows = 3, 100

// pick leaves every fourth row of its own as it is.
func (w *writer) pick() int {
	n := w.random.IntN(modelRows)
	if n%4 == 3 {
		n--
	}
	return n*writers + w.number
}

// step changes a row, and takes its time.
func (w *writer) step(ctx context.Context) error {
	id, other := w.pick(), w.pick()
	v := w.version.Add(1)
	tx, err := w.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	mute := w.random.IntN(8) == 0
	if mute {
		if _, err := tx.Exec(ctx, `select pg_logical_emit_message(true, 'rowhook', '{"mute": true}')`); err != nil {
			return err
		}
	}
	changed := []int{id}
	var done pgconn.CommandTag
	what := w.random.IntN(10)
	switch what {
	case 0, 1:
		done, err = tx.Exec(ctx, `insert into contacts (id, account_id, first_name, score) values ($1::bigint, $1::bigint % 2 + 1, 'new', $2) on conflict (id) do update set score = excluded.score`, id, v)
	case 2:
		done, err = tx.Exec(ctx, `delete from contacts where id = $1`, id)
	case 3:
		// A row that moves keeps its account: it is of the id.
		if (id-other)%2 == 0 && id != other {
			changed = append(changed, other)
			done, err = tx.Exec(ctx, `update contacts set id = $2, score = $3 where id = $1 and not exists (select from contacts where id = $2)`, id, other, v)
		}
	case 4:
		for range 3 {
			if done, err = tx.Exec(ctx, `update contacts set score = $2, first_name = $3 where id = $1`, id, w.version.Add(1), fmt.Sprint("n", v)); err != nil {
				return err
			}
		}
	default:
		done, err = tx.Exec(ctx, `update contacts set score = $2 where id = $1`, id, v)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `select pg_sleep(0.004)`)
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if done.RowsAffected() == 0 {
		return err
	}
	for _, id := range changed {
		w.touched[id], w.muted[id] = true, mute
		w.gone[id] = w.gone[id] || what == 2 || what == 3
	}
	return err
}

// TestBackfillModel: rows change at random while they are backfilled, in small chunks, to receivers that fail now and then, over a
// restart. What a receiver has last of each row is what the table has; no row is told as it was before something that stands before it;
// each row that was there arrives, also where its changes are not asked for; and nobody gets anything of another account.
func TestBackfillModel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	// Between a read and its mark much changes.
	slowly := func() {
		r.app.ReadRows(8)
		r.app.OnBackfillRead(func() {
			conn, err := pgx.Connect(t.Context(), r.url)
			if err == nil {
				_, err = conn.Exec(t.Context(), `select pg_sleep(0.02)`)
				_ = conn.Close(t.Context())
			}
			if err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		})
	}
	slowly()
	r.exec(`insert into contacts (id, account_id, first_name, score) select i, i % 2 + 1, 'old', 0 from generate_series(0, $1::int - 1) i`, writers*modelRows)
	all := r.subscribe("/all", "contact.*")
	acme := r.client("acme-token-0123456789")
	creates, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.create"}, TargetURL: r.recv.URL("/acme")})
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	r.recv.Handle("/all", hooktest.FailRate(0.1, seed, hooktest.Status(500)))
	t.Logf("seed %d", seed)
	var version atomic.Int64
	var ws []*writer
	for n := range writers {
		conn, err := pgx.Connect(t.Context(), r.url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		ws = append(ws, &writer{conn: conn, number: n, random: rand.New(rand.NewPCG(seed, uint64(n))), version: &version, touched: map[int]bool{}, muted: map[int]bool{}, gone: map[int]bool{}})
	}
	for round := range 2 {
		var wg sync.WaitGroup
		writing, stopWriting := context.WithCancel(t.Context())
		for _, w := range ws {
			wg.Go(func() {
				for writing.Err() == nil {
					if err := w.step(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var jobs []string
		for _, x := range []struct {
			c *client.Client
			s *client.Subscription
		}{{r.admin(), all}, {acme, creates}} {
			j, err := x.c.Backfill(t.Context(), x.s.ID, client.Backfill{})
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j.ID)
			if _, err := x.c.Backfill(t.Context(), x.s.ID, client.Backfill{}); !isStatus(err, 409) {
				t.Errorf("a second one beside it: %v", err)
			}
		}
		if round == 1 {
			eventually(t, "it is half done", func() bool {
				j, err := r.admin().Job(context.Background(), jobs[0])
				return err == nil && (j.Done > writers*modelRows/3 || j.Ended())
			})
			stop()
			stop = r.start()
			slowly()
			acme = r.client("acme-token-0123456789")
		}
		for _, id := range jobs {
			j := r.jobEnds(id)
			if j.State != client.JobDone || len(j.Resources) != 1 || j.Resources[0].Failed != 0 || j.Done < writers*modelRows/8 {
				t.Errorf("round %d: the job is %+v", round, j)
			}
			t.Logf("round %d: %+v", round, j.Resources)
		}
		stopWriting()
		wg.Wait()
		r.settle()
	}

	touched, muted, gone := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for _, w := range ws {
		maps.Copy(touched, w.touched)
		maps.Copy(gone, w.gone)
		for id, is := range w.muted {
			muted[id] = is
		}
	}
	table := map[int]int{}
	rows, err := r.conn.Query(t.Context(), `select id, score::int from contacts`)
	if err != nil {
		t.Fatal(err)
	}
	var id, score int
	if _, err := pgx.ForEachRow(rows, []any{&id, &score}, func() error { table[id] = score; return nil }); err != nil {
		t.Fatal(err)
	}

	last, backfilled := map[int]backfillBody{}, map[int]int{}
	for _, b := range r.sentTo("/all") {
		if before, ok := last[b.Data.ID]; ok && b.version() < before.version() {
			t.Errorf("%d: %+v stands behind %+v, and is older", b.Data.ID, b, before)
		}
		last[b.Data.ID] = b
		if b.Backfill {
			backfilled[b.Data.ID]++
			if b.Type != "contact.create" {
				t.Errorf("%+v", b)
			}
		}
	}
	creating := map[int]int{}
	for _, b := range r.sentTo("/acme") {
		if b.Data.ID%2 != 0 || b.Type != "contact.create" {
			t.Errorf("account 1 gets %+v", b)
		}
		creating[b.Data.ID]++
	}
	for id := range writers * modelRows {
		score, there := table[id]
		b, told := last[id]
		if !touched[id] && backfilled[id] < 2 {
			t.Errorf("%d: never changed, and backfilled %d times of 2", id, backfilled[id])
		}
		if !muted[id] && there && (!told || b.Type == "contact.delete" || b.version() != score) {
			t.Errorf("%d: the table has %d, the receiver %+v (%v)", id, score, b, told)
		}
		if !muted[id] && !there && told && b.Type != "contact.delete" {
			t.Errorf("%d: it is gone, the receiver has %+v", id, b)
		}
		if id%2 == 0 && !gone[id] && creating[id] < 2 {
			t.Errorf("%d: it was there all the time, and came %d times of 2 to who asks for creates alone", id, creating[id])
		}
	}
	t.Logf("%d rows, %d changed, %d backfilled, %d versions", len(table), len(touched), len(backfilled), version.Load())
	stop()
}

// settle waits until all that was committed has been delivered.
func (r *rig) settle() {
	r.t.Helper()
	r.exec(`insert into notes (id, body) values (1, 'end') on conflict (id) do update set body = excluded.body`)
	var end string
	if err := r.conn.QueryRow(r.t.Context(), `select pg_current_wal_insert_lsn()::text`).Scan(&end); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "nothing waits", func() bool {
		var due int
		var read bool
		err := r.conn.QueryRow(context.Background(), `select (select count(*) from rowhook.due), (select confirmed_flush_lsn >= $1::text::pg_lsn from pg_replication_slots where slot_name = $2)`,
			end, r.slot).Scan(&due, &read)
		return err == nil && due == 0 && read
	})
}

// TestBackfill: what is there comes with its relations, as far as the subscription may see it and wants it, and to nobody else.
func TestBackfill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table deals (region text, id int, account_id int, company_id bigint, stage text, parts int, updated_at timestamp, primary key (region, id));
		insert into companies values (1, 'Acme'), (2, 'Kite');
		insert into deals select x, i, i % 2 + 1, i % 2 + 1, case when i = 7 then 'draft' else 'open' end, case when i = 8 then 0 else 2 end, timestamp '2026-11-01' + i * interval '1 day'
		from unnest(array['eu', 'a,b']) x, generate_series(1, 10) i`)
	r.text += `
  deal:
    table: deals
    account: account_id
    where: stage != "draft"
    representation: {id: "${id}", region: "${region}", share: "${10 % parts}", company: "${company}"}
    relations: {company: {table: companies, foreign_key: company_id, representation: "${name}"}}
`
	stop := r.start()
	acme, other := r.client("acme-token-0123456789"), r.client("other-token-012345678")
	make := func(c *client.Client, s *client.Subscription) *client.Subscription {
		t.Helper()
		made, err := c.Create(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	admins := make(r.admin(), &client.Subscription{Events: []string{"deal.update", "note.*"}, TargetURL: r.recv.URL("/admin")})
	filtered := make(acme, &client.Subscription{Events: []string{"deal.*"}, Filter: `data.region == "eu" && data.company == "Acme"`, TargetURL: r.recv.URL("/acme")})
	third := `a\,b,3`
	one := make(other, &client.Subscription{Events: []string{"deal.*"}, ResourceID: &third, TargetURL: r.recv.URL("/one")})
	feed := make(acme, &client.Subscription{Events: []string{"deal.create"}, FeedOnly: true})
	make(r.admin(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/others")})

	deals := []string{"deal"}
	since := time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		c    *client.Client
		s    *client.Subscription
		want client.Backfill
		path string
		// total, done, sent and failed are those of the deals.
		total, done, sent, failed int64
	}{
		{"the admin's", r.admin(), admins, client.Backfill{}, "/admin", 20, 20, 16, 2},
		{"since", r.admin(), admins, client.Backfill{Resources: deals, Since: &since}, "/admin", 20, 20, 4, 2},
		{"an account's, filtered", acme, filtered, client.Backfill{}, "/acme", 10, 10, 4, 2},
		{"of one", other, one, client.Backfill{}, "/one", 1, 1, 1, 0},
		{"a feed", acme, feed, client.Backfill{Rate: 1000}, "", 10, 10, 8, 2},
	} {
		before := len(r.sentTo(c.path))
		n, err := c.c.CountBackfill(t.Context(), c.s.ID, c.want)
		if err != nil || !n.DryRun || n.Total == nil || *n.Total != c.total || n.Estimated {
			t.Errorf("%s: counted %+v, %v", c.name, n, err)
		}
		asked, err := c.c.Backfill(t.Context(), c.s.ID, c.want)
		if err != nil || asked.Kind != client.JobBackfill || asked.Backfill == nil || asked.Total == nil || *asked.Total != c.total {
			t.Fatalf("%s: asked %+v, %v", c.name, asked, err)
		}
		j := r.jobEnds(asked.ID)
		d := j.Resources[slices.IndexFunc(j.Resources, func(d client.BackfillResource) bool { return d.Resource == "deal" })]
		if j.State != client.JobDone || d.Done != c.done || d.Sent != c.sent || d.Failed != c.failed {
			t.Errorf("%s: %s %s: %+v", c.name, j.State, j.Error, j.Resources)
		}
		if told := d.Failure != ""; told != (c.s == admins) {
			t.Errorf("%s: it failed because of %q", c.name, d.Failure)
		}
		if c.path != "" {
			eventually(t, "they arrive: "+c.name, func() bool { return len(r.sentTo(c.path)) == before+int(c.sent) })
		}
	}
	for _, q := range r.recv.Requests() {
		body := string(q.Body)
		id := strings.TrimPrefix(q.Instance(), "deal/")
		switch {
		case q.Type != "deal.create", q.Header.Get("Webhook-Backfill") != "1", q.Path == "/others":
			t.Errorf("%s: %v %s", q.Path, q.Header, body)
		case q.Path == "/acme" && !strings.Contains(body, `"region":"eu","share":0,"company":"Acme"`):
			t.Errorf("to an account: %s", body)
		case q.Path == "/one" && !strings.Contains(body, `"id":3,"region":"a,b"`):
			t.Errorf("of one: %s %s", id, body)
		}
	}
	eventually(t, "the feed has them", func() bool {
		events, err := acme.Feed(t.Context(), feed.ID, client.FeedQuery{After: "oldest"})
		if err != nil || len(events.Events) > 8 {
			t.Fatalf("the feed has %+v, %v", events, err)
		}
		return len(events.Events) == 8
	})

	for field, want := range map[string]client.Backfill{"resources": {Resources: []string{"deal", "contact"}}, "since": {Since: &since}, "rate": {Rate: -1}} {
		var problem *client.Error
		if _, err := r.admin().CountBackfill(t.Context(), admins.ID, want); !errors.As(err, &problem) || problem.Status != 422 || len(problem.Fields) != 1 || problem.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := other.Backfill(t.Context(), filtered.ID, client.Backfill{}); !isStatus(err, 404) {
		t.Errorf("another account's: %v", err)
	}
	// One that is cancelled ends.
	asked, err := r.admin().Backfill(t.Context(), admins.ID, client.Backfill{Rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.admin().CancelJob(t.Context(), asked.ID); err != nil {
		t.Error(err)
	}
	if j := r.jobEnds(asked.ID); j.State != client.JobCancelled {
		t.Errorf("it is %+v", j)
	}
	eventually(t, "nothing is under way", func() bool { return r.sample("rowhook_jobs_running") == "0" })
	// A mark of nobody's, as of a process that has died, does nothing.
	r.exec(`select pg_logical_emit_message(true, 'rowhook.subscription', json_build_object('store', 'x', 'deleted', true, 'backfill_window', 'x', 'number', 1)::text)`)
	if _, err := r.admin().Disable(t.Context(), admins.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.admin().Backfill(t.Context(), admins.ID, client.Backfill{}); !isStatus(err, 409) {
		t.Errorf("to a disabled one: %v", err)
	}
	stop()
}
