package store

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

func TestWriteMakesThePartitionsItNeeds(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	// Around midnight, long ago, and in another zone: days are UTC.
	write(t, s, delivered(event(1, day.Add(-time.Microsecond)), x.Key, 1, false), delivered(event(2, day), x.Key, 2, false),
		delivered(event(3, day.AddDate(0, 0, -3)), x.Key, 3, false), delivered(event(4, day.Add(time.Hour).In(time.FixedZone("", 7200))), x.Key, 4, false))
	for table, want := range map[string]int{"event_20261121": 1, "event_20261122": 2, "event_20261119": 1, "outcome_20261122": 2, "outcome_20261121": 1, "attempt_20261122": 0} {
		if n := value[int](t, conn, `SELECT count(*) FROM `+table); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	if n := value[int](t, conn, `SELECT count(*) FROM delivery`); n != 4 {
		t.Errorf("%d deliveries, want 4", n)
	}
	// Another process may have made them, at the same time.
	other := open(t, db)
	write(t, other, delivered(event(5, day), x.Key, 5, false))
}

// TestWriteSurvivesADroppedPartition: another process' Expire, or ours, may drop a day that has been written to.
func TestWriteSurvivesADroppedPartition(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, other := open(t, db), open(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day), x.Key, 1, false))
	if dropped, err := other.Expire(t.Context(), day.AddDate(0, 0, 1)); err != nil || len(dropped) != len(partitioned) {
		t.Fatalf("Expire: %v %v", dropped, err)
	}
	write(t, s, delivered(event(2, day), x.Key, 2, false))
	if n := value[int](t, connect(t, db), `SELECT count(*) FROM delivery`); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

// TestWriteAgainKeepsAllOfAnEvent: the answer to a write was lost, and what is written again has more in it.
func TestWriteAgainKeepsAllOfAnEvent(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x := subscribe(t, s, "")
	first, second := event(1, day), event(2, day)
	first.Context = []byte(`{"actor":"u7"}`)
	second.Previous, second.Context, second.Partial = []byte(`{"id":1}`), first.Context, []string{"body"}
	write(t, s, deferred(first, x.Key, 1, day))
	write(t, s, deferred(first, x.Key, 1, day), deferred(second, x.Key, 2, day))
	due, _, err := s.Due(t.Context(), x.Key, sender.Look{Now: day, Rows: 10, Bytes: 1 << 20})
	if err != nil || len(due) != 2 {
		t.Fatalf("%d are due, want 2: %v", len(due), err)
	}
	for i, want := range []*mapping.Event{first, second} {
		if got, want := string(sender.AppendStandard(nil, due[i].Event)), string(sender.AppendStandard(nil, want)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWriteKeepsFailedAttempts(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	ev := event(1, day)
	failure := &sender.Outcome{Verdict: sender.Retry, Status: 503, Reason: "http_status", Detail: "x", Answer: []byte("no\x00"), Started: day, Duration: time.Hour}
	first := deferred(ev, x.Key, 1, day)
	first.Attempts, first.RetryReason, first.Outcome = 1, "http_status", failure
	write(t, s, first)
	last := sender.Record{Op: sender.Finish, Event: ev, Subscription: x.Key, Key: 1, Stored: true, Status: sender.StatusDropped, Attempts: 2}
	over := *failure
	over.Verdict = sender.Drop
	last.Outcome = &over
	write(t, s, last)
	write(t, s, last) // the answer was lost
	if n := value[int](t, conn, `SELECT count(*) FROM attempt WHERE http_status = 503 AND answer = '\x6e6f00' AND duration_us = 2147483647`); n != 2 {
		t.Errorf("%d attempts", n)
	}
	if got := value[string](t, conn, `SELECT status || ' ' || attempts || ' ' || http_status FROM delivery`); got != "3 2 503" {
		t.Errorf("delivery: %s", got)
	}
}

// TestWriteKeepsARequestForTime: an attempt that was answered with Retry-After is not spent, and comes again. One row tells
// of it, apart from that of the attempt which is spent in the end.
func TestWriteKeepsARequestForTime(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	ev := event(1, day)
	asked := func(started time.Time, detail string) *sender.Outcome {
		return &sender.Outcome{Verdict: sender.Wait, Status: 429, Reason: "http_status", Detail: detail, Started: started, After: time.Hour}
	}
	first := deferred(ev, x.Key, 1, day)
	first.Outcome = asked(day, "first")
	write(t, s, first)
	for i, detail := range []string{"second", "third"} {
		again := sender.Record{Op: sender.Reschedule, Event: ev, Subscription: x.Key, Key: 1, Stored: true, DueAt: day, Outcome: asked(day.Add(time.Duration(i+1)*time.Hour), detail)}
		write(t, s, again)
		write(t, s, again) // the answer was lost
	}
	failed := sender.Record{Op: sender.Reschedule, Event: ev, Subscription: x.Key, Key: 1, Stored: true, Attempts: 1, DueAt: day,
		Outcome: &sender.Outcome{Verdict: sender.Retry, Status: 500, Reason: "http_status", Detail: "spent", Started: day.Add(5 * time.Hour)}}
	write(t, s, failed)
	later := sender.Record{Op: sender.Reschedule, Event: ev, Subscription: x.Key, Key: 1, Stored: true, Attempts: 1, DueAt: day, Outcome: asked(day.Add(6*time.Hour), "fourth")}
	write(t, s, later)
	got := value[string](t, conn, `SELECT string_agg(number || ' ' || http_status || ' ' || detail, ', ' ORDER BY started_at) FROM attempt`)
	if want := "-1 429 first, 1 500 spent, -2 429 fourth"; got != want {
		t.Errorf("attempts: %s, want %s", got, want)
	}
}

// TestPausesThatAreOverAreForgotten when what is old is.
func TestPausesThatAreOverAreForgotten(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	now := time.Now()
	write(t, s, sender.Record{Op: sender.Pause, Subscription: 1, Version: 1, DueAt: now.Add(-time.Hour)},
		sender.Record{Op: sender.Pause, Subscription: 2, Version: 1, DueAt: now.Add(time.Hour)})
	if _, err := s.Expire(t.Context(), now.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Paused(t.Context()); err != nil || len(got) != 1 || got[2].Version != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNothingIsDueForADeletedSubscription(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	var records []sender.Record
	for i := range deletedAtOnce + 500 {
		records = append(records, deferred(event(i+1, day), x.Key, int64(i), day))
	}
	write(t, s, records...)
	if err := s.Delete(t.Context(), adminScope, x.ID, nil); err != nil {
		t.Fatal(err)
	}
	write(t, s, deferred(event(9000, day), x.Key, 9000, day))
	if n := value[int](t, conn, `SELECT count(*) FROM due`); n != 500 {
		t.Errorf("%d are due", n)
	}
	if b, err := s.Backlogs(t.Context(), 10); err != nil || len(b) != 0 {
		t.Errorf("Backlogs: %v %v", b, err)
	}
	// What was too much for one request does not keep a day from being dropped.
	if dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 1)); err != nil || len(dropped) != len(partitioned) {
		t.Errorf("Expire: %v %v", dropped, err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM due`); n != 0 {
		t.Errorf("%d are due", n)
	}
}

func TestBacklogsMendWhatIsDue(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	for i := range 6 {
		write(t, s, deferred(event(i+1, day), x.Key, int64(i/3), day))
	}
	exec(t, conn, `UPDATE due SET due_at = CASE WHEN key = 0 THEN 'infinity'::timestamptz ELSE now() - interval '1 hour' END`)
	if _, err := s.Backlogs(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	due, _, err := s.Due(t.Context(), x.Key, sender.Look{Now: time.Now(), Rows: 10, Bytes: 1000})
	if err != nil || len(due) != 2 {
		t.Fatalf("got %v, %v", due, err)
	}
	got := []string{due[0].Event.ID, due[1].Event.ID}
	slices.Sort(got)
	if !slices.Equal(got, []string{"evt_1", "evt_4"}) {
		t.Errorf("due: %v", got)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	waiting := event(2, day.AddDate(0, 0, 1))
	write(t, s, delivered(event(1, day), x.Key, 1, false), deferred(waiting, x.Key, 2, day), delivered(event(3, day.AddDate(0, 0, 2)), x.Key, 3, false))
	exec(t, conn, `CREATE TABLE e PARTITION OF event FOR VALUES FROM ('2000-01-01') TO ('2000-01-02')`) // somebody else's
	expire := func(before time.Time, want ...string) {
		t.Helper()
		got, err := s.Expire(t.Context(), before)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("before %s: got %v, %v, want %v", before, got, err, want)
		}
	}
	expire(day.Add(23 * time.Hour))
	expire(day.AddDate(0, 0, 1), "event_20261122", "attempt_20261122", "outcome_20261122", "resent_20261122")
	expire(day.AddDate(0, 0, 2)) // something that is due refers to the second day
	write(t, s, delivered(waiting, x.Key, 2, true))
	expire(day.AddDate(0, 0, 2), "event_20261123", "attempt_20261123", "outcome_20261123", "resent_20261123")
	if n := value[int](t, conn, `SELECT count(*) FROM event`); n != 1 {
		t.Errorf("%d events are left", n)
	}
}

// TestExpireDoesNotHoldUp: who reads or writes for long is not waited for, and nobody waits behind us.
func TestExpireDoesNotHoldUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day), x.Key, 1, false))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT count(*) FROM event`); err != nil {
		t.Fatal(err)
	}
	if dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 9)); err != nil || len(dropped) != 0 {
		t.Errorf("got %v, %v", dropped, err)
	}
	_ = tx.Rollback(t.Context())
	if dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 9)); err != nil || len(dropped) != len(partitioned) {
		t.Errorf("got %v, %v", dropped, err)
	}
}

func TestLostEventIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, deferred(event(1, day), x.Key, 1, day), deferred(event(2, day), x.Key, 2, day.Add(time.Second)))
	exec(t, conn, `DELETE FROM event WHERE id = 'evt_1'`)
	due, _, err := s.Due(t.Context(), x.Key, sender.Look{Now: time.Now(), Rows: 10, Bytes: 1000})
	if err != nil || len(due) != 2 || !due[0].Lost || due[0].Event.Position != event(1, day).Position || !due[0].Event.Time.Equal(day) || due[1].Lost {
		t.Errorf("got %+v, %v", due, err)
	}
}

func TestRecordedAndHorizon(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x, y := subscribe(t, s, ""), subscribe(t, s, "")
	if h, err := s.Horizon(t.Context()); err != nil || !h.IsZero() {
		t.Errorf("Horizon: %v %v", h, err)
	}
	due, done, never := event(1, day), event(2, day.AddDate(0, 0, -2)), event(3, day)
	// With an order and without, a due row is found.
	key, _ := sender.OrderingKeys(due)
	loose := event(4, day.AddDate(0, 0, -3))
	_, looseKey := sender.OrderingKeys(loose)
	write(t, s, deferred(due, x.Key, key, day), deferred(loose, y.Key, looseKey, day), delivered(done, x.Key, 2, false))
	if h, err := s.Horizon(t.Context()); err != nil || h != loose.Position {
		t.Errorf("Horizon: %v %v", h, err)
	}
	var asked []Delivery
	for _, sub := range []int64{x.Key, y.Key} {
		for _, ev := range []*mapping.Event{due, done, never, loose} {
			asked = append(asked, Delivery{sub, ev})
		}
	}
	deliveries, events, err := s.Recorded(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Pair]bool{{x.Key, due.Position}: true, {x.Key, done.Position}: true, {y.Key, loose.Position}: true}
	if !maps.Equal(deliveries, want) || len(events) != 3 || !events[due.Position] || !events[done.Position] || !events[loose.Position] {
		t.Errorf("got %v and %v", deliveries, events)
	}
	if d, e, err := s.Recorded(t.Context(), nil); err != nil || len(d)+len(e) != 0 {
		t.Errorf("of nothing: %v %v %v", d, e, err)
	}
	write(t, s, sender.Record{Op: sender.Bury, DeadLetter: letter(7)})
	if h, err := s.Horizon(t.Context()); err != nil || h != letter(7).Position {
		t.Errorf("Horizon: %v %v", h, err)
	}
}

// TestLargeTablesAreNotScanned looks at the plans, generic and not, with 100,000 deliveries due.
func TestLargeTablesAreNotScanned(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day), x.Key, 1, false))
	exec(t, conn, `INSERT INTO event SELECT decode(lpad(to_hex(n), 40, '0'), 'hex'), $1, 'evt', 't', 'r', 'i', NULL, '{}', NULL FROM generate_series(1, 100000) n`, day)
	// Most of them are of one subscription, as where there are few.
	exec(t, conn, `INSERT INTO outcome SELECT CASE WHEN n % 10 = 0 THEN n % 100 ELSE $2 END, decode(lpad(to_hex(n), 40, '0'), 'hex'), $1,
		decode(lpad(to_hex(n), 40, '0'), 'hex'), $1, '' FROM generate_series(1, 100000) n`, day, x.Key)
	exec(t, conn, `INSERT INTO due SELECT $2, n % 50000, decode(lpad(to_hex(n), 40, '0'), 'hex'), $1,
		CASE WHEN n < 50000 THEN $1::timestamptz ELSE 'infinity' END, 0, '' FROM generate_series(1, 100000) n`, day, x.Key)
	b := &pgx.Batch{}
	r := &rows{now: day}
	for i := range 500 {
		r.finished = append(r.finished, &sender.Record{Event: event(i+1, day), Subscription: x.Key, Key: int64(i)})
	}
	r.defers, r.reschedules = r.finished, r.finished
	r.queueDefers(b)
	r.queueFinished(b, day)
	r.queueReschedules(b)
	type query struct {
		sql  string
		args []any
	}
	queries := []query{{dueSQL, []any{x.Key, day, 128, []int64{1, 2}, int64(1 << 20)}},
		{dueBehindSQL, []any{x.Key, day, 128, []int64{1, 2}, int64(1 << 20), 100}}, {nextSQL, []any{x.Key, day}}}
	reads := len(queries)
	queries = append(queries, query{finishedSQL, []any{[]int64{x.Key}, [][]byte{bytesOf(event(1, day).Position)}, [][]byte{bytesOf(event(9, day).Position)}}})
	for _, q := range b.QueuedQueries {
		queries = append(queries, query{q.SQL, q.Arguments})
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, conn, `ANALYZE due; ANALYZE event; ANALYZE outcome`)
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			exec(t, conn, `SET plan_cache_mode = `+mode)
			for i, q := range queries {
				name := fmt.Sprintf("q%d_%s_%v", i, mode, analyzed)
				tx, err := conn.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if i >= reads {
					if _, err := tx.Exec(t.Context(), indexesOnly); err != nil {
						t.Fatal(err)
					}
				}
				rows, err := tx.Query(t.Context(), "EXPLAIN "+q.sql, q.args...)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				_ = tx.Rollback(t.Context())
				plan := strings.Join(lines, "\n")
				for _, table := range []string{"due", "event", "outcome"} {
					if strings.Contains(plan, "Seq Scan on "+table) {
						t.Errorf("%s scans %s:\n%s\n%s", name, table, strings.TrimSpace(q.sql), plan)
					}
				}
			}
		}
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, pgtest.Database(t))
	c := cdc.Checkpoint{Slot: "slot", SystemID: "7000000000000000000", DatabaseOID: 4_000_000_000, Timeline: 2, Environment: "test", Epoch: 1, LSN: 1 << 40,
		Reach: 1 << 41, SettledAt: day, Tables: []cdc.Published{}}
	if _, ok, err := s.LoadCheckpoint(ctx, "slot"); ok || err != nil {
		t.Errorf("before: %v %v", ok, err)
	}
	for range 2 {
		if err := s.SaveCheckpoint(ctx, c); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := s.LoadCheckpoint(ctx, "slot"); !ok || err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v %v %v", got, ok, err)
		}
		c.LSN++
	}
	// A new slot in a store with events begins a new epoch, whatever its positions.
	x := subscribe(t, s, "")
	late := event(1, day)
	late.Position.Epoch = 5
	write(t, s, delivered(late, x.Key, 1, false))
	fresh := c
	fresh.Slot = "fresh"
	if err := s.SaveCheckpoint(ctx, fresh); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := s.LoadCheckpoint(ctx, "fresh"); got.Epoch != 6 {
		t.Errorf("epoch %d, want 6", got.Epoch)
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	one, two := open(t, db), open(t, db)
	own := func(s *Store, owner string, want bool) {
		t.Helper()
		if same, err := s.Own(ctx, "slot", owner); err != nil || same != want {
			t.Errorf("%s: got %v, %v, want %v", owner, same, err, want)
		}
	}
	own(one, "one", true) // a temporary slot has no checkpoint
	x := subscribe(t, one, "")
	write(t, one, delivered(event(1, day), x.Key, 1, false))
	c := cdc.Checkpoint{Slot: "slot", Epoch: 1, LSN: 100}
	if err := one.SaveCheckpoint(ctx, c); err != nil {
		t.Fatal(err)
	}
	own(one, "one", false)
	own(one, "one", true)
	c.LSN = 200
	if err := one.SaveCheckpoint(ctx, c); err != nil {
		t.Error(err)
	}
	own(two, "two", false)
	// What the first one has settled, or wants to write, counts no more: the second one gets it from the stream.
	c.LSN = 300
	if err := one.SaveCheckpoint(ctx, c); err == nil {
		t.Error("a checkpoint was saved by who is not the owner")
	}
	if got, _, _ := two.LoadCheckpoint(ctx, "slot"); got.LSN != 200 {
		t.Errorf("checkpoint %s", got.LSN)
	}
	if err := one.Write(ctx, []sender.Record{delivered(event(2, day), x.Key, 1, false)}); err == nil {
		t.Error("written by who is not the owner")
	}
	write(t, two, delivered(event(2, day), x.Key, 1, false))
	own(one, "one", false)
	write(t, one, delivered(event(3, day), x.Key, 1, false))
}
