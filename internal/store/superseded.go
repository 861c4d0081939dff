package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

// Supersede keeps what a subscription matched until the change of it that was committed at until, for as long as the log
// before it may be read again.
func (s *Store) Supersede(ctx context.Context, key int64, old subscriptions.Announcement, until cdc.LSN) error {
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if slot, _ := s.owned(); slot != "" {
			_, err := tx.Exec(ctx, `DELETE FROM superseded USING checkpoint c WHERE c.slot = $1 AND until < c.lsn`, slot)
			if err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO superseded (subscription, version, until, announcement) VALUES ($1, $2, $3::text::pg_lsn, $4)
			ON CONFLICT DO NOTHING`, key, old.Version, until.String(), old)
		return err
	})
	if err != nil {
		return fmt.Errorf("note what a subscription matched: %w", err)
	}
	return nil
}

// Superseded returns, by the subscriptions' Key, what those matched at a position of the log that were changed after it.
func (s *Store) Superseded(ctx context.Context, at cdc.LSN) (map[int64]subscriptions.Announcement, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT ON (subscription) subscription, announcement FROM superseded WHERE until >= $1::text::pg_lsn
		ORDER BY subscription, until`, at.String())
	if err != nil {
		return nil, fmt.Errorf("read what subscriptions matched: %w", err)
	}
	found := map[int64]subscriptions.Announcement{}
	var key int64
	var a subscriptions.Announcement
	_, err = pgx.ForEachRow(rows, []any{&key, &a}, func() error {
		found[key] = a
		a = subscriptions.Announcement{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what subscriptions matched: %w", err)
	}
	return found, nil
}

// forgetSuperseded is for a log that has nothing to do with the one before.
func forgetSuperseded(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM superseded`)
	return err
}
