package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// queueMarks writes since when targets take nothing, and forgets those that do again. The last mark of a subscription counts.
func (r *rows) queueMarks(b *pgx.Batch) {
	if len(r.marks) == 0 {
		return
	}
	last := map[int64]*sender.Record{}
	for _, m := range r.marks {
		last[m.Subscription] = m
	}
	var failing, well []int64
	var since []time.Time
	for key, m := range last {
		if m.Since.IsZero() {
			well = append(well, key)
		} else {
			failing, since = append(failing, key), append(since, m.Since)
		}
	}
	b.Queue(`
		INSERT INTO failing (subscription, since) SELECT * FROM unnest($1::bigint[], $2::timestamptz[])
		ON CONFLICT (subscription) DO UPDATE SET since = excluded.since`, failing, since)
	b.Queue(`DELETE FROM failing WHERE subscription = ANY ($1)`, well)
}

// Failing implements sender.Store.
func (s *Store) Failing(ctx context.Context) (map[int64]time.Time, error) {
	rows, err := s.pool.Query(ctx, `SELECT subscription, since FROM failing`)
	if err != nil {
		return nil, fmt.Errorf("read which targets take nothing: %w", err)
	}
	all := map[int64]time.Time{}
	var key int64
	var since time.Time
	_, err = pgx.ForEachRow(rows, []any{&key, &since}, func() error { all[key] = since; return nil })
	if err != nil {
		return nil, fmt.Errorf("read which targets take nothing: %w", err)
	}
	return all, nil
}
