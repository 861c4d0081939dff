package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// TestOutcomesArePacked: each delivery can be read by itself, and is found, whatever others were written with it.
func TestOutcomesArePacked(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x, y := subscribe(t, s, ""), subscribe(t, s, "")
	type outcome struct {
		Subscription                           int64
		Position                               []byte
		Finished                               time.Time
		Duration, Status, Attempts, HTTPStatus int
	}
	var records []sender.Record
	var want []outcome
	var asked []Delivery
	add := func(subscription int64, n int, r sender.Record, duration int) {
		if r.Outcome = nil; duration >= 0 {
			r.Outcome = &sender.Outcome{Verdict: sender.Delivered, Status: 200 + n, Duration: time.Duration(duration) * time.Microsecond}
		}
		records = append(records, r)
		o := outcome{Subscription: subscription, Position: bytesOf(r.Event.Position), Duration: max(duration, 0), Status: int(r.Status), Attempts: min(r.Attempts, math.MaxUint16)}
		if duration >= 0 {
			o.HTTPStatus = 200 + n
		}
		want, asked = append(want, o), append(asked, Delivery{subscription, r.Event})
	}
	for i := range 2*outcomeMax + 10 {
		// Not in the order of their positions: they end when they end.
		ev := event((i*7)%(2*outcomeMax+10)*2+1, day)
		r := delivered(ev, x.Key, int64(i), false)
		r.Attempts = i
		add(x.Key, i, r, i*1000)
	}
	last := delivered(event(3, day), y.Key, 1, false)
	last.Attempts, last.Status = 70_000, sender.StatusFailed
	add(y.Key, 0, last, math.MaxInt32)
	add(y.Key, 0, delivered(event(5, day), y.Key, 1, false), -1)
	write(t, s, records...)
	if n := value[int](t, conn, `SELECT count(*) FROM outcome`); n != 4 {
		t.Errorf("%d rows, want 3 and 1", n)
	}
	rows, err := conn.Query(t.Context(), `SELECT subscription, position, finished_at, duration_us, status, attempts, http_status FROM delivery`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[outcome])
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if time.Since(got[i].Finished).Abs() > time.Hour {
			t.Errorf("finished at %s", got[i].Finished)
		}
		got[i].Finished = time.Time{}
	}
	order := func(a, b outcome) int {
		return slices.Compare([]byte(fmt.Sprint(a.Subscription, a.Position)), []byte(fmt.Sprint(b.Subscription, b.Position)))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if len(got) != len(want) {
		t.Fatalf("%d deliveries, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("got  %v\nwant %v", got[i], want[i])
		}
	}
	// Between those that are there are others that are not, and the others' are not one's own.
	never := Delivery{x.Key, event(2, day)}
	others := Delivery{y.Key, event(1, day)}
	found, _, err := s.Recorded(t.Context(), append(asked, never, others))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range asked {
		if !found[Pair{d.Subscription, d.Event.Position}] {
			t.Errorf("%d %s is not found", d.Subscription, d.Event.Position)
		}
	}
	if len(found) != len(asked) {
		t.Errorf("%d are found, want %d", len(found), len(asked))
	}
	write(t, s, records...) // the answer was lost
	if n := value[int](t, conn, `SELECT count(*) FROM delivery`); n != len(want) {
		t.Errorf("%d deliveries after the second time, want %d", n, len(want))
	}
}

// TestOutcomesOfAMinuteArePackedTogether: a row never spans more than a minute of commits, in whatever order they end.
func TestOutcomesOfAMinuteArePackedTogether(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	var records []sender.Record
	for i := range 30 {
		n := (i*7)%30 + 1 // what committed earlier may end later
		records = append(records, delivered(event(n, day.Add(time.Duration(n-1)*20*time.Second)), x.Key, int64(n), false))
	}
	write(t, s, records...)
	got := value[string](t, conn, `
		SELECT count(*) || ' rows, longest ' || max(until - since)::text FROM (
			SELECT min(e.committed_at) AS since, max(e.committed_at) AS until FROM outcome o JOIN event e ON e.position BETWEEN o.oldest AND o.newest
			GROUP BY o.newest) r`)
	if want := "10 rows, longest 00:00:40"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestOutcomesWithTimingsStayInOnePiece: what a new connection costs is written beside, for those alone that had one, and a row
// stays as small as Postgres keeps it in one piece.
func TestOutcomesWithTimingsStayInOnePiece(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x, y := subscribe(t, s, ""), subscribe(t, s, "")
	var records []sender.Record
	for i := range 100 {
		r := delivered(event(i+1, day), x.Key, int64(i), false)
		r.Outcome.Timings = &sender.Timings{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: time.Duration(math.MaxInt64)}
		records = append(records, r)
	}
	for i := range 3 {
		r := delivered(event(i+1, day), y.Key, int64(i), false)
		if r.InsertEvent = false; i == 1 {
			r.Outcome.Timings = &sender.Timings{DNS: 1, Connect: 70 * time.Second}
		}
		records = append(records, r)
	}
	write(t, s, records...)
	sizes := value[string](t, conn, `SELECT string_agg(octet_length(packed) || '+' || octet_length(timings), ' ' ORDER BY newest) FROM outcome WHERE subscription = $1`, x.Key)
	if want := "1102+646 1102+646 696+408"; sizes != want {
		t.Errorf("rows of %s, want %s", sizes, want)
	}
	if got := value[string](t, conn, `SELECT encode(timings, 'hex') FROM outcome WHERE subscription = $1`, y.Key); got != "01"+"00000000"+"042c1d80"+"00000000"+"00000000" {
		t.Errorf("got %s", got)
	}
	failed := deferred(event(200, day), x.Key, 1, day)
	failed.Attempts, failed.Outcome = 1, &sender.Outcome{Verdict: sender.Retry, Reason: sender.ReasonTLS, Started: day,
		Timings: &sender.Timings{DNS: time.Millisecond, TLS: 3 * time.Millisecond}}
	asked := deferred(event(201, day), x.Key, 2, day)
	asked.Attempts, asked.Outcome = 2, &sender.Outcome{Verdict: sender.Wait, Status: 429, Started: day}
	write(t, s, failed, asked)
	got := value[string](t, conn, `SELECT string_agg(concat_ws(' ', number, dns_us, coalesce(connect_us, -1), tls_us, coalesce(first_byte_us, -1)), ', ' ORDER BY position) FROM attempt`)
	if want := "1 1000 -1 3000 -1, -3 -1 -1"; got != want {
		t.Errorf("attempts %s, want %s", got, want)
	}
}

// TestRecordedSeesWhatIsFinishedMeanwhile: a delivery that was due is finished while it is looked for.
func TestRecordedSeesWhatIsFinishedMeanwhile(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn, look := open(t, db), connect(t, db), connect(t, db)
	x := subscribe(t, s, "")
	ev := event(1, day)
	key, _ := sender.OrderingKeys(ev)
	write(t, s, deferred(ev, x.Key, key, day), delivered(event(2, day), x.Key, key, false))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE due IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		found map[Pair]bool
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		found, _, err := s.Recorded(context.Background(), []Delivery{{x.Key, ev}})
		answers <- answer{found, err}
	}()
	eventually(t, "it waits for the lock", func() bool {
		return value[int](t, look, `SELECT count(*) FROM pg_locks WHERE relation = 'due'::regclass AND NOT granted`) > 0
	})
	if _, err := tx.Exec(t.Context(), `DELETE FROM due`); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO outcome SELECT $1, $2, $3, $2, $3, $4`, x.Key, bytesOf(ev.Position), ev.Time,
		appendPacked(nil, &sender.Record{Event: ev, Status: sender.StatusDelivered, Attempts: 1})); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.err != nil || !got.found[Pair{x.Key, ev.Position}] {
		t.Errorf("got %v, %v", got.found, got.err)
	}
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestEventsAreKeptWhole, both ways of writing them.
func TestEventsAreKeptWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	at := time.Date(2026, 11, 22, 23, 59, 59, 999_999_000, time.UTC)
	events := []*mapping.Event{
		{ID: "evt_a", Type: "x.create", Resource: "x", Instance: "1", Account: "7", Accounted: true, Data: []byte(`{"a":1}`)},
		{ID: "evt_b", Type: "x.update", Resource: "x", Instance: "", Accounted: true, Data: []byte("\x00\xff\\N\t\n")},
		{ID: "evt_c", Type: "x.delete", Resource: "ü", Instance: "2,ü\\,", Data: []byte("null"), Partial: []string{"a.b", `quote " and \ and , and {}`, ""}},
		{ID: "evt_d", Type: "x.delete", Resource: "x", Instance: "3", Data: []byte{}, Partial: []string{}},
		{ID: "evt_e", Type: "x.delete", Resource: "x", Instance: "4", Data: make([]byte, 300_000)},
	}
	for _, again := range []bool{false, true} {
		exec(t, conn, `DELETE FROM due; DELETE FROM event`)
		var records []sender.Record
		for i, ev := range events {
			ev.Position, ev.Time = cdc.Position{Epoch: 1, Commit: 1 << 40, Ordinal: uint32(i)}, at
			records = append(records, deferred(ev, x.Key, int64(i), day))
		}
		if err := s.ensurePartitions(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if err := s.writeRows(t.Context(), collect(records, day), again); err != nil {
			t.Fatal(err)
		}
		due, _, err := s.Due(t.Context(), x.Key, sender.Look{Now: day, Rows: 10, Bytes: 1 << 20})
		if err != nil || len(due) != len(events) {
			t.Fatalf("got %v, %v", due, err)
		}
		for i, d := range due {
			if !reflect.DeepEqual(d.Event, events[i]) {
				t.Errorf("again %v: got  %+v\nwant %+v", again, d.Event, events[i])
			}
		}
	}
}

// TestOwnWaitsForWrites: who takes over sees all that was written by the one before.
func TestOwnWaitsForWrites(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	if err := s.SaveCheckpoint(t.Context(), cdc.Checkpoint{Slot: "slot", Epoch: 1, LSN: 100}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Own(t.Context(), "slot", "one"); err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	s.queueFence(b, "slot", "one")
	if err := tx.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	owned := make(chan error, 1)
	go func() { _, err := s.Own(t.Context(), "slot", "two"); owned <- err }()
	look := connect(t, db)
	eventually(t, "Own waits for the lock", func() bool {
		return value[int](t, look, `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted`) > 0 || len(owned) > 0
	})
	if len(owned) > 0 {
		t.Fatal("Own did not wait")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-owned; err != nil {
		t.Fatal(err)
	}
	x := subscribe(t, s, "")
	s.slot, s.owner = "slot", "one" // the process that was it before
	if err := s.Write(t.Context(), []sender.Record{delivered(event(1, day), x.Key, 1, false)}); !errors.Is(err, sender.ErrNotOwner) {
		t.Errorf("the one before: %v", err)
	}
	if n := value[int](t, look, `SELECT count(*) FROM event`); n != 0 {
		t.Errorf("it has written %d events", n)
	}
}
