package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

// logged is a line of the log for tests.
func logged(l *Logged) string {
	return fmt.Sprintf("%s %s %s/%s %s %d", l.Event.Position, l.Event.ID, l.Event.Type, l.Event.Instance, l.Status, l.Attempts)
}

// TestListDeliveries goes through a log of random deliveries, written in a random order, page by page, with random filters and within
// small bounds, and compares with what was written.
func TestListDeliveries(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	db := pgtest.Database(t)
	s := open(t, db)
	x, y := subscribe(t, s, ""), subscribe(t, s, "")
	const events = 400
	start := day.Add(-15 * time.Minute)
	type delivery struct {
		*Logged
		sub int64
	}
	var all []delivery
	var records []sender.Record
	at := start
	for n := 1; n <= events; n++ {
		if at = at.Add(time.Duration(random.IntN(10)) * time.Second); n == events/2 {
			at = at.AddDate(0, 0, 2) // days without anything are between
		}
		ev := event(n, at)
		ev.Instance, ev.Type = fmt.Sprint(random.IntN(7)), []string{"contact.create", "contact.update"}[random.IntN(2)]
		key, _ := sender.OrderingKeys(ev)
		insert := true
		for _, sub := range []int64{x.Key, y.Key} {
			if random.IntN(3) == 0 {
				continue
			}
			l := &Logged{Event: ev, Attempts: random.IntN(4), Status: sender.Status(random.IntN(4))}
			r := delivered(ev, sub, key, false)
			if r.Status, r.Attempts = l.Status, l.Attempts; l.Status == 0 {
				r = deferred(ev, sub, key, at)
				r.Attempts = l.Attempts
			}
			r.InsertEvent, insert = insert, false
			records, all = append(records, r), append(all, delivery{l, sub})
		}
	}
	// Old ones end with new ones; an event is written with its first record.
	for from := 0; from < len(records); {
		to := min(from+1+random.IntN(90), len(records))
		part := records[from:to]
		for range 20 {
			i, j := random.IntN(len(part)), random.IntN(len(part))
			part[i], part[j] = part[j], part[i]
		}
		write(t, s, part...)
		from = to
	}
	// Some are sent again, and end otherwise.
	var waits, ends []sender.Record
	for _, d := range all {
		if d.Status == 0 || random.IntN(8) > 0 {
			continue
		}
		key, _ := sender.OrderingKeys(d.Event)
		again := deferred(d.Event, d.sub, key, at)
		again.InsertEvent, again.Replay, again.Attempts, again.Before = false, true, d.Attempts, d.Attempts
		d.Attempts, d.Status = d.Attempts+1, sender.Status(1+random.IntN(3))
		end := delivered(d.Event, d.sub, key, true)
		end.Replay, end.Attempts, end.Status = true, d.Attempts, d.Status
		waits, ends = append(waits, again), append(ends, end)
	}
	write(t, s, waits...)
	write(t, s, ends...)
	slices.Reverse(all)
	small := logBounds{rows: 6, chunk: 2, events: 40, due: 1 << 20, page: 7}
	many := small
	many.due = 3
	short := 0
	for _, bounds := range []logBounds{defaultLogBounds(), small, many} {
		s.logBounds = bounds
		for range 40 {
			q := LogQuery{Subscription: []int64{x.Key, y.Key}[random.IntN(2)], Limit: 1 + random.IntN(60)}
			switch status := random.IntN(6); {
			case status <= 2:
				q.Status = sender.Status(status + 1)
			case status == 3:
				q.Pending = true
			}
			if random.IntN(3) == 0 {
				q.Instance = fmt.Sprint(random.IntN(8))
			}
			if random.IntN(3) == 0 {
				q.Type = "contact.create"
			}
			if random.IntN(3) == 0 {
				q.From = all[random.IntN(len(all))].Event.Time
			}
			if random.IntN(3) == 0 {
				q.To = all[random.IntN(len(all))].Event.Time
			}
			if random.IntN(10) == 0 {
				q.EventID = all[random.IntN(len(all))].Event.ID
			}
			var want, got []string
			for _, d := range all {
				if d.sub == q.Subscription && q.wantsStatus(d.Logged) && q.wantsEvent(d.Event) {
					want = append(want, logged(d.Logged))
				}
			}
			asked := q
			for {
				page, next, err := s.ListDeliveries(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) > q.Limit {
					t.Fatalf("a page of %d, of %d at most", len(page), q.Limit)
				}
				for _, l := range page {
					got = append(got, logged(l))
				}
				if next == nil {
					break
				}
				if len(page) < q.Limit {
					short++
				}
				if q.Before != nil && next.Compare(*q.Before) >= 0 {
					t.Fatal("the next page is no later one")
				}
				q.Before = next
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %+v with %+v:\ngot  %s\nwant %s", seed, asked, bounds, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			}
		}
	}
	if short == 0 {
		t.Error("no page was shorter than its limit before the end: the bounds were not reached")
	}
}

// TestDelivery: one, with its attempts and what its parts took.
func TestDelivery(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x, y := subscribe(t, s, ""), subscribe(t, s, "")
	began := day.Add(time.Hour)
	ev := event(10, day)
	ev.Account, ev.Accounted, ev.Partial, ev.Previous, ev.Context = "7", true, []string{"notes"}, []byte(`{"n":1}`), []byte(`{"source":"x"}`)
	key, _ := sender.OrderingKeys(ev)
	timings := &sender.Timings{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 7 * time.Millisecond}
	first := deferred(ev, x.Key, key, began.Add(time.Minute))
	first.Attempts, first.RetryReason = 1, sender.ReasonHTTPStatus
	first.Outcome = &sender.Outcome{Verdict: sender.Retry, Status: 503, Reason: sender.ReasonHTTPStatus, Detail: "d", Answer: []byte("busy"),
		Started: began, Duration: 9 * time.Millisecond, Timings: timings}
	behind := event(11, day)
	behind.Instance = ev.Instance
	write(t, s, first, deferred(behind, x.Key, key, began))
	asks := sender.Record{Op: sender.Reschedule, Event: ev, Subscription: x.Key, Key: key, Stored: true, Attempts: 1, DueAt: began.Add(2 * time.Minute), RetryReason: sender.ReasonHTTPStatus}
	asks.Outcome = &sender.Outcome{Verdict: sender.Wait, Status: 429, Reason: sender.ReasonHTTPStatus, Started: began.Add(time.Minute), Duration: time.Second}
	write(t, s, asks)
	wantAttempts := []LoggedAttempt{
		{Number: 1, Started: began, Duration: 9 * time.Millisecond, Timings: timings, Status: 503, Reason: sender.ReasonHTTPStatus, Detail: "d", Answer: []byte("busy")},
		{Number: 2, Uncounted: true, Started: began.Add(time.Minute), Duration: time.Second, Status: 429, Reason: sender.ReasonHTTPStatus},
	}
	read := func(sub int64, at cdc.Position, want *Logged, attempts []LoggedAttempt) {
		t.Helper()
		got, gotAttempts, err := s.Delivery(t.Context(), sub, at, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if !got.FinishedAt.IsZero() && time.Since(got.FinishedAt).Abs() < time.Hour {
			got.FinishedAt = time.Time{}
		}
		if got.Replay && !got.NextAttempt.IsZero() {
			got.NextAttempt = time.Time{} // at once
		}
		if !reflect.DeepEqual(got, want) || len(gotAttempts) != len(attempts) {
			t.Errorf("got  %+v\nwant %+v, %d attempts", got, want, len(gotAttempts))
		}
		for i := range gotAttempts {
			if gotAttempts[i].Delivered && time.Since(gotAttempts[i].Started).Abs() < time.Hour {
				gotAttempts[i].Started = time.Time{}
			}
			if !reflect.DeepEqual(gotAttempts[i], attempts[i]) {
				t.Errorf("got  %+v\nwant %+v", gotAttempts[i], attempts[i])
			}
		}
	}
	read(x.Key, ev.Position, &Logged{Event: ev, Attempts: 1, NextAttempt: began.Add(2 * time.Minute), RetryReason: sender.ReasonHTTPStatus}, wantAttempts)
	read(x.Key, behind.Position, &Logged{Event: behind}, nil) // nobody knows when its turn is
	done := delivered(ev, x.Key, key, true)
	done.Attempts, done.Outcome.Timings = 2, timings
	write(t, s, delivered(event(12, day), x.Key, 5, false), done)
	read(x.Key, ev.Position, &Logged{Event: ev, Status: sender.StatusDelivered, Attempts: 2, HTTPStatus: 200, Duration: 1234 * time.Microsecond, Timings: timings},
		append(slices.Clone(wantAttempts), LoggedAttempt{Number: 2, Delivered: true, Duration: 1234 * time.Microsecond, Timings: timings, Status: 200}))
	// Sent again: how it ended first is seen by its attempt.
	success := LoggedAttempt{Number: 2, Delivered: true, Duration: 1234 * time.Microsecond, Timings: timings, Status: 200}
	wantAttempts = append(wantAttempts, success)
	again := deferred(ev, x.Key, key, began.Add(time.Hour))
	again.InsertEvent, again.Replay, again.Attempts, again.Before = false, true, 2, 2
	write(t, s, again)
	pending := &Logged{Event: ev, Attempts: 2, Replay: true, FirstReplay: 3}
	read(x.Key, ev.Position, pending, wantAttempts)
	for _, q := range []LogQuery{{}, {Pending: true}} {
		q.Subscription, q.Limit, q.EventID = x.Key, 10, ev.ID
		page, next, err := s.ListDeliveries(t.Context(), q)
		if err != nil || len(page) != 1 || next != nil || page[0].Status != 0 || !page[0].Replay {
			t.Errorf("%+v: %v %v", page, next, err)
		}
	}
	over := delivered(ev, x.Key, key, true)
	over.Replay, over.Status, over.Attempts = true, sender.StatusFailed, 3
	over.Outcome = &sender.Outcome{Verdict: sender.Retry, Status: 500, Reason: sender.ReasonHTTPStatus, Started: began.Add(2 * time.Hour), Duration: time.Second}
	write(t, s, over)
	wantAttempts = append(wantAttempts, LoggedAttempt{Number: 3, Started: began.Add(2 * time.Hour), Duration: time.Second, Status: 500, Reason: sender.ReasonHTTPStatus})
	read(x.Key, ev.Position, &Logged{Event: ev, Status: sender.StatusFailed, Attempts: 3, HTTPStatus: 500, Duration: time.Second, FirstReplay: 3}, wantAttempts)
	// Sent again, and taken by the fallback after one more failure there.
	again.Attempts, again.Before = 3, 3
	write(t, s, again)
	falls := sender.Record{Op: sender.Reschedule, Event: ev, Subscription: x.Key, Key: key, Stored: true, Attempts: 4, DueAt: began.Add(2 * time.Hour), RetryReason: sender.ReasonTimeout,
		Replay: true, Fallback: &sender.Fallback{Reason: sender.ReasonHTTPStatus, Status: 500, After: 3, Position: ev.Position}}
	falls.Outcome = &sender.Outcome{Verdict: sender.Retry, Fallback: true, Reason: sender.ReasonTimeout, Started: began.Add(2 * time.Hour), Duration: time.Second}
	write(t, s, falls)
	wantAttempts = append(wantAttempts, LoggedAttempt{Number: 4, Fallback: true, Started: began.Add(2 * time.Hour), Duration: time.Second, Reason: sender.ReasonTimeout})
	read(x.Key, ev.Position, &Logged{Event: ev, Attempts: 4, RetryReason: sender.ReasonTimeout, Replay: true, Fallback: true, FirstReplay: 3}, wantAttempts)
	taken := delivered(ev, x.Key, key, true)
	taken.Replay, taken.Attempts, taken.Outcome.Fallback = true, 5, true
	write(t, s, taken)
	wantAttempts = append(wantAttempts, LoggedAttempt{Number: 5, Delivered: true, Fallback: true, Duration: 1234 * time.Microsecond, Status: 200})
	read(x.Key, ev.Position, &Logged{Event: ev, Status: sender.StatusDelivered, Fallback: true, Attempts: 5, HTTPStatus: 200, Duration: 1234 * time.Microsecond, FirstReplay: 3}, wantAttempts)
	// The first time, in the packed row: the status beside it is as it was.
	for n, status := range []sender.Status{sender.StatusDelivered, sender.StatusFailed, sender.StatusDropped} {
		ev := event(20+n, day)
		packed := delivered(ev, x.Key, int64(20+n), false)
		packed.Status, packed.Outcome.Fallback, packed.Outcome.Timings = status, true, nil
		if status == sender.StatusDropped {
			packed.Dropped = sender.DropShadow
		}
		write(t, s, packed)
		q := LogQuery{Subscription: x.Key, Limit: 1, EventID: ev.ID}
		page, _, err := s.ListDeliveries(t.Context(), q)
		if err != nil || len(page) != 1 || !page[0].Fallback || page[0].Status != status || page[0].Dropped != packed.Dropped {
			t.Errorf("%v: %+v, %v", status, page, err)
		}
		var dropped string
		var shown int
		var fallback bool
		if err := s.pool.QueryRow(t.Context(), `SELECT status, coalesce(dropped, ''), fallback FROM delivery WHERE position = $1`, bytesOf(ev.Position)).Scan(&shown, &dropped, &fallback); err != nil ||
			!fallback || shown != int(status) || dropped != packed.Dropped.String() {
			t.Errorf("%v: the view has %d %q %v, %v", status, shown, dropped, fallback, err)
		}
	}
	large, _, err := s.Delivery(t.Context(), x.Key, ev.Position, 10)
	if err != nil || large.Event.ID != ev.ID || large.Event.Data != nil || large.Event.Previous != nil {
		t.Errorf("a large one: %+v, %v", large, err)
	}
	for name, d := range map[string]Delivery{"OfAnother": {y.Key, ev}, "Never": {x.Key, event(9, day)}} {
		if _, _, err := s.Delivery(t.Context(), d.Subscription, d.Event.Position, 1<<20); !errors.Is(err, ErrNoDelivery) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheLogFindsWhatEndedLate: what was retried stands in the row of what was committed just before its end. However many of a minute
// stand in between, it is in the log all the same.
func TestTheLogFindsWhatEndedLate(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	const most = 11_000
	late, last := event(1, day), event(most, day.Add(59*time.Second))
	exec(t, conn, `SET synchronous_commit = off`)
	write(t, s, delivered(event(2, day), x.Key, 1, false), delivered(event(3, day.Add(time.Minute)), x.Key, 1, false)) // for the partitions
	exec(t, conn, `INSERT INTO outcome SELECT $1, p, $2, p, $2, p || '\x0000000100c8000101'
		FROM (SELECT decode('00000001' || lpad(to_hex(n * 200), 16, '0') || '0000000100000000', 'hex') AS p FROM generate_series(4, $3::int - 1) n) x`,
		x.Key, day.Add(time.Second), most)
	write(t, s, delivered(late, x.Key, 1, false), delivered(last, x.Key, 1, false))
	if l, _, err := s.Delivery(t.Context(), x.Key, late.Position, 1<<20); err != nil || l.Event.ID != late.ID {
		t.Errorf("by its position: %+v, %v", l, err)
	}
	before := event(4, day).Position
	page, next, err := s.ListDeliveries(t.Context(), LogQuery{Subscription: x.Key, Before: &before, Limit: 10})
	if err != nil || next != nil || len(page) != 3 || page[2].Event.ID != late.ID {
		t.Errorf("in the list: %d, %v, %v", len(page), next, err)
	}
}

// TestTheLogIsNotReadWhole looks at the plans of what pages read, where nothing has been analyzed and where a subscription has most
// of the rows.
func TestTheLogIsNotReadWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day), x.Key, 1, false), delivered(event(2, day.AddDate(0, 0, -1)), x.Key, 1, false))
	exec(t, conn, `INSERT INTO event SELECT decode(lpad(to_hex(n), 40, '0'), 'hex'), $1::timestamptz + n * interval '1 second', 'evt', 't', 'r', 'i', NULL, '{}', NULL FROM generate_series(1, 50000) n`, day)
	exec(t, conn, `INSERT INTO outcome SELECT CASE WHEN n % 10 = 0 THEN n % 100 ELSE $2 END, decode(lpad(to_hex(n), 40, '0'), 'hex'), $1,
		decode(lpad(to_hex(n), 40, '0'), 'hex'), $1, '' FROM generate_series(1, 50000) n`, day, x.Key)
	middle, sub := fmt.Sprintf(`'\x%s'`, cdc.Position{Sub: 25_000}), fmt.Sprint(x.Key)
	page := []string{`''`, middle, "20000", "NULL", "NULL", "''", "NULL", "NULL", "NULL", "51"}
	queries := map[string]struct {
		sql  string
		cond string
		args []string
	}{
		"Rows":  {outcomesSQL, "(newest < ", []string{sub, middle, `''`, "50"}},
		"Ahead": {aheadSQL, "(newest >= ", []string{sub, middle, fmt.Sprintf(`'\x%s'`, cdc.Position{Sub: 30_000})}},
		// A page of events reads no more than a page.
		"Events":     {eventsSQL, `("position" > `, page},
		"EventsBack": {eventsBackSQL, `("position" > `, page},
		"Event":      {eventSinceSQL, `("position" >= `, []string{middle, day.Format(`'` + time.RFC3339 + `'`), day.Add(24 * time.Hour).Format(`'` + time.RFC3339 + `'`)}},
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, conn, `ANALYZE event; ANALYZE outcome`)
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			exec(t, conn, `SET plan_cache_mode = `+mode)
			for name, q := range queries {
				tx, err := conn.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				exec(t, conn, indexesInOrder)
				// EXPLAIN with parameters of its own would plan for their values.
				exec(t, conn, `PREPARE looked AS `+q.sql)
				rows, err := tx.Query(t.Context(), "EXPLAIN EXECUTE looked("+strings.Join(q.args, ", ")+")")
				if err != nil {
					t.Fatal(err)
				}
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				_ = tx.Rollback(t.Context())
				exec(t, conn, `DEALLOCATE looked`)
				plan := strings.Join(lines, "\n")
				if _, cond, _ := strings.Cut(plan, "Index Cond:"); !strings.Contains(strings.Split(cond, "\n")[0], q.cond) ||
					strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort  ") || strings.Contains(plan, "Bitmap") {
					t.Errorf("%s, %s, analyzed %v:\n%s", name, mode, analyzed, plan)
				}
			}
		}
	}
}

// TestDaysWithoutAPartition: on the first day of a store there is one partition. That nothing was committed the day before, or is committed the
// day after, is seen without a look into its index.
func TestDaysWithoutAPartition(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day.Add(time.Hour)), x.Key, 1, false))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	const scans = `SELECT coalesce(sum(pg_stat_get_xact_numscans(x.indexrelid)), 0)::int FROM pg_inherits i JOIN pg_index x ON x.indrelid = i.inhrelid WHERE i.inhparent = 'event'::regclass`
	// Postgres plans the first five for their arguments anyway.
	for i := range 10 {
		for _, c := range []struct {
			name  string
			since time.Time
			scans int
			found bool
		}{{"TheDayBefore", day.Add(-time.Hour), 1, true}, {"TheDayAfter", day.Add(25 * time.Hour), 0, false}} {
			before := value[int](t, conn, scans)
			at, err := positionSince(t.Context(), tx, c.since)
			if err != nil {
				t.Fatal(err)
			}
			if n := value[int](t, conn, scans) - before; n != c.scans || (at != nil) != c.found {
				t.Errorf("%s, turn %d: %d looks into the index, want %d; found %v, want %v", c.name, i, n, c.scans, at != nil, c.found)
			}
		}
	}
}
