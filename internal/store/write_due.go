package store

import (
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// indexesOnly, for the transaction, keeps the planner from reading the whole table for the sake of some hundred rows of it,
// which it would do as long as the table seems small.
const indexesOnly = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

// dueColumns are due rows as arrays, the way unnest takes them.
type dueColumns struct {
	subscriptions, keys []int64
	positions           [][]byte
	committed, due      []time.Time
	attempts            []int16
	reasons             []string
	first, replays      []bool
	before              []int16
	fallback            []*string
}

func (c *dueColumns) add(r *sender.Record, first bool) {
	c.subscriptions = append(c.subscriptions, r.Subscription)
	c.keys = append(c.keys, r.Key)
	at := sender.Row{Position: r.Event.Position, Time: r.Event.Time}
	if r.Row != nil {
		at = *r.Row
	}
	c.positions = append(c.positions, bytesOf(at.Position))
	c.committed = append(c.committed, at.Time)
	c.due = append(c.due, r.DueAt.UTC())
	c.attempts = append(c.attempts, int16(r.Attempts))
	c.reasons = append(c.reasons, r.RetryReason)
	c.first = append(c.first, first)
	c.replays = append(c.replays, r.Replay)
	c.before = append(c.before, int16(r.Before))
	c.fallback = append(c.fallback, fallbackOf(r.Fallback))
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
	displaced := displacedBy(r.defers)
	for _, x := range r.defers {
		k := dueKey{x.Subscription, x.Key}
		first := !seen[k]
		if oldest, ok := displaced[k]; ok {
			first = x == oldest
		}
		c.add(x, first)
		seen[k] = true
	}
	queueDisplace(b, displaced)
	b.Queue(`
		INSERT INTO due (subscription, key, position, committed_at, due_at, attempts, retry_reason, replay, attempts_before, fallback)
		SELECT w.subscription, w.key, w.position, w.committed_at,
			CASE WHEN w.first AND NOT EXISTS (SELECT FROM due d WHERE d.subscription = w.subscription AND d.key = w.key)
				THEN w.due_at ELSE 'infinity' END,
			w.attempts, w.retry_reason, w.replay, w.before, w.fallback::jsonb
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::smallint[], $7::text[], $8::boolean[],
			$9::boolean[], $10::smallint[], $11::text[])
			AS w(subscription, key, position, committed_at, due_at, attempts, retry_reason, first, replay, before, fallback)
		WHERE EXISTS (SELECT FROM subscription s WHERE s.key = w.subscription AND s.deleted_at IS NULL)
		ON CONFLICT DO NOTHING`,
		c.subscriptions, c.keys, c.positions, c.committed, c.due, c.attempts, c.reasons, c.first, c.replays, c.before, c.fallback)
	if len(displaced) > 0 {
		queueFirst(b, displaced, nil, r.now)
	}
}

// queueReschedules changes due rows. One before which an older one has been put meanwhile waits for that. What has ended is gone by
// then: the one behind it may have been tried in the same request.
func (r *rows) queueReschedules(b *pgx.Batch) {
	if len(r.reschedules) == 0 {
		return
	}
	var c dueColumns
	for _, x := range r.reschedules {
		c.add(x, !x.Behind)
	}
	b.Queue(`
		UPDATE due d SET attempts = w.attempts, retry_reason = w.retry_reason, fallback = w.fallback::jsonb,
			due_at = CASE WHEN NOT w.first OR EXISTS (SELECT FROM due o
				WHERE o.subscription = w.subscription AND o.key = w.key AND o.position < w.position AND o.due_at < 'infinity')
				THEN 'infinity' ELSE w.due_at END
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::smallint[], $6::text[], $7::boolean[], $8::text[])
			AS w(subscription, key, position, due_at, attempts, retry_reason, first, fallback)
		WHERE d.subscription = w.subscription AND d.key = w.key AND d.position = w.position`,
		c.subscriptions, c.keys, c.positions, c.due, c.attempts, c.reasons, c.first, c.fallback)
}

// queueFinished removes the due rows of finished deliveries, and makes the next of each key due: at once, or when its gap is over.
func (r *rows) queueFinished(b *pgx.Batch, now time.Time) {
	if len(r.finished) == 0 {
		return
	}
	var c dueColumns
	keys := map[dueKey]time.Duration{}
	for _, x := range r.finished {
		c.add(x, true)
		k := dueKey{x.Subscription, x.Key}
		keys[k] = max(keys[k], x.Gap)
	}
	b.Queue(`
		DELETE FROM due d USING unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS w(subscription, key, position)
		WHERE d.subscription = w.subscription AND d.key = w.key AND d.position = w.position`,
		c.subscriptions, c.keys, c.positions)
	queueFirst(b, keys, keys, now)
}

// queueFirst makes the oldest row of each key due, if it is not due at some time: at once, or its gap after its commit.
func queueFirst[V any](b *pgx.Batch, keys map[dueKey]V, gapOf map[dueKey]time.Duration, now time.Time) {
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
	subs, ks, gaps := make([]int64, len(sorted)), make([]int64, len(sorted)), make([]int64, len(sorted))
	for i, k := range sorted {
		subs[i], ks[i], gaps[i] = k.subscription, k.key, gapOf[k].Microseconds()
	}
	b.Queue(`
		UPDATE due d SET due_at = greatest($3, least($3, n.committed_at) + n.gap * interval '1 microsecond')
		FROM (
			SELECT n.subscription, n.key, n.position, n.committed_at, w.gap
			FROM unnest($1::bigint[], $2::bigint[], $4::bigint[]) AS w(subscription, key, gap)
			CROSS JOIN LATERAL (
				SELECT x.subscription, x.key, x.position, x.committed_at, x.due_at FROM due x
				WHERE x.subscription = w.subscription AND x.key = w.key
				ORDER BY x.position LIMIT 1) n
			WHERE n.due_at = 'infinity') n
		WHERE d.subscription = n.subscription AND d.key = n.key AND d.position = n.position`, subs, ks, now, gaps)
}
