package store

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

var (
	eventColumns    = []string{"position", "committed_at", "id", "type", "resource", "instance", "account", "data", "partial"}
	deliveryColumns = []string{"subscription", "position", "committed_at", "finished_at", "duration_us", "status", "attempts", "http_status"}
	attemptColumns  = []string{"subscription", "position", "committed_at", "number", "started_at", "duration_us", "http_status", "reason", "detail", "answer"}
)

// rows are what a Write adds, by table.
type rows struct {
	events, deliveries, attempts [][]any
	defers, reschedules          []*sender.Record
	finished                     []*sender.Record
	letters                      []*mapping.DeadLetter
	// now is this process' clock: due times are compared with no other.
	now time.Time
}

func collect(records []sender.Record, now time.Time) *rows {
	out := &rows{now: now}
	for i := range records {
		r := &records[i]
		if r.Op == sender.Bury {
			out.letters = append(out.letters, r.DeadLetter)
			continue
		}
		if r.InsertEvent {
			out.events = append(out.events, eventRow(r.Event))
		}
		position := bytesOf(r.Event.Position)
		if o := r.Outcome; o != nil && o.Verdict == sender.Retry {
			out.attempts = append(out.attempts, []any{r.Subscription, position, r.Event.Time, int16(r.Attempts), o.Started,
				microseconds(o.Duration), int16(o.Status), o.Reason, o.Detail, o.Answer})
		}
		switch r.Op {
		case sender.Defer:
			out.defers = append(out.defers, r)
		case sender.Reschedule:
			out.reschedules = append(out.reschedules, r)
		case sender.Finish:
			var duration int32
			var status int16
			if o := r.Outcome; o != nil {
				duration, status = microseconds(o.Duration), int16(o.Status)
			}
			out.deliveries = append(out.deliveries, []any{r.Subscription, position, r.Event.Time, now, duration,
				int16(r.Status), int16(r.Attempts), status})
			if r.Stored {
				out.finished = append(out.finished, r)
			}
		}
	}
	return out
}

func eventRow(ev *mapping.Event) []any {
	var account any
	if ev.Accounted {
		account = ev.Account
	}
	return []any{bytesOf(ev.Position), ev.Time, ev.ID, ev.Type, ev.Resource, ev.Instance, account, ev.Data, ev.Partial}
}

func bytesOf(p cdc.Position) []byte {
	b := p.Bytes()
	return b[:]
}

func microseconds(d time.Duration) int32 { return int32(min(d.Microseconds(), 1<<31-1)) }

// Write implements sender.Store.
func (s *Store) Write(ctx context.Context, records []sender.Record) error {
	now := time.Now().UTC()
	r := collect(records, now)
	if err := s.ensurePartitions(ctx, records); err != nil {
		return err
	}
	err := s.transact(ctx, func(tx pgx.Tx) error { return r.write(ctx, tx, copyRows) })
	if sqlState(err) == "23505" {
		// The same records have been written before: the answer to that commit was lost.
		err = s.transact(ctx, func(tx pgx.Tx) error { return r.write(ctx, tx, insertRows) })
	}
	if err != nil {
		return fmt.Errorf("write outcomes: %w", err)
	}
	return nil
}

// adder adds rows to a table.
type adder func(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error

func copyRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	return err
}

// insertRows leaves out those that are there already.
func insertRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	sql := "INSERT INTO " + table + " ("
	values := ""
	for i, c := range columns {
		if i > 0 {
			sql, values = sql+", ", values+", "
		}
		sql, values = sql+c, values+fmt.Sprintf("$%d", i+1)
	}
	sql += ") VALUES (" + values + ") ON CONFLICT DO NOTHING"
	b := &pgx.Batch{}
	for _, r := range rows {
		b.Queue(sql, r...)
	}
	return tx.SendBatch(ctx, b).Close()
}

func (r *rows) write(ctx context.Context, tx pgx.Tx, add adder) error {
	if err := add(ctx, tx, "event", eventColumns, r.events); err != nil {
		return err
	}
	if err := add(ctx, tx, "attempt", attemptColumns, r.attempts); err != nil {
		return err
	}
	if err := add(ctx, tx, "delivery", deliveryColumns, r.deliveries); err != nil {
		return err
	}
	b := &pgx.Batch{}
	r.queueDefers(b)
	r.queueReschedules(b)
	r.queueFinished(b, r.now)
	for _, l := range r.letters {
		b.Queue(`INSERT INTO dead_letter (position, resource, committed_at, op, instance, reason) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT DO NOTHING`, bytesOf(l.Position), l.Resource, l.Time, l.Op.String(), l.Instance, l.Reason)
	}
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}

// dueColumns are due rows as arrays, the way unnest takes them.
type dueColumns struct {
	subscriptions, keys []int64
	positions           [][]byte
	committed, due      []time.Time
	attempts            []int16
	reasons             []string
	first               []bool
}

func (c *dueColumns) add(r *sender.Record, first bool) {
	c.subscriptions = append(c.subscriptions, r.Subscription)
	c.keys = append(c.keys, r.Key)
	c.positions = append(c.positions, bytesOf(r.Event.Position))
	c.committed = append(c.committed, r.Event.Time)
	c.due = append(c.due, r.DueAt.UTC())
	c.attempts = append(c.attempts, int16(r.Attempts))
	c.reasons = append(c.reasons, r.RetryReason)
	c.first = append(c.first, first)
}

type dueKey struct{ subscription, key int64 }

// queueDefers inserts due rows. Only the oldest of its key gets its time: records of a key come in its order, so that is
// the first of them, if the table has none yet. Rows of a subscription that was deleted meanwhile are not wanted.
func (r *rows) queueDefers(b *pgx.Batch) {
	if len(r.defers) == 0 {
		return
	}
	var c dueColumns
	seen := map[dueKey]bool{}
	for _, x := range r.defers {
		k := dueKey{x.Subscription, x.Key}
		c.add(x, !seen[k])
		seen[k] = true
	}
	b.Queue(`
		INSERT INTO due (subscription, key, position, committed_at, due_at, attempts, retry_reason)
		SELECT w.subscription, w.key, w.position, w.committed_at,
			CASE WHEN w.first AND NOT EXISTS (SELECT FROM due d WHERE d.subscription = w.subscription AND d.key = w.key)
				THEN w.due_at ELSE 'infinity' END,
			w.attempts, w.retry_reason
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::smallint[], $7::text[], $8::boolean[])
			AS w(subscription, key, position, committed_at, due_at, attempts, retry_reason, first)
		WHERE EXISTS (SELECT FROM subscription s WHERE s.key = w.subscription AND s.deleted_at IS NULL)
		ON CONFLICT DO NOTHING`,
		c.subscriptions, c.keys, c.positions, c.committed, c.due, c.attempts, c.reasons, c.first)
}

func (r *rows) queueReschedules(b *pgx.Batch) {
	if len(r.reschedules) == 0 {
		return
	}
	var c dueColumns
	for _, x := range r.reschedules {
		c.add(x, true)
	}
	b.Queue(`
		UPDATE due d SET due_at = w.due_at, attempts = w.attempts, retry_reason = w.retry_reason
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::smallint[], $6::text[])
			AS w(subscription, key, position, due_at, attempts, retry_reason)
		WHERE d.subscription = w.subscription AND d.key = w.key AND d.position = w.position`,
		c.subscriptions, c.keys, c.positions, c.due, c.attempts, c.reasons)
}

// queueFinished removes the due rows of finished deliveries, and makes the next of each key due at once.
func (r *rows) queueFinished(b *pgx.Batch, now time.Time) {
	if len(r.finished) == 0 {
		return
	}
	var c dueColumns
	keys := map[dueKey]bool{}
	for _, x := range r.finished {
		c.add(x, true)
		keys[dueKey{x.Subscription, x.Key}] = true
	}
	b.Queue(`
		DELETE FROM due d USING unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS w(subscription, key, position)
		WHERE d.subscription = w.subscription AND d.key = w.key AND d.position = w.position`,
		c.subscriptions, c.keys, c.positions)
	sorted := make([]dueKey, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].subscription != sorted[j].subscription {
			return sorted[i].subscription < sorted[j].subscription
		}
		return sorted[i].key < sorted[j].key
	})
	subs, ks := make([]int64, len(sorted)), make([]int64, len(sorted))
	for i, k := range sorted {
		subs[i], ks[i] = k.subscription, k.key
	}
	b.Queue(`
		UPDATE due d SET due_at = $3
		FROM (
			SELECT n.subscription, n.key, n.position
			FROM unnest($1::bigint[], $2::bigint[]) AS w(subscription, key)
			CROSS JOIN LATERAL (
				SELECT x.subscription, x.key, x.position, x.due_at FROM due x
				WHERE x.subscription = w.subscription AND x.key = w.key
				ORDER BY x.position LIMIT 1) n
			WHERE n.due_at = 'infinity') n
		WHERE d.subscription = n.subscription AND d.key = n.key AND d.position = n.position`, subs, ks, now)
}
