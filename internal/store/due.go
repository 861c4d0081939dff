package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// Due implements sender.Store.
func (s *Store) Due(ctx context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	skip := look.Skip
	if skip == nil {
		skip = []int64{}
	}
	sql, args := dueSQL, []any{subscription, look.Now.UTC(), look.Rows, skip, look.Bytes}
	if look.PerKey > 1 {
		sql, args = dueBehindSQL, append(args, look.PerKey)
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due deliveries: %w", err)
	}
	candidates := 0
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sender.Due, error) { return scanDue(row, &candidates) })
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due deliveries: %w", err)
	}
	if candidates > len(due) || candidates == look.Rows {
		return due, look.Now, nil
	}
	var next *time.Time
	err = s.pool.QueryRow(ctx, nextSQL, subscription, look.Now.UTC()).Scan(&next)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the next due time: %w", err)
	}
	if next == nil {
		return due, time.Time{}, nil
	}
	return due, *next, nil
}

// dueSQL reads what is due, as many bodies as there is room for. The events are looked up one by one whatever the
// planner thinks of their number (OFFSET 0): there are few, in tables that are large.
const dueSQL = `
	SELECT key, attempts, retry_reason, replay, attempts_before, fallback, due_at, position, committed_at, candidates, id, type, resource, instance, account, data, partial, previous, context
	FROM (
		SELECT d.*, e.*, count(*) OVER () AS candidates,
			sum(coalesce(e.size, 0)) OVER (ORDER BY d.due_at, d.position) - coalesce(e.size, 0) AS before
		FROM (
			SELECT key, attempts, retry_reason, replay, attempts_before, fallback, due_at, position, committed_at FROM due
			WHERE subscription = $1 AND due_at <= $2 AND due_at < 'infinity' AND key <> ALL ($4::bigint[])
			ORDER BY due_at LIMIT $3) d
		LEFT JOIN LATERAL (
			SELECT id, type, resource, instance, account, data, partial, previous, context,
				octet_length(data) + coalesce(octet_length(previous), 0) + coalesce(octet_length(context), 0) AS size
			FROM event
			WHERE position = d.position AND committed_at = d.committed_at OFFSET 0) e ON true) x
	WHERE before < $5 OR before = 0
	ORDER BY due_at, position`

// dueBehindSQL reads with each that is due what waits behind it: the oldest rows of its key, in their order, which the one that
// is due is most often the first of. It counts as many keys as rows are wanted, and takes what there is room for. The keys are in order
// before their rows are read, or those of all would be read to be sorted, for the sake of the first ones.
var dueBehindSQL = strings.NewReplacer(
	`(
			SELECT key, attempts, retry_reason, replay, attempts_before, fallback, due_at, position, committed_at FROM due
			WHERE subscription = $1 AND due_at <= $2 AND due_at < 'infinity' AND key <> ALL ($4::bigint[])
			ORDER BY due_at LIMIT $3) d`,
	`(
			SELECT b.key, b.attempts, b.retry_reason, b.replay, b.attempts_before, b.fallback, h.due_at, h.position AS head, b.position, b.committed_at
			FROM (
				SELECT key, due_at, position FROM (
					SELECT key, due_at, position FROM due
					WHERE subscription = $1 AND due_at <= $2 AND due_at < 'infinity' AND key <> ALL ($4::bigint[])
					ORDER BY due_at LIMIT $3) f
				ORDER BY due_at, position) h
			CROSS JOIN LATERAL (
				SELECT key, attempts, retry_reason, replay, attempts_before, fallback, position, committed_at FROM due
				WHERE subscription = $1 AND key = h.key
				ORDER BY position LIMIT $6) b
			ORDER BY h.due_at, h.position, b.position LIMIT $3) d`,
	`ORDER BY d.due_at, d.position`, `ORDER BY d.due_at, d.head, d.position`,
	`ORDER BY due_at, position`, `ORDER BY due_at, head, position`,
).Replace(dueSQL)

const nextSQL = `SELECT min(due_at) FROM due WHERE subscription = $1 AND due_at > $2 AND due_at < 'infinity'`

// scanDue reads a row of dueSQL.
func scanDue(row pgx.CollectableRow, candidates *int) (d sender.Due, err error) {
	var (
		position, fallback                    []byte
		id, kind, resource, instance, account *string
		attempts, before                      int16
	)
	ev := &mapping.Event{}
	d.Event = ev
	if err := row.Scan(&d.Key, &attempts, &d.RetryReason, &d.Replay, &before, &fallback, &d.At, &position, &ev.Time, candidates, &id, &kind, &resource, &instance,
		&account, &ev.Data, &ev.Partial, &ev.Previous, &ev.Context); err != nil {
		return d, err
	}
	d.Attempts, d.Before = int(attempts), int(before)
	if d.Fallback, err = openFallback(fallback); err != nil {
		return d, err
	}
	err = joined(&d, position, id, kind, resource, instance, account)
	return d, err
}

// joined sets what a row of due has of its event. Where the id is null there is no such event any more, and the delivery is lost.
func joined(d *sender.Due, position []byte, id, kind, resource, instance, account *string) (err error) {
	ev := d.Event
	ev.Time = ev.Time.UTC()
	if ev.Position, err = cdc.PositionFromBytes(position); err != nil {
		return err
	}
	if id == nil {
		d.Lost = true
		return nil
	}
	ev.ID, ev.Type, ev.Resource, ev.Instance = *id, *kind, *resource, *instance
	if account != nil {
		ev.Account, ev.Accounted = *account, true
	}
	return nil
}
