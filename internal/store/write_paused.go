package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// queuePauses writes until when targets are left alone. The last one of a subscription counts.
func (r *rows) queuePauses(b *pgx.Batch) {
	if len(r.pauses) == 0 {
		return
	}
	last := map[int64]*sender.Record{}
	for _, p := range r.pauses {
		last[p.Subscription] = p
	}
	for key, p := range last {
		b.Queue(`
			INSERT INTO paused (subscription, version, until) VALUES ($1, $2, $3)
			ON CONFLICT (subscription) DO UPDATE SET version = excluded.version, until = excluded.until`, key, p.Version, p.DueAt)
	}
}

// Paused implements sender.Store.
func (s *Store) Paused(ctx context.Context) (map[int64]sender.Paused, error) {
	rows, err := s.pool.Query(ctx, `SELECT subscription, version, until FROM paused`)
	if err != nil {
		return nil, fmt.Errorf("read which targets asked for time: %w", err)
	}
	all := map[int64]sender.Paused{}
	var key int64
	var p sender.Paused
	_, err = pgx.ForEachRow(rows, []any{&key, &p.Version, &p.Until}, func() error { all[key] = p; return nil })
	if err != nil {
		return nil, fmt.Errorf("read which targets asked for time: %w", err)
	}
	return all, nil
}
