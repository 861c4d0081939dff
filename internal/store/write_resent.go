package store

import (
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// displacedBy returns the keys for which replays are to be written, each with the oldest of all its records. A replay can be older than
// what waits, and than what is written with it; anything else comes in the order of its key.
func displacedBy(defers []*sender.Record) map[dueKey]*sender.Record {
	var keys map[dueKey]*sender.Record
	for _, x := range defers {
		if x.Replay {
			if keys == nil {
				keys = map[dueKey]*sender.Record{}
			}
			keys[dueKey{x.Subscription, x.Key}] = x
		}
	}
	if keys == nil {
		return nil
	}
	for _, x := range defers {
		k := dueKey{x.Subscription, x.Key}
		if oldest, ok := keys[k]; ok && x.Event.Position.Compare(oldest.Event.Position) < 0 {
			keys[k] = x
		}
	}
	return keys
}

// queueDisplace takes its time from the row that is the oldest of its key until now, where an older one comes. Its attempt may be
// under way: then the older one waits for the end of it.
func queueDisplace(b *pgx.Batch, keys map[dueKey]*sender.Record) {
	if len(keys) == 0 {
		return
	}
	var c dueColumns
	for _, x := range keys {
		c.add(x, true)
	}
	b.Queue(`
		UPDATE due d SET due_at = 'infinity'
		FROM (
			SELECT n.subscription, n.key, n.position
			FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS w(subscription, key, position)
			CROSS JOIN LATERAL (
				SELECT x.subscription, x.key, x.position, x.due_at FROM due x
				WHERE x.subscription = w.subscription AND x.key = w.key
				ORDER BY x.position LIMIT 1) n
			WHERE n.due_at < 'infinity' AND n.position > w.position) n
		WHERE d.subscription = n.subscription AND d.key = n.key AND d.position = n.position`,
		c.subscriptions, c.keys, c.positions)
}

// queueResent writes how replays ended. Their due rows go in the same transaction: the same batch again, because the answer to its
// commit was lost, finds none of them, and writes nothing.
func (r *rows) queueResent(b *pgx.Batch) {
	if len(r.resent) == 0 {
		return
	}
	var c dueColumns
	var durations []int32
	var httpStatuses, statuses, dropped []int16
	var fallback []*bool
	for _, x := range r.resent {
		c.add(x, true)
		var duration int32
		var httpStatus int16
		if o := x.Outcome; o != nil {
			duration, httpStatus = microseconds(o.Duration), int16(o.Status)
		}
		durations, httpStatuses = append(durations, duration), append(httpStatuses, httpStatus)
		statuses, dropped = append(statuses, int16(x.Status)), append(dropped, int16(x.Dropped))
		fallback = append(fallback, orNot(atFallback(x)))
	}
	b.Queue(`
		INSERT INTO resent (subscription, position, committed_at, finished_at, duration_us, http_status, attempts, status, dropped, fallback)
		SELECT w.subscription, w.position, w.committed_at, $10, w.duration, w.http_status, w.attempts, w.status, w.dropped, w.fallback
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::integer[], $6::smallint[], $7::smallint[], $8::smallint[],
			$9::smallint[], $11::boolean[]) AS w(subscription, key, position, committed_at, duration, http_status, attempts, status, dropped, fallback)
		WHERE EXISTS (SELECT FROM due d WHERE d.subscription = w.subscription AND d.key = w.key AND d.position = w.position AND d.replay)`,
		c.subscriptions, c.keys, c.positions, c.committed, durations, httpStatuses, c.attempts, statuses, dropped, r.now, fallback)
}
