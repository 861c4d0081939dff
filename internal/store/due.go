package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// Due implements sender.Store.
func (s *Store) Due(ctx context.Context, subscription int64, now time.Time, limit int) ([]sender.Due, time.Time, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT d.key, d.attempts, d.retry_reason, d.due_at, e.position, e.committed_at, e.id, e.type, e.resource, e.instance, e.account, e.data, e.partial
		FROM (SELECT * FROM due WHERE subscription = $1 AND due_at <= $2 AND due_at < 'infinity' ORDER BY due_at LIMIT $3) d
		JOIN event e ON e.position = d.position AND e.committed_at = d.committed_at
		ORDER BY d.due_at, d.position`, subscription, now.UTC(), limit)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due deliveries: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sender.Due, error) {
		d := sender.Due{Event: &mapping.Event{}}
		ev := d.Event
		var position []byte
		var account *string
		var attempts int16
		var at time.Time
		if err := row.Scan(&d.Key, &attempts, &d.RetryReason, &at, &position, &ev.Time, &ev.ID, &ev.Type, &ev.Resource, &ev.Instance,
			&account, &ev.Data, &ev.Partial); err != nil {
			return d, err
		}
		d.Attempts = int(attempts)
		ev.Time = ev.Time.UTC()
		if account != nil {
			ev.Account, ev.Accounted = *account, true
		}
		var err error
		ev.Position, err = cdc.PositionFromBytes(position)
		return d, err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due deliveries: %w", err)
	}
	if len(due) == limit {
		return due, now, nil
	}
	var next *time.Time
	err = s.pool.QueryRow(ctx, `SELECT min(due_at) FROM due WHERE subscription = $1 AND due_at > $2 AND due_at < 'infinity'`, subscription, now.UTC()).Scan(&next)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the next due time: %w", err)
	}
	if next == nil {
		return due, time.Time{}, nil
	}
	return due, *next, nil
}

// Backlogs implements sender.Store. Rows whose subscription is gone are removed, and keys of which no row has a time,
// which cannot happen, are given one.
func (s *Store) Backlogs(ctx context.Context, maxKeys int) ([]sender.Backlog, error) {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM due d WHERE NOT EXISTS (SELECT FROM subscription s WHERE s.key = d.subscription AND s.deleted_at IS NULL)`)
	if err != nil {
		return nil, fmt.Errorf("remove what nobody wants: %w", err)
	}
	_, err = s.pool.Exec(ctx, `
		UPDATE due d SET due_at = now()
		FROM (SELECT DISTINCT ON (subscription, key) subscription, key, position, due_at FROM due ORDER BY subscription, key, position) h
		WHERE d.subscription = h.subscription AND d.key = h.key AND d.position = h.position AND h.due_at = 'infinity'`)
	if err != nil {
		return nil, fmt.Errorf("look after what waits: %w", err)
	}
	rows, err := s.pool.Query(ctx, `SELECT subscription, count(*), count(DISTINCT key) FROM due GROUP BY 1`)
	if err != nil {
		return nil, fmt.Errorf("count what is due: %w", err)
	}
	var out []sender.Backlog
	var sub int64
	var n, keys int
	_, err = pgx.ForEachRow(rows, []any{&sub, &n, &keys}, func() error {
		b := sender.Backlog{Subscription: sub, Rows: n}
		if keys <= maxKeys {
			b.Keys = make(map[int64]int, keys)
		}
		out = append(out, b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count what is due: %w", err)
	}
	for _, b := range out {
		if b.Keys == nil {
			continue
		}
		rows, err := s.pool.Query(ctx, `SELECT key, count(*) FROM due WHERE subscription = $1 GROUP BY 1`, b.Subscription)
		if err != nil {
			return nil, fmt.Errorf("count what is due: %w", err)
		}
		var key int64
		if _, err := pgx.ForEachRow(rows, []any{&key, &n}, func() error { b.Keys[key] = n; return nil }); err != nil {
			return nil, fmt.Errorf("count what is due: %w", err)
		}
	}
	return out, nil
}

// Pair is a delivery by its subscription's Key and its event's position.
type Pair struct {
	Subscription int64
	Position     cdc.Position
}

// Recorded returns which of the deliveries are in the store, finished or due, and which of the events.
func (s *Store) Recorded(ctx context.Context, pairs []Pair) (deliveries map[Pair]bool, events map[cdc.Position]bool, err error) {
	subs, positions := make([]int64, len(pairs)), make([][]byte, len(pairs))
	for i, p := range pairs {
		subs[i], positions[i] = p.Subscription, bytesOf(p.Position)
	}
	deliveries, events = map[Pair]bool{}, map[cdc.Position]bool{}
	rows, err := s.pool.Query(ctx, `
		SELECT w.subscription, w.position, EXISTS (SELECT FROM event e WHERE e.position = w.position),
			EXISTS (SELECT FROM delivery d WHERE d.subscription = w.subscription AND d.position = w.position)
			OR EXISTS (SELECT FROM due d WHERE d.subscription = w.subscription AND d.position = w.position)
		FROM unnest($1::bigint[], $2::bytea[]) AS w(subscription, position)`, subs, positions)
	if err != nil {
		return nil, nil, fmt.Errorf("look for what was recorded: %w", err)
	}
	var sub int64
	var position []byte
	var event, delivery bool
	_, err = pgx.ForEachRow(rows, []any{&sub, &position, &event, &delivery}, func() error {
		p, err := cdc.PositionFromBytes(position)
		if err != nil {
			return err
		}
		if event {
			events[p] = true
		}
		if delivery {
			deliveries[Pair{sub, p}] = true
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look for what was recorded: %w", err)
	}
	return deliveries, events, nil
}
