package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// unfolded is the records with what each Fold ends one by one.
func unfolded(records []sender.Record) []sender.Record {
	n, some := len(records), false
	for i := range records {
		if records[i].Op == sender.Fold {
			n, some = n+len(records[i].Rows), true
		}
	}
	if !some {
		return records
	}
	out := make([]sender.Record, 0, n)
	for i := range records {
		r := &records[i]
		if r.Op != sender.Fold {
			out = append(out, *r)
			continue
		}
		for _, row := range r.Rows {
			out = append(out, sender.Record{Op: sender.Finish, Event: &mapping.Event{Position: row.Position, Time: row.Time}, Subscription: r.Subscription,
				Key: r.Key, Stored: r.Stored, Status: r.Status, Dropped: r.Dropped})
		}
	}
	return out
}

// waitingSQL reads rows behind a position of each key, and their events but for what is large and not needed to merge them. Both are
// looked up one by one, whatever the planner thinks of their number. The keys are in order, or the rows of all would be read for a page.
const waitingSQL = `
	SELECT key, replay, position, committed_at, candidates, id, type, resource, instance, account, previous
	FROM (
		SELECT d.*, e.*, count(*) OVER () AS candidates,
			sum(coalesce(octet_length(e.previous), 0)) OVER (ORDER BY d.key, d.position) - coalesce(octet_length(e.previous), 0) AS before
		FROM (
			SELECT w.key, x.replay, x.position, x.committed_at FROM (SELECT * FROM unnest($2::bigint[], $3::bytea[]) AS u(key, after) ORDER BY key) w
			CROSS JOIN LATERAL (
				SELECT replay, position, committed_at FROM due WHERE subscription = $1 AND key = w.key AND position > w.after
				ORDER BY position LIMIT $4) x
			ORDER BY w.key, x.position LIMIT $4) d
		LEFT JOIN LATERAL (
			SELECT id, type, resource, instance, account, previous FROM event
			WHERE position = d.position AND committed_at = d.committed_at OFFSET 0) e ON true) x
	WHERE before < $5 OR before = 0
	ORDER BY key, position`

// Behind implements sender.Store.
func (s *Store) Behind(ctx context.Context, subscription int64, keys []int64, after []cdc.Position, look sender.Look) (out []sender.Due, more bool, err error) {
	from := make([][]byte, len(after))
	for i, p := range after {
		from[i] = bytesOf(p)
	}
	candidates := 0
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, indexesOnly); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, waitingSQL, subscription, keys, from, look.Rows, look.Bytes)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (sender.Due, error) { return scanWaiting(row, &candidates) })
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read what waits: %w", err)
	}
	return out, candidates > len(out) || candidates == look.Rows, nil
}

func scanWaiting(row pgx.CollectableRow, candidates *int) (d sender.Due, err error) {
	var (
		position                              []byte
		id, kind, resource, instance, account *string
	)
	ev := &mapping.Event{}
	d.Event = ev
	if err := row.Scan(&d.Key, &d.Replay, &position, &ev.Time, candidates, &id, &kind, &resource, &instance, &account, &ev.Previous); err != nil {
		return d, err
	}
	err = joined(&d, position, id, kind, resource, instance, account)
	return d, err
}

// wholeSQL reads events one by one, as many as there is room for.
const wholeSQL = `
	SELECT 0::bigint, 0::smallint, '', false, 0::smallint, null::jsonb, now(), position, committed_at, 0, id, type, resource, instance, account, data, partial, previous, context
	FROM (
		SELECT e.*, w.n, sum(e.size) OVER (ORDER BY w.n) - e.size AS before
		FROM unnest($1::bytea[], $2::timestamptz[]) WITH ORDINALITY AS w(at, committed, n)
		CROSS JOIN LATERAL (
			SELECT position, committed_at, id, type, resource, instance, account, data, partial, previous, context,
				octet_length(data) + coalesce(octet_length(previous), 0) + coalesce(octet_length(context), 0) AS size
			FROM event WHERE position = w.at AND committed_at = w.committed OFFSET 0) e) x
	WHERE before < $3 OR before = 0
	ORDER BY n`

// Whole implements sender.Store.
func (s *Store) Whole(ctx context.Context, at []sender.Row, bytes int64) ([]*mapping.Event, error) {
	c := dueColumns{}
	for _, r := range at {
		c.positions, c.committed = append(c.positions, bytesOf(r.Position)), append(c.committed, r.Time)
	}
	rows, err := s.pool.Query(ctx, wholeSQL, c.positions, c.committed, bytes)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*mapping.Event, error) {
		d, err := scanDue(row, new(int))
		return d.Event, err
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}
